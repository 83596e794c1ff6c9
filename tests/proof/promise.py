"""P: from the homeowner's reserve and the BMS' words to the facts that the permit looks at (promise 1, link by link).

The reserve in force (P1, P2), the energy that is surely there (P3), what the snapshot hands to the limits (P4, P5);
from there on I3, H1, Q2, S8 and G3.
"""

from __future__ import annotations

from typing import Any

from drivers.readings import Capability, InverterReading
from tests.proof.free import Free, loosen
from tests.proof.homes import NEVER, SITES, S, params
from tests.proof.sources import Modules
from tests.proof.symbols import Paths
from tests.proof.theorem import theorem

SNAPSHOT, OVERLAY, SOC, PERMIT = "agent.core.snapshot", "agent.core.overlay", "agent.core.soc", "agent.core.permit"
W = 10**9
NJ = 3_600_000_000  # in a milliwatt-hour


@theorem(
    "P1",
    "the reserve is the homeowner's own or more, never less than the least allowed, and all of it if unreadable",
    (SNAPSHOT, "max(params.reserve_min_permille, inputs.reserve.permille)", "params.reserve_min_permille"),
)
def own(m: Modules, o: Paths) -> None:
    loosen(m.snapshot)
    p = params(m, reserve_min_permille=o.number("reserve_min_permille", 50, 1000))
    told = m.inputs.Reserve(
        o.number("file's permille", -(10**9), 10**9), o.pick("source", ("file", "unreadable", "new"))
    )
    got = m.snapshot.reserve_of(p, Free(o, m.inputs.Inputs, "inputs", reserve=told))
    if told.source != "file":
        assert got == 1000
        return
    assert got >= p.reserve_min_permille
    assert (got >= told.permille) | (got == 1000)
    assert got <= 1000


@theorem(
    "P2",
    "a raise is never a lowering: what raises do is the greatest of those in force, and none of them is left out",
    (OVERLAY, "permille = max(permille, o.permille)", "permille = o.permille"),
)
def raised(m: Modules, o: Paths) -> None:
    loosen(m.overlay)
    clock = Free(o, m.inputs.Clock, "clock", kernel_boot="this", boot="this")
    words = dict.fromkeys(("id", "owner", "by", "reason"), "any") | {"kernel_boot": "this"}
    kinds = o.pick("kinds", (("storm", "remote"), ("storm", "storm"), ("remote", "storm")))
    many = tuple(Free(o, m.durable.Overlay, f"raise {i}", kind=kind, **words) for i, kind in enumerate(kinds))
    held = m.overlay.held(many, clock, o.number("now_ns", 0, NEVER))
    assert held.permille >= 0
    assert held.remote <= held.permille
    assert held.storm <= held.permille
    for one in many:
        if one.on:
            assert held.permille >= one.permille


@theorem(
    "P3",
    "the energy that counts as surely there is what the BMS said, less a quantum, less all that was measured to leave "
    "since; what an inverter says or charges never adds to it",
    (
        SOC,
        "self.drained_nj = max(0, self.drained_nj + most * dt)",
        "self.drained_nj = max(0, self.drained_nj + least * dt)",
    ),
)
def surely(m: Modules, o: Paths) -> None:
    loosen(m.soc)
    p = params(m, o.pick("site", SITES))
    said = None if o.flag("SoC unknown") else o.number("soc_min", 0, 1000)
    most = None if said is None else o.number("soc_max", 0, 1000)
    quantum = o.number("quantum", 1, 50)
    pack = Free(o, m.packs.Pack, "pack", soc_min=said, soc_max=most, quantum=quantum)
    inverter = Free(o, InverterReading, "inverter") if o.flag("inverter is fresh") else None
    others = (None if o.flag("inverter tells no SoC") else o.number("inverter's SoC", -(10**6), 10**6),)
    same = o.flag("SoC has not moved")
    before = m.snapshot.Trace(
        o.number("trace.at_ns", 0, 10**15),
        (said, most) if same else (-1, -1),
        o.number("drained_nj", 0, 10**18),
        o.number("charged_nj", 0, 10**18),
    )
    now = before.at_ns + (S if o.flag("a cycle later") else 0)
    got = m.soc.Soc(before, p, now, pack, inverter, others)
    if said is None:
        assert got.lo_mwh is None
        assert got.hi_mwh is None
        return
    capacity = p.site.capacity_wh
    assert (got.lo_mwh >= 0) & (got.hi_mwh <= 1000 * capacity)
    assert (got.lo_mwh == 0) | (got.lo_mwh * NJ <= (said - quantum) * capacity * NJ - got.drained_nj)
    assert (got.hi_mwh == 1000 * capacity) | (got.hi_mwh * NJ >= (most + quantum) * capacity * NJ + got.charged_nj)
    if same and now != before.at_ns:
        for w in (pack.power_w, inverter.battery_w if inverter is not None else None):
            if w is not None:
                assert got.drained_nj >= before.drained_nj + w * S
                assert got.charged_nj >= before.charged_nj - w * S
    if not same:
        assert got.drained_nj == 0


def gathered(m: Modules, o: Paths, **given: Any) -> tuple[Any, Any]:
    """(snapshot, the facts that limits look at): I1 to I18 speak of the latter."""
    s = Free(o, m.snapshot.Snapshot, "s", params=params(m), **given)
    return s, m.permit.gather(s, True, False, o.number("spent_mwh", 0, 10**9), o.number("cell_cure", 0, 2))


@theorem(
    "P4",
    "limits look at the reserve in force, at the energy that is surely there, at ages and evidence as they are; what "
    "is not known is said to be so",
    (PERMIT, "        s.reserve_permille,\n", "        s.owed_permille,\n"),
)
def home_as_it_is(m: Modules, o: Paths) -> None:
    free = o.pick("looked at", ("energy", "house", "grid and inverter"))  # one by one: they do not meet here
    nets: tuple[Any, Any] = (None, None)
    soc: tuple[Any, Any] = (None, None)
    device = {"capability": None, "grid": m.snapshot.GridState.CONNECTED}
    if free == "energy" and o.flag("SoC is known"):
        soc = (o.number("soc_lo", 0, 10**9), o.number("soc_hi", 0, 10**9))
    if free == "house" and o.flag("its power is known"):
        nets = (o.number("hi", -W, W), o.number("lo", -W, W))
    if free == "grid and inverter":
        word = o.pick("reversion", ("device_s", "implicit", "unreliable", "none"))
        can = Free(o, Capability, "capability", reversion=word) if o.flag("it says what it can") else None
        device = {"capability": can, "grid": o.pick("grid", tuple(m.snapshot.GridState))}
    words = dict(zip(("net_hi_w", "net_lo_w", "soc_lo_mwh", "soc_hi_mwh"), (*nets, *soc), strict=True))
    s, f = gathered(m, o, **words, **device, pack=None, legs=None)
    assert f.reserve_permille == s.reserve_permille
    assert f.grid == {"CONNECTED": 1, "ISLANDED": 2}.get(s.grid.name, 0)
    for kind in ("battery", "inverter", "meter"):
        assert getattr(f, f"{kind}_age_ns") == getattr(s, f"{kind}_age_ns")
        assert getattr(f, f"{kind}_stale_ns") == getattr(s, f"{kind}_stale_ns")
    assert f.devices_ok == s.devices_ok
    assert f.soc_known == (s.soc_lo_mwh is not None)
    assert f.net_known == (s.net_hi_w is not None)
    if s.soc_lo_mwh is not None:
        assert f.soc_lo_mwh == s.soc_lo_mwh
    if s.net_hi_w is not None:
        assert f.net_hi_w == s.net_hi_w
    assert f.horizon_ms >= 1
    assert (f.horizon_ms * 1_000_000 <= s.horizon_ns) | (f.horizon_ms == 1)
    can = s.capability
    if can is None or not can.signed_setpoint or can.reversion in ("unreliable", "none"):
        assert f.controllable == 0
    assert (f.charge_on == 0) & (f.discharge_on == 0) & (f.cells_known == 0) & (f.temps_known == 0)  # no pack
    assert (f.ccl_ma == 0) & (f.dcl_ma == 0) & (f.phases_known == 0)
    if can is None:
        assert (f.rated_charge_w == 0) & (f.rated_discharge_w == 0)


@theorem(
    "P5",
    "limits look at what the packs say as it stands: currents, cells, temperatures, enable flags, alarms",
    (
        PERMIT,
        "        int(pack is not None and pack.charge_on),\n",
        "        int(pack is not None and pack.discharge_on),\n",
    ),
)
def packs_as_they_are(m: Modules, o: Paths) -> None:
    forbidden = o.pick("alarms forbid (charging, discharging)", ((True, False), (False, True)))
    m.permit.__dict__["blocked"] = lambda _: forbidden  # in this copy; the words have tests of their own
    on = dict(zip(("charge_on", "discharge_on"), o.pick("enabled", ((True, False), (False, True))), strict=True))
    cells = [None if o.flag(f"{end} is not known") else o.number(end, 500, 5_000) for end in ("high", "low")]
    ends = dict(zip(("cell_max_mv", "cell_min_mv"), cells, strict=True))
    pack = Free(o, m.packs.Pack, "pack", **on, **ends, alarms=("any",), spread_mv=o.number("spread_mv", -5_000, 5_000))
    plain = {"soc_lo_mwh": 1, "soc_hi_mwh": 1, "net_hi_w": 0, "net_lo_w": 0, "capability": None, "devices_ok": True}
    _, f = gathered(m, o, pack=pack, legs=None, grid=m.snapshot.GridState.CONNECTED, **plain)
    assert (f.charge_alarm, f.discharge_alarm) == forbidden
    assert (f.charge_on, f.discharge_on) == (pack.charge_on, pack.discharge_on)
    assert (f.pack_mv == pack.mv) & (f.ccl_ma == pack.ccl_ma) & (f.dcl_ma == pack.dcl_ma)
    assert f.spread_mv == pack.spread_mv
    temps = (pack.temp_max_dc, pack.temp_min_dc)
    assert f.cells_known == (None not in cells)
    assert f.temps_known == (None not in temps)
    if None not in cells:
        assert (f.cell_max_mv == cells[0]) & (f.cell_min_mv == cells[1])
    if None not in temps:
        assert (f.temp_max_dc == temps[0]) & (f.temp_min_dc == temps[1])
