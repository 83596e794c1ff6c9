"""The reserve in the inverter's own floor, through whole cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import Reserve, WriteDone
from agent.core.mirror import heard, plan
from agent.core.snapshot import Trace, take
from agent.core.writes import Hand
from drivers.readings import GridState
from tests.core.home import PARAMS, Home, inverter
from tests.core.test_snapshot import NOW, world


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
    "found",
    [
        {"grid_state": GridState.ISLANDED},
        {"grid_state": GridState.UNKNOWN},
        {"floor_permille": None},
        {"grid_at_ns": 0},
    ],
)
def test_no_floor_without_grid_or_without_one_to_write(found: dict[str, Any]) -> None:
    home = Home()
    home.floor_permille = 50
    home.inverter.update(found)
    home.run(30)
    assert floors(home) == []


def test_the_floor_is_kept_while_the_bms_is_silent() -> None:
    home = Home().ready()
    home.mute.add("battery")
    home.run(10)
    home.floor_permille = 50
    home.run(5)
    assert floors(home) == [200]


def slowly(home: Home, seconds: int) -> None:
    """Cycles of twenty seconds."""
    for _ in range(seconds // 20):
        home.tick(s=20)


class Rounding(Home):
    """An inverter that makes another floor of what it is told, and says so or not."""

    def __init__(self, stores: Callable[[int], int], outcome: str = "mismatch") -> None:
        super().__init__()
        self.stores = stores
        self.says = outcome

    def answer(self, write: Write) -> None:
        if write.intent is not Intent.FLOOR:
            super().answer(write)
            return
        self.floor_permille = self.stores(write.value)
        outcome = "confirmed" if self.floor_permille == write.value else self.says
        self.queue.append(WriteDone("inverter", "floor", write.value, outcome, self.now_ns))


@pytest.mark.parametrize("outcome", ["confirmed", "mismatch"])
@pytest.mark.parametrize(
    ("stores", "asked", "stands"),
    [
        (lambda v: -(-v // 50) * 50, [230], 250),  # up to 5 %
        (lambda v: v // 10 * 10, [230], 230),
        (lambda v: v - 5, [230, 240], 235),  # half a percent less
        (lambda v: v // 50 * 50, [230, 240, 280], 250),  # down to 5 %
        (lambda v: v // 20 * 20, [230, 240], 240),
    ],
)
def test_a_floor_that_is_kept_in_coarse_steps_comes_to_stand_at_or_above_the_reserve(
    stores: Callable[[int], int], asked: list[int], stands: int, outcome: str
) -> None:
    home = Rounding(stores, outcome)
    home.reserve = Reserve(230, "file")
    home.run(60)
    slowly(home, 3600)
    assert (floors(home), home.floor_permille) == (asked, stands)
    assert home.faults() == []
    assert not home.disk.floor_alarm
    home.floor_permille = stands - 30  # and it is known when another hand leaves what stood
    home.run(20)
    assert "floor_changed" in home.faults()
    assert home.floor_permille == stands


@settings(max_examples=25, deadline=None)
@given(
    reserve=st.integers(50, 1000),
    step=st.sampled_from((1, 5, 10, 20, 50)),
    nearest=st.booleans(),
    outcome=st.sampled_from(("confirmed", "mismatch")),
)
def test_no_floor_is_asked_below_the_reserve_and_few_are_asked_at_all(
    reserve: int, step: int, nearest: bool, outcome: str
) -> None:
    home = Rounding(lambda v: (v + (step // 2 if nearest else 0)) // step * step, outcome)
    home.reserve = Reserve(reserve, "file")
    home.run(60)
    slowly(home, 10_000)
    assert all(value >= reserve for value in floors(home))
    assert home.floor_permille >= reserve
    assert len(floors(home)) <= 3
    assert home.faults() == []


def test_what_cannot_be_held_is_told_driven_and_asked_for_ever_more_seldom() -> None:
    home = Rounding(lambda _: 100)
    home.reserve = Reserve(590, "file")
    home.battery["soc_permille"] = 592
    home.run(200)
    slowly(home, 3600)
    assert "floor_refused" in home.faults()
    assert home.decision.source == "self_consumption"  # we keep the reserve meanwhile
    assert home.given() is not None
    assert len(floors(home)) <= 12
    early = len(floors(home))
    slowly(home, 5 * 3600)
    assert len(floors(home)) - early <= 6
    assert not home.disk.floor_alarm


def test_a_floor_far_above_the_reserve_is_not_taken_for_rounding() -> None:
    home = Rounding(lambda _: 400)
    home.reserve = Reserve(230, "file")
    home.run(600)
    assert "floor_refused" in home.faults()
    assert set(floors(home)) == {230}


def test_another_hand_that_comes_back_again_and_again_is_answered_ever_more_seldom() -> None:
    home = Home().ready()
    home.reserve = Reserve(300, "file")
    home.run(5)
    for _ in range(6 * 60):
        home.floor_permille = 100
        slowly(home, 60)
    assert 5 <= len(floors(home)) <= 20
    home.floor_permille = 300
    slowly(home, 7 * 3600)
    known = len(floors(home))
    for _ in range(2):  # long after that: at once, and soon again
        home.floor_permille = 100
        home.run(30)
    assert len(floors(home)) == known + 2


def test_the_result_of_a_floor_that_is_no_longer_asked_for_confirms_nothing() -> None:
    asked = Hand(floor_permille=300, floor_pending=True)
    after = heard(asked, WriteDone("inverter", "floor", 200, "confirmed", 0), 7)
    assert (after.floor_pending, after.floor_confirmed_ns, after.floor_taken) == (False, None, False)
    after = heard(asked, WriteDone("inverter", "floor", 300, "mismatch", 0), 7)
    assert (after.floor_confirmed_ns, after.floor_taken, after.floor_failures) == (None, True, 1)


def test_an_old_reading_of_the_floor_moves_nothing() -> None:
    seen, _ = take(PARAMS, world(inverters=(inverter(NOW, floor_permille=50),)), Trace(NOW))
    assert plan(Hand(), seen, Mode.LOCAL, True)[1] is not None
    old = replace(seen, inverter_age_ns=seen.inverter_stale_ns + 1)
    assert plan(Hand(), old, Mode.LOCAL, True) == (Hand(), None, None)


# --- locked out -------------------------------------------------------------------------------------------------------
def locked(**changes: Any) -> Home:
    """A home that a hot cell locked out, cold again."""
    home = Home(**changes).ready()
    home.battery["temp_max_dc"] = 620
    home.run(5)
    home.battery["temp_max_dc"] = 250
    home.run(120)
    assert home.mode() is Mode.LOCKOUT
    return home


def test_a_reserve_that_is_raised_in_a_lockout_reaches_the_floor() -> None:
    home = locked()
    assert floors(home) == []
    home.reserve = Reserve(600, "file")
    home.run(60)
    assert (floors(home), home.mode()) == ([600], Mode.LOCKOUT)
    assert "reserve_unguarded" not in home.faults()


def test_in_a_lockout_a_floor_is_never_lowered() -> None:
    home = locked()
    home.reserve = Reserve(150, "file")
    home.run(60)
    home.floor_permille = 900  # nor is what another hand raised
    home.run(60)
    assert floors(home) == []
    home.floor_permille = 100
    home.run(60)
    assert floors(home) == [150]


def test_in_a_lockout_of_a_device_that_is_another_one_no_floor_is_written() -> None:
    home = locked()
    home.presence["battery"] = "mismatch"
    home.reserve = Reserve(600, "file")
    home.run(60)
    assert floors(home) == []
    home.presence.clear()
    home.inverter["floor_permille"] = None
    home.run(60)
    assert floors(home) == []


def test_in_a_lockout_a_floor_waits_for_the_grid_like_every_write() -> None:
    home = locked()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.reserve = Reserve(600, "file")
    home.run(60)
    assert floors(home) == []
    home.inverter.clear()
    home.run(10)
    assert floors(home) == [600]


def test_a_floor_that_is_refused_in_a_lockout_leaves_the_reserve_unguarded_and_that_is_said() -> None:
    home = locked()
    home.outcome = "refused"
    home.reserve = Reserve(600, "file")
    home.run(60)
    assert "reserve_unguarded" in home.faults()
    told = next(f.sentence for f in home.decision.faults if f.id == "reserve_unguarded")
    assert told.startswith("the agent is in lockout: in its own mode the inverter may go below the reserve")
