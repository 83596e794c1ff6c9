"""A state file belongs to one run at a time, and one that cannot be written is told before anything is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hil.campaign import cli as campaign
from hil.campaign.case import Deck
from hil.campaign.observer import PROMISES
from hil.campaign.resume import ROOT, Resume
from hil.crash import cli as crash
from hil.crash.story import LOST
from hil.fuzz import cli as fuzz
from hil.long import cli as long
from hil.powercut import cli as powercut
from hil.powercut.tally import KINDS
from hil.strict import FileError
from hil.teeth import cli as teeth

SECOND = (
    "import pathlib, sys; from hil.campaign.resume import Resume; Resume(pathlib.Path(sys.argv[1]), 'crash', 1).load()"
)


def _second(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SECOND, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_second_run_of_a_file_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    mine = Resume(path, "crash", 1)
    assert mine.load() is None
    mine.save({"homes": 1})
    assert mine.load() == {"homes": 1}
    second = _second(path)
    assert second.returncode != 0
    assert "another run goes on with it" in second.stderr


def test_a_run_that_ended_leaves_its_file_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert _second(path).returncode == 0
    assert Resume(path, "crash", 1).load() is None


def test_where_nothing_can_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        Resume(tmp_path / "nowhere" / "state.json", "crash", 1).load()


# --- what cannot have been counted so ---------------------------------------------------------------------------------
def _campaign() -> dict[str, Any]:
    cases = [Deck(1).case(number) for number in range(3)]
    faults = sum(act.id.startswith("fault") for case in cases for act in case.acts)
    seconds = sum(case.length_s for case in cases)
    body = {"done": 3, "seconds": seconds, "cycles": 900, "acting": 300, "margin_permille": 12.5, "faults": faults}
    return body | {"crossed": 0, "wrong": {}, "tried": {"bms.mute": 2}, "shown": {"bms.mute": 1}, "failures": []}


def _crash() -> dict[str, Any]:
    done = {"done": 50, "in_start": 9, "remote": 20, "unsettled": 35, "commands": 40, "acted": 15, "replays": 60}
    return {"homes": 2, "void": 0, "done": done, "wrong": {}, "found": []}


def _powercut() -> dict[str, Any]:
    body = {"cuts": 150, "lives": 2, "writes": 4000, "syncs": 900, "unfinished": 100, "first": ""}
    return body | {"wrong": dict.fromkeys(KINDS, 0)}


RUNS: dict[str, tuple[Callable[[Sequence[str]], int], list[str], dict[str, Any]]] = {
    "campaign": (campaign.main, ["--device-days", "0.0001"], _campaign()),
    "crash": (crash.main, ["--kills", "50"], _crash()),
    "powercut": (powercut.main, ["--cuts", "150"], _powercut()),
}


def _state(tmp_path: Path, what: str, counted: object) -> Path:
    path = tmp_path / "state.json"
    resume = Resume(path, what, 1)
    head = {"what": what, "seed": 1, "source": resume.source, "commit": resume.commit}
    path.write_text(json.dumps(head | {"counted": counted}))
    return path


@pytest.mark.parametrize("what", RUNS)
def test_what_was_counted_is_gone_on_with(what: str, tmp_path: Path) -> None:
    main, words, counted = RUNS[what]
    assert main([*words, "--state", str(_state(tmp_path, what, counted))]) == 0


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("campaign", {"seconds": 8_640_000}),
        ("campaign", {"done": 4}),
        ("campaign", {"done": 10**12}),
        ("campaign", {"faults": 10**6}),
        ("campaign", {"acting": 901}),
        ("campaign", {"cycles": 0, "acting": 0}),
        ("campaign", {"margin_permille": float("nan")}),
        ("campaign", {"wrong": {"nothing of the kind": 1}}),
        ("campaign", {"wrong": {PROMISES[0]: 1}}),
        ("campaign", {"shown": {"bms.mute": 3}}),
        ("campaign", {"failures": ["one"]}),
        ("campaign", {"failures": "one"}),
        ("campaign", {"more": 1}),
        ("crash", {"homes": 1}),
        ("crash", {"homes": 51}),
        ("crash", {"homes": True}),
        ("crash", {"done": _crash()["done"] | {"remote": 51}}),
        ("crash", {"done": _crash()["done"] | {"acted": 41}}),
        ("crash", {"done": _crash()["done"] | {"lived": 1}}),
        ("crash", {"done": []}),
        ("crash", {"found": [["lost"]]}),
        ("crash", {"found": [[LOST, "home 1: gone"]]}),
        ("crash", {"wrong": {LOST: 1}}),
        ("powercut", {"cuts": 100_000}),
        ("powercut", {"cuts": -1}),
        ("powercut", {"cuts": 1}),
        ("powercut", {"unfinished": 151}),
        ("powercut", {"writes": 0}),
        ("powercut", {"first": "lost"}),
        ("powercut", {"first": None}),
        ("powercut", {"wrong": {KINDS[0]: 1}}),
        ("powercut", {"wrong": {KINDS[0]: 0.5}}),
    ],
)
def test_what_cannot_have_been_counted_so_is_refused(
    what: str, change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main, words, counted = RUNS[what]
    assert main([*words, "--state", str(_state(tmp_path, what, counted | change))]) == 2
    assert "delete it, or give another path" in capsys.readouterr().err


@pytest.mark.parametrize("what", RUNS)
def test_a_count_that_is_missing_is_refused(what: str, tmp_path: Path) -> None:
    main, words, counted = RUNS[what]
    for name in counted:
        rest = {key: value for key, value in counted.items() if key != name}
        assert main([*words, "--state", str(_state(tmp_path, what, rest))]) == 2, name


@pytest.mark.parametrize(
    "parts", [[], {"campaign": 1}, {"campaign": {"much": 1}}, {"crash": {"amount": 5}}, {"crash": {"amount": "5"}}]
)
def test_a_long_run_whose_file_was_changed_is_refused(
    parts: object, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "setpriority", lambda *_: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    _state(tmp_path, "long", {"commits": [], "parts": parts}).rename(tmp_path / "long.json")
    assert long.main(["--state-dir", str(tmp_path)]) == 2
    assert "what it counts cannot be" in capsys.readouterr().err


# --- arguments --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("main", "words", "said"),
    [
        (campaign.main, "--device-days inf", "'inf': a number above 0 expected"),
        (fuzz.main, f"jws --corpus {__file__}", "a file; give a directory"),
        (fuzz.main, f"jws --corpus {__file__}/deeper", "give a directory that can be made"),
        (fuzz.main, "jws --inputs 0", "a whole number from 1 on expected"),
        (teeth.main, "reserve_ignored no_such_defect", "no defect is called no_such_defect; --list"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    main: Callable[[Sequence[str]], int], words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
