"""A state file belongs to one run at a time, and one that cannot be written is told before anything is done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hil.campaign.resume import ROOT, Resume
from hil.strict import FileError

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
