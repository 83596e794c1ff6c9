"""Several homes of one scenario, each with a seed of its own: what they must not do at the same moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from hil.backends.backend import Backend
from hil.judge import Verdict
from hil.runner import Outcome, Runner, Watcher
from hil.scenario import Scenario, Spread


def run(
    scenario: Scenario,
    make: Callable[[], Backend],
    seed: int,
    watcher: Watcher | None = None,
    others: Callable[[], Watcher] | None = None,
) -> Outcome:
    """The first home's outcome; with `fleet` homes, also what broke in the others, and how far apart they were.
    `others` makes a watcher for each home after the first."""
    first = Runner(scenario, make(), seed, watcher).run()
    if scenario.fleet == 1:
        return first
    seen = [None if others is None else others() for _ in range(1, scenario.fleet)]
    rest = [Runner(scenario, make(), seed + i, one).run() for i, one in enumerate(seen, 1)]
    broken = [
        dataclasses.replace(verdict, name=f"home {i}: {verdict.name}")
        for i, outcome in enumerate(rest, 2)
        for verdict in outcome.verdicts
        if not verdict.ok
    ]
    spreads = [apart(spread, [first, *rest]) for spread in scenario.spreads]
    return dataclasses.replace(first, verdicts=[*first.verdicts, *broken, *spreads])


def apart(spread: Spread, outcomes: Sequence[Outcome]) -> Verdict:
    """From the first home to the last, in seconds."""
    took = [v.measured for outcome in outcomes for v in outcome.verdicts if v.name == spread.of]
    times = sorted(float(t) for t in took if isinstance(t, int | float) and not isinstance(t, bool))
    all_there = len(times) == len(outcomes)
    measured = round(times[-1] - times[0], 3) if all_there else None
    ok = measured is not None and measured >= spread.least_s
    shown = ", ".join(f"{t:.1f} s" for t in times)
    sentence = f"{len(times)} of {len(outcomes)} homes: {shown}"
    return Verdict(spread.name, "", "", ok, measured, "s", f">= {spread.least_s:g}", sentence, {"homes": len(outcomes)})
