"""A case that broke a promise, as a report: the same run once more, with its violations as what did not hold."""

from __future__ import annotations

from pathlib import Path

from hil.campaign.case import Case
from hil.campaign.observer import PROMISES
from hil.campaign.run import run
from hil.judge import Verdict
from hil.report import directory as reports
from hil.report.recording import NS, Recording
from hil.runner import Outcome


def picture(case: Case, directory: Path) -> Path:
    """The page's path."""
    seen = Recording()
    result = run(case, seen)
    broken = {violation.promise: violation for violation in result.violations}
    end = case.length_s * NS
    verdicts = []
    for promise in PROMISES:
        violation = broken.get(promise)
        sentence = "held" if violation is None else str(violation)
        seen_ns = None if violation is None else round(violation.at_s * NS)
        held = violation is None
        verdicts.append(Verdict(promise, "", "", held, held, "", "== true", sentence, {}, 0, seen_ns, end))
    scenario = case.scenario()
    return reports.write(directory, Outcome(scenario, "virtual", scenario.seed, verdicts, end, result.trace, ()), seen)
