"""I1-I13, M, R and C of the design over readings of every kind, seen through `step` alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.decision import Intent
from agent.core.inputs import CommandIn, Inputs, Reserve
from agent.core.params import S
from agent.core.step import step
from drivers.readings import GridState
from tests.blackbox.rig import Rig
from tests.blackbox.world import World
from tests.core.home import command

pytestmark = pytest.mark.slow
QUIET = settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
mv = st.one_of(st.none(), st.integers(2700, 3700), st.sampled_from([2899, 2900, 2901, 3549, 3550, 3551, 0, 65_535]))
dc = st.one_of(st.none(), st.integers(-250, 650), st.sampled_from([-101, -100, -1, 0, 1, 549, 550, 551, 32_767]))
ma = st.one_of(st.none(), st.integers(0, 500_000), st.just(0))
soc = st.one_of(st.none(), st.integers(0, 1000), st.sampled_from([49, 50, 51, 199, 200, 201, 999, 1000, 1001, 65_535]))
watts = st.one_of(st.none(), st.integers(-40_000, 40_000))

CELLS = 16


def coherent(block: dict[str, Any]) -> dict[str, Any]:
    """Volts of one and the same pack: a block that contradicts itself is another matter (hazard 4)."""
    low, high = block.get("cell_min_mv", 3300), block.get("cell_max_mv", 3305)
    pack = block.get("pack_mv", 52_800)
    if not pack or not low or not high or not 500 <= low <= 5000 or not 500 <= high <= 5000:
        return block
    low, high = min(low, high), max(low, high)
    return {**block, "cell_min_mv": low, "cell_max_mv": high, "pack_mv": max(CELLS * low, min(CELLS * high, pack))}


BATTERY = st.fixed_dictionaries(
    {},
    optional={
        "soc_permille": soc,
        "cell_max_mv": mv,
        "cell_min_mv": mv,
        "temp_max_dc": dc,
        "temp_min_dc": dc,
        "ccl_ma": ma,
        "dcl_ma": ma,
        "pack_mv": st.one_of(st.none(), st.integers(40_000, 60_000), st.just(0)),
        "pack_ma": st.one_of(st.none(), st.integers(-300_000, 300_000)),
        "charge_enabled": st.one_of(st.none(), st.booleans()),
        "discharge_enabled": st.one_of(st.none(), st.booleans()),
        "alarms": st.sampled_from([(), ("cell_overvoltage",), ("what_is_this",), ("discharge_overcurrent",)]),
    },
).map(coherent)
INVERTER = st.fixed_dictionaries(
    {},
    optional={
        "battery_w": watts,
        "grid_state": st.sampled_from(list(GridState)),
        "remote_w": watts,
        "remote_active": st.one_of(st.none(), st.booleans()),
        "floor_permille": st.one_of(st.none(), st.integers(0, 1000)),
        "reversion_s": st.one_of(st.none(), st.sampled_from([0, 5, 60, 3600])),
        "status": st.sampled_from(["running", "standby", "fault", "off", "?"]),
        "soc_permille": soc,
        "frequency_mhz": st.one_of(st.none(), st.integers(0, 70_000)),
    },
)
METER = st.fixed_dictionaries(
    {},
    optional={
        "grid_w": watts,
        "frequency_mhz": st.one_of(st.none(), st.integers(0, 70_000)),
        "phase_mv": st.sampled_from([(240_000,), (0,), (None,), (), (120_000, 120_000)]),
    },
)
ORDERS = st.one_of(st.none(), st.sampled_from([-11_400, -5_000, 0, 1, 5_000, 11_400, 10**9, -(10**9), 2**63]))


def dispatched(power_w: int | None = 5_000, permille: int = 600) -> Rig:
    return _dispatched(power_w, permille).fork()


@cache
def _dispatched(power_w: int | None, permille: int) -> Rig:
    rig = Rig(world=World(wh=permille * 25.0)).ready()
    if power_w is not None:
        rig.tick(CommandIn(command(power_w=power_w), ()))
        rig.run(12)
    return rig


@QUIET
@given(ORDERS, st.lists(st.tuples(BATTERY, INVERTER, METER), min_size=1, max_size=5), st.integers(0, 1000))
def test_no_reading_leads_outside_the_permit(order: int | None, cycles: list[Any], reserve: int) -> None:
    """The inspector judges I1-I13 at every cycle."""
    rig = dispatched(order)
    rig.judge_truth = False  # the readings lie
    rig.reserve = Reserve(max(100, reserve), "file")
    for battery, inverter, meter in cycles:
        rig.over = {"battery": battery, "inverter": inverter, "meter": meter}
        rig.tick()
    rig.over = {}
    rig.run(3)


@QUIET
@given(st.sampled_from([5_000, -5_000, 11_400, -11_400]), BATTERY, INVERTER, METER)
def test_tightening_is_in_the_cycle_that_sees_its_cause(order: int, b: Any, v: Any, m: Any) -> None:
    """R: whatever a reading takes away is gone in the same cycle's writes."""
    rig = dispatched(order)
    before = rig.world.remote_w
    assert before is not None and abs(before) > 3_000
    rig.judge_truth = False
    rig.over = {"battery": b, "inverter": {**v, "remote_w": before, "remote_active": True}, "meter": m}
    out = rig.tick()
    d = out.decision
    if d.grid != "connected":
        assert [w.intent for w in out.writes if w.intent in (Intent.POWER, Intent.FLOOR)] == []
        return
    if not d.lo_w <= before <= d.hi_w:
        moved = [w for w in out.writes if w.intent in (Intent.POWER, Intent.CLEAR, Intent.STOP)]
        assert moved, (before, d.lo_w, d.hi_w, d.mode, out.writes)


def tighter(data: Any, i: Inputs, what: str) -> Inputs:
    b, v, m = i.batteries[0], i.inverters[0], i.meters[0]
    if what == "ccl":
        return replace(i, batteries=(replace(b, ccl_ma=data.draw(st.integers(0, 240_000))),))
    if what == "dcl":
        return replace(i, batteries=(replace(b, dcl_ma=data.draw(st.integers(0, 240_000))),))
    if what == "reserve":
        return replace(i, reserve=Reserve(data.draw(st.integers(i.reserve.permille, 1000)), "file"))
    if what == "vmax":
        return replace(i, batteries=(replace(b, cell_max_mv=data.draw(st.integers(3305, 3700))),))
    if what == "vmin":
        return replace(i, batteries=(replace(b, cell_min_mv=data.draw(st.integers(2700, 3295))),))
    if what == "battery_age":
        return replace(i, batteries=(replace(b, at_ns=b.at_ns - data.draw(st.integers(0, 10 * S))),))
    if what == "inverter_age":
        age = data.draw(st.integers(0, 10 * S))
        older = replace(v, at_ns=v.at_ns - age, battery_at_ns=v.battery_at_ns - age, grid_at_ns=v.grid_at_ns - age)
        return replace(i, inverters=(older,))
    if what == "meter_age":
        return replace(i, meters=(replace(m, at_ns=m.at_ns - data.draw(st.integers(0, 10 * S))),))
    if what == "hot":
        return replace(i, batteries=(replace(b, temp_max_dc=data.draw(st.integers(400, 700))),))
    return replace(i, batteries=(replace(b, temp_min_dc=data.draw(st.integers(-300, 100))),))


TIGHTER = "ccl dcl reserve vmax vmin battery_age inverter_age meter_age hot cold".split()


@pytest.mark.parametrize("what", TIGHTER)
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_worse_never_widens(what: str, data: Any) -> None:
    """M: from the same state, a tighter or worse input never gives a wider permit."""
    rig = dispatched(None, data.draw(st.sampled_from([60, 190, 203, 230, 600, 950, 1000])))
    rig._pass(1.0)
    base = rig.inputs(())
    if base.batteries[0].temp_min_dc == 200 and what == "cold":
        base = replace(base, batteries=(replace(base.batteries[0], temp_min_dc=100),))
    once = tighter(data, base, what)
    twice = base if data.draw(st.booleans()) else tighter(data, once, data.draw(st.sampled_from(TIGHTER)))
    chain = [base, once] if twice is base else [once, twice]
    if twice is not base and not is_tighter(*chain):
        return
    wide, narrow = (step(rig.params, rig.state, i)[1].decision for i in chain)
    assert wide.lo_w <= narrow.lo_w and narrow.hi_w <= wide.hi_w, (what, chain)


def is_tighter(a: Inputs, b: Inputs) -> bool:
    """The second draw of the same field may have gone the other way."""
    x, y = a.batteries[0], b.batteries[0]
    return (
        (y.ccl_ma or 0) <= (x.ccl_ma or 0)
        and (y.dcl_ma or 0) <= (x.dcl_ma or 0)
        and (y.cell_max_mv or 0) >= (x.cell_max_mv or 0)
        and (y.cell_min_mv or 0) <= (x.cell_min_mv or 0)
        and (y.temp_max_dc or 0) >= (x.temp_max_dc or 0)
        and (y.temp_min_dc or 0) <= (x.temp_min_dc or 0)
        and y.at_ns <= x.at_ns
        and b.inverters[0].at_ns <= a.inverters[0].at_ns
        and b.meters[0].at_ns <= a.meters[0].at_ns
        and b.reserve.permille >= a.reserve.permille
    )


@QUIET
@given(BATTERY, INVERTER, METER, st.sampled_from([10**9, 5_000, 0, -5_000, -(10**9)]))
def test_a_command_is_no_input_of_the_permit(b: Any, v: Any, m: Any, power_w: int) -> None:
    """C: same readings, with and without a command: same permit."""
    rig = dispatched(None)
    rig.over = {"battery": b, "inverter": v, "meter": m}
    rig._pass(1.0)
    alone = rig.inputs(())
    told = replace(alone, events=(CommandIn(command(power_w=power_w), ()),))
    one, two = (step(rig.params, rig.state, i)[1].decision for i in (alone, told))
    assert (one.lo_w, one.hi_w) == (two.lo_w, two.hi_w)


@QUIET
@given(st.integers(100, 1000), st.integers(0, 1000), st.sampled_from([1, 5, 10]))
def test_permit_at_and_near_the_reserve(reserve: int, permille: int, quantum: int) -> None:
    """I3, I12: at the reserve nothing, above it never more than T_h leaves untouched."""
    rig = Rig(world=World(wh=permille * 25.0), reserve=Reserve(reserve, "file"), quantum=quantum).ready()
    rig.tick()
    if permille - quantum <= reserve:
        assert rig.decision.hi_w == 0


def test_every_limit_is_told_and_explains_the_permit() -> None:
    rig = dispatched()
    d = rig.decision
    assert {x.id for x in d.limits} >= {"reserve"}
    for side, bound in (("charge", -d.lo_w), ("discharge", d.hi_w)):
        caps = [x.cap_w for x in d.limits if x.side.value in (side, "both")]
        assert min(caps) == bound, (side, bound, [(x.id, x.cap_w) for x in d.limits])
        assert all(x.sentence for x in d.limits)
