"""Readings become facts: ages, absurd values, grid evidence, the SoC interval, the house's load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.caps import NEVER_NS
from agent.core.inputs import Clock, ClockTrust, Device, Inputs, Reserve
from agent.core.params import S
from agent.core.snapshot import Snapshot, Trace, take
from drivers.readings import DeviceRole, GridState
from tests.core import home as h
from tests.core.home import PARAMS

NOW = 5_000 * S
MWH = 25_000  # one permille of 25 kWh
CLOCK = Clock(h.WALL_MS, ClockTrust.SYNCED, "k", "b")


def world(now_ns: int = NOW, **parts: Any) -> Inputs:
    """A good home at `now_ns`; parts replace whole fields of Inputs."""
    base: dict[str, Any] = {
        "now_ns": now_ns,
        "clock": CLOCK,
        "batteries": (h.battery(now_ns),),
        "inverters": (h.inverter(now_ns),),
        "meters": (h.meter(now_ns),),
        "devices": h.devices(),
        "reserve": Reserve(200, "file"),
        "events": (),
        "disk_ok": True,
        "link_up": True,
        "draw": 0,
    }
    return Inputs(**{**base, **parts})


def see(trace: Trace | None = None, **parts: Any) -> Snapshot:
    return take(PARAMS, world(**parts), trace or Trace(NOW))[0]


# --- ages and absurd values -------------------------------------------------------------------------------------------
def test_ages_are_counted_from_the_reading() -> None:
    snapshot = see(batteries=(h.battery(NOW - 4 * S),), meters=())
    assert snapshot.battery_age_ns == 4 * S
    assert snapshot.inverter_age_ns == 0
    assert snapshot.meter_age_ns == NEVER_NS


def test_a_reading_from_the_future_is_not_believed() -> None:
    assert see(batteries=(h.battery(NOW + S),)).battery_age_ns == 0  # stamped while the cycle froze its inputs
    assert see(batteries=(h.battery(NOW + S + 1),)).battery_age_ns == NEVER_NS


def test_a_slower_device_declares_its_own_staleness_up_to_15_s() -> None:
    slow = tuple(replace(d, capability=h.capability(stale_s=12)) for d in h.devices())
    assert see(devices=slow).battery_stale_ns == 12 * S
    absurd = tuple(replace(d, capability=h.capability(stale_s=99)) for d in h.devices())
    assert see(devices=absurd).meter_stale_ns == 15 * S
    fast = tuple(replace(d, capability=h.capability(stale_s=1)) for d in h.devices())
    assert see(devices=fast).battery_stale_ns == 5 * S


def test_horizon_and_stated_time_add_up() -> None:
    snapshot = see()
    assert snapshot.horizon_ns == (5 + 1 + 1 + 60) * S
    slow_meter = (*h.devices()[:2], Device("meter", DeviceRole.METER, "ok", h.capability(stale_s=10, reversion_s=0)))
    assert see(devices=slow_meter).stated_ns == (10 + 1 + 1 + 60) * S
    long = (h.devices()[0], replace(h.devices()[1], capability=h.capability(reversion_s=300)), h.devices()[2])
    assert see(devices=long).horizon_ns == (5 + 1 + 1 + 300) * S
    paused = (h.devices()[0], replace(h.devices()[1], capability=h.capability(write_s=4)), h.devices()[2])
    assert see(devices=paused).horizon_ns == (5 + 1 + 4 + 60) * S


@pytest.mark.parametrize(
    ("field", "value", "known_as"),
    [
        ("soc_permille", 1001, "soc_min"),
        ("soc_permille", -1, "soc_min"),
        ("soc_permille", None, "soc_min"),
        ("cell_max_mv", 65_535, "cell_max_mv"),
        ("cell_min_mv", 0, "cell_min_mv"),
        ("temp_max_dc", 3_276, "temp_max_dc"),
        ("temp_min_dc", -2_731, "temp_min_dc"),
    ],
)
def test_absurd_is_unknown(field: str, value: int | None, known_as: str) -> None:
    pack = see(batteries=(h.battery(NOW, **{field: value}),)).pack
    assert pack is not None
    assert getattr(pack, known_as) is None


@pytest.mark.parametrize(
    ("field", "value", "known_as", "kept"),
    [
        ("ccl_ma", None, "ccl_ma", 0),
        ("dcl_ma", None, "dcl_ma", 0),
        ("ccl_ma", -5, "ccl_ma", 0),
        ("pack_mv", None, "mv", 0),
        ("pack_mv", 0, "mv", 0),
        ("charge_enabled", None, "charge_on", False),
        ("discharge_enabled", None, "discharge_on", False),
    ],
)
def test_missing_is_never_unlimited(field: str, value: int | None, known_as: str, kept: object) -> None:
    pack = see(batteries=(h.battery(NOW, **{field: value}),)).pack
    assert pack is not None
    assert getattr(pack, known_as) == kept


def test_two_packs_count_as_the_worse_of_them() -> None:
    devices = (*h.devices(), Device("battery2", DeviceRole.BATTERY, "ok", None))
    one = h.battery(NOW, soc_permille=600, ccl_ma=100_000, dcl_ma=80_000, temp_min_dc=150, pack_ma=10_000)
    two = h.battery(NOW - S, device="battery2", soc_permille=580, ccl_ma=60_000, dcl_ma=90_000, discharge_enabled=False)
    snapshot = see(devices=devices, batteries=(one, two))
    assert snapshot.pack is not None
    assert snapshot.pack[:3] == (NOW - S, 580, 600)
    assert snapshot.pack.ccl_ma == 2 * 60_000  # never more than twice the weaker
    assert snapshot.pack.dcl_ma == 2 * 80_000
    assert snapshot.pack.temp_min_dc == 150
    assert snapshot.pack.power_w == 528
    assert not snapshot.pack.discharge_on
    assert snapshot.soc_lo_mwh == 579 * MWH
    assert snapshot.soc_hi_mwh == 601 * MWH


def test_a_pack_that_is_configured_and_never_read_leaves_nothing_known() -> None:
    devices = (*h.devices(), Device("battery2", DeviceRole.BATTERY, "ok", None))
    snapshot = see(devices=devices)
    assert snapshot.pack is None
    assert snapshot.battery_age_ns == NEVER_NS
    assert snapshot.soc_lo_mwh is None


def test_of_two_packs_one_that_does_not_say_makes_it_unknown() -> None:
    devices = (*h.devices(), Device("battery2", DeviceRole.BATTERY, "ok", None))
    mute = h.battery(NOW, device="battery2", soc_permille=None, cell_max_mv=None, pack_ma=None)
    snapshot = see(devices=devices, batteries=(h.battery(NOW), mute))
    assert snapshot.pack is not None
    assert snapshot.pack.soc_min is None
    assert snapshot.pack.cell_max_mv is None
    assert snapshot.pack.power_w is None


@pytest.mark.parametrize(
    ("presence", "ok"), [("ok", True), ("silent", True), ("mismatch", False), ("absent", False), ("identifying", False)]
)
def test_devices_must_be_the_commissioned_ones(presence: str, ok: bool) -> None:
    snapshot = see(devices=h.devices(meter=presence))
    assert snapshot.devices_ok is ok
    assert snapshot.mismatch == ("meter" if presence == "mismatch" else None)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_every_role_must_be_there(missing: int) -> None:
    devices = tuple(d for i, d in enumerate(h.devices()) if i != missing)
    assert see(devices=devices).devices_ok is False


def test_every_inverter_and_meter_counts() -> None:
    more = (
        *h.devices(),
        Device("other", DeviceRole.INVERTER, "mismatch", None),
        Device("other meter", DeviceRole.METER, "mismatch", None),
    )
    snapshot = see(devices=more)
    assert not snapshot.devices_ok
    assert snapshot.mismatch == "other meter"
    assert snapshot.inverter_age_ns == snapshot.meter_age_ns == NEVER_NS


# --- the reserve ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reserve", "kept"),
    [
        (Reserve(200, "file"), 200),
        (Reserve(50, "file"), 100),  # ten percent is the least
        (Reserve(1200, "file"), 1000),
        (Reserve(200, "unreadable"), 1000),
        (Reserve(0, "new"), 1000),
    ],
)
def test_reserve_in_force(reserve: Reserve, kept: int) -> None:
    assert see(reserve=reserve).reserve_permille == kept


# --- grid evidence ----------------------------------------------------------------------------------------------------
CONNECTED, ISLANDED, UNKNOWN = GridState.CONNECTED, GridState.ISLANDED, GridState.UNKNOWN
DEAD = {"phase_mv": (900,), "frequency_mhz": None}


@pytest.mark.parametrize(
    ("inverter", "meter", "presence", "grid", "lost"),
    [
        ({}, {}, "ok", CONNECTED, False),
        ({"grid_at_ns": NOW - 2 * S}, {}, "ok", CONNECTED, False),
        ({"grid_at_ns": NOW - 2 * S - 1}, {}, "ok", UNKNOWN, False),  # late, no more
        ({"grid_at_ns": NOW - 5 * S - 1}, {}, "ok", UNKNOWN, True),  # so late that anything may have happened
        ({"grid_state": ISLANDED}, {}, "ok", ISLANDED, True),
        ({"grid_state": ISLANDED, "grid_at_ns": NOW - 5 * S}, {}, "ok", ISLANDED, True),
        ({"grid_state": ISLANDED, "grid_at_ns": NOW - 5 * S - 1}, {}, "ok", UNKNOWN, True),
        ({"grid_state": UNKNOWN}, {}, "ok", UNKNOWN, True),
        ({}, DEAD, "ok", UNKNOWN, True),
        ({"grid_state": ISLANDED}, DEAD, "ok", ISLANDED, True),
        ({}, {"phase_mv": (), "frequency_mhz": 0}, "ok", UNKNOWN, True),
        ({}, {"frequency_mhz": 44_999}, "ok", UNKNOWN, True),
        ({}, {"frequency_mhz": 65_001}, "ok", UNKNOWN, True),
        ({}, {"frequency_mhz": 45_000}, "ok", CONNECTED, False),
        ({}, {"phase_mv": (60_000,)}, "ok", CONNECTED, False),
        ({}, {"phase_mv": (59_999,)}, "ok", UNKNOWN, True),
        ({}, {"phase_mv": (None, 59_999, 240_000)}, "ok", UNKNOWN, True),  # the first that is wired
        ({}, {"phase_mv": (240_000, 0, 0)}, "ok", CONNECTED, False),  # phases that are not wired read 0
        ({}, {"phase_mv": (None,), "frequency_mhz": None}, "ok", CONNECTED, False),  # a meter that does not say
        ({}, {}, "mismatch", UNKNOWN, False),
        ({}, {}, "identifying", UNKNOWN, False),
    ],
)
def test_grid_evidence(
    inverter: dict[str, Any], meter: dict[str, Any], presence: str, grid: GridState, lost: bool
) -> None:
    snapshot = see(
        Trace(NOW, was_connected=True),
        inverters=(h.inverter(NOW, **inverter),),
        meters=(h.meter(NOW, **meter),),
        devices=h.devices(inverter=presence),
    )
    assert (snapshot.grid, snapshot.grid_lost) == (grid, lost)


def test_a_stale_meter_contradicts_only_where_its_last_word_was_a_dead_grid() -> None:
    assert see(meters=(h.meter(NOW - 4 * S),)).grid is CONNECTED
    gone = see(meters=(h.meter(NOW - 4 * S, phase_mv=(900,)),))
    assert (gone.grid, gone.grid_lost) == (UNKNOWN, True)


def test_grid_power_is_no_evidence() -> None:
    snapshot = see(
        inverters=(h.inverter(NOW, grid_state=UNKNOWN, frequency_mhz=60_000, ac_w=3_000),),
        meters=(h.meter(NOW, grid_w=2_000),),
    )
    assert snapshot.grid is UNKNOWN


def test_a_home_that_was_not_connected_yet_has_lost_nothing() -> None:
    late = (h.inverter(NOW, grid_at_ns=NOW - 9 * S),)
    assert see(inverters=late).grid_lost is False
    assert see(inverters=()).grid is UNKNOWN


def test_an_inverter_that_speaks_and_does_not_say_connected_has_no_grid() -> None:
    assert see(inverters=(h.inverter(NOW, grid_state=UNKNOWN),)).grid_lost is True


def test_connection_is_remembered() -> None:
    _, trace = take(PARAMS, world(), Trace(NOW))
    assert trace.was_connected
    _, later = take(PARAMS, world(inverters=()), trace)
    assert later.was_connected


# --- the SoC interval -------------------------------------------------------------------------------------------------
def interval(snapshot: Snapshot) -> tuple[int | None, int | None]:
    return snapshot.soc_lo_mwh, snapshot.soc_hi_mwh


def test_interval_is_one_quantum_each_way() -> None:
    assert interval(see()) == (599 * MWH, 601 * MWH)
    coarse = h.battery(NOW, soc_quantum_permille=10)
    assert interval(see(batteries=(coarse,))) == (590 * MWH, 610 * MWH)
    strange = h.battery(NOW, soc_quantum_permille=0)
    assert interval(see(batteries=(strange,))) == (599 * MWH, 601 * MWH)


def test_interval_stays_within_the_battery() -> None:
    assert interval(see(batteries=(h.battery(NOW, soc_permille=0),), inverters=()))[0] == 0
    assert interval(see(batteries=(h.battery(NOW, soc_permille=1000),), inverters=()))[1] == 1000 * MWH


def after(seconds: range, trace: Trace, **fields: Any) -> tuple[Snapshot, Trace]:
    """One cycle a second with the inverter reading so; the last snapshot."""
    snapshot = see()
    for second in seconds:
        now = NOW + second * S
        snapshot, trace = take(PARAMS, world(now, inverters=(h.inverter(now, **fields),)), trace)
    return snapshot, trace


def test_drain_since_soc_last_moved_lowers_the_floor_of_the_interval() -> None:
    """10 kW for 9 s are 90 kJ = 25 Wh = one permille."""
    snapshot, trace = after(range(10), Trace(NOW), battery_w=10_000)
    assert interval(snapshot) == (598 * MWH, 601 * MWH)

    moved = world(NOW + 10 * S, batteries=(h.battery(NOW + 10 * S, soc_permille=599),))
    snapshot, _ = take(PARAMS, moved, trace)
    assert interval(snapshot) == (598 * MWH, 600 * MWH)  # the BMS has said: counting starts again


def test_charge_since_soc_last_moved_raises_the_top_of_the_interval() -> None:
    snapshot, trace = after(range(10), Trace(NOW), battery_w=-10_000)
    assert interval(snapshot) == (599 * MWH, 602 * MWH)
    # now it drains, and the pack says 0 W: the greater power drains, the lesser takes nothing off the top
    snapshot, _ = after(range(10, 19), trace, battery_w=10_000)
    assert interval(snapshot) == (598 * MWH, 602 * MWH)


def test_drain_and_charge_cancel_where_both_powers_agree() -> None:
    parts: dict[str, Any] = {"batteries": (h.battery(NOW, pack_ma=None),)}
    trace = Trace(NOW - 9 * S, soc=(600, 600))
    _, trace = take(PARAMS, world(**parts, inverters=(h.inverter(NOW, battery_w=-10_000),)), trace)
    assert (trace.drained_nj, trace.charged_nj) == (0, 90_000 * S)
    now = NOW + 5 * S
    parts = {"batteries": (h.battery(now, pack_ma=None),)}
    _, trace = take(PARAMS, world(now, **parts, inverters=(h.inverter(now, battery_w=10_000),)), trace)
    assert (trace.drained_nj, trace.charged_nj) == (50_000 * S, 40_000 * S)


def test_the_greater_of_two_powers_drains() -> None:
    """The pack says 52.8 V x 200 A = 10.56 kW, the inverter 10 kW at its AC side."""
    parts = {
        "batteries": (h.battery(NOW, pack_ma=200_000),),
        "inverters": (h.inverter(NOW, battery_w=10_000),),
    }
    snapshot = see(Trace(NOW - S, soc=(600, 600)), **parts)
    assert snapshot.soc_lo_mwh == 599 * MWH - 2_934  # 10.56 kJ = 2933.3 mWh, rounded against us


def test_a_cycle_that_was_woken_early_adds_nothing_yet() -> None:
    trace = Trace(NOW)
    _, trace = take(PARAMS, world(NOW + S // 4, inverters=(h.inverter(NOW + S // 4, battery_w=10_000),)), trace)
    assert trace.drained_nj == 0
    now = NOW + S
    _, trace = take(PARAMS, world(now, inverters=(h.inverter(now, battery_w=10_000),)), trace)
    assert trace.drained_nj == 10_000 * S  # the whole second


def test_stale_or_absurd_soc_is_unknown() -> None:
    assert interval(see(batteries=(h.battery(NOW - 5 * S - 1),))) == (None, None)
    assert interval(see(batteries=(h.battery(NOW, soc_permille=None),))) == (None, None)


@pytest.mark.parametrize(
    ("says", "lo", "hi"),
    [
        (600, 599, 601),
        (590, 599, 601),  # within its rounding
        (588, 588, 601),  # it may only narrow what is permitted: the interval grows
        (0, 0, 601),
        (611, 599, 601),
        (612, 599, 612),
        (1001, 599, 601),  # absurd
        (None, 599, 601),
    ],
)
def test_the_inverters_soc_only_widens_the_interval(says: int | None, lo: int, hi: int) -> None:
    snapshot = see(inverters=(h.inverter(NOW, soc_permille=says),))
    assert interval(snapshot) == (lo * MWH, hi * MWH)


def test_a_stale_inverters_soc_does_not_count() -> None:
    snapshot = see(inverters=(h.inverter(NOW - 6 * S, soc_permille=0),))
    assert interval(snapshot) == (599 * MWH, 601 * MWH)


# --- the house --------------------------------------------------------------------------------------------------------
def test_load_is_battery_plus_pv_plus_grid() -> None:
    snapshot = see(inverters=(h.inverter(NOW, battery_w=1_000, pv_w=2_000),), meters=(h.meter(NOW, grid_w=-500),))
    assert snapshot.load_w == 2_500
    assert (snapshot.net_lo_w, snapshot.net_hi_w) == (500, 500)


def test_worst_of_the_last_three_meter_samples() -> None:
    trace, seen = Trace(NOW), []
    for i, grid_w in enumerate((900, 300, 600, 500)):
        now = NOW + i * S
        snapshot, trace = take(PARAMS, world(now, meters=(h.meter(now, grid_w=grid_w),)), trace)
        seen.append((snapshot.net_lo_w, snapshot.net_hi_w))
    assert seen == [(900, 900), (300, 900), (300, 900), (300, 600)]
    again, _ = take(PARAMS, world(NOW + 3 * S, meters=(h.meter(NOW + 3 * S, grid_w=500),)), trace)
    assert (again.net_lo_w, again.net_hi_w) == (300, 600)  # the same sample counts once


@pytest.mark.parametrize(
    "parts",
    [
        {"meters": ()},
        {"meters": (h.meter(NOW - 4 * S),)},
        {"meters": (h.meter(NOW, grid_w=None),)},
        {"inverters": (h.inverter(NOW, battery_w=None),), "batteries": (h.battery(NOW, pack_ma=None),)},
    ],
)
def test_an_unknown_house_is_unknown(parts: dict[str, Any]) -> None:
    snapshot = see(Trace(NOW, nets=(1, 2), net_at_ns=1), **parts)
    assert (snapshot.net_lo_w, snapshot.net_hi_w, snapshot.load_w) == (None, None, None)


def test_the_packs_power_stands_in_for_the_inverters() -> None:
    snapshot = see(inverters=(h.inverter(NOW, battery_w=None),), batteries=(h.battery(NOW, pack_ma=10_000),))
    assert snapshot.battery_w == 528
    old = see(inverters=(h.inverter(NOW, battery_w=77, battery_at_ns=NOW - 6 * S),))
    assert old.battery_w == 0
