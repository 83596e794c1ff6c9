"""The longer run: slices in turn, goes on where it stopped, refuses another source; the page is of the kept result."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hil.campaign import resume
from hil.campaign.resume import ROOT, Resume, source
from hil.long import cli, run
from hil.long.page import BEGIN, END, page, section
from hil.long.part import PURE, Part, parts
from hil.long.run import Long
from hil.strict import FileError

PAGE = ROOT / "docs" / "reliability.md"


def rows(directory: Path, kills: int = 40) -> Sequence[Part]:
    return parts(2.0, kills, 200, 4_000, directory, 2)


class Commands:
    """Stands for the commands: does what it is asked at once, and remembers it."""

    def __init__(self, wrong: str = "") -> None:
        self.asked: list[Sequence[str]] = []
        self._wrong = wrong

    def __call__(self, words: Sequence[str]) -> dict[str, Any]:
        self.asked.append(words)
        name = {"campaign": "device-days", "crash": "kills", "powercut": "power cuts", "fuzz": "inputs"}[words[0]]
        option = next(n for n, word in enumerate(words) if word.startswith("--"))
        done = figure(name, float(words[option + 1]), beside={"homes": 2})
        bad = words[0] == self._wrong
        return {"figures": [done, figure("lost", int(bad), holds=not bad, note="row 7 is gone" if bad else "")]}


def figure(
    name: str, value: float, holds: bool = True, beside: dict[str, int] | None = None, note: str = ""
) -> dict[str, Any]:
    return {"name": name, "value": value, "holds": holds, "beside": beside or {}, "note": note}


def test_every_part_comes_to_what_is_asked_a_slice_at_a_time(tmp_path: Path) -> None:
    commands = Commands()
    long = Long(rows(tmp_path), 7, tmp_path, commands)
    long.run(float("inf"), 2)
    result = long.result()
    assert result["complete"] and result["ok"]
    assert {row["name"]: row["done"] for row in result["parts"]} == {p.name: p.asked for p in long.parts}
    verbs = [words[0] for words in commands.asked]
    counted = {verb: verbs.count(verb) for verb in ("campaign", "crash", "powercut", "fuzz")}
    assert counted == {"campaign": 200, "crash": 20, "powercut": 20, "fuzz": 20 * len(PURE)}
    assert verbs.index("crash") == 1, "a slice of each in turn"
    seeds = {words[words.index("--seed") + 1] for words in commands.asked if words[:2] == ["fuzz", "jws"]}
    assert len(seeds) == 20, "no slice of inputs is tried twice"


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Stopped(Commands):
        def __call__(self, words: Sequence[str]) -> dict[str, Any]:
            if len(self.asked) == 5:
                raise KeyboardInterrupt
            return super().__call__(words)

    first, second = Stopped(), Commands()
    with pytest.raises(KeyboardInterrupt):
        Long(rows(tmp_path), 7, tmp_path, first).run(float("inf"), 1)
    long = Long(rows(tmp_path), 7, tmp_path, second)
    assert long.done["campaign"].amount == pytest.approx(2.0 / 200)
    long.run(float("inf"), 1)
    assert long.result()["complete"]
    assert len(first.asked) + len(second.asked) == sum(part.slices for part in long.parts)


def test_time_that_is_up_ends_it_between_two_slices(tmp_path: Path) -> None:
    long = Long(rows(tmp_path), 7, tmp_path, Commands())
    long.run(0.0, 1)
    assert not long.result()["complete"]


@pytest.mark.parametrize("verb", ["crash", "fuzz"])
def test_what_a_slice_found_stays_found(tmp_path: Path, verb: str) -> None:
    long = Long(rows(tmp_path), 7, tmp_path, Commands(verb))
    long.run(float("inf"), 1)
    result = long.result()
    assert not result["ok"]
    found = {row["name"]: row["missed"] for row in result["parts"] if row["missed"]}
    assert found == ({"crash": {"lost": 1}} if verb == "crash" else {f"fuzz {p}": {"lost": 20} for p in PURE})
    text = page(result, "long-7.json")
    assert "| lost: " in text and "row 7 is gone" in text


def test_a_part_tells_its_rate_and_what_is_left(tmp_path: Path) -> None:
    long = Long(rows(tmp_path), 7, tmp_path, Commands())
    done = long.done["crash"]
    done.amount, done.seconds = 10, 36.0
    assert long.line(long.parts[1]) == "-- crash: 10 of 40 kills, 3.6 s a kill, 0.0 h left; nothing found"


def test_a_command_that_prints_no_figures_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "python", lambda: "/bin/false")
    with pytest.raises(FileError, match="crash --kills 1` ended with 1"):
        run.ask(["crash", "--kills", "1"])


def test_the_installed_daemon_is_used_and_must_be_of_this_source(tmp_path: Path) -> None:
    python = run.python.__wrapped__
    assert python(tmp_path) == sys.executable
    for name in ("agent", "drivers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.py").write_text("1\n")
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "one.py").write_text("1\n")
    fake = tmp_path / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\necho {tmp_path}/site/agent\necho {tmp_path}/site/drivers\n")
    fake.chmod(0o755)
    fake.with_name("batteryd").touch()
    assert python(tmp_path) == str(fake)
    (tmp_path / "drivers" / "one.py").write_text("2\n")
    with pytest.raises(FileError, match=r"drivers/one.py differs\): make env"):
        python(tmp_path)


def test_a_real_slice_prints_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "setpriority", lambda *which: None)
    result = tmp_path / "long-1.json"
    monkeypatch.setattr(cli, "parts", lambda *asked: [p for p in parts(*asked) if p.name in ("powercut", "fuzz codec")])
    words = ["--state-dir", str(tmp_path), "--cuts", "30", "--inputs", "60", "--hours", "1", "--result", str(result)]
    assert cli.main(words) == 0
    kept_rows = {row["name"]: row for row in json.loads(result.read_text())["parts"]}
    assert kept_rows["powercut"]["done"] == 30
    assert kept_rows["fuzz codec"]["done"] == 60


# --- what a state file is of ------------------------------------------------------------------------------------------
def test_the_source_is_what_a_run_passes_through(tmp_path: Path) -> None:
    for name in ("agent/core", "hil/bench", "docs", "drivers/profiles"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "agent/core/step.py").write_text("1")
    first = source(tmp_path)
    source.cache_clear()
    (tmp_path / "docs/x.md").write_text("1")
    (tmp_path / "hil/bench/cli.py").write_text("1")
    assert source(tmp_path) == first
    source.cache_clear()
    (tmp_path / "drivers/profiles/x.toml").write_text("1")
    assert source(tmp_path) != first


def test_a_state_of_another_commit_of_the_same_source_is_taken_and_of_another_source_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    Resume(path, "crash", 1, "aaa", "first").save({"done": 3})
    assert Resume(path, "crash", 1, "aaa", "second").load() == {"done": 3}
    with pytest.raises(FileError, match=r"source aaa, commit first; this run is .* source bbb, commit second"):
        Resume(path, "crash", 1, "bbb", "second").load()


def test_what_is_left_out_of_the_source_is_there() -> None:
    assert all((ROOT / name).exists() for name in resume.SHOWN)


# --- the page ---------------------------------------------------------------------------------------------------------
def test_the_page_is_of_the_kept_result() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) : text.index(END) + len(END)] + "\n" == section(), "python -m hil long --page"


def test_the_section_is_made_of_the_last_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hil.long.page.RESULTS", tmp_path)
    assert cli.main(["--page"]) == 0
    assert "None is on record yet." in capsys.readouterr().out
    long = Long(rows(tmp_path), 7, tmp_path, Commands())
    long.run(float("inf"), 1)
    for name in ("long-1.json", "long-2.json"):
        (tmp_path / name).write_text(json.dumps(long.result()))
    assert cli.main(["--page"]) == 0
    shown = capsys.readouterr().out
    assert "hil/results/long-2.json" in shown
    assert "| `python -m hil crash --kills 40 --seed 7` | 40 kills | 40 | nothing |" in shown
    assert "All that was asked is done." in shown
    assert "- crash: homes 2" in shown


def test_a_run_that_is_not_complete_says_so(tmp_path: Path) -> None:
    assert "It is not complete" in page(Long(rows(tmp_path), 7, tmp_path, Commands()).result(), "x.json")
