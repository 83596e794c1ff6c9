"""A BMS that repeats itself under load is a lost one; one that rests is not accused."""

from __future__ import annotations

from dataclasses import replace

from agent.core.decision import Mode
from agent.core.params import S
from agent.core.still import Still, follow, frozen
from tests.core.home import Home, arriving, battery, command

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
