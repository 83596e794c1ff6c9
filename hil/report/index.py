"""The page over many runs: the hazard table as measured, and a line a run that leads to its own page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from hil import coverage
from hil.coverage import Cell
from hil.figures import Report, machine
from hil.hazards import HAZARDS
from hil.report import junit
from hil.report.page import Section, page
from hil.report.scale import lasting
from hil.report.tables import hazard_table, mark, table
from hil.runner import Outcome

PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class Line:
    """One run. `href`: its page, relative to this one; "" = it has none."""

    name: str
    backend: str
    about: str
    seconds: float
    held: int
    judged: int
    href: str = ""


def line_of(outcome: Outcome, href: str = "") -> Line:
    """What the index says of a run."""
    held, scenario = sum(v.ok for v in outcome.verdicts), outcome.scenario
    seconds = outcome.ended_ns / 1e9
    return Line(scenario.name, outcome.backend, scenario.about, seconds, held, len(outcome.verdicts), href)


def write(
    directory: Path, report: Report, lines: Sequence[Line], cells: Sequence[Cell], kept: Mapping[str, str], every: bool
) -> Path:
    """report.html, figures.json and junit.xml; `every`: hazards that nothing shows are gaps."""
    directory.mkdir(parents=True, exist_ok=True)
    report.write(directory / "figures.json")
    now = dt.datetime.now(dt.UTC)
    junit.write(
        directory / "junit.xml",
        report,
        "coverage",
        sum(line.seconds for line in lines),
        now.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    path = directory / PAGE
    path.write_text(index_page(report, lines, cells, kept, every), encoding="utf-8")
    return path


def index_page(
    report: Report, lines: Sequence[Line], cells: Sequence[Cell], kept: Mapping[str, str], every: bool
) -> str:
    """The file."""
    broken = [line for line in lines if line.held < line.judged or not line.judged]
    shown = len(HAZARDS) - len(coverage.missing(cells))
    words = (
        f"{shown} of {len(HAZARDS)} hazards shown" if every else f"{len({c.hazard for c in cells})} hazards measured"
    )
    ok = report.ok and not broken
    broke = f", {len(broken)} of {len(lines)} runs broke a promise" if broken else ""
    head = (
        f'<header><p class="over">{escape(report.title)}</p><h1>Hazards</h1>'
        f'<p class="verdict {"good" if ok else "bad"}">{"✓" if ok else "✗"} {words}{broke}</p>'
        f'<p class="dim">{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {escape(coverage.commit())}, '
        f"{escape(', '.join(f'{name} {value}' for name, value in machine().items()))}</p></header>"
    )
    sections = [
        Section("hazards", "Measured beside required", hazard_table(cells, kept, every=every)),
        Section("runs", "The runs", table(("", "run", "backend", "long", "held"), [_run(line) for line in lines])),
    ]
    return page("hazards", head, sections)


def _run(line: Line) -> tuple[str, Sequence[str]]:
    ok = line.judged > 0 and line.held == line.judged
    name = f'<a href="{escape(line.href)}">{escape(line.name)}</a>' if line.href else escape(line.name)
    about = f'{name}<div class="dim">{escape(line.about)}</div>'
    cells = (mark(ok), about, escape(line.backend), lasting(line.seconds), f"{line.held} of {line.judged}")
    return "good" if ok else "bad", cells
