"""Scoreboard, plain lines, screen and report directory: what a person sees of a run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rich.console import Console

from hil.judge import Verdict
from hil.report.outcome import Recorder
from hil.report.plain import PlainLines
from hil.report.scoreboard import scoreboard
from hil.report.screen import Screen
from hil.runner import Runner
from hil.scenario import find, load, parse
from tests.hil.test_runner import CHAPTERS
from tests.hil.world import World


def _verdict(name: str, ok: bool, promise: str = "", **beside: float) -> Verdict:
    return Verdict(name, "", promise, ok, 5.3 if ok else None, "s", "<= 13", "took 5.3 s", beside)


def test_scoreboard_shows_each_promise_its_value_and_timers_side_by_side() -> None:
    beside = {"reversion_s here": 6.0, "reversion_s default": 60.0}
    text = scoreboard(
        [
            _verdict("the timer ended it", True, "no watt flows unwatched", **beside),
            _verdict("SoC never below", False, "the home keeps its reserve"),
            _verdict("found", True, "the bus is found"),
        ],
        ["found"],
        80,
    )
    lines = text.splitlines()

    assert all(len(line) <= 80 for line in lines)
    assert any("ok  the timer ended it" in line and "5.3 s (<= 13 s)" in line for line in lines)
    assert any(line.startswith("xx  SoC never below") for line in lines)
    assert any(line.split() == ["reversion_s", "6", "s", "60", "s"] for line in lines)
    assert lines[-1] == "xx  1 of 3 did not hold: SoC never below"


def test_plain_lines_tell_the_story() -> None:
    said: list[str] = []
    Runner(parse(CHAPTERS, "t.toml"), World(), 1, PlainLines(said.append, 2)).run()

    text = "\n".join(said)
    assert "1/2 dispatch is followed" in text
    assert "> cmd: a signed dispatch; + = discharge (power_w 5000" in text
    assert "ok ends: 5s, bound 7s" in text


def test_screen_fits_80_by_24() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, color_system=None)
    scenario = load(find("demo"))
    screen = Screen(scenario.chapters, console)
    screen.chapter(scenario.chapters[0], 0)
    screen.sample(0, World().signals())
    console.print(screen.draw())

    lines = out.getvalue().splitlines()
    assert len(lines) + 5 <= 24  # and five lines of log
    assert all(len(line) <= 80 for line in lines)
    assert ">>  1 bus found" in out.getvalue()


def test_report_directory_holds_samples_and_events(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r") as recorder:
        Runner(parse(CHAPTERS, "t.toml"), World(), 1, recorder).run()

    samples = list(csv.DictReader((tmp_path / "r" / "samples.csv").read_text(encoding="utf-8").splitlines()))
    lines = (tmp_path / "r" / "events.csv").read_text(encoding="utf-8").splitlines()
    events = [row["what"] for row in csv.DictReader(lines)]
    assert samples[0]["truth.soc_permille"] == "500.0"
    assert len(samples) >= 10
    assert events.count("chapter") == 2
    assert events.count("ok") == 3
