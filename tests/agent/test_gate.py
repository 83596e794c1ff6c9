"""The gate refuses by raw evidence, whatever the core decided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.decision import Decision, FaultValue, Intent, Write
from agent.core.faults import CRITICAL
from agent.core.params import Wiring
from agent.gate import STOP_FAULTS, Evidence, Gate
from drivers.events import WriteClass, WriteSequence
from drivers.readings import BatteryReading, GridState
from drivers.wear import Share
from tests.agent.rig import NOW, PARAMS, battery, binding, decision, evidence, inverter, meter

S = 1_000_000_000
STALE_METER = meter(at_ns=NOW - 10 * S)


def ask(intent: Intent, value: int, why: Decision | None = None, seen: Evidence | None = None) -> WriteSequence | str:
    return Gate(PARAMS).admit(Write(intent, value, "test"), why or decision(), binding(), seen or evidence())


def test_a_good_setpoint_passes_with_its_reversion_time_and_a_read_back() -> None:
    order = ask(Intent.POWER, 5000)
    assert isinstance(order, WriteSequence)
    assert order.write_class is WriteClass.POWER
    assert any(60 in write.words for write in order.writes)
    assert order.read_backs
    assert order.not_after_ns == NOW + PARAMS.timers.write_ns


def test_a_floor_that_is_raised_while_it_runs_binds_at_once_and_the_ids_go_on() -> None:
    gate, seen = Gate(PARAMS), evidence(battery_=battery(soc_permille=590))
    first = gate.admit(Write(Intent.POWER, 5000, "test"), decision(), binding(), seen)
    gate.renew(replace(PARAMS, soc_floor_permille=590))
    refused = gate.admit(Write(Intent.POWER, 5000, "test"), decision(), binding(), seen)
    second = gate.admit(Write(Intent.CLEAR, 0, "test"), decision(), binding(), seen)
    assert isinstance(refused, str)
    assert isinstance(first, WriteSequence)
    assert isinstance(second, WriteSequence)
    assert second.order_id > first.order_id


@pytest.mark.parametrize(
    ("value", "why", "seen"),
    [
        (5000, decision(at_ns=NOW - 1), None),
        (5000, decision(hi_w=4999), None),
        (-5000, decision(lo_w=-4999), None),
        (5000, decision(lo_w=10), None),
        (11_401, decision(hi_w=20_000), None),
        (-11_401, decision(lo_w=-20_000), None),
        (5000, None, evidence(inverter_=inverter(grid_state=GridState.ISLANDED))),
        (5000, None, evidence(inverter_=inverter(grid_state=GridState.UNKNOWN))),
        (0, None, evidence(inverter_=inverter(grid_state=GridState.ISLANDED))),
        (0, None, evidence(inverter_=inverter(grid_at_ns=NOW - 3 * S))),
        (0, None, evidence(inverter_=inverter(grid_at_ns=NOW + 1))),
        (0, None, evidence(meter_=meter(phase_mv=(0, 0, 0)))),
        (5000, None, evidence(battery_=battery(at_ns=NOW - 6 * S))),
        (5000, None, evidence(battery_=battery(soc_permille=None))),
        (5000, None, evidence(battery_=battery(soc_permille=200))),
        (5000, decision(reserve_permille=700), None),
        (5000, None, replace(evidence(), reserve_permille=700)),
        (-5000, None, evidence(battery_=battery(soc_permille=1000))),
        (-5000, None, evidence(battery_=battery(temp_min_dc=0))),
        (-5000, None, evidence(battery_=battery(temp_min_dc=None))),
        (5000, None, Evidence(NOW, (), inverter(), (meter(),), 200)),
        (5000, None, Evidence(NOW, (battery(),), None, (meter(),), 200)),
    ],
)
def test_a_setpoint_is_refused(value: int, why: Decision | None, seen: Evidence | None) -> None:
    told = ask(Intent.POWER, value, why, seen)
    assert isinstance(told, str)
    assert "refused" in told


def test_a_dead_meter_is_no_evidence_against_the_grid() -> None:
    assert isinstance(ask(Intent.POWER, 0, None, evidence(meter_=STALE_METER)), WriteSequence)


def test_clear_passes_in_every_state() -> None:
    islanded = evidence(inverter_=inverter(grid_state=GridState.ISLANDED))
    assert isinstance(ask(Intent.CLEAR, 0, decision(at_ns=0), islanded), WriteSequence)
    assert isinstance(ask(Intent.CLEAR, 0, decision(at_ns=0), Evidence(NOW, (), None, (), 200)), WriteSequence)


@pytest.mark.parametrize(("permille", "passes"), [(100, False), (199, False), (200, True), (1000, True), (1001, False)])
def test_a_floor_is_never_below_the_reserve(permille: int, passes: bool) -> None:
    assert isinstance(ask(Intent.FLOOR, permille), WriteSequence) is passes


@pytest.mark.parametrize(("permille", "passes"), [(200, False), (799, False), (800, True), (1000, True)])
def test_a_floor_is_never_below_what_a_storm_keeps(permille: int, passes: bool) -> None:
    """The file says 200; the core's reserve in force is 800."""
    told = ask(Intent.FLOOR, permille, decision(reserve_permille=800))
    assert isinstance(told, WriteSequence) is passes
    assert passes or "800..1000" in str(told)


def test_a_core_that_owes_less_than_the_file_does_not_lower_the_floor() -> None:
    assert isinstance(ask(Intent.FLOOR, 199, decision(reserve_permille=100)), str)
    assert isinstance(ask(Intent.FLOOR, 200, decision(reserve_permille=100)), WriteSequence)


def test_a_floor_needs_the_grid() -> None:
    assert isinstance(ask(Intent.FLOOR, 200, None, evidence(inverter_=inverter(grid_state=GridState.UNKNOWN))), str)


def test_stop_in_an_island_only_for_heat_and_voltage() -> None:
    islanded = evidence(inverter_=inverter(grid_state=GridState.ISLANDED))
    hot = FaultValue("over_temperature", "fault", "", "", 0)
    other = FaultValue("deaf_inverter", "fault", "", "", 0)
    assert isinstance(ask(Intent.STOP, 0, decision(faults=(hot,)), islanded), WriteSequence)
    assert isinstance(ask(Intent.STOP, 0, decision(faults=(other,)), islanded), str)


def test_an_unidentified_inverter_gets_nothing() -> None:
    for intent in Intent:
        assert isinstance(Gate(PARAMS).admit(Write(intent, 0, ""), decision(), None, evidence()), str)


@given(
    value=st.integers(-30_000, 30_000),
    lo=st.integers(-20_000, 0),
    hi=st.integers(0, 20_000),
    grid=st.sampled_from(GridState),
    age_s=st.integers(0, 5),
    soc=st.integers(0, 1000),
)
def test_nothing_passes_outside_permit_nameplate_grid_and_reserve(
    value: int, lo: int, hi: int, grid: GridState, age_s: int, soc: int
) -> None:
    seen = evidence(battery(soc_permille=soc), inverter(grid_state=grid, grid_at_ns=NOW - age_s * S))
    if isinstance(ask(Intent.POWER, value, decision(lo_w=lo, hi_w=hi), seen), WriteSequence):
        assert lo <= value <= hi
        assert abs(value) <= 11_400
        assert grid is GridState.CONNECTED
        assert age_s <= 2
        assert value <= 0 or soc > 200


def test_the_faults_that_may_stop_in_an_island_are_those_that_the_core_stops_for() -> None:
    assert STOP_FAULTS == CRITICAL


def test_what_a_setpoint_depends_on_is_passed_while_it_is_fresh() -> None:
    gate = Gate(PARAMS)
    seen = evidence(inverter_=inverter(pv_w=2000, battery_w=500, ac_w=2400), meter_=meter(grid_w=-1000))
    live = gate._live(seen)
    assert (live.pv_w, live.ac_w, live.battery_w) == (2000, 2400, 500)
    assert live.load_w == 1500  # battery + PV + grid
    assert gate._live(replace(seen, now_ns=NOW + 6 * S)).pv_w is None
    assert gate._live(replace(seen, meters=())).load_w is None
    assert gate._live(replace(seen, inverter=None)).pv_w is None


def test_a_heartbeat_needs_the_grid_and_a_setpoint_of_ours() -> None:
    assert "no setpoint" in str(ask(Intent.HEARTBEAT, 1, decision(given_w=None)))
    off = evidence(inverter_=inverter(grid_state=GridState.UNKNOWN))
    assert "refused by the gate" in str(ask(Intent.HEARTBEAT, 1, decision(given_w=100), off))
    assert "no heartbeat register" in str(ask(Intent.HEARTBEAT, 1, decision(given_w=100)))  # this inverter has none


# --- several inverters and packs --------------------------------------------------------------------------------------
def shared(*shares: tuple[str, int], **changes: object) -> Decision:
    return decision(shares=shares, given_w=sum(w for _, w in shares), **changes)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2000, shared(("inverter", 2500), ("other", 2500))),  # not its share
        (2500, shared(("other", 2500))),
        (2500, shared(("inverter", 2500), ("other", -1000))),  # one would feed the other
        (2500, shared(("inverter", 2500), ("other", 2500), hi_w=4_999)),  # together beyond the permit
        (-2500, shared(("inverter", -2500), ("other", -2500), lo_w=-4_999)),
        (6000, shared(("inverter", 6000), ("other", 6000), hi_w=20_000)),  # together beyond the nameplate
        (-6000, shared(("inverter", -6000), ("other", -6000), lo_w=-20_000)),
        (2500, shared(("inverter", 2500), ("inverter", 2500))),  # which of them counts?
    ],
)
def test_a_share_that_does_not_add_up_is_refused(value: int, why: Decision) -> None:
    refused = Gate(PARAMS).admit(Write(Intent.POWER, value, "test", "inverter"), why, binding(), evidence())
    assert isinstance(refused, str)


def test_a_share_that_adds_up_passes() -> None:
    why = shared(("inverter", 2500), ("other", 2500))
    order = Gate(PARAMS).admit(Write(Intent.POWER, 2500, "test", "inverter"), why, binding(), evidence())
    assert isinstance(order, WriteSequence)


OPEN = {"device": "second", "charge_enabled": False, "discharge_enabled": False, "soc_permille": 50}


@pytest.mark.parametrize(
    ("second", "passes"),
    [
        (battery(**OPEN), True),  # it carries nothing: its SoC does not matter
        (battery(**OPEN | {"pack_ma": 5_000}), False),
        (battery(**OPEN | {"pack_ma": None}), False),
        (battery(**OPEN | {"alarms": ("short_circuit_protection",)}), False),
        (battery(**OPEN | {"at_ns": NOW - 6 * S}), False),  # unwatched
        (battery(device="second", soc_permille=200), False),
    ],
)
def test_only_a_pack_that_surely_carries_nothing_is_passed_over(second: BatteryReading, passes: bool) -> None:
    seen = replace(evidence(), batteries=(battery(), second))
    assert isinstance(ask(Intent.POWER, 5000, seen=seen), WriteSequence) is passes


def test_with_no_pack_that_carries_nothing_flows() -> None:
    seen = replace(evidence(), batteries=(battery(**OPEN), battery(**OPEN)))
    assert isinstance(ask(Intent.POWER, 5000, seen=seen), str)


def test_several_inverters_are_never_given_the_whole_each() -> None:
    """5 kW that nobody divided would be 10 kW in a home of two."""
    two = replace(evidence(), inverters=2)
    assert "share" in str(ask(Intent.POWER, 5000, seen=two))
    assert isinstance(ask(Intent.POWER, 5000, seen=evidence()), WriteSequence)
    assert isinstance(ask(Intent.CLEAR, 0, seen=two), WriteSequence)


# --- last orders ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("intent", [Intent.POWER, Intent.STOP, Intent.FLOOR, Intent.HEARTBEAT])
@pytest.mark.parametrize("age_ns", [1, PARAMS.timers.cycle_ns, -1])
def test_a_permit_of_another_cycle_is_none(intent: Intent, age_ns: int) -> None:
    hot = FaultValue("over_temperature", "fault", "", "", 0)
    assert "not of this cycle" in str(ask(intent, 500, decision(at_ns=NOW - age_ns, faults=(hot,))))


def test_stop_passes_while_the_grid_is_there() -> None:
    order = ask(Intent.STOP, 0)
    assert isinstance(order, WriteSequence)
    assert order.write_class is WriteClass.STOP


def test_the_last_check_looks_at_the_permit_itself() -> None:
    for lo, hi in ((1, 9000), (-9000, -1)):
        assert "does not contain 0" in str(ask(Intent.POWER, 0, decision(lo_w=lo, hi_w=hi)))


def test_a_slow_bms_counts_as_long_as_its_profile_says_and_never_beyond_15_s() -> None:
    def passes(age_s: int, declared_s: int) -> bool:
        seen = replace(evidence(battery_=battery(at_ns=NOW - age_s * S)), declared_ns=declared_s * S)
        return isinstance(ask(Intent.POWER, 500, seen=seen), WriteSequence)

    assert passes(5, 0) and not passes(6, 0)
    assert passes(8, 8) and not passes(9, 8)
    assert passes(15, 60) and not passes(16, 60)
    assert passes(5, 3)  # one that declares less is judged by the home's own time


def test_a_meter_at_pv_says_nothing_of_the_grid() -> None:
    params = replace(PARAMS, wiring=Wiring(places=(("pv", "pv"),)))
    dead = meter(device="pv", phase_mv=(0, 0, 0))
    order = Gate(params).admit(
        Write(Intent.POWER, 500, ""), decision(), binding(), replace(evidence(), meters=(dead, meter()))
    )
    assert isinstance(order, WriteSequence)
    dead = meter(phase_mv=(0, 0, 0))
    order = Gate(params).admit(Write(Intent.POWER, 500, ""), decision(), binding(), replace(evidence(), meters=(dead,)))
    assert isinstance(order, str)


@pytest.mark.parametrize(
    ("write", "stands", "share"),
    [
        (Write(Intent.POWER, 500, "test", command_id="x"), 200, Share.DISPATCH),
        (Write(Intent.POWER, 0, "test", command_id="x"), 200, Share.DISPATCH),
        (Write(Intent.POWER, 500, "test"), 200, Share.HOME),
        (Write(Intent.FLOOR, 300, "test"), 290, Share.RAISE),
        (Write(Intent.FLOOR, 300, "test"), None, Share.RAISE),
        (Write(Intent.FLOOR, 300, "test"), 300, Share.HOME),
        (Write(Intent.FLOOR, 300, "test"), 310, Share.HOME),
        (Write(Intent.STOP, 0, "test", command_id="x"), 200, Share.RELEASE),
        (Write(Intent.CLEAR, 0, "test", command_id="x"), 200, Share.RELEASE),
    ],
)
def test_of_whose_wearing_writes_an_order_is(write: Write, stands: int | None, share: Share) -> None:
    order = Gate(PARAMS).admit(write, decision(), binding(), evidence(inverter_=inverter(floor_permille=stands)))
    assert isinstance(order, WriteSequence)
    assert order.share is share
