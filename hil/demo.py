"""`python -m hil demo`: the whole system in real processes, told as a story, ending in a scoreboard.

Exit 0 only if every promise held. When one did not and the machine itself stalled meanwhile, the run is void: said so,
and told again, at most twice.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hil.backends.process import ProcessBackend
from hil.program import installed_from
from hil.report import directory as reports
from hil.report.outcome import Recorder
from hil.report.plain import PlainLines
from hil.report.recording import Recording
from hil.report.scoreboard import scoreboard
from hil.runner import Outcome, Runner, Several, Watcher
from hil.scenario import Scenario, find, load
from hil.stall import unstalled
from hil.talk import data, say

SHORTEST_S = 170  # the story's own length, with room for a slow machine
SETUP_S = 5  # keys, broker, home and the end of them
S = 1_000_000_000


def main(argv: Sequence[str]) -> int:
    """Tell the story; the exit code."""
    args = _parser().parse_args(argv)
    if why := reports.unusable(args.report):
        say(why)
        return 2
    if args.seconds < SHORTEST_S:
        say(f"--seconds {args.seconds}: the story does not fit; it needs at least {SHORTEST_S}")
        return 2
    scenario = load(find("demo"))
    scenario = dataclasses.replace(scenario, duration_ns=(args.seconds - SETUP_S) * S)
    seed = scenario.seed if args.seed is None else args.seed
    say(f"batteryd: {installed_from()}")
    seen = Recording()

    def once() -> Outcome:
        nonlocal seen
        seen = Recording()
        return tell(scenario, seed, args.plain, args.keep, seen if args.report else None, args.report)

    outcome, void = unstalled(once, say=say, fine=lambda o: o.stands)
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    if not outcome.ok:
        for note in outcome.notes:
            say(f"-- {note}")
    say(scoreboard(outcome.verdicts, [chapter.id for chapter in scenario.chapters], width))
    report = outcome.report(void)
    if args.report is not None:
        say(f"report: {reports.write(args.report, outcome, seen, void)}")
    if args.json == "-":
        data(json.dumps(report.as_json()))
    elif args.json:
        report.write(Path(args.json))
    return 0 if outcome.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hil demo", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=180, help=f"how long it may take, at least {SHORTEST_S}")
    parser.add_argument("--json", metavar="FILE", help='write the figures there; "-" for stdout')
    parser.add_argument("--seed", type=int, help="of the simulated home")
    parser.add_argument("--plain", action="store_true", help="lines instead of a screen")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, junit.xml and figures there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave every log and trace there")
    return parser


def tell(
    scenario: Scenario,
    seed: int,
    plain: bool = False,
    keep: Path | None = None,
    seen: Watcher | None = None,
    report: Path | None = None,
) -> Outcome:
    """One telling, on a screen when there is one. `seen` watches too; samples and events go into `report`."""
    with contextlib.ExitStack() as stack:
        watcher: Watcher
        if not plain and sys.stderr.isatty():
            from hil.report.screen import Screen

            watcher = stack.enter_context(Screen(scenario.chapters))
        else:
            watcher = PlainLines(say, len(scenario.chapters))
        watchers = [watcher, *([] if seen is None else [seen])]
        if report is not None:
            watchers.append(stack.enter_context(Recorder(report)))
        return Runner(scenario, ProcessBackend(keep), seed, Several(watchers)).run()
