"""The runner and its judges, on a stand-in world: what holds, what breaks, and what is never judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hil.expr import Value
from hil.judge import Verdict
from hil.runner import Outcome, Runner
from hil.scenario import parse
from hil.strict import FileError
from tests.hil.world import World

HEAD = """
[scenario]
name = "t"
duration = "60s"
[home]
soc_permille = 500
[[event]]
id = "cmd"
at = "10s"
do = "aggregator.dispatch"
args = { power_w = 5000, duration = "5m" }
[[event]]
at = "20s"
do = "bms.mute"
for = "15s"
"""


def run(text: str, world: World | None = None) -> Outcome:
    return Runner(parse(HEAD + text, "t.toml"), world or World(), 1).run()


def verdict(text: str) -> Verdict:
    return run('[[assert]]\nname = "x"\n' + text).verdicts[0]


@pytest.mark.parametrize(
    ("text", "ok", "measured"),
    [
        ('always = "truth.soc_permille > 490"', True, True),
        ('always = "truth.soc_permille > 499.9"', False, False),
        ('always = "truth.battery_w == 0"\nuntil = "cmd"', True, True),
        ('always = "truth.battery_w == 5000"\nafter = "cmd"\nfrom = "2s"\nto = "8s"', True, True),
        ('always = "truth.grid_w > 0"', False, False),  # unknown is a violation
        ('always = "truth.battery_w == 0"\nwhile = "truth.battery_w == 1"', False, False),  # never judged
        ('eventually = "truth.battery_w == 5000"', True, True),
        ('eventually = "truth.battery_w == 5000"\nbefore = "11s"', False, False),
        ('eventually = "truth.battery_w == 7"', False, False),
        ('after = "cmd"\nwithin = "2s"\nthat = "truth.battery_w == 5000"', True, 1.5),
        ('after = "cmd"\nwithin = "1s"\nthat = "truth.battery_w == 5000"', False, 1.5),
        ('after = "bms.mute"\nwithin_s = "agent.stated_end_s"\nthat = "truth.battery_w == 0"', True, 5.0),
        ('after = "bms.mute"\nwithin_s = "truth.grid_w"\nthat = "truth.battery_w == 0"', False, None),
        ('after = "cmd"\nwithin = "30s"\nthat = "truth.battery_w == 9"', False, None),
        ('after = "cmd"\nwithin = "3s"\nthat = "truth.battery_w == 5000"\nstays = true\nto = "9s"', True, 1.5),
        ('after = "cmd"\nwithin = "3s"\nthat = "truth.battery_w == 5000"\nstays = true', False, None),
        ('count = "write"\nwhere = "kind == \'power\'"\nexactly = 2', True, 2),
        ('count = "write"\nwhere = "kind == \'power\'"\nafter = "bms.mute"\nfrom = "3s"\nat_most = 0', False, 1),
        ('count = "write"\nafter = "bms.mute.end"\nat_most = 0', True, 0),
        ('count = "write"\nwhere = "words == \'x\' or value > 1"\nat_least = 3', False, 1),
        ('count = "write"\nwhere = "address > kind"\nat_most = 9', False, 0),  # cannot be judged
    ],
)
def test_verdicts(text: str, ok: bool, measured: object) -> None:
    seen = verdict(text)
    assert (seen.ok, seen.measured) == (ok, measured), seen.sentence
    assert seen.figure().holds is ok


def test_a_bound_of_a_hazard_that_held_before_and_ever_since_shows_nothing() -> None:
    seen = verdict('after = "cmd"\nwithin = "2s"\nthat = "truth.soc_permille > 0"\nhazard = 1')
    assert not seen.ok
    assert "was true before cmd and ever since: this shows no bound" in seen.sentence
    assert verdict('after = "cmd"\nwithin = "2s"\nthat = "truth.battery_w == 5000"\nhazard = 1').ok


def test_a_fault_that_the_world_never_shows_makes_the_run_fail() -> None:
    class Deaf(World):
        def functions(self) -> Mapping[str, Callable[..., Any]]:
            return {**super().functions(), "on": lambda name: False}

    text = '[[assert]]\nname = "x"\nalways = "True"'
    assert [(v.name, v.ok) for v in run(text).verdicts] == [("x", True)]
    broken = [v for v in run(text, Deaf()).verdicts if not v.ok]
    assert [(v.name, v.sentence) for v in broken] == [
        ("bms.mute took effect", "`on('mute:battery')` was never true: bms.mute did nothing")
    ]


def test_shows_the_extreme_and_the_timers_beside() -> None:
    seen = verdict(
        'always = "True"\nshow = "truth.soc_permille"\nfold = "min"\nunit = "permille"\ntimers = ["reversion_s"]'
    )
    assert seen.beside["min truth.soc_permille"] == "499.25 permille"
    assert (seen.beside["reversion_s here"], seen.beside["reversion_s default"]) == (6.0, 60.0)


def test_a_violation_says_when_and_with_which_values() -> None:
    seen = verdict('always = "truth.battery_w == 0"')
    assert seen.sentence == "at 11.50 s `truth.battery_w == 0` was False: truth.battery_w = 5000"


CHAPTERS = """
[scenario]
name = "t"
duration = "60s"
[[chapter]]
id = "one"
title = "dispatch is followed"
until = "truth.battery_w == 5000"
limit = "10s"
linger = "1s"
[[chapter]]
id = "two"
title = "a BMS falls silent"
limit = "20s"
[[event]]
id = "cmd"
chapter = "one"
at = "1s"
do = "aggregator.dispatch"
args = { power_w = 5000, duration = "5m" }
[[event]]
chapter = "two"
do = "bms.mute"
when = "chapter_s >= 2"
for = "6s"
[[assert]]
name = "ends"
chapter = "two"
after = "bms.mute"
within = "7s"
that = "truth.battery_w == 0"
"""


def test_chapters_end_when_they_are_done() -> None:
    world = World()
    outcome = Runner(parse(CHAPTERS, "t.toml"), world, 1).run()

    assert [(v.name, v.ok) for v in outcome.verdicts] == [("one", True), ("two", True), ("ends", True)]
    assert outcome.ended_ns == pytest.approx(11.5e9, abs=0.2e9)  # 1 + 1.5 + 1 linger, then 2 + 6
    assert [op for op, _ in world.calls] == ["dispatch", "mute", "mute", "discard"]
    assert [args.get("on") for _, args in world.calls[1:3]] == [True, False]


def test_a_chapter_that_does_not_come_true_fails_at_its_limit() -> None:
    outcome = Runner(parse(CHAPTERS.replace("battery_w == 5000", "battery_w == 1"), "t.toml"), World(), 1).run()

    first = outcome.verdicts[0]
    assert (first.ok, first.sentence) == (False, "`truth.battery_w == 1` did not come true")
    assert outcome.verdicts[1].ok
    assert not outcome.ok
    assert not outcome.report().ok


def test_the_world_is_stopped_whatever_happens() -> None:
    class Broken(World):
        def aggregator(self, op: str, label: str, **args: object) -> None:
            raise KeyboardInterrupt

    world = Broken()
    with pytest.raises(KeyboardInterrupt):
        run('[[assert]]\nname = "x"\nalways = "True"', world)
    assert world.finished == 1


def test_an_event_that_never_came_fails_what_waits_for_it() -> None:
    text = '[[event]]\nid = "late"\ndo = "home.load"\nargs = { w = 1 }\nwhen = "truth.battery_w == 3"\n'
    text += '[[assert]]\nname = "x"\nafter = "late"\nwithin = "3s"\nthat = "True"'
    seen = run(text).verdicts[0]
    assert (seen.ok, seen.sentence) == (False, "`late` never happened")


LATE = '[[event]]\nid = "late"\ndo = "home.load"\nargs = { w = 1 }\nwhen = "truth.battery_w == 3"\n'
HELD = '[[assert]]\nname = "x"\nalways = "True"\n'


def test_an_event_that_never_came_makes_the_run_fail() -> None:
    outcome = run(LATE + HELD)
    assert [(v.name, v.ok, v.sentence) for v in outcome.verdicts] == [
        ("x", True, "held in all 601 samples"),
        ("late came to pass", False, "`truth.battery_w == 3` was never true: home.load was never done"),
    ]
    assert not outcome.ok
    assert not outcome.report().ok


def test_but_not_one_that_the_file_says_may_not_come() -> None:
    assert run(f"{LATE}optional = true\n{HELD}").ok
    waits = HELD.replace("always", 'after = "late"\neventually')
    assert not run(f"{LATE}optional = true\n{waits}").ok, "what waits for it was not judged"


def test_a_chapter_waits_for_no_event_that_may_not_come() -> None:
    waiting = CHAPTERS.replace('when = "chapter_s >= 2"\nfor = "6s"', 'when = "truth.battery_w == 3"\nFLAG')
    text = waiting[: waiting.index("[[assert]]")]
    failed = Runner(parse(text.replace("FLAG", ""), "t.toml"), World(), 1).run()
    assert [v.sentence for v in failed.verdicts if not v.ok] == ["event bms.mute did not come to pass"]
    assert Runner(parse(text.replace("FLAG", "optional = true"), "t.toml"), World(), 1).run().ok


def test_a_fault_that_the_run_does_not_see_the_end_of_makes_it_fail() -> None:
    text = '[[event]]\nid = "cut"\ndo = "bms.mute"\nwhen = "t_s >= 50"\nfor = "30s"\n'
    broken = [v for v in run(text + HELD).verdicts if not v.ok]
    assert [(v.name, v.sentence) for v in broken] == [
        ("cut ended", "it would have ended at 80 s, behind the end of the run")
    ]


LAST = '[[event]]\nid = "end"\ndo = "moment"\nwhen = "t_s >= 50"\n'


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (
            'count = "write"\nat_most = 0\nfrom = "20s"',
            "its window was never open: from 70 s on, and it was over at 60 s",
        ),
        ('count = "write"\nat_most = 0\nto = "20s"', "its window lasts to 70 s, and it was over at 60 s"),
        ('always = "True"\nto = "20s"', "its window lasts to 70 s, and it was over at 60 s"),
        ('within = "2s"\nthat = "True"\nstays = true\nto = "20s"', "its window lasts to 70 s, and it was over at 60 s"),
        ('always = "True"\nfrom = "20s"', "`True` was never judged"),
    ],
)
def test_a_window_that_the_run_cut_short_holds_nothing(window: str, sentence: str) -> None:
    seen = run(f'{LAST}[[assert]]\nname = "x"\nafter = "end"\n{window}\n').verdicts[0]
    assert (seen.ok, seen.sentence) == (False, sentence)
    assert run(f'{LAST}[[assert]]\nname = "x"\nafter = "end"\n{window.replace("20s", "5s")}\n').verdicts[0].ok


def test_a_window_that_closes_before_it_opens_holds_nothing() -> None:
    text = f'{LAST}[[assert]]\nname = "x"\ncount = "write"\nat_most = 0\n'
    late = run(f'{text}from = "55s"\nuntil = "end"').verdicts[0]
    assert (late.ok, late.sentence) == (False, "its window was never open: from 55 s on, and it was over at 50 s")
    reverse = run(f'{text}after = "end"\nuntil = "bms.mute"').verdicts[0]
    assert (reverse.ok, reverse.sentence) == (False, "its window was never open: bms.mute came before end")


def test_what_the_world_does_not_understand_names_the_event() -> None:
    class Strange(World):
        def home(self, op: str, **args: Value) -> None:
            raise ValueError("there is no such thing here")

    with pytest.raises(FileError, match=r"^t: event bms\.mute\.do: bms\.mute: there is no such thing here$"):
        run(HELD, Strange())
