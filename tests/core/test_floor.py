"""The reserve in the inverter's own floor, through whole cycles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.decision import Intent, Mode
from agent.core.inputs import Reserve
from drivers.readings import GridState
from tests.core.home import Home


def floors(home: Home) -> list[int]:
    return [w.value for _, w in home.writes if w.intent is Intent.FLOOR]


def test_a_floor_found_below_the_reserve_is_raised_once() -> None:
    home = Home()
    home.floor_permille = 50
    home.run(60)
    assert floors(home) == [200]
    assert home.floor_permille == 200
    found = [e for e in home.events_seen if e["event"] == "floor"]
    assert found == [{"event": "floor", "found_permille": 50, "reserve_permille": 200, "foreign": False}]
    assert not home.disk.floor_alarm


def test_the_floor_follows_the_reserve() -> None:
    home = Home().ready()
    home.reserve = Reserve(305, "file")
    home.run(5)
    assert floors(home) == [305]
    home.reserve = Reserve(300, "file")  # within the device's rounding, and yet another wish
    home.run(5)
    assert floors(home) == [305, 300]


def test_a_floor_that_reads_back_rounded_up_is_left_alone() -> None:
    home = Home().ready()
    home.reserve = Reserve(305, "file")
    home.tick()
    home.floor_permille = 310  # whole percents
    home.run(60)
    assert floors(home) == [305]


def test_a_reading_from_before_the_floor_was_written_is_not_held_against_it() -> None:
    home = Home()
    home.floor_permille = 50
    home.tick()
    home.mute.add("inverter")  # its last reading still says 50
    home.frozen["inverter"] = replace(home.frozen["inverter"], floor_permille=50)
    home.run(2)
    assert floors(home) == [200]
    assert not home.disk.floor_alarm


def test_a_floor_that_gets_no_answer_is_tried_again() -> None:
    home = Home()
    home.floor_permille = 50
    home.answer = lambda write: None  # type: ignore[method-assign]  # a gate that never reports
    home.run(30)
    assert len(floors(home)) == 2


def test_another_hand_on_the_floor_is_an_alarm_and_is_undone() -> None:
    home = Home()
    home.floor_permille = 50
    home.run(10)
    home.floor_permille = 100
    home.run(20)
    assert floors(home) == [200, 200]
    assert home.disk.floor_alarm
    assert "floor_changed" in home.faults()
    assert home.mode() is Mode.LOCAL  # it warns, no more
    assert [e["foreign"] for e in home.events_seen if e["event"] == "floor"] == [False, True]


def test_a_floor_that_is_refused_is_tried_more_and_more_seldom() -> None:
    home = Home()
    home.floor_permille = 50
    home.outcome = "rejected"
    home.run(3600)
    assert 5 <= len(floors(home)) <= 15
    assert "floor_refused" in home.faults()


@pytest.mark.parametrize(
    "inverter",
    [
        {"grid_state": GridState.ISLANDED},
        {"grid_state": GridState.UNKNOWN},
        {"floor_permille": None},
        {"grid_at_ns": 0},
    ],
)
def test_no_floor_without_grid_or_without_one_to_write(inverter: dict[str, Any]) -> None:
    home = Home()
    home.floor_permille = 50
    home.inverter.update(inverter)
    home.run(30)
    assert floors(home) == []


def test_the_floor_is_kept_while_the_bms_is_silent() -> None:
    home = Home().ready()
    home.mute.add("battery")
    home.run(10)
    home.floor_permille = 50
    home.run(5)
    assert floors(home) == [200]
