"""`python -m hil scenario NAME_OR_FILE`: one scenario; exit 1 and the failed assertion if a promise breaks."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hil import fleet
from hil import scenario as scenarios
from hil.backends import make_backend
from hil.configured import check_config
from hil.expr import Value
from hil.figures import Report
from hil.fits import BACKENDS
from hil.judge import Verdict
from hil.progress import TIMES, Progress
from hil.report import directory as reports
from hil.report.outcome import Recorder
from hil.report.recording import Recording
from hil.runner import Outcome, Quiet, Several, Watcher
from hil.stall import unstalled
from hil.strict import FileError
from hil.talk import data, say


class _Bar(Quiet):
    """A progress line while it runs, a line for each promise that broke."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        self._bar.to(at_ns / 1e9)

    def verdict(self, at_ns: int, verdict: Verdict) -> None:
        if not verdict.ok:
            say(f"xx {verdict.name}: {verdict.sentence}")


def main(argv: Sequence[str]) -> int:
    """Run and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hil scenario", description="Run one scenario.")
    parser.add_argument("name", nargs="?", help="a name of hil/scenarios, or the path of a .toml file")
    parser.add_argument("--backend", choices=BACKENDS, help="default: the first that the scenario names")
    parser.add_argument("--rig", type=Path, metavar="FILE", help="for bench: real ports, a power cap, an interlock")
    parser.add_argument("--seed", type=int, help="default: the scenario's own")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, junit.xml and figures there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--list", action="store_true", help="names of the scenarios that are there")
    args = parser.parse_args(argv)
    if why := reports.unusable(args.report):
        say(why)
        return 2
    if args.list or args.name is None:
        for path in sorted(scenarios.DIRECTORY.glob("*.toml")):
            data(path.stem)
        return 0 if args.list else 2
    try:
        path = scenarios.find(args.name)
        scenario = scenarios.load(path)
        check_config(scenario, path.name)
    except FileError as error:
        say(str(error))
        return 2
    backend = args.backend or scenario.backends[0]
    if backend not in scenario.backends:
        say(f"{scenario.name} runs on {', '.join(scenario.backends)}, not on {backend}")
        return 2
    seed = scenario.seed if args.seed is None else args.seed
    try:
        report = run_scenario(scenario, backend, seed, args.report, args.rig)
    except (FileError, OSError) as error:
        say(str(error))
        return 2
    return report.print(as_json=args.json)


def run_scenario(
    scenario: scenarios.Scenario, backend: str, seed: int, directory: Path | None = None, rig: Path | None = None
) -> Report:
    """One scenario; on real processes beside a stall meter, repeated when the machine itself stalled."""

    seen: list[Recording] = []

    def watch() -> Recording:
        seen.append(Recording())
        return seen[-1]

    def once() -> Outcome:
        seen.clear()
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(Progress(scenario.name, scenario.duration_ns / 1e9, unit=TIMES))
            watchers: list[Watcher] = [_Bar(bar)]
            if directory is not None:
                watchers += [watch(), stack.enter_context(Recorder(directory))]
            others = None if directory is None else watch
            return fleet.run(
                scenario, lambda: make_backend(backend, _logs(directory), rig), seed, Several(watchers), others
            )

    outcome, void = (once(), 0) if backend == "virtual" else unstalled(once, say=say, fine=lambda o: o.stands)
    if directory is not None:
        say(f"report: {reports.write(directory, outcome, seen[0], void, seen[1:])}")
    return _reported(outcome, void)


def _reported(outcome: Outcome, void: int) -> Report:
    if not outcome.ok:
        for note in outcome.notes:
            say(f"-- {note}")
    return outcome.report(void)


def _logs(directory: Path | None) -> Path | None:
    """A new place for each run, below the report."""
    if directory is None:
        return None
    number = 1 + sum(1 for _ in directory.glob("run-*"))
    return directory / f"run-{number}"
