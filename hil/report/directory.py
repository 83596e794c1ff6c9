"""A report directory: figures.json, report.html and junit.xml of a finished run, beside its samples and events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from hil.report import junit
from hil.report.page import scenario_page
from hil.report.recording import Recording
from hil.runner import Outcome

PAGE = "report.html"


def unusable(directory: Path | None) -> str:
    """Why nothing can be written there, asked before a run of minutes; "" = it can, or nothing is to be written."""
    if directory is None:
        return ""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / PAGE).touch()
    except OSError as error:
        return f"--report {directory}: cannot be written: {error.strerror}; give another directory"
    return ""


def write(
    directory: Path, outcome: Outcome, recording: Recording, void: int = 0, others: Sequence[Recording] = ()
) -> Path:
    """The path of the page. `others`: the further homes of a fleet."""
    directory.mkdir(parents=True, exist_ok=True)
    report = outcome.report(void)
    report.write(directory / "figures.json")
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = f"{outcome.scenario.name}.{outcome.backend}"
    junit.write(directory / "junit.xml", report, suite, outcome.ended_ns / 1e9, now)
    path = directory / PAGE
    path.write_text(scenario_page(outcome, recording, void, others), encoding="utf-8")
    return path
