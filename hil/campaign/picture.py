"""A case that broke a promise, as a report: the same run once more, with its violations as what did not hold."""

from __future__ import annotations

from pathlib import Path

from hil.backends.virtual import VirtualBackend
from hil.campaign.case import Case
from hil.campaign.observer import CRASHED, PROMISES, Observer, Violation
from hil.campaign.run import OWN_POLLS, PLAIN_POLLS
from hil.judge import Verdict
from hil.report import directory as reports
from hil.report.recording import NS, Recording
from hil.runner import Outcome, Runner, Several


def picture(case: Case, directory: Path) -> Path:
    """The page's path."""
    scenario, seen = case.scenario(), Recording()
    observer = Observer(scenario.home, scenario.config)
    backend = VirtualBackend(PLAIN_POLLS if scenario.seed % OWN_POLLS else None)
    try:
        trace = Runner(scenario, backend, scenario.seed, Several([observer, seen])).run().trace
    except Exception as error:  # noqa: BLE001 - as in the campaign: that it fell is what the case shows
        observer.violations.append(Violation(CRASHED, seen.end, repr(error)))
        trace = None
    broken = {violation.promise: violation for violation in observer.violations}
    end = round(seen.end * NS)
    verdicts = [_verdict(promise, broken.get(promise), end) for promise in PROMISES]
    return reports.write(directory, Outcome(scenario, "virtual", scenario.seed, verdicts, end, trace, ()), seen)


def _verdict(promise: str, broken: Violation | None, end_ns: int) -> Verdict:
    ok = broken is None
    sentence = "held in every cycle" if broken is None else str(broken)
    seen_ns = None if broken is None else round(broken.at_s * NS)
    return Verdict(promise, "", "", ok, ok, "", "== true", sentence, {}, 0, seen_ns, end_ns)
