"""D: self-consumption where no floor of the inverter keeps the reserve: when it is driven, and what is then asked."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from drivers.readings import Capability, InverterReading
from tests.proof.free import Free, loosen, unworded
from tests.proof.homes import params
from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths
from tests.proof.theorem import theorem

DRIVEN = "agent.core.strategies.self_consumption"
WATTS = 200_000


def _home(m: Modules, o: Paths) -> tuple[ModuleType, Any, Any]:
    """(the module, any home of one inverter that is read, any hand on it)."""
    own = m.loaded[DRIVEN]
    loosen(own)
    capability = Free(o, Capability, "capability")
    inverter = Free(o, InverterReading, "inverter")
    s = Free(o, m.snapshot.Snapshot, "s", units=(), capability=capability, inverter=inverter)
    return own, s, Free(o, m.writes.Hand, "hand")


@theorem(
    "D1",
    "an inverter is left alone only where its own floor is at the reserve or on its way there and was not found out, "
    "or where it cannot cross the reserve within the horizon with all it has, or where it takes no setpoint; and never "
    "under a silent BMS",
    (DRIVEN, "left_mwh * 3_600_000_000 < most_w * s.horizon_ns", "left_mwh * 3_600_000_000 < most_w"),
)
def left_alone(m: Modules, o: Paths) -> None:
    own, s, hand = _home(m, o)
    p, blind = params(m), o.flag("blind")
    ignored = o.flag("its floor was seen not to hold")
    if own.at_risk(s, p, hand, (), blind, ignored):
        return
    can, inverter = s.capability, s.inverter
    if not ignored and can.floor and inverter.floor_permille is not None:
        if inverter.floor_permille >= s.reserve_permille:
            return
        asked = hand.floor_permille is not None and hand.floor_permille == s.reserve_permille
        done = hand.floor_confirmed_ns
        coming = not asked or hand.floor_pending or (done is not None and inverter.at_ns <= done)
        if coming and hand.floor_failures == 0 and hand.setpoint_w is None:
            return
    if not can.signed_setpoint or can.reversion in ("none", "unreliable"):
        return
    if can.control_point == "grid" and s.load_w is None:
        return
    assert not blind
    assert s.soc_lo_mwh is not None
    left_mwh = s.soc_lo_mwh - s.reserve_permille * p.site.capacity_wh
    assert left_mwh * 3_600_000_000 >= p.site.nameplate_discharge_w * s.horizon_ns
    assert left_mwh * 3_600_000_000 >= can.rated_discharge_w * s.horizon_ns


@theorem(
    "D2",
    "what is driven is what the house takes beyond its PV by one of the last samples, to the dead band; zero without "
    "a meter; and it does not move while any of them says what is given already",
    (DRIVEN, "target_w = max(s.net_lo_w, min(s.net_hi_w, start_w))", "target_w = s.net_hi_w"),
)
def follows(m: Modules, o: Paths) -> None:
    own, s, hand = _home(m, o)
    band = params(m).dead_band_w
    asked = own.follow(s, band, hand.setpoint_w)
    if s.net_lo_w is None or s.net_hi_w is None:
        assert asked == 0
        return
    o.assume(s.net_lo_w <= s.net_hi_w)
    assert asked >= s.net_lo_w - band
    assert asked <= s.net_hi_w + band
    before = hand.setpoint_w
    if before is not None and s.net_lo_w - band <= before and before <= s.net_hi_w + band:
        assert asked == before


@theorem(
    "D3",
    "of the permit it takes no more than there is and no more than it asks, and near the reserve it holds a value "
    "until a quarter of the permit is unused or what it holds is not permitted any more",
    (DRIVEN, "return held_w if cap_w - cap_w // 4 <= held_w <= cap_w", "return held_w if cap_w - cap_w // 4 <= held_w"),
)
def takes(m: Modules, o: Paths) -> None:
    own = m.loaded[DRIVEN]
    asked, cap = o.number("asked_w", 0, WATTS), o.number("cap_w", 0, WATTS)
    held = o.number("held_w", 0, WATTS)
    taken = own.stepped(asked, cap, held, params(m).dead_band_w)
    assert taken >= 0
    assert taken <= cap
    if asked > cap - cap // 8 and held <= cap and held >= cap - cap // 4 and cap >= 200:
        assert taken == held


@theorem(
    "D4",
    "a wish that takes less of the permit than there is gets no more than it takes, and never leaves the permit",
    (
        "agent.core.setpoint",
        "max(lo_w, -wish.within_w), min(hi_w, wish.within_w)",
        "max(lo_w, -wish.within_w), wish.within_w",
    ),
)
def within(m: Modules, o: Paths) -> None:
    loosen(m.setpoint)
    m.setpoint.__dict__["binds"] = lambda *_: 0  # in this copy: which limit is named
    lo, hi = o.number("lo_w", -WATTS, 0), o.number("hi_w", 0, WATTS)
    nothing = tuple([0] * len(m.limits.LIMITS))
    bounds = unworded(m)(params(m), None, nothing, nothing, lo, hi, ())
    _, s, hand = _home(m, o)
    s.capability._given["resolution_w"] = o.pick("resolution_w", (0, 1, 10))
    o.assume(s.now_ns >= hand.asked_ns)
    takes_w = o.number("within_w", 0, WATTS)
    wish = m.arbiter.Proposal(
        m.arbiter.Rank.SELF_CONSUMPTION,
        "any",
        o.number("wish_w", -WATTS, WATTS),
        m.command.RampClass.REGULATION,
        None,
        takes_w,
    )
    ramped = None if o.flag("released before") else o.number("ramped_w", -WATTS, WATTS)
    got = m.setpoint.answer(wish, bounds, ramped, hand, s, params(m)).given_w
    assert lo <= got
    assert got <= hi
    assert SYMBOLS.greatest(got, -got) <= takes_w


@theorem(
    "D5",
    "zero is held for the reserve by a mode that does not act only where no fault keeps hands off but the hold of a "
    "silence that is over: never in the dwell after an outage, under any other fault or lockout, before the first "
    "readings, or, unless a reading is lost, where the inverter's timer is not read",
    ("agent.core.standing", "m.id in SILENCE and m.gone_ns is not None and not m", "m.gone_ns is not None and not m"),
)
def rests(m: Modules, o: Paths) -> None:
    mode = o.pick("mode", tuple(m.decision.Mode))
    own = m.standing
    ids = ("inverter_stale", "grid_unknown", "grid_lost", "deaf_inverter", "over_voltage", "battery_stale")
    there = {"is there": (True, None, False), "is held": (True, 0, False), "was there": (False, 0, False)}
    there["cannot be looked at"] = (True, None, True)

    def fault(which: str, how: str) -> Any:
        active, gone_ns, broken = there[how]
        return own.Memory(which, active, 0, gone_ns, 0, (), "any", 0, broken)

    first = fault(o.pick("a fault", ids), o.pick("it", tuple(there)))
    beside = o.pick(
        "beside it", (("grid_lost", "is held"), ("inverter_stale", "is held"), ("grid_unknown", "was there"))
    )
    memory = (first, fault(*beside))
    timed = o.flag("its timer is read")
    if mode is m.decision.Mode.DEGRADED or not own.resting(mode, memory, timed):
        return
    assert timed
    assert mode.name not in ("INIT", "LOCKOUT")
    for one in memory:
        if one.active and (one.broken or one.id != "battery_stale"):
            assert one.id in ("inverter_stale", "grid_unknown")
            assert one.gone_ns is not None
            assert not one.broken
