"""The gate at the last value that it lets pass and at the first that it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.decision import Decision, FaultValue, Intent, Write
from agent.core.params import Wiring
from agent.gate import Evidence, Gate
from drivers.events import WriteSequence
from drivers.readings import BatteryReading, MeterReading
from tests.agent.rig import NOW, PARAMS, battery, binding, decision, evidence, inverter, meter

S = 1_000_000_000
TIMERS = PARAMS.timers
IDLE = {"device": "second", "charge_enabled": False, "discharge_enabled": False, "soc_permille": 50}


def passes(intent: Intent, value: int, why: Decision | None = None, seen: Evidence | None = None) -> bool:
    told = Gate(PARAMS).admit(
        Write(intent, value, "test", "inverter"), why or decision(), binding(), seen or evidence()
    )
    return isinstance(told, WriteSequence)


# --- orders -----------------------------------------------------------------------------------------------------------
def test_every_order_has_the_next_number() -> None:
    gate = Gate(PARAMS)
    orders = [gate.compile(Write(Intent.CLEAR, 0, "test"), binding(), NOW) for _ in range(3)]
    assert [order.order_id for order in orders if isinstance(order, WriteSequence)] == [1, 2, 3]


@pytest.mark.parametrize(("intent", "value", "ns"), [(Intent.POWER, 0, TIMERS.write_ns), (Intent.FLOOR, 200, 5 * S)])
def test_a_setpoint_may_wait_less_long_for_the_line_than_what_is_not_urgent(
    intent: Intent, value: int, ns: int
) -> None:
    order = Gate(PARAMS).admit(Write(intent, value, "test"), decision(), binding(), evidence())
    assert isinstance(order, WriteSequence)
    assert order.not_after_ns == NOW + ns


# --- the grid ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("age_ns", "good"), [(0, True), (2 * S, True), (2 * S + 1, False), (-1, False)])
def test_the_inverter_s_word_on_the_grid_counts_for_two_seconds(age_ns: int, good: bool) -> None:
    assert passes(Intent.POWER, 0, seen=evidence(inverter_=inverter(grid_at_ns=NOW - age_ns))) is good


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        ({"phase_mv": (50_000,)}, True),
        ({"phase_mv": (49_999,)}, False),
        ({"phase_mv": (None,)}, True),
        ({"phase_mv": (None, 0)}, False),  # L1 is not wired: the first that is known tells
        ({"phase_mv": (None, 230_000, 0)}, True),
        ({"phase_mv": (), "frequency_mhz": None}, True),
        ({"phase_mv": (), "frequency_mhz": 0}, False),
        ({"phase_mv": (), "frequency_mhz": 39_999}, False),
        ({"phase_mv": (), "frequency_mhz": 40_000}, True),
        ({"phase_mv": (), "frequency_mhz": 70_000}, True),
        ({"phase_mv": (), "frequency_mhz": 70_001}, False),
        ({"phase_mv": (), "frequency_mhz": 0, "at_ns": NOW - 3 * S - 1}, True),
        ({"phase_mv": ()}, True),
        ({"phase_mv": (230_000, 0, 0)}, True),  # a leg that is not wired says nothing of the grid
        ({"phase_mv": (0, 230_000, 0)}, False),
        ({"phase_mv": (0,), "at_ns": NOW - 3 * S}, False),
        ({"phase_mv": (0,), "at_ns": NOW - 3 * S - 1}, True),  # too old to say that the grid is gone
    ],
)
def test_a_meter_speaks_against_the_grid_by_its_first_phase_while_it_is_fresh(
    fields: dict[str, object], good: bool
) -> None:
    assert passes(Intent.POWER, 0, seen=evidence(meter_=meter(**fields))) is good


def test_one_dead_meter_of_several_is_enough() -> None:
    seen = replace(evidence(), meters=(meter(), meter(device="other", phase_mv=(0,))))
    assert not passes(Intent.POWER, 0, seen=seen)


# --- floor and stop ---------------------------------------------------------------------------------------------------
def test_a_floor_is_never_below_the_least_reserve_either() -> None:
    low = replace(evidence(), reserve_permille=50)
    core = decision(reserve_permille=50)
    assert passes(Intent.FLOOR, PARAMS.reserve_min_permille, core, seen=low)
    assert not passes(Intent.FLOOR, PARAMS.reserve_min_permille - 1, core, seen=low)


def test_one_fault_that_stops_is_enough_to_stop_without_the_grid() -> None:
    hot, other = (FaultValue(name, "fault", "", "", 0) for name in ("over_temperature", "deaf_inverter"))
    island = replace(evidence(), inverter=None)
    assert passes(Intent.STOP, 0, decision(faults=(other, hot)), island)
    assert not passes(Intent.STOP, 0, decision(faults=(other,)), island)
    assert not passes(Intent.STOP, 0, decision(faults=()), island)
    assert not passes(Intent.POWER, 0, decision(faults=(hot,)), island), "only a stop may"
    assert passes(Intent.STOP, 0, decision(faults=(other,)))
    assert not passes(Intent.STOP, 0, decision(faults=(hot,), at_ns=NOW - 1)), "nor by an older decision"


def test_only_a_heartbeat_needs_a_setpoint_of_ours() -> None:
    released = decision(given_w=None)
    assert passes(Intent.STOP, 0, released)
    assert passes(Intent.FLOOR, 200, released)
    assert not passes(Intent.HEARTBEAT, 1, released)


def test_every_kind_of_write_but_clear_is_of_this_cycle() -> None:
    for intent in Intent:
        if intent is not Intent.CLEAR:
            for at_ns in (NOW - 1, NOW + 1):
                told = Gate(PARAMS).admit(Write(intent, 500, ""), decision(at_ns=at_ns), binding(), evidence())
                assert "not of this cycle" in str(told)


# --- power ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "why", "good"),
    [
        (11_400, decision(hi_w=20_000), True),
        (11_401, decision(hi_w=20_000), False),
        (-11_400, decision(lo_w=-20_000), True),
        (-11_401, decision(lo_w=-20_000), False),
        (5_000, decision(hi_w=5_000), True),
        (-5_000, decision(lo_w=-5_000), True),
        (0, decision(lo_w=0, hi_w=0), True),
        (0, decision(lo_w=1), False),
        (0, decision(hi_w=-1), False),
        (1, decision(lo_w=0, hi_w=0), False),
        (-1, decision(lo_w=0, hi_w=0), False),
    ],
)
def test_power_at_the_bounds_of_permit_and_nameplate(value: int, why: Decision, good: bool) -> None:
    assert passes(Intent.POWER, value, why) is good


@pytest.mark.parametrize(
    ("value", "fields", "good"),
    [
        (5000, {"at_ns": NOW - 5 * S}, True),
        (5000, {"at_ns": NOW - 5 * S - 1}, False),
        (5000, {"soc_permille": 201}, True),
        (5000, {"soc_permille": 200}, False),
        (1, {"soc_permille": 200}, False),
        (-1, {"soc_permille": 1000}, False),
        (-5000, {"soc_permille": 999}, True),
        (-5000, {"soc_permille": 10}, True),
        (5000, {"soc_permille": 1000}, True),
        (-5000, {"temp_min_dc": 1}, True),
        (-5000, {"temp_min_dc": 0}, False),
        (5000, {"temp_min_dc": -50}, True),
        (5000, {"temp_min_dc": None}, True),
        (0, {"soc_permille": None}, True),  # zero moves nothing
        (0, {"at_ns": 0}, True),
        (5000, IDLE, False),  # alone, it is what the setpoint would move
    ],
)
def test_power_at_the_bounds_of_what_the_battery_says(value: int, fields: dict[str, object], good: bool) -> None:
    assert passes(Intent.POWER, value, seen=evidence(battery(**fields))) is good


@pytest.mark.parametrize(
    ("file", "core", "floor", "soc", "good"),
    [(300, 200, 50, 300, False), (200, 300, 50, 300, False), (200, 200, 300, 300, False), (299, 299, 299, 300, True)],
)
def test_the_highest_of_file_core_and_floor_counts(file: int, core: int, floor: int, soc: int, good: bool) -> None:
    gate = Gate(replace(PARAMS, soc_floor_permille=floor))
    seen = replace(evidence(battery(soc_permille=soc)), reserve_permille=file)
    told = gate.admit(Write(Intent.POWER, 500, "test"), decision(reserve_permille=core), binding(), seen)
    assert isinstance(told, WriteSequence) is good


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        ({"pack_ma": 999}, True),
        ({"pack_ma": 1000}, False),
        ({"pack_ma": -999}, True),
        ({"pack_ma": -1000}, False),
        ({"charge_enabled": True}, False),
        ({"discharge_enabled": True}, False),
        ({"charge_enabled": None}, False),
        ({"discharge_enabled": None}, False),
    ],
)
def test_what_a_pack_that_carries_nothing_looks_like(fields: dict[str, object], good: bool) -> None:
    second: BatteryReading = battery(**{**IDLE, **fields})
    assert passes(Intent.POWER, 5000, seen=replace(evidence(), batteries=(battery(), second))) is good
    assert passes(Intent.POWER, 5000, seen=replace(evidence(), batteries=(second, battery()))) is good


@pytest.mark.parametrize(
    ("shares", "bounds", "good"),
    [
        ((2500, 2500), {"hi_w": 5000}, True),
        ((2500, 2500), {"hi_w": 4999}, False),
        ((2500, 0), {}, True),
        ((0, 2500), {}, True),
        ((0, -2500), {}, True),
        ((-2500, -2500), {"lo_w": -5000}, True),
        ((-2500, -2500), {"lo_w": -4999}, False),
        ((2500, -1), {}, False),
        ((5700, 5700), {"hi_w": 20_000}, True),
        ((5700, 5701), {"hi_w": 20_000}, False),
        ((-5700, -5700), {"lo_w": -20_000}, True),
        ((-5700, -5701), {"lo_w": -20_000}, False),
    ],
)
def test_shares_at_the_bounds_of_permit_and_nameplate(
    shares: tuple[int, int], bounds: dict[str, object], good: bool
) -> None:
    both = (("inverter", shares[0]), ("other", shares[1]))
    why = decision(shares=both, given_w=sum(shares), **bounds)
    assert passes(Intent.POWER, shares[0], why, replace(evidence(), inverters=2)) is good


@pytest.mark.parametrize(("inverters", "good"), [(1, True), (2, False), (3, False)])
def test_several_inverters_need_shares(inverters: int, good: bool) -> None:
    assert passes(Intent.POWER, 2500, decision(given_w=2500), replace(evidence(), inverters=inverters)) is good


UNEVEN = replace(PARAMS, site=replace(PARAMS.site, nameplate_charge_w=5_000, nameplate_discharge_w=7_000))


@pytest.mark.parametrize(("value", "good"), [(7_000, True), (7_001, False), (-5_000, True), (-5_001, False)])
def test_each_direction_has_its_own_nameplate(value: int, good: bool) -> None:
    wide = decision(lo_w=-20_000, hi_w=20_000)
    told = Gate(UNEVEN).admit(Write(Intent.POWER, value, ""), wide, binding(), evidence())
    assert isinstance(told, WriteSequence) is good
    shares = (("inverter", value - 100 if value > 0 else value + 100), ("other", 100 if value > 0 else -100))
    together = replace(wide, shares=shares, given_w=value)
    write = Write(Intent.POWER, shares[0][1], "", "inverter")
    told = Gate(UNEVEN).admit(write, together, binding(), replace(evidence(), inverters=2))
    assert isinstance(told, WriteSequence) is good


def test_each_device_has_its_own_time() -> None:
    times = {"stale_battery_ns": 7 * S, "stale_inverter_ns": 8 * S, "stale_meter_ns": 6 * S, "stale_grid_ns": 9 * S}
    gate = Gate(replace(PARAMS, timers=replace(TIMERS, **times)))

    def good(battery_s: int, meter_s: int, grid_s: int, phase_mv: int = 230_000) -> bool:
        seen = Evidence(
            NOW,
            (battery(at_ns=NOW - battery_s * S),),
            inverter(grid_at_ns=NOW - grid_s * S),
            (meter(at_ns=NOW - meter_s * S, phase_mv=(phase_mv,)),),
            200,
        )
        return isinstance(gate.admit(Write(Intent.POWER, 500, ""), decision(), binding(), seen), WriteSequence)

    assert good(7, 60, 9)
    assert not good(8, 0, 0)
    assert not good(0, 0, 10)
    assert not good(0, 6, 0, 0) and good(0, 7, 0, 0)
    assert live(gate, (meter(),), NOW + 6 * S)[:2] == (2000, 3000)
    assert live(gate, (meter(),), NOW + 7 * S)[:2] == (2000, None)
    assert live(gate, (meter(),), NOW + 8 * S)[:2] == (2000, None)
    assert live(gate, (meter(),), NOW + 9 * S)[:2] == (None, None)


# --- what a setpoint that is not at the battery depends on ------------------------------------------------------------
def live(gate: Gate, meters: tuple[MeterReading, ...], now_ns: int = NOW, **fields: Any) -> tuple[object, ...]:
    full = {"pv_w": 2000, "battery_w": 500, "ac_w": 2400, "remote_w": 300, "remote_now_w": 250, "remote_active": True}
    got = gate._live(Evidence(now_ns, (), inverter(**{**full, **fields}), meters, 200))
    return (got.pv_w, got.load_w, got.ac_w, got.battery_w, got.remote_w, got.remote_active)


@pytest.mark.parametrize(
    ("grids", "load_w"),
    [((-1000,), 1500), ((-1000, 400), 1900), ((400, None), None), ((None, 400), None), ((None,), None), ((), None)],
)
def test_the_load_is_the_sum_of_all_that_is_known(grids: tuple[int | None, ...], load_w: int | None) -> None:
    seen = tuple(meter(device=f"m{i}", grid_w=w) for i, w in enumerate(grids))
    assert live(Gate(PARAMS), seen) == (2000, load_w, 2400, 500, 300, True)


def test_each_part_of_the_load_is_needed() -> None:
    seen = (meter(grid_w=-1000),)
    assert live(Gate(PARAMS), seen, pv_w=None)[:4] == (None, None, 2400, 500)
    assert live(Gate(PARAMS), seen, battery_w=None)[:4] == (2000, None, 2400, None)
    late = NOW + 3 * S
    assert live(Gate(PARAMS), (meter(grid_w=-1000),), late)[1] == 1500
    assert live(Gate(PARAMS), (meter(grid_w=-1000),), late + 1)[1] is None
    assert live(Gate(PARAMS), (meter(grid_w=0, at_ns=0), meter(grid_w=-1000)))[1] is None
    assert live(Gate(PARAMS), seen, NOW + 5 * S)[0] == 2000
    assert live(Gate(PARAMS), seen, NOW + 5 * S + 1) == (None,) * 6


def test_a_meter_beside_the_connection_is_no_part_of_it() -> None:
    beside = Gate(replace(PARAMS, wiring=Wiring(places=(("pv", "pv"),))))
    seen = (meter(device="pv", grid_w=9000), meter(grid_w=-1000))
    assert live(beside, seen)[1] == 1500
    assert live(beside, seen[:1])[1] is None


@pytest.mark.parametrize(
    ("fields", "before_w"),
    [
        ({}, 300),
        ({"remote_w": 0}, 0),
        ({"remote_w": None}, 250),
        ({"remote_w": None, "remote_now_w": None}, None),
    ],
)
def test_the_setpoint_before_is_the_one_in_force_else_what_it_means_now(
    fields: dict[str, Any], before_w: int | None
) -> None:
    assert live(Gate(PARAMS), (meter(),), **fields)[4] == before_w
    assert live(Gate(PARAMS), (meter(),), remote_active=None)[5] is None
