"""Which hazard is shown by which scenario on which backend, and how fast: made of runs, and of runs that were kept.

A cell is one assertion that names a hazard, as one run judged it, or the worst of several. A hazard with a bound in
seconds is covered by a cell whose own bound is not wider than the table's. A run that broke any promise shows nothing.

What was kept counts as long as its scenario says the same. Whether the source has changed since is told with each row.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import fcntl
import functools
import hashlib
import json
import subprocess
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core.params import Timers
from hil import scenario as scenarios
from hil.campaign.resume import TRIED, source
from hil.figures import Figure, Scalar, machine
from hil.hazards import HAZARDS, Hazard
from hil.runner import Outcome
from hil.scenario import Assertion, Scenario, Spread
from hil.strict import FileError

KEPT = Path(__file__).with_name("results")
CLONE = Path(__file__).parents[1]
NS = 1_000_000_000
AFTER_END_S = 5  # what is held off lasts so much longer than the inverter's own timer
SETTLE_S = 30  # for what is asked after that: nothing is hurried any more


@dataclass(frozen=True, slots=True)
class Cell:
    """One hazard, one assertion of one scenario, one run. `measured` in `unit`; `reach` as the assertion asks it."""

    hazard: int
    scenario: str
    backend: str
    assertion: str
    measured: Scalar
    unit: str
    reach: str
    ok: bool
    seed: int
    runs: int = 1  # at so many phases of the fault, each with a seed of its own; `measured` is the worst
    phase_ms: int = 0  # the one that `measured` is of
    story: str = ""  # what the scenario said, as `story_of` tells it
    source: str = ""  # what was tried, as hil.campaign.resume tells it; "" = unknown
    commit: str = ""
    date: str = ""

    @property
    def holds(self) -> bool:
        """It held, with a bound that the hazard table accepts."""
        required = HAZARDS[self.hazard].bound(self.scenario)
        if not self.ok or required is None or not self.reach.startswith("<= ") or self.unit != "s":
            return self.ok
        return float(self.reach.partition(" ")[2]) <= required

    def figure(self, kept: str = "") -> Figure:
        """The cell as a figure that holds exactly when the cell does."""
        row = HAZARDS[self.hazard]
        beside: dict[str, Scalar] = {"required": row.asked(self.scenario), "by": f"{self.scenario} on {self.backend}"}
        if self.runs > 1:
            beside["worst of"] = f"{self.runs} phases, at +{self.phase_ms} ms"
        if self.date or kept:
            beside["kept"] = self.age() if self.date else kept
        name = f"{self.hazard:2} {row.name}: {self.assertion}"
        figure = Figure(name, self.measured, self.unit, self.reach, beside)
        return figure if figure.holds is self.holds else Figure(name, self.holds, "", "== true", beside)

    def age(self) -> str:
        """Of which source a kept cell is, for people."""
        if self.source and self.source == source():
            return f"{self.date}, this source"
        count = changed_since(self.commit)
        files = "an unknown number of" if count is None else str(count)
        return f"{self.date}, commit {self.commit}, {files} files of the product and the bench changed since"


@dataclass(frozen=True, slots=True)
class Kept:
    """Cells of an earlier run, and what they were measured with."""

    commit: str
    date: str
    backend: str
    machine: Mapping[str, Scalar]
    cells: tuple[Cell, ...]


def shipped() -> list[Scenario]:
    """Every scenario that shows a hazard, by name."""
    all_of_them = (scenarios.load(path) for path in sorted(scenarios.DIRECTORY.glob("*.toml")))
    return [scenario for scenario in all_of_them if shown_by(scenario)]


def shown_by(scenario: Scenario) -> list[Assertion | Spread]:
    """Its assertions that name a hazard."""
    every: list[Assertion | Spread] = [*scenario.assertions, *scenario.spreads]
    return [each for each in every if each.hazard is not None]


def cells_of(outcome: Outcome, phase_ms: int = 0) -> list[Cell]:
    """What one run shows. A run that broke any of its promises, or in which a fault did nothing, shows nothing."""
    named = {a.name: a.hazard for a in shown_by(outcome.scenario) if a.hazard is not None}
    sound = outcome.ok
    return [
        Cell(
            named[v.name], outcome.scenario.name, outcome.backend, v.name, v.measured, v.unit, v.reach,
            v.ok and sound, outcome.seed, 1, phase_ms,
        )
        for v in outcome.verdicts
        if v.name in named
    ]  # fmt: skip


def worst(cells: Sequence[Cell]) -> Cell:
    """Of the same assertion, as several runs judged it: one that did not hold, else the largest."""

    def bad(cell: Cell) -> tuple[bool, bool, float]:
        number = isinstance(cell.measured, int | float)
        return not cell.ok, not number, float(cell.measured or 0) if number else 0.0

    return dataclasses.replace(max(cells, key=bad), runs=sum(cell.runs for cell in cells))


def story_of(scenario: Scenario) -> str:
    """Twelve characters over what its file says; comments and wording of `about` are no part of it."""
    try:
        raw = tomllib.loads(scenarios.find(scenario.name).read_text(encoding="utf-8"))
    except (FileError, OSError, ValueError):
        return ""
    raw.get("scenario", {}).pop("about", None)
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:12]


def standing(kept: Iterable[Cell]) -> list[Cell]:
    """Of kept cells those whose scenario still says what was measured."""
    stories = {scenario.name: story_of(scenario) for scenario in shipped()}
    names = {(s.name, each.name, each.hazard) for s in shipped() for each in shown_by(s)}
    return [c for c in kept if (c.scenario, c.assertion, c.hazard) in names and c.story == stories[c.scenario]]


def missing(cells: Iterable[Cell]) -> list[Hazard]:
    """Rows that no cell shows, or a variant of which none does, and rows that a process must show and does not."""
    held = [cell for cell in cells if cell.holds]
    variants = {row.number: set(row.variants) for row in HAZARDS.values()}
    shown: dict[int, set[str]] = {}
    for cell in held:
        shown.setdefault(cell.hazard, set()).add(cell.scenario)
    anywhere = {number for number, by in shown.items() if variants[number] < by}
    on_process = {cell.hazard for cell in held if cell.backend == "process"}
    return [row for row in HAZARDS.values() if row.number not in (on_process if row.process else anywhere)]


def figures(cells: Sequence[Cell], kept: Mapping[str, str]) -> list[Figure]:
    """A row for each cell, then how many hazards are covered. `kept`: backend -> where its cells are from."""
    shown = sorted(cells, key=lambda c: (c.hazard, c.backend != "virtual", c.scenario))
    rows = [cell.figure(kept.get(cell.backend, "")) for cell in shown]
    gaps = missing(cells)
    old = {cell.hazard for cell in cells if cell.date and cell.source != source()}
    beside: dict[str, Scalar] = {"of": len(HAZARDS)}
    if gaps:
        beside["missing"] = ", ".join(f"{g.number}{' on process' if g.process else ''}" for g in gaps)
    if old:
        beside["with a row of another source"] = ", ".join(map(str, sorted(old)))
    covered = len(HAZARDS) - len(gaps)
    return [*rows, Figure("hazards covered", covered, "", f"== {len(HAZARDS)}", beside)]


def write(path: Path, backend: str, cells: Sequence[Cell]) -> None:
    """Keep the cells of a run, each with commit, date and source. Cells of scenarios that were not run stay, as long
    as their scenario says the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs may end at once, each with rows of its own
        _write(path, backend, cells)


def _write(path: Path, backend: str, cells: Sequence[Cell]) -> None:
    date, mine = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"), commit()
    stories = {scenario.name: story_of(scenario) for scenario in shipped()}
    ran = {cell.scenario for cell in cells}
    before = read(path)
    others = [] if before is None else [cell for cell in standing(before.cells) if cell.scenario not in ran]
    fresh = [
        dataclasses.replace(cell, story=stories.get(cell.scenario, ""), source=source(), commit=mine, date=date)
        for cell in cells
    ]
    every = sorted([*others, *fresh], key=lambda c: (c.scenario, c.hazard, c.assertion))
    raw = {
        **dataclasses.asdict(Kept(mine, date, backend, machine(), ())),
        "cells": [dataclasses.asdict(cell) for cell in every],
    }
    path.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Kept | None:
    """What `write` kept, or None when there is none. ValueError for a file that is no such thing."""
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Kept(**{**raw, "cells": tuple(Cell(**cell) for cell in raw["cells"])})
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} holds no results of hil coverage: {error}; make it anew with --keep") from None


def commit() -> str:
    """The clone's, with + when files differ from it; "unknown" outside of git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=CLONE, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


@functools.cache
def changed_since(old: str) -> int | None:
    """Files of the product and the bench that differ from that commit; None = it cannot be said."""
    try:
        done = subprocess.run(
            ["git", "diff", "--name-only", old.rstrip("+"), "--", *TRIED],
            cwd=CLONE, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return None
    return len(done.stdout.splitlines()) if done.returncode == 0 else None


def unhurried(scenario: Scenario) -> Scenario:
    """The same with the timers that a home has when nobody shortens them. What is held off (`for`) lasts long enough
    for the inverter's own timer, and all that follows comes that much later; the bounds stay as they are."""
    config = {name: section for name, section in scenario.config.items() if name != "timers"}
    least = (Timers().reversion_s + AFTER_END_S) * NS
    more = {e.id: max(0, least - e.for_ns) for e in scenario.events if e.for_ns is not None}

    def later(at_ns: int) -> int:
        return at_ns + sum(more[e.id] for e in scenario.events if e.id in more and e.at_ns < at_ns)

    events = tuple(
        dataclasses.replace(e, at_ns=later(e.at_ns), for_ns=None if e.for_ns is None else max(e.for_ns, least))
        for e in scenario.events
    )
    length_ns = later(scenario.duration_ns) + SETTLE_S * NS
    return dataclasses.replace(scenario, config=config, events=events, duration_ns=length_ns)
