"""`python -m hil coverage`: hazard x scenario x backend, measured beside required, from runs that it makes.

Virtual scenarios are run in one go, and each bound in seconds at several phases of its fault: the worst is what counts.
Process rows take minutes: those that only a process can show are run when asked for, and else read from the file that
the last such run kept, with its commit and date.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hil import coverage, fleet, phases
from hil.backends import make_backend
from hil.coverage import Cell
from hil.figures import Report
from hil.program import of_this_source
from hil.progress import TIMES, Progress
from hil.report import directory as reports
from hil.report import index
from hil.report.recording import Recording
from hil.runner import Outcome
from hil.scenario import Scenario
from hil.stall import unstalled
from hil.strict import FileError
from hil.talk import say

BACKENDS = ("virtual", "process")


def main(argv: Sequence[str]) -> int:
    """Run and print; the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if why := reports.unusable(args.report):
        say(why)
        return 2
    asked: list[str] = args.backend or ["virtual"]
    if args.default_timers and (asked != ["process"] or args.keep):
        parser.error(
            "--default-timers goes with --backend process alone, and is not kept: the bounds are judged beside"
        )
    known = coverage.shipped()
    unknown = sorted(set(args.only or ()) - {s.name for s in known})
    if unknown:
        say(f"no scenario {unknown[0]!r} shows a hazard; known: {', '.join(s.name for s in known)}")
        return 2
    chosen = [s for s in known if args.only is None or s.name in args.only]
    plan = {backend: _chosen(backend, chosen, args) for backend in BACKENDS if backend in asked}
    if not any(plan.values()):
        names = ", ".join(f"{s.name} ({' and '.join(s.backends)})" for s in chosen)
        say(f"nothing to run on {' or '.join(asked)}: {names}; say --backend, or leave --only away")
        return 2
    try:
        if plan.keys() - {"virtual"}:
            of_this_source()
    except FileError as error:
        say(str(error))
        return 2
    cells: list[Cell] = []
    kept: dict[str, str] = {}
    lines: list[index.Line] = []
    for backend in BACKENDS:
        if backend in plan:
            offsets = phases.PHASES_MS[: args.phases] if backend == "virtual" else (0,)
            measured = run(backend, plan[backend], say, args.report, lines, offsets)
            cells += measured
            if args.keep and measured:
                coverage.write(_file(backend), backend, measured)
        elif args.only is None and (old := coverage.read(_file(backend))) is not None:
            kept[backend] = f"{old.date}, commit {old.commit}"
            cells += coverage.standing(old.cells)
    figures = coverage.figures(cells, kept)
    extra = {"commit": coverage.commit(), "kept": kept}
    if args.only is not None or args.default_timers:
        figures = figures[:-1]
    report = Report("hazards, measured beside required", figures, None, 0, extra)
    if args.report is not None:
        say(f"report: {index.write(args.report, report, lines, cells, kept, args.only is None)}")
    return report.print(as_json=args.json)


def _chosen(backend: str, chosen: Sequence[Scenario], args: argparse.Namespace) -> list[Scenario]:
    alone = backend == "virtual" or args.all or args.only is not None
    now = [s for s in chosen if s.backends == (backend,) or (alone and backend in s.backends)]
    return [coverage.unhurried(s) for s in now] if args.default_timers else now


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hil coverage", description="Every hazard, measured.")
    most = len(phases.PHASES_MS)
    parser.add_argument(
        "--backend", action="append", choices=BACKENDS, help="run these; default: virtual, and process as kept"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only these scenarios; then gaps are no failure"
    )
    parser.add_argument("--all", action="store_true", help="on process also those that virtual shows (half an hour)")
    parser.add_argument(
        "--default-timers", action="store_true", help="process rows with the timers of a real home; minutes each"
    )
    parser.add_argument(
        "--phases", type=int, choices=range(1, most + 1), default=most, metavar="N",
        help=f"virtual: measure each bound with its fault at so many instants of a second; default: {most}, all",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help=f"keep what is measured in {coverage.KEPT}")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html there, and a page a run")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def run(
    backend: str,
    chosen: Sequence[Scenario],
    tell: Callable[[str], None],
    report: Path | None = None,
    lines: list[index.Line] | None = None,
    offsets: Sequence[int] = (0,),
) -> list[Cell]:
    """One whole run of each, with a bar for all; what broke is told at once. Pages go below `report`, a line each.
    `offsets`: bounds in seconds are measured with the fault so many ms later as well; the first is 0."""
    cells: list[Cell] = []
    with Progress(f"coverage on {backend}", sum(s.duration_ns for s in chosen) / 1e9, unit=TIMES) as bar:
        for scenario in chosen:
            name = f"{scenario.name}-{backend}"
            outcome = run_one(scenario, backend, tell, None if report is None else report / name)
            if lines is not None:
                lines.append(index.line_of(outcome, "" if report is None else f"{name}/{reports.PAGE}"))
            for verdict in outcome.verdicts:
                if not verdict.ok:
                    tell(f"xx {scenario.name} on {backend}: {verdict.name}: {verdict.sentence}")
            cells += _at_worst(coverage.cells_of(outcome), scenario, backend, offsets[1:], tell)
            bar.step(scenario.name, scenario.duration_ns / 1e9)
    return cells


def _at_worst(
    cells: list[Cell], scenario: Scenario, backend: str, offsets: Sequence[int], tell: Callable[[str], None]
) -> list[Cell]:
    """The cells, those in seconds as the worst of all phases. Each phase has a seed of its own."""
    names = {assertion.name for assertion in phases.timed(scenario)}
    if not names or scenario.fleet > 1:
        return cells
    seen = {cell.assertion: [cell] for cell in cells}
    short = phases.bounds_of(scenario)
    for number, offset in enumerate(offsets, 1):
        outcome = fleet.run(phases.later(short, offset), lambda: make_backend(backend), scenario.seed + number)
        for cell in coverage.cells_of(outcome, offset):
            seen[cell.assertion].append(cell)
        for verdict in outcome.verdicts:
            if not verdict.ok:
                tell(f"xx {scenario.name} on {backend}, +{offset} ms: {verdict.name}: {verdict.sentence}")
    return [coverage.worst(seen[cell.assertion]) for cell in cells]


def run_one(scenario: Scenario, backend: str, tell: Callable[[str], None], page: Path | None = None) -> Outcome:
    """One scenario; on real processes beside a stall meter, repeated when the machine itself stalled."""
    seen: list[Recording] = []

    def watch() -> Recording:
        seen.append(Recording())
        return seen[-1]

    def once() -> Outcome:
        seen.clear()
        first, others = (None, None) if page is None else (watch(), watch)
        return fleet.run(scenario, lambda: make_backend(backend), scenario.seed, first, others)

    outcome, void = (once(), 0) if backend == "virtual" else unstalled(once, say=tell, fine=lambda o: o.stands)
    if page is not None:
        reports.write(page, outcome, seen[0], void, seen[1:])
    return outcome


def _file(backend: str) -> Path:
    return coverage.KEPT / f"coverage-{backend}.json"
