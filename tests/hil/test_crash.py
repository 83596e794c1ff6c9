"""kill -9 of the real daemon with commands in flight; and that the judge of it finds what it is there for."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from hil.crash import cli, evidence
from hil.crash.cli import campaign
from hil.crash.run import Kills
from hil.crash.story import ALIVE, LOST, NS, TWICE, Order, Said, Sample, Story, setpoints

KILLS = 50
STRAY = (
    "3000 W of command aaaaaaaa, sent at 9.0 s, was written at {at} s, and no command in force asks for as much, "
    "{late} s after the end of the last one that did"
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_lose_nothing_double_nothing_and_leave_nothing_running() -> None:
    report = campaign(KILLS, 7, 2)
    assert report.ok, f"{report.table()}\n{report.extra}"
    assert report.figures[0].value == KILLS
    assert len([figure for figure in report.figures if str(figure.reach).startswith(">=")]) == 4


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


class Idle:
    """A home of an agent that refuses every command."""

    met: ClassVar[dict[str, int]] = {}

    def __init__(self, *_: object) -> None: ...

    def run(self, kills: int) -> Kills:
        return Kills(done=kills, commands=kills, story=good(), **self.met)


@pytest.mark.parametrize(
    ("met", "missed"),
    [
        ({}, ["kills with a setpoint in force", "kills with an open command", "commands that acted"]),
        ({"remote": 2, "unsettled": 8, "acted": 3}, ["kills with a setpoint in force"]),
        ({"remote": 3, "unsettled": 7, "acted": 3}, ["kills with an open command"]),
        ({"remote": 3, "unsettled": 8, "acted": 2}, ["commands that acted"]),
        ({"remote": 3, "unsettled": 8, "acted": 3}, []),
    ],
)
def test_a_run_that_tried_nothing_fails(
    met: dict[str, int], missed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "Run", Idle)
    monkeypatch.setattr(Idle, "met", met)
    report = campaign(25, 7, 1)
    assert [figure.name for figure in report.figures if not figure.holds] == missed


def test_a_few_kills_do_not_claim_what_they_cannot_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "Run", Idle)
    report = campaign(24, 7, 1)
    assert report.ok
    assert len([figure for figure in report.figures if "not judged" in figure.note]) == 3


def said(*states: str, from_s: float = 10.0) -> list[Said]:
    ends = ("completed", "cancelled")
    return [Said(s, n, round((from_s + n) * NS), repeated=False, terminal=s in ends) for n, s in enumerate(states)]


def order(*states: str) -> Order:
    return Order("a" * 32, 3000, 9 * NS, 2 * NS, said(*states))


def good() -> Story:
    """A command of two seconds, killed over at 11 s; the inverter's own timer ends it."""
    samples = [Sample(s * NS // 10, remote=105 <= s < 170, alive=s < 110) for s in range(300)]
    writes: list[tuple[int, int | None]] = [(n * NS, watts) for n, watts in ((10, 1500), (11, 3000), (12, 3000))]
    return Story([order("received", "started", "completed")], samples, writes, stated_end_ns=6 * NS)


def kinds(story: Story) -> set[str]:
    return {one.kind for one in story.wrong()}


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
    story.writes += [(40 * NS, 3000), (41 * NS, None), (42 * NS, 0)]
    assert [one.sentence for one in story.wrong()] == [STRAY.format(at="40.0", late="28.0")]


@pytest.mark.parametrize("watts", [1700, -3000, 3010])
def test_a_setpoint_that_no_command_asks_for_is_found_whatever_its_watts(watts: int) -> None:
    story = good()
    story.writes.append((13 * NS, watts))
    assert (kinds(story) == set()) is (watts == 1700)  # it is in time, and may be on the way
    story.writes[-1] = (40 * NS, watts)
    assert kinds(story) == {TWICE}


def test_a_command_that_nobody_acknowledged_may_not_act() -> None:
    assert TWICE in kinds(dataclasses.replace(good(), orders=[order()]))


def test_a_setpoint_that_nobody_watches_for_too_long_is_found_once() -> None:
    story = good()
    story.samples = [dataclasses.replace(s, remote=10 * NS < s.at_ns < 19 * NS) for s in story.samples]
    assert [one.kind for one in story.wrong()] == [ALIVE]


def test_a_setpoint_after_the_commands_end_is_found_though_the_daemon_lives() -> None:
    story = good()
    story.samples = [dataclasses.replace(s, remote=True, alive=True) for s in story.samples]
    assert kinds(story) == {ALIVE}


# --- what is on the way, and what is held -----------------------------------------------------------------------------
def ramp(*watts: int, from_s: float) -> list[tuple[int, str, int]]:
    """A setpoint a second, as it reaches the inverter's registers: its reversion time, the rates, the mode."""
    kinds = ("timer", "power", "power")
    return [
        (round((from_s + n + i * 0.02) * NS), kind, 6 if kind == "timer" else step)
        for n, step in enumerate(watts)
        for i, kind in enumerate(kinds)
    ]


def later(power_w: int, from_s: float, lasts_s: float) -> Order:
    """Another command, accepted and completed at its time."""
    heard = [Said(s, 9, round(at * NS), False, s == "completed") for s, at in
             (("received", from_s), ("completed", from_s + lasts_s))]  # fmt: skip
    return Order("b" * 32, power_w, round(from_s * NS), round(lasts_s * NS), heard)


def test_a_setpoint_is_one_however_many_registers_carry_it() -> None:
    """A ramp of 1,140 W a second passes the watts of a command that is over: there, rates and mode are two writes, and
    no second setpoint."""
    story = good()
    story.orders.append(later(5046, 38.0, 8.0))
    story.writes += setpoints(ramp(1860, 3000, 4140, 5046, 5046, from_s=40.0))
    assert [watts for _, watts in story.writes[3:]] == [1860, 3000, 4140, 5046, 5046]
    assert story.wrong() == []


def test_the_watts_that_mode_alone_brings_into_force_are_a_setpoint() -> None:
    staged = [(40 * NS, "timer", 6), (41 * NS, "staged", 0), (42 * NS, "power", 3000), (43 * NS, "clear", 0)]
    after = [(44 * NS, "power", 3000), (44 * NS, "power", 3000), (45 * NS, "power", 500)]
    assert setpoints([*staged, (44 * NS, "timer", 6), *after]) == [
        (42 * NS, 3000), (43 * NS, None), (44 * NS, 3000), (45 * NS, 500)
    ]  # fmt: skip


def test_a_step_of_a_ramp_that_was_not_read_back_is_written_again_and_is_a_step() -> None:
    story = good()
    story.orders.append(later(5046, 38.0, 8.0))
    story.writes += setpoints(ramp(1860, 3000, 3000, 4140, from_s=40.0))
    assert story.wrong() == []


@pytest.mark.parametrize(
    ("watts", "power_w", "from_s"),
    [
        ((1860, 3000, 3000, 4140), 5046, 20.0),  # nobody asks for as much by now
        ((1860, 3000, 3000, 4140), -5046, 38.0),
        ((1860, 3000, 3000, 4140), 2500, 38.0),
        ((1860, 3000, 3000, 0), 5046, 38.0),  # and it goes no further
        ((5046, 3000, 3000, 4140), 5046, 38.0),  # from above: no ramp comes down
        ((1860, 3000, 3000, 3000, 3000, 3000, 4140), 5046, 38.0),  # no step lasts so long
    ],
)
def test_what_is_held_is_found_though_a_ramp_might_pass_there(
    watts: Sequence[int], power_w: int, from_s: float
) -> None:
    story = good()
    story.orders.append(later(power_w, from_s, 10.0))
    story.writes += setpoints(ramp(*watts, from_s=40.0))
    assert kinds(story) == {TWICE}


def test_a_step_that_is_cut_short_is_a_step() -> None:
    """Its command is superseded, or its daemon killed, before it could go further."""
    for power_w, lasts_s, alive_s in ((5046, 4.0, 99), (5046, 30.0, 43), (5046, 30.0, 99)):
        story = good()
        story.orders.append(later(power_w, 38.0, lasts_s))
        story.samples += [Sample(n * NS, False, alive=n < alive_s) for n in range(31, 60)]
        story.writes += [*setpoints(ramp(1860, 3000, 3000, from_s=40.0)), (43 * NS, None)]
        assert (kinds(story) == set()) is (lasts_s < 30 or alive_s < 99)


@pytest.mark.parametrize(("between", "held"), [((), True), ((None,), False)])
def test_the_same_first_step_of_two_commands_is_not_held(between: Sequence[None], held: bool) -> None:
    """It was released in between, or so long ago that the inverter had ended it."""
    story = good()
    story.orders.append(later(5046, 38.0, 60.0))
    story.writes += [(40 * NS, 3000), *((41 * NS, watts) for watts in between), (44 * NS, 3000)]
    assert (kinds(story) == {TWICE}) is held
    story.writes[-1] = (47 * NS, 3000)
    assert story.wrong() == []


def test_an_end_that_the_next_command_ramps_away_from_is_no_second_life() -> None:
    """Its last watts are where the next one starts, and are written for that one until a cycle has read them back."""
    story = good()
    story.orders.append(later(5046, 13.0, 10.0))
    story.writes += setpoints(ramp(3000, 3000, 3000, 4140, 5046, from_s=13.5))
    assert story.wrong() == []


# --- what the machine was away for ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("away", "stands"),
    [
        ([], True),
        ([(12.5, 14.2)], False),  # for longer than it is late
        ([(12.5, 13.2), (13.4, 14.2)], False),
        ([(12.5, 13.9)], True),  # for less
        ([(20.0, 30.0)], True),  # at another time
    ],
)
def test_a_late_write_is_void_when_the_machine_was_away_for_as_long_and_broken_otherwise(
    away: list[tuple[float, float]], stands: bool
) -> None:
    """The command ends at 12 s; 1.5 s more than the slack is too late."""
    story = good()
    story.writes += [(round(at * NS), 3000) for at in (13.0, 15.5)]
    story.away = [(round(at * NS), round(to * NS)) for at, to in away]
    assert kinds(story) == {TWICE}
    assert story.stands() is stands


def test_no_stall_explains_what_no_clock_judges() -> None:
    everything = [(0, 1000 * NS)]
    assert dataclasses.replace(good(), away=everything).stands()
    assert dataclasses.replace(good(), missing=(7,), away=everything).stands()
    assert dataclasses.replace(good(), orders=[order("received", "started", "started", "completed")]).stands()
    never = dataclasses.replace(good(), orders=[order()], away=everything)
    assert kinds(never) == {TWICE, ALIVE}
    assert never.stands()
    alive = good()
    alive.samples = [dataclasses.replace(s, remote=10 * NS < s.at_ns < 19 * NS) for s in alive.samples]
    assert not dataclasses.replace(alive, away=everything).stands()
    assert dataclasses.replace(alive, away=everything, missing=(7,)).stands()


def test_a_bench_that_was_stopped_saw_nothing_and_accuses_nobody() -> None:
    """A command of 40 s is in force while the bench is stopped, and ends within that; its first look after falls into
    the release."""
    story = Story([later(3000, 9.0, 40.0)], writes=[(10 * NS, 3000)], stated_end_ns=6 * NS)
    story.samples = [Sample(s * NS // 10, remote=95 <= s < 522, alive=True) for s in range(600) if not 110 < s < 520]
    assert story.wrong() == []
    story.samples = [dataclasses.replace(s, alive=s.at_ns < 52 * NS) for s in story.samples]
    assert kinds(story) == {ALIVE}, "nobody knows since when the daemon is dead"


# --- what is left behind ----------------------------------------------------------------------------------------------
class Broken:
    """A home in which a promise breaks; what it would leave."""

    seeds: list[str]

    def __init__(self, seed: str, directory: Path, _: Callable[[], None]) -> None:
        Broken.seeds.append(seed)
        (directory / "wire.jsonl").write_text("{}")

    def run(self, kills: int) -> Kills:
        story = good()
        story.writes += [(44 * NS, 3000)]
        return Kills(done=kills, story=story)


def test_a_home_in_which_a_promise_broke_leaves_all_that_it_had_and_a_story_to_judge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "Run", Broken)
    Broken.seeds = []
    report = campaign(2, 7, 2, keep=tmp_path / "keep", only=17)
    assert Broken.seeds == ["7/crash/17"] * 2, "what one home does can be asked for again"
    left = sorted((tmp_path / "keep").iterdir())
    assert [path.name[:16] for path in left] == ["crash_7_home_17_"] * 2
    sentence = "home 17: " + STRAY.format(at="44.0", late="32.0")
    assert report.extra["failures"] == [sentence] * 2
    assert [f.note for f in report.figures if f.name == TWICE] == [sentence]
    assert not report.ok
    assert (left[0] / "wire.jsonl").exists()
    read, told = evidence.read(left[0] / "story.json"), Broken("", tmp_path, lambda: None).run(1).story
    assert (read.orders, read.samples, read.writes) == (told.orders, told.samples, told.writes)
    assert read.wrong() == told.wrong()
    assert cli.main(["--judge", str(left[0] / "story.json")]) == 1
    assert sentence.removeprefix("home 17: ") in capsys.readouterr().out
    (tmp_path / "other.json").write_text("{}")
    assert cli.main(["--judge", str(tmp_path / "other.json")]) == 2
