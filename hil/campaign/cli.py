"""`python -m hil campaign --device-days N --seed S`: random faults over random homes, in virtual time, until it breaks.

Every pair of faults comes first. The observer holds the plant's truth against the promises each cycle. A case that
breaks one is shrunk to the shortest, printed with seed and commit, and written as a scenario file (`--keep DIR`).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from hil.amount import amount, count
from hil.campaign.case import Case, Deck, of_scenario
from hil.campaign.counts import Counts
from hil.campaign.menu import LEFT_OUT, dishes
from hil.campaign.observer import PROMISES
from hil.campaign.picture import picture
from hil.campaign.resume import Resume, commit
from hil.campaign.run import Result, breaks, run, shrink
from hil.configured import check_config
from hil.faults.catalog import VERBS
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.report import sheet
from hil.scenario import load
from hil.strict import FileError
from hil.talk import say

DAY_S = 86_400
ACTING = 0.15  # share of cycles: a campaign in which the agent never acts proves nothing
REGRESSIONS = Path(__file__).with_name("regressions")
TRIED = 20  # times; of the kinds that are drawn, the one that shows least does so in two of five
SELDOM = ("meter.dies_with_grid",)  # shows only where an outage follows in the same case
MOST_CASES = 1_000_000  # of one run: some twenty years
MOST_SHRUNK = 5  # of one run: each costs up to a hundred runs of its case
_WORD = re.compile(r"[^A-Za-z0-9_-]+")  # what a name of a hand-written case may have and a file's should not
_MEMORY = Path("/dev/shm")


@dataclass(slots=True)
class Tally:
    """What a campaign has seen. `done`: cases 0 .. done-1 have been run."""

    done: int = 0
    seconds: int = 0
    cycles: int = 0
    acting: int = 0
    margin_permille: float = 1000.0
    faults: int = 0
    crossed: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)  # faults by verb, of those that can be seen
    shown: Counter[str] = field(default_factory=Counter)  # those of them that the world showed
    failures: list[str] = field(default_factory=list)

    def add(self, case: Case, result: Result) -> None:
        """The next case, in order."""
        self.done += 1
        self.seconds += case.length_s
        self.cycles += result.cycles
        self.acting += result.acting
        self.margin_permille = min(self.margin_permille, result.margin_permille)
        self.faults += _faults(case)
        self.crossed += result.crossed
        self.tried.update(result.tried)
        self.shown.update(result.shown)
        self.wrong.update(v.promise for v in result.violations)
        self.failures += [f"{case.name}: {v}" for v in result.violations]


def _faults(case: Case) -> int:
    return sum(act.id.startswith("fault") for act in case.acts)


def main(argv: Sequence[str]) -> int:
    """0 when no promise broke."""
    parser = argparse.ArgumentParser(prog="python -m hil campaign", description=__doc__)
    parser.add_argument("--device-days", type=amount, default=1.0, help="in all, a resumed run's too (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--jobs", type=count, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--case", metavar="FILE|NUMBER", help="only that case: a file, or a number of the seed")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="shrunk cases and their reports go there (default: printed)"
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="go on where the run of that file stopped")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    try:
        if args.case is not None:
            return _one(args.case, args.seed, args.keep).print(as_json=args.json)
        report = campaign(args.device_days, args.seed, args.jobs, args.keep, args.state)
        return sheet.told(report, args, "campaign", argv)
    except FileError as error:
        say(str(error))
        return 2


def _one(name: str, seed: int, keep: Path | None) -> Report:
    case = _numbered(name, seed) if name.isdigit() else _kept(Path(name))
    result = run(case)
    wrong = Counter(violation.promise for violation in result.violations)
    figures = [
        Figure("cycles judged", result.cycles, "", ">= 1"),
        *(Figure(f"promise broken: {promise}", wrong[promise], "", "== 0") for promise in PROMISES),
    ]
    told = [str(violation) for violation in result.violations]
    for violation in told:
        say(f"xx {violation}")
    if keep is not None and result.violations:
        _told(case, result, seed, commit(), keep)
    if told:
        say(case.toml())
    return Report(f"campaign, {case.name}", figures, seed, extra={"commit": commit(), "failures": told})


def _numbered(name: str, seed: int) -> Case:
    if len(name) > len(str(MOST_CASES)) or int(name) > MOST_CASES:
        raise FileError(f"--case: {name[:20]} is not between 0 and {MOST_CASES}")
    return Deck(seed).case(int(name))


def _kept(path: Path) -> Case:
    """A case from its file. What only the runner of scenarios does is refused: it would not be tried."""
    scenario = load(path)
    check_config(scenario, path.name)
    waiting = [event.id for event in scenario.events if event.when is not None]
    if waiting or scenario.chapters or scenario.fleet > 1:
        key = f"event {waiting[0]}.when" if waiting else "chapter" if scenario.chapters else "scenario.fleet"
        raise FileError(f"{path.name}: {key}: a campaign's case is one home, and its events have times alone")
    return of_scenario(scenario)


def campaign(
    days: float, seed: int, jobs: int = 1, keep: Path | None = None, state: Path | None = None, shrinks: bool = True
) -> Report:
    """Cases from 0 on, until so many device-days were lived through."""
    began = time.monotonic()
    resume = Resume(state, "campaign", seed)
    tally, deck = _known(resume), Deck(seed)
    before, shrunk = tally.seconds, 0
    with Progress("campaign", max(0.0, days * DAY_S - before)) as bar:
        for case, result in _lived(deck, seed, tally.done, round(days * DAY_S) - before, jobs):
            tally.add(case, result)
            resume.save({name: getattr(tally, name) for name in Tally.__slots__})
            if result.violations and shrinks and shrunk < MOST_SHRUNK:
                _told(case, result, seed, resume.commit, keep)  # at once: a run that is broken off has told it as well
                shrunk += 1
            lived_s = tally.seconds - before
            speed = lived_s / (time.monotonic() - began)
            bar.to(lived_s, f"{tally.seconds / DAY_S:.2f} device-days, {speed:.0f} x, {len(tally.failures)} broken")
    return _report(tally, deck, resume, time.monotonic() - began, tally.seconds - before, jobs)


def _known(resume: Resume) -> Tally:
    known = resume.load()
    if known is None:
        return Tally()
    counts = Counts(resume.path, known)
    tally = Tally(
        **{name: counts.number(name) for name in ("done", "seconds", "cycles", "acting", "faults", "crossed")},
        margin_permille=counts.real("margin_permille", -1000.0, 1000.0),
        wrong=counts.by_name("wrong", PROMISES),
        tried=counts.by_name("tried", VERBS),
        shown=counts.by_name("shown", VERBS),
        failures=counts.texts("failures"),
    )
    counts.done()
    counts.must(tally.done <= MOST_CASES, f"{tally.done} cases")
    cases = list(map(Deck(resume.seed).case, range(tally.done)))
    lived_s = sum(case.length_s for case in cases)
    faults = sum(map(_faults, cases))
    counts.must(tally.seconds == lived_s, f"{tally.done} cases in {tally.seconds} s, and they last {lived_s} s")
    counts.must(tally.faults == faults, f"{tally.done} cases with {tally.faults} faults, and they have {faults}")
    counts.must(tally.shown <= tally.tried, "a kind of fault was seen more often than it was tried")
    counts.must(tally.acting <= tally.cycles, f"a command in force in {tally.acting} of {tally.cycles} cycles")
    counts.must((tally.cycles > 0) == (tally.done > 0), f"{tally.cycles} cycles in {tally.done} cases")
    counts.must(tally.wrong.total() == len(tally.failures), f"{tally.wrong.total()} broken, {len(tally.failures)} told")
    say(f"going on after {tally.done} cases")
    return tally


def _lived(deck: Deck, seed: int, first: int, seconds: int, jobs: int) -> Iterator[tuple[Case, Result]]:
    """Cases in order until so many seconds are full."""
    number = first
    with ProcessPoolExecutor(jobs, initializer=_with_its_parent) as pool, _in_memory():
        waiting: dict[int, tuple[Case, Future[Result]]] = {}
        planned, told = 0, first
        while planned < seconds or waiting:
            while planned < seconds and len(waiting) < 2 * jobs:
                case = deck.case(number)
                waiting[number] = case, pool.submit(_quick, case)
                planned += case.length_s
                number += 1
            case, future = waiting[told]
            if not future.done():
                wait([future], return_when=FIRST_COMPLETED)
            del waiting[told]
            told += 1
            yield case, future.result()


def _with_its_parent() -> None:
    """A worker ends with the run, however that is ended."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def _quick(case: Case) -> Result:
    with _in_memory():
        return run(case)


@contextlib.contextmanager
def _in_memory() -> Iterator[None]:
    """The stores of simulated homes need no disk."""
    with mock.patch.object(tempfile, "tempdir", str(_MEMORY) if _MEMORY.is_dir() else tempfile.tempdir):
        yield


def _told(case: Case, result: Result, seed: int, at: str, keep: Path | None) -> None:
    """The shortest case that breaks the same promise, where a person sees it."""
    first = result.violations[0]
    say(f"xx {case.name} of seed {seed}, commit {at}: {first}; shrinking ...")
    with _in_memory():
        small = shrink(case, first.at_s, breaks(first.promise))
    text = small.toml((f"Found by seed {seed}, {case.name}, at commit {at}.", f"Then it broke: {first}"))
    if keep is None:
        say(text)
        return
    keep.mkdir(parents=True, exist_ok=True)
    path = keep / f"{first.promise.replace(' ', '_')}_{seed}_{_WORD.sub('_', case.name)}.toml"
    path.write_text(text, encoding="utf-8")
    say(f"-- {path}")
    with _in_memory():
        say(f"-- {picture(small, path.with_suffix(''))}")


def _shown(tally: Tally) -> list[Figure]:
    """A kind of fault that comes to nothing as often as it is tried is none: nothing was shown against it."""
    idle = sorted(
        verb for verb, tried in tally.tried.items() if tried >= TRIED and not tally.shown[verb] and verb not in SELDOM
    )
    share = tally.shown.total() / max(1, tally.tried.total())
    return [
        Figure("kinds of faults that never took effect", len(idle), "", "== 0", note=", ".join(idle)),
        Figure("faults that took effect", round(share, 3), "", None, {"of": tally.tried.total()}),
    ]


def _report(tally: Tally, deck: Deck, resume: Resume, seconds: float, lived_s: int, jobs: int) -> Report:
    days = max(lived_s, 1) / DAY_S
    cost = {
        "x real time": round(lived_s / max(seconds, 1e-9)),
        "min of a core a device-day": round(jobs * seconds / 60 / days, 2),
    }
    pairs = f"{min(1.0, tally.done / deck.covering):.0%}"
    left = sorted(set(VERBS) - {dish.verb for dish in dishes()} - set(LEFT_OUT))
    beside: dict[str, Any] = {"cases": tally.done, "faults": tally.faults, "cycles judged": tally.cycles}
    figures = [
        Figure("device-days", round(tally.seconds / DAY_S, 3), "d", ">= 0", beside),
        *(Figure(f"promise broken: {promise}", tally.wrong[promise], "", "== 0") for promise in PROMISES),
        Figure("cycles with a command in force", round(tally.acting / max(1, tally.cycles), 3), "", f">= {ACTING}"),
        Figure("kinds of faults", len(dishes()), "", None, {"pairs covered": pairs, "not able here": len(left)}),
        *_shown(tally),
        Figure("closest to the reserve's bound", round(tally.margin_permille, 2), "permille"),
        Figure("houses darkened by a renewal that crossed with the outage", tally.crossed),
        Figure("time", round(seconds, 1), "s", None, cost),
    ]
    extra = {"commit": resume.commit, "source": resume.source, "failures": tally.failures, "left_out": left}
    for failure in tally.failures[:20]:
        say(f"xx {failure}")
    title = f"campaign, seed {resume.seed}, commit {resume.commit}, source {resume.source}"
    return Report(title, figures, resume.seed, extra=extra)
