"""Whole cycles with readings that contradict each other: what becomes of a running dispatch, and how it comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.decision import Mode
from agent.core.inputs import LocalResume
from tests.core.home import PARAMS, Home, arriving, command


def dispatched(power_w: int = 5000) -> Home:
    home = Home().ready()
    home.tick(arriving(command(power_w=power_w, duration_s=900)))
    home.run(15)
    assert home.given() == power_w
    return home


def test_a_stray_cleared_block_changes_nothing() -> None:
    home = dispatched()
    home.battery = {"pack_mv": 0, "cell_max_mv": 0, "cell_min_mv": 0, "soc_permille": 0, "pack_ma": 0}
    home.inverter = {"soc_permille": 600}
    home.run(2)
    home.battery = {}
    home.run(5)
    assert home.given() == 5000 and home.faults() == []


def test_cleared_blocks_that_go_on_are_a_lost_bms_and_a_fault() -> None:
    home = dispatched()
    home.battery = {"pack_mv": 0, "cell_max_mv": 0, "cell_min_mv": 0, "soc_permille": 0, "pack_ma": 0}
    home.run(3)
    assert "reading_implausible" in home.faults() and home.mode() is Mode.FAULT
    assert home.remote_w in (0, None)
    home.battery = {}
    home.run(90)
    assert home.faults() == [] and home.mode() in (Mode.LOCAL, Mode.DISPATCHED)


@pytest.mark.parametrize("gain", [-1, 10])
def test_a_current_that_is_not_the_inverter_s_power(gain: int) -> None:
    home = dispatched()
    home.battery = {"pack_ma": gain * 5_000_000_000 // 52_800}
    home.run(9)
    assert "current_wrong" not in home.faults()
    home.run(4)
    assert "current_wrong" in home.faults() and home.remote_w in (0, None)
    home.battery = {}
    home.run(100)
    assert "current_wrong" in home.faults(), "a sign does not mend itself"
    home.tick(LocalResume("technician ada"))
    home.run(70)
    assert home.faults() == []


def test_losses_and_lag_are_not_accused() -> None:
    home = dispatched()
    home.battery = {"pack_ma": 5_500_000_000 // 52_800}
    home.run(60)
    assert home.given() == 5000 and home.faults() == []


def steps(home: Home, gain: int) -> None:
    """The dispatch changes four times; the meter shows `gain` of it."""
    for number, power in enumerate((5000, 1000, -3000, 2000), 2):
        home.tick(arriving(command(number, power_w=power, duration_s=900)))
        for _ in range(25):
            home.meter = {"grid_w": 500 - gain * (home.remote_w or 0)}
            home.tick()


def test_a_reversed_clamp_is_found_by_ordinary_dispatch() -> None:
    home = dispatched(3000)
    steps(home, -1)
    assert "meter_wrong" in home.faults() and home.mode() is Mode.DEGRADED
    assert home.remote_w in (0, None)
    home.meter = {}
    home.run(100)
    assert "meter_wrong" in home.faults()
    home.tick(LocalResume("technician ada"))
    home.run(40)
    assert home.faults() == []


def test_a_clamp_that_sees_nothing_is_found_by_ordinary_dispatch() -> None:
    home = dispatched(3000)
    steps(home, 0)
    assert {"meter_wrong", "meter_stuck"} & set(home.faults()) and home.remote_w in (0, None)


def test_a_right_clamp_is_not_accused() -> None:
    home = dispatched(3000)
    steps(home, 1)
    assert home.faults() == [] and home.given() == 2000


def test_a_meter_that_stands_still_while_the_battery_moves() -> None:
    home = Home().ready()
    home.meter = {"grid_w": 0}
    home.run(10)
    home.tick(arriving(command(duration_s=900)))
    home.run(45)
    assert home.given() == 5000 and "meter_stuck" not in home.faults()
    home.run(10)
    assert "meter_stuck" in home.faults() and home.remote_w in (0, None)
    home.meter = {}
    home.run(90)
    assert home.faults() == []


def test_a_clamp_that_hangs_in_the_air_is_found_by_one_step_within_a_minute() -> None:
    home = dispatched(3000)
    for second in range(62):
        home.meter = {"grid_w": 0, "frequency_mhz": 59_950 + second}
        home.tick(*([arriving(command(2, power_w=1000, duration_s=900))] if second == 31 else []))
    assert "meter_stuck" in home.faults() and home.remote_w in (0, None)
    home.run(20)
    assert "meter_stuck" in home.faults(), "released, it still sees nothing"
    home.meter = {}
    home.run(90)
    assert home.faults() == []


def test_a_stuck_soc_reaches_the_reserve_by_our_own_count() -> None:
    home = Home().ready()
    home.battery["soc_permille"] = 300
    home.run(620)
    for number in (1, 2, 3):
        home.tick(arriving(command(number, duration_s=900)))
        home.run(880)
    assert "soc_doubted" in home.faults()
    assert home.given() == 0, "5 kW for long enough: 30 % less what was drained is the reserve"
    lo = home.decision.soc_lo_permille
    assert lo is not None and 195 <= lo <= 205


def test_a_resume_counts_the_cells_of_a_pack_anew() -> None:
    """Three blocks of another scale while the BMS started: nothing but a resume helps, and it does."""
    home = Home()
    home.battery["pack_mv"] = 85_800
    home.run(5)
    del home.battery["pack_mv"]
    home.run(20)
    assert "reading_implausible" in home.faults()
    home.tick(LocalResume("technician ada"))
    home.run(80)
    assert home.faults() == []


def test_a_battery_that_follows_the_meter_does_not_test_it() -> None:
    """Clouds over a home with an export limit: absorb follows, so that the meter stands at the limit by our doing."""
    home = Home(replace(PARAMS, site=replace(PARAMS.site, export_limit_w=5000))).ready()
    pv_w = 6000
    for goal_w in (9000, 6000) * 8:
        for _ in range(40):
            pv_w += max(-250, min(250, goal_w - pv_w))
            home.inverter["pv_w"] = pv_w
            home.meter["grid_w"] = 500 - pv_w - (home.remote_w or 0)
            home.tick()
    assert home.faults() == []
