"""A BMS that repeats itself under load is a lost one, and an inverter's word on the grid an old one; one that rests is
not accused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.decision import Mode
from agent.core.params import S
from agent.core.still import FROZEN_NS, Echo, Still, echoes, follow, frozen, repeating
from drivers.readings import GridState
from tests.core.home import Home, arriving, battery, command, inverter
from tests.core.several import Several

STUCK = {"capacity_mah": 488_000}  # the one field of the test home's BMS that moves by itself


def test_a_block_that_stays_under_load_is_lost_within_a_minute() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(20)
    home.battery = STUCK
    home.run(55)
    assert home.remote_w == 5_000 and "battery_frozen" not in home.faults()
    home.run(8)
    assert "battery_frozen" in home.faults() and home.remote_w in (0, None)
    assert home.decision.lo_w == home.decision.hi_w == 0
    home.battery = {}
    home.run(50)
    assert home.decision.mode is Mode.DEGRADED, "its values move again: not yet trusted"
    home.run(80)
    assert "battery_frozen" not in home.faults() and home.remote_w == 5_000


def test_a_resting_battery_may_stay_the_same_for_hours() -> None:
    home = Home().ready()
    home.battery = STUCK
    home.run(600)
    assert "battery_frozen" not in home.faults()


def test_pauses_in_the_load_do_not_hide_it() -> None:
    home = Home().ready()
    home.battery = {**STUCK, "pack_ma": 0}
    for second in range(160):
        home.inverter = {"battery_w": 3_000 if second % 2 else 0}
        home.tick()
    assert "battery_frozen" in home.faults()


def test_a_silent_bms_is_silent_and_not_frozen() -> None:
    home = Home().ready()
    home.inverter = {"battery_w": 3_000}
    home.run(3)
    home.mute.add("battery")
    home.run(120)
    assert home.faults() == ["battery_stale"]


def test_one_that_is_read_seldom_is_found_in_the_same_time() -> None:
    block = battery(0)
    found: tuple[Still, ...] = follow((), [block], S)
    for second in range(1, 121):
        assert frozen(found) is (second > 60), second
        found = follow(found, [replace(block, at_ns=second // 4 * 4 * S)], S)
    assert found[0].loaded_ns == 120 * S
    assert follow(found, [replace(block, at_ns=121 * S, soc_permille=599)], S)[0].loaded_ns == 0


def test_only_time_under_load_counts() -> None:
    block = battery(0)
    found: tuple[Still, ...] = follow((), [block], S)
    for second in range(1, 101):
        found = follow(found, [replace(block, at_ns=second // 2 * S)], S * (second % 3 == 0))
    assert found[0].loaded_ns == 33 * S


# --- the inverter -----------------------------------------------------------------------------------------------------
OLD = {"battery_w": 3_000, "frequency_mhz": 60_000, "remote_active": True, "remote_w": 3_000}


def test_an_inverter_that_repeats_itself_is_not_believed_on_the_grid() -> None:
    home = Home().ready()
    home.tick(arriving(command(power_w=3_000, duration_s=900)))
    home.run(20)
    home.inverter = OLD
    home.run(FROZEN_NS // S)
    assert home.decision.grid == "connected" and "inverter_frozen" not in home.faults()
    home.run(2)
    assert home.decision.grid == "unknown"
    assert {"inverter_frozen", "grid_unknown"} <= set(home.faults()) and home.mode() is Mode.BACKUP
    home.writes.clear()
    home.mute.add("meter")  # the grid died, and the meter with it
    home.run(120)
    assert home.powers() == [], "hands off: it may be an island"
    assert home.disk.lockout is None


def test_a_block_that_moves_again_is_believed_after_its_hold_and_however_often_locks_nobody_out() -> None:
    home = Home().ready()
    home.inverter = OLD
    for _ in range(4):
        home.inverter = OLD
        home.run(70)
        assert "inverter_frozen" in home.faults()
        home.inverter = {}
        home.run(3)
        assert home.decision.grid == "connected" and "inverter_frozen" in home.faults()
        home.run(900)
        assert "inverter_frozen" not in home.faults()
    assert home.disk.lockout is None


@pytest.mark.parametrize(
    "changes",
    [
        {"battery_w": 400},  # at rest
        {"frequency_mhz": None},  # not read: rounded watts may stay
        {"grid_state": GridState.ISLANDED},  # makes its own frequency
    ],
)
def test_who_need_not_move_is_not_accused(changes: dict[str, Any]) -> None:
    home = Home().ready()
    home.inverter = {**OLD, **changes}
    home.run(300)
    assert "inverter_frozen" not in home.faults()


def heard(*samples: tuple[int, dict[str, Any]]) -> tuple[Echo, ...]:
    """(second, fields) each, of an inverter with 3 kW of PV."""
    found: tuple[Echo, ...] = ()
    for second, fields in samples:
        found = echoes(found, [inverter(second * S, **{"pv_w": 3_000, **fields})], 25_000)
    return found


def test_nearly_a_minute_of_new_samples_is_needed_and_each_value_counts() -> None:
    assert repeating(heard(*((n, {}) for n in range(0, 58, 5)), (59, {}))) == ("inverter",)
    assert repeating(heard(*((n, {}) for n in range(0, 58, 5)), (58, {}))) == ()
    assert repeating(heard((0, {}), *((n, {}) for n in range(0, 60, 15)))) == ()
    assert repeating(heard(*((n, {}) for n in range(0, 61, 15)))) == ("inverter",)
    assert repeating(heard(*((n, {}) for n in range(0, 200, 16)))) == (), "a silent one does not repeat itself"
    assert repeating(heard(*[(7, {})] * 100)) == (), "nor one of which nothing new was read"
    for field in ("battery_w", "pv_w", "ac_w", "frequency_mhz"):
        assert repeating(heard(*((n, {field: 4_000 + (n == 30)}) for n in range(80)))) == (), field
    assert repeating(heard(*((n, {"soc_permille": 600 + n}) for n in range(80)))) == ("inverter",), (
        "SoC is the BMS' word"
    )


def test_the_load_is_that_of_battery_or_pv() -> None:
    for pair, must in (((501, 0), 1), ((None, -501), 1), ((0, 501), 1), ((500, -500), 0), ((None, None), 0)):
        assert len(heard((0, dict(zip(("pv_w", "battery_w"), pair, strict=True))))) == must, pair


def test_one_of_several_that_repeats_itself_is_named_and_stops_the_home() -> None:
    home = Several()
    home.ready()
    home.each["inv2"] = {"battery_w": 3_000, "frequency_mhz": 60_000}
    home.run(75)
    assert home.decision.grid == "unknown"
    row = next(f for f in home.decision.faults if f.id == "inverter_frozen")
    assert row.sentence.startswith("inv2: ")
    assert "inv1" not in row.sentence
