"""What follows the permit: cures (O), the setpoint (Q stays inside, R never delays), the writes (W), the gate (G)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drivers.readings import BatteryReading, Capability, InverterReading, MeterReading
from tests.proof.free import Free, loosen, unworded
from tests.proof.homes import NEVER, SITES, S, params
from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths
from tests.proof.theorem import theorem

SETPOINT, WRITES, GATE, OBLIGE = "agent.core.setpoint", "agent.core.writes", "agent.gate", "agent.core.oblige"
WATTS = 200_000
FAULTS = ("none", "over_voltage", "over_temperature")


# --- cures ------------------------------------------------------------------------------------------------------------
SOURCES = (None, "cure:cell_low", "cure:cell_high", "cure:absorb", "cure:shed")


def obliged(m: Modules, o: Paths, **given: Any) -> tuple[Any, Any, Any]:
    """(what is wished, the snapshot, the parameters) of any home after any cycle. `given`: fields that are not free."""
    loosen(m.oblige)
    p = params(m, SITES[0], restore_w=o.pick("restore_w", (0, 1_000, 100_000)))
    s = Free(o, m.snapshot.Snapshot, "s", **given)
    before = m.oblige.Obliged(
        o.pick("last cycle's cure", SOURCES),
        o.number("restore_ns", 0, NEVER) if o.flag("restoring is due") else None,
    )
    wish, _ = m.oblige.cure(s, p, before, o.number("draw", 0, 2**64 - 1))
    return wish, s, p


@theorem(
    "O1",
    "a cure for an empty cell, a BMS or a low reserve charges gently, one for a full cell discharges; none under a "
    "silent BMS, none to a reserve that is not the homeowner's own",
    (OBLIGE, '"cure:cell_low", -gentle_w', '"cure:cell_low", gentle_w'),
)
def cures(m: Modules, o: Paths) -> None:
    wish, s, p = obliged(m, o, net_lo_w=None)  # the site has its own theorem
    if wish is None:
        return
    assert s.pack is not None
    assert s.battery_age_ns <= s.battery_stale_ns
    if wish.source == "cure:cell_high":
        assert wish.power_w > 0
        assert s.pack.cell_max_mv > 3450
    elif wish.source == "cure:cell_low":
        assert wish.power_w < 0
        assert s.pack.cell_min_mv < 3100
    elif wish.source == "cure:bms_request":
        assert s.pack.force_charge
        assert wish.power_w < 0
    elif wish.source == "cure:reserve":
        assert s.reserve_told
        assert -p.site.capacity_wh <= 10 * wish.power_w
        assert wish.power_w < 0
        assert s.soc_lo_mwh < s.owed_permille * p.site.capacity_wh


@theorem(
    "O2",
    "absorb charges and shed discharges, by as much as the house alone is over a limit and no more",
    (OBLIGE, "out_w = -s.net_lo_w - params", "out_w = -s.net_hi_w - params"),
)
def site_cures(m: Modules, o: Paths) -> None:
    loosen(m.oblige)
    p = params(m, o.pick("site", SITES))
    s = Free(o, m.snapshot.Snapshot, "s")
    over_ns = o.number("over_ns", 0, NEVER) if o.flag("the site was over") else None
    wish, _ = m.oblige._site(s, p, m.oblige.Obliged(o.pick("last cycle's cure", SOURCES), None, over_ns))
    if wish is None:
        return
    assert wish.rank is m.arbiter.Rank.SITE
    if wish.source == "cure:absorb":
        assert wish.power_w < 0
        assert s.net_lo_w - wish.power_w == -p.site.export_limit_w
    else:
        assert wish.power_w > 0
        over = s.net_hi_w - p.site.import_limit_w
        if s.legs is None or (p.site.legs == 1 and s.legs.seen != 1):
            assert wish.power_w == over
        else:
            assert wish.power_w >= over


@theorem(
    "O3",
    "the cures of a site give way only to a dispatch that does as much of the same, once the setpoint that rules does; "
    "those of the battery to none",
    (OBLIGE, "max(dispatched_w, ruling_w) <= wish.power_w", "dispatched_w <= wish.power_w"),
)
def given_way(m: Modules, o: Paths) -> None:
    asked, dispatched = o.number("power_w", -WATTS, WATTS), o.number("dispatched_w", -WATTS, WATTS)
    rank = o.pick("rank", tuple(m.arbiter.Rank))
    ruling = o.number("ruling_w", -WATTS, WATTS) if o.flag("a setpoint rules") else None
    if m.oblige.overtaken(m.arbiter.Proposal(rank, "cure", asked), dispatched, ruling):
        assert rank is m.arbiter.Rank.SITE
        assert ruling is not None
        assert (ruling <= asked) | (asked >= 0)
        assert (ruling >= asked) | (asked < 0)
        assert (dispatched <= asked) | (asked >= 0)
        assert (dispatched >= asked) | (asked < 0)


@theorem(
    "O4",
    "whatever a cure asks, what is given of it is inside the permit, on its own side, and no more than it asked",
    (SETPOINT, "target = max(lo_w, min(hi_w, asked_w))", "target = asked_w"),
)
def inside(m: Modules, o: Paths) -> None:
    x = shaped(m, o)
    given = x["made"].given_w
    assert (x["lo"] <= given) & (given <= x["hi"])
    assert (given <= 0) | (x["asked"] > 0)
    assert (given >= 0) | (x["asked"] < 0)


@theorem(
    "O5",
    "what lifts the PV-only tariff is the cure of a nearly empty cell, which nothing outranks, and no other wish",
    (
        "agent.core.step",
        'CELL_CURES = {"cure:cell_low": 1, "cure:cell_high": 2}',
        'CELL_CURES = {"cure:cell_low": 1, "cure:reserve": 1, "cure:cell_high": 2}',
    ),
)
def lifts_the_tariff(m: Modules, o: Paths) -> None:
    wish, s, _ = obliged(m, o, net_lo_w=None)
    if wish is None or m.step.CELL_CURES.get(wish.source) != 1:
        return
    assert wish.rank is m.arbiter.Rank.CELL_CURE
    assert s.pack.cell_min_mv < 3100
    rival = m.arbiter.Proposal(o.pick("rank of another wish", tuple(m.arbiter.Rank)), "other", -WATTS)
    assert m.arbiter.choose((wish, rival)) is wish


@theorem(
    "O6",
    "limits that were set from afar give way only to a cure that fills or spares the battery, and surely below the "
    "reserve while nobody asks for anything",
    (OBLIGE, "return wish.rank in UNBOUND", "return True"),
)
def goes_by_its_own(m: Modules, o: Paths) -> None:
    own = params(m, SITES[0])
    s = Free(o, m.snapshot.Snapshot, "s")
    rank = o.pick("rank of the cure", (None, *m.arbiter.Rank))
    wish = None if rank is None else m.arbiter.Proposal(rank, "cure", -WATTS)
    if not m.oblige.unbound(s, replace(own, own=own), wish, o.flag("nobody asks")):
        return
    if wish is None or rank is m.arbiter.Rank.SITE:
        assert s.soc_lo_mwh < s.owed_permille * own.site.capacity_wh
    else:
        assert rank in (m.arbiter.Rank.CELL_CURE, m.arbiter.Rank.REQUEST, m.arbiter.Rank.RESTORE)


@theorem(
    "O7",
    "no import limit that was set from afar makes the battery give: what is shed is over the commissioned one",
    (OBLIGE, "(params.own or params).site.import_limit_w", "params.site.import_limit_w"),
)
def sheds_for_its_own(m: Modules, o: Paths) -> None:
    own = params(m, SITES[0])
    p = replace(own, site=replace(own.site, import_limit_w=0), own=own)
    s = Free(o, m.snapshot.Snapshot, "s", legs=None)
    over_ns = o.number("over_ns", 0, NEVER) if o.flag("the site was over") else None
    wish, _ = m.oblige._site(s, p, m.oblige.Obliged(o.pick("last cycle's cure", SOURCES), None, over_ns))
    if wish is not None and wish.source == "cure:shed":
        assert wish.power_w == s.net_hi_w - own.site.import_limit_w


# --- setpoint ---------------------------------------------------------------------------------------------------------
def shaped(m: Modules, o: Paths) -> dict[str, Any]:
    loosen(m.setpoint)
    lo, hi = o.number("lo_w", -WATTS, 0), o.number("hi_w", 0, WATTS)
    asked, step = o.number("asked_w", -WATTS, WATTS), o.pick("resolution_w", (0, 1, 2, 114, "any"))
    if step == "any":
        step = o.number("any resolution_w", 0, 20_000, 114)
    before = measured = None
    if not o.flag("released before"):
        before = o.number("before_w", -WATTS, WATTS)
    elif not o.flag("not measured"):
        measured = o.number("measured_w", -WATTS, WATTS)
    ramp, ns = o.pick("ramp", tuple(m.command.RampClass)), o.number("ramp_ns", 0, 3600 * S)
    made = m.setpoint.shape(asked, lo, hi, before, measured, ramp, ns, step, params(m))
    start = before if before is not None else (measured if measured is not None else 0)
    return {"lo": lo, "hi": hi, "asked": asked, "step": step, "made": made, "start": start}


@theorem(
    "Q1",
    "the rounded setpoint is inside the permit, a whole number of the device's steps, never the other way round",
    (SETPOINT, "given if ramped >= 0 else -given", "given"),
)
def quantised(m: Modules, o: Paths) -> None:
    x = shaped(m, o)
    made = x["made"]
    assert x["lo"] <= made.given_w
    assert made.given_w <= x["hi"]
    assert abs(made.given_w) <= abs(made.ramped_w)
    assert abs(made.given_w) <= abs(x["asked"])
    if isinstance(x["step"], int):
        assert made.given_w % max(1, x["step"]) == 0
    if x["asked"] >= 0:
        assert made.given_w >= 0
    else:
        assert made.given_w <= 0


@theorem(
    "R1",
    "the ramp never delays tightening: a target nearer to zero on the same side is reached in the same cycle",
    (
        SETPOINT,
        "min(target_w, max(0, start_w) + step_w)",
        "max(start_w - step_w, min(target_w, max(0, start_w) + step_w))",
    ),
)
def ramp_tightens(m: Modules, o: Paths) -> None:
    x = shaped(m, o)
    made, start = x["made"], x["start"]
    target = SYMBOLS.greatest(x["lo"], SYMBOLS.least(x["hi"], x["asked"]))
    if target >= 0 and start >= target:
        assert made.ramped_w == target
    if target <= 0 and start <= target:
        assert made.ramped_w == target
    assert abs(made.ramped_w) <= abs(target)
    if target > 0 > start:
        assert made.given_w >= 0  # the old side is left at once


def answered(m: Modules, o: Paths) -> tuple[Any, Any, Any, Any]:
    """`answer` for any wish, memory and home; what is only reported (the binding limit) is left out."""
    loosen(m.setpoint)
    m.setpoint.__dict__["binds"] = lambda *_: 0  # in this copy: which limit is named
    lo, hi = o.number("lo_w", -WATTS, 0), o.number("hi_w", 0, WATTS)
    nothing = tuple([0] * len(m.limits.LIMITS))
    bounds = unworded(m)(params(m), None, nothing, nothing, lo, hi, ())
    s = Free(o, m.snapshot.Snapshot, "s")
    hand = Free(o, m.writes.Hand, "hand")
    o.assume(s.now_ns >= hand.asked_ns)
    wish = m.arbiter.Proposal(
        m.arbiter.Rank.DISPATCH,
        "any",
        None if o.flag("wishes release") else o.number("wish_w", -WATTS, WATTS),
        m.command.RampClass.DIRECT,
    )
    if s.capability is not None:
        s.capability._given["resolution_w"] = o.pick("resolution_w", (0, 1, 10))
    ramped = None if o.flag("released before") else o.number("ramped_w", -WATTS, WATTS)
    return wish, bounds, ramped, (hand, s, m.setpoint.answer(wish, bounds, ramped, hand, s, params(m)))


@theorem(
    "Q2",
    "what a wish is given is inside this cycle's permit, whatever was written, confirmed or pending before",
    (
        SETPOINT,
        "    lo_w, hi_w = bounds.lo_w, bounds.hi_w",
        "    lo_w, hi_w = bounds.lo_w, max(ramped_w or 0, bounds.hi_w)",
    ),
)
def answer_inside(m: Modules, o: Paths) -> None:
    wish, bounds, _, (_, _, got) = answered(m, o)
    if wish.power_w is None:
        assert got.given_w is None
        return
    assert bounds.lo_w <= got.given_w
    assert got.given_w <= bounds.hi_w
    assert abs(got.given_w) <= abs(wish.power_w)


@theorem(
    "Q3",
    "a mode that may not act leaves zero or a release; zero for no longer than its delay, and begun by no mode, unless "
    "the reserve would be lost: then zero, for as long as that may be held (D5)",
    (
        SETPOINT,
        "return (0 if keep or now_ns - hand.zero_ns",
        "return (0 if now_ns - hand.zero_ns",
    ),
)
def fitted(m: Modules, o: Paths) -> None:
    loosen(m.setpoint)
    mode = o.pick("mode", tuple(m.decision.Mode))
    hand = Free(o, m.writes.Hand, "hand")
    now, given = o.number("now_ns", 0, NEVER), o.number("given_w", -WATTS, WATTS)
    keep = o.flag("the reserve would be lost")
    got, after = m.setpoint.fit(given, mode, hand, now, params(m), keep)
    if mode.name in ("LOCAL", "DISPATCHED"):
        assert got == given
        assert after.zero_ns is None
    elif mode.name == "DEGRADED":
        assert got is None or got == 0
        if keep:
            assert got is not None
        elif hand.setpoint_w is None:
            assert got is None
        elif got is not None:
            assert now - after.zero_ns < params(m).timers.release_delay_ns
    elif keep:
        assert got == 0
    else:
        assert got is None


# --- writes -----------------------------------------------------------------------------------------------------------
def planned(m: Modules, o: Paths, given: Any) -> tuple[Any, Any, Any]:
    """`plan` over any home with an inverter that answers, and any memory of the hand."""
    loosen(m.writes)
    o.texts = ("any",)  # no write hangs on a word
    m.mirror.__dict__["plan"] = lambda hand, *_: (hand, None, None)  # in this copy: a device's floor is another matter
    m.writes.__dict__["_excused"] = lambda hand, _: hand  # it makes counts zero; any count is in `hand`
    m.writes.__dict__["_beat"] = lambda hand, *_: (hand, None)  # as is its heartbeat
    capability = Free(o, Capability, "capability", control="any")  # one that can be commanded, not only read
    device = Free(o, m.inputs.Device, "inverter device", presence="ok", capability=capability)
    s = Free(o, m.snapshot.Snapshot, "s", inverter_device=device, capability=capability)
    hand = Free(o, m.writes.Hand, "hand", command_id=None)
    modes = (m.decision.Mode.LOCAL, m.decision.Mode.LOCKOUT)
    mode, command = (o.pick("mode", modes), None) if given is None else (modes[0], o.pick("command", (None, "other")))
    wanted = m.writes.Wanted(mode, given, command, False, False, given is not None)
    return hand, s, m.writes.plan(hand, s, wanted, params(m))


@theorem(
    "W1",
    "a setpoint that changed is asked for in the very cycle that changed it, though an older one is unanswered (R)",
    (WRITES, "    if not same or wanted.command_id != hand.command_id:", "    if not same and not hand.pending:"),
)
def asks_at_once(m: Modules, o: Paths) -> None:
    given = o.number("given_w", -WATTS, WATTS)
    hand, s, plan = planned(m, o, given)
    powers = [w for w in plan.writes if w.intent.name == "POWER"]
    if s.grid.name == "CONNECTED":
        if hand.setpoint_w is None or hand.setpoint_w != given:
            assert len(powers) == 1
            assert powers[0].value == given
    else:
        assert not powers


@theorem(
    "W2",
    "without a setpoint to give, a remote setpoint that is or may be active is cleared, now or by a CLEAR under way",
    (
        WRITES,
        "    if not hand.maybe_active:\n        return _foreign",
        "    if not hand.touched_ns:\n        return _foreign",
    ),
)
def clears(m: Modules, o: Paths) -> None:
    hand, s, plan = planned(m, o, None)
    if hand.clear_pending and hand.clear_ns is None:
        return  # no hand is like this, as the last assertion says of its successor
    o.assume(s.now_ns >= hand.touched_ns)
    clear = [w for w in plan.writes if w.intent.name == "CLEAR"]
    assert not plan.hand.clear_pending or plan.hand.clear_ns is not None
    if clear or not hand.maybe_active:
        return
    under_way = hand.clear_ns is not None and s.now_ns - hand.clear_ns < 5 * S
    fresh = s.inverter is not None and s.inverter_age_ns <= s.inverter_stale_ns
    read_back = fresh and s.inverter.remote_active is False and s.inverter.remote_w is None
    never_read = not fresh and hand.touched_ns == 0
    assert under_way or read_back or never_read


# --- the gate ---------------------------------------------------------------------------------------------------------
def admitted(m: Modules, o: Paths, intent: str) -> tuple[Any, Any, Any] | None:
    """(write, decision, evidence) where the gate lets the write pass; None where it refuses."""
    p = params(m, SITES[1])
    gate = m.gate.Gate(p)
    gate.compile = lambda *_: "order"  # what the driver makes of it is its own tests' matter
    now = o.number("now_ns", 0, NEVER)
    battery = Free(o, BatteryReading, "battery", device="battery")
    meter = Free(o, MeterReading, "meter", device="meter")
    inverter = None if o.flag("no inverter") else Free(o, InverterReading, "inverter")
    batteries = (battery,) * o.pick("batteries", (0, 1))
    seen = m.gate.Evidence(now, batteries, inverter, (meter,), o.number("file's reserve_permille", 0, 1000))
    fault = Free(o, m.decision.FaultValue, "fault", id=o.pick("fault", FAULTS if intent == "STOP" else FAULTS[:1]))
    decision = Free(o, m.decision.Decision, "decision", faults=(fault,))
    write = m.decision.Write(m.decision.Intent[intent], o.number("value", -WATTS, WATTS), "")
    gate._live = lambda _: None
    told = gate.admit(write, decision, "binding", seen)
    return (write, decision, (seen, p)) if told == "order" else None


@theorem(
    "G1",
    "no setpoint and no floor passes the gate without the inverter's own fresh word that the grid is there (I13)",
    (
        GATE,
        "if not 0 <= age_ns <= self._params.timers.stale_grid_ns:",
        "if age_ns > self._params.timers.stale_grid_ns:",
    ),
)
def gate_needs_grid(m: Modules, o: Paths) -> None:
    passed = admitted(m, o, o.pick("intent", ("POWER", "FLOOR", "STOP")))
    if passed is None:
        return
    write, decision, (seen, p) = passed
    if write.intent.name == "STOP" and decision.faults[0].id in ("over_voltage", "over_temperature"):
        return
    assert seen.inverter.grid_state.name == "CONNECTED"
    assert seen.now_ns - seen.inverter.grid_at_ns >= 0
    assert seen.now_ns - seen.inverter.grid_at_ns <= p.timers.stale_grid_ns


@theorem(
    "G2",
    "no power passes outside the permit of this very cycle or the nameplate (D)",
    (GATE, "if decision.at_ns != seen.now_ns:", "if decision.at_ns > seen.now_ns:"),
)
def gate_needs_permit(m: Modules, o: Paths) -> None:
    passed = admitted(m, o, "POWER")
    if passed is None:
        return
    write, decision, (seen, p) = passed
    assert decision.at_ns == seen.now_ns
    assert decision.lo_w <= 0
    assert decision.hi_w >= 0
    assert decision.lo_w <= write.value
    assert write.value <= decision.hi_w
    assert write.value <= p.site.nameplate_discharge_w
    assert -write.value <= p.site.nameplate_charge_w


@theorem(
    "G3",
    "no discharge passes at or below the reserve as core or file know it, no charge into a full or frozen battery",
    (
        GATE,
        "soc <= max(seen.reserve_permille, decision.reserve_permille, floor)",
        "soc < max(seen.reserve_permille, floor)",
    ),
)
def gate_keeps_reserve(m: Modules, o: Paths) -> None:
    passed = admitted(m, o, "POWER")
    if passed is None:
        return
    write, decision, (seen, p) = passed
    if write.value == 0:
        return
    assert seen.batteries
    for battery in seen.batteries:
        assert seen.now_ns - battery.at_ns <= p.timers.stale_battery_ns
        assert battery.soc_permille is not None
        if write.value > 0:
            assert battery.soc_permille > seen.reserve_permille
            assert battery.soc_permille > decision.reserve_permille
            assert battery.soc_permille > p.soc_floor_permille
        else:
            assert battery.soc_permille < 1000
            assert battery.temp_min_dc is not None
            assert battery.temp_min_dc > 0


@theorem(
    "G4",
    "a device's own floor is never written below the homeowner's reserve nor what is in force for a while",
    (GATE, "max(least, decision.reserve_permille), write.value", "least, write.value"),
)
def gate_keeps_floor(m: Modules, o: Paths) -> None:
    passed = admitted(m, o, "FLOOR")
    if passed is not None:
        write, decision, (seen, p) = passed
        assert write.value >= seen.reserve_permille
        assert write.value >= decision.reserve_permille
        assert write.value >= p.reserve_min_permille
        assert write.value <= 1000


# --- the evidence of the grid -----------------------------------------------------------------------------------------
@theorem(
    "G5",
    "no inverter's word connects the home while a meter that speaks sees a dead grid; nor after such a meter fell "
    "silent, unless an inverter told of that outage later, or a person resumed when it had been silent for ten minutes",
    (
        "agent.core.grid",
        "meter.at_ns > end.islanded_ns and meter.at_ns > end.resumed_ns - LONG_SILENT_NS",
        "meter.at_ns > end.islanded_ns and meter.at_ns > end.resumed_ns",
    ),
)
def dead_grid(m: Modules, o: Paths) -> None:
    now = o.number("now_ns", 0, NEVER)
    meter = Free(o, MeterReading, "meter", device="meter", phase_mv=(o.number("phase_mv", 0, 59_999),))
    inverter = Free(o, InverterReading, "inverter")
    end = m.grid.End(o.number("islanded_ns", 0, NEVER), o.number("resumed_ns", 0, NEVER))
    o.assume(meter.at_ns <= now)
    timers = params(m).timers
    dark = m.grid.dark((meter,), ["meter"], now, timers, end)
    said = m.grid.verdict(now, inverter, dark, timers, o.flag("it was connected before"), None, True)
    if said[0].name != "CONNECTED":
        return
    assert now - meter.at_ns > timers.stale_meter_ns
    assert (meter.at_ns <= end.islanded_ns) | (meter.at_ns + 600 * S <= end.resumed_ns)
