"""kill -9 of the real daemon with commands in flight; and that the judge of it finds what it is there for."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest

from hil.crash import cli
from hil.crash.cli import campaign
from hil.crash.run import Kills
from hil.crash.story import ALIVE, LOST, NS, TWICE, Order, Said, Sample, Story

KILLS = 50


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_lose_nothing_double_nothing_and_leave_nothing_running() -> None:
    report = campaign(KILLS, 7, 2)
    assert report.ok, f"{report.table()}\n{report.extra}"
    assert report.figures[0].value == KILLS
    assert report.figures[0].beside["with a setpoint in force"] != 0
    assert report.figures[0].beside["with an open command"] != 0


def test_one_that_is_broken_off_ends_every_home(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Barrier(2, timeout=60), []

    class Home:
        def __init__(self, seed: str, _: object, step: Callable[[], None]) -> None:
            self._first, self._step = seed.endswith("/0"), step

        def run(self, kills: int) -> Kills:
            begun.wait()
            try:
                if self._first:
                    raise KeyboardInterrupt
                while True:
                    self._step()
            finally:
                ended.append(self._first)

    monkeypatch.setattr(cli, "Run", Home)
    with pytest.raises(KeyboardInterrupt):
        campaign(KILLS, 7, 2)
    assert sorted(ended) == [False, True]


def said(*states: str, from_s: float = 10.0) -> list[Said]:
    ends = ("completed", "cancelled")
    return [Said(s, n, round((from_s + n) * NS), repeated=False, terminal=s in ends) for n, s in enumerate(states)]


def order(*states: str) -> Order:
    return Order("a" * 32, 3000, 9 * NS, 2 * NS, said(*states))


def good() -> Story:
    """A command of two seconds, killed over at 11 s; the inverter's own timer ends it."""
    samples = [Sample(s * NS // 10, remote=105 <= s < 170, alive=s < 110) for s in range(300)]
    writes = [(n * NS, watts) for n, watts in ((10, 1500), (11, 3000), (12, 3000))]
    return Story([order("received", "started", "completed")], samples, writes, stated_end_ns=6 * NS)


def kinds(story: Story) -> set[str]:
    return {kind for kind, _ in story.wrong()}


def test_a_good_story_is_good() -> None:
    assert good().wrong() == []


@pytest.mark.parametrize(
    "change",
    [
        {"missing": (7,)},
        {"conflicts": (7,)},
        {"given_up": 1},
        {"refused": 1},
        {"orders": [order("received", "started")]},
    ],
)
def test_a_lost_record_is_found(change: dict[str, object]) -> None:
    assert LOST in kinds(dataclasses.replace(good(), **change))  # type: ignore[arg-type]  # one field of a Story


@pytest.mark.parametrize(
    "states",
    [
        ("received", "started", "started", "completed"),
        ("received", "received", "completed"),
        ("received", "started", "completed", "cancelled"),
    ],
)
def test_a_second_execution_is_found_in_the_acks(states: tuple[str, ...]) -> None:
    assert kinds(dataclasses.replace(good(), orders=[order(*states)])) == {TWICE}


def test_an_answer_to_a_message_that_came_again_is_no_second_execution() -> None:
    story = good()
    again = Said("completed", 9, 30 * NS, repeated=True, terminal=True)
    story.orders[0].said = [*story.orders[0].said, again]
    assert story.wrong() == []


def test_a_second_execution_is_found_in_the_register_log() -> None:
    story = good()
    story.writes += [(40 * NS, 1700), (41 * NS, 3000), (42 * NS, 500)]
    assert story.wrong() == []  # on the way of a ramp
    story.writes += [(43 * NS, 3000), (44 * NS, 3001)]
    assert kinds(story) == {TWICE}


def test_a_command_that_nobody_acknowledged_may_not_act() -> None:
    assert TWICE in kinds(dataclasses.replace(good(), orders=[order()]))


def test_a_setpoint_that_nobody_watches_for_too_long_is_found_once() -> None:
    story = good()
    story.samples = [dataclasses.replace(s, remote=10 * NS < s.at_ns < 19 * NS) for s in story.samples]
    assert [kind for kind, _ in story.wrong()] == [ALIVE]


def test_a_setpoint_after_the_commands_end_is_found_though_the_daemon_lives() -> None:
    story = good()
    story.samples = [dataclasses.replace(s, remote=True, alive=True) for s in story.samples]
    assert kinds(story) == {ALIVE}
