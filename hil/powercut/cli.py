"""`python -m hil powercut --cuts N --seed S`: the power goes at any point of the store's life; what is found is judged.

The shipped store works on a disk that is recorded; each cut replays a part of it with unsynced writes dropped, kept or
torn, and the shipped store opens the result. Exit 0 only if nothing that was told is lost or comes twice.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from hil.amount import count
from hil.campaign.counts import Counts
from hil.campaign.resume import Resume
from hil.figures import Figure, Report
from hil.powercut.tally import KINDS, Tally
from hil.progress import Progress
from hil.report import sheet
from hil.strict import FileError
from hil.talk import say


def main(argv: Sequence[str]) -> int:
    """0 when every figure with a reach holds."""
    parser = argparse.ArgumentParser(prog="python -m hil powercut", description=__doc__)
    parser.add_argument("--cuts", type=count, default=2_000, help="in all, a resumed run's too (default 2,000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--life", type=int, help="only that life of the seed, to look at what failed")
    parser.add_argument("--state", type=Path, metavar="FILE", help="go on where the run of that file stopped")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    try:
        import apsw  # noqa: F401 - the message below is better than a traceback
    except ImportError:
        say("powercut needs apsw: pip install '.[hil]', or make env")
        return 2
    try:
        return sheet.told(_report(args), args, "powercut", argv)
    except FileError as error:
        say(str(error))
        return 2


def _report(args: argparse.Namespace) -> Report:
    from hil.powercut.cuts import cuts, live  # needs apsw

    began = time.monotonic()
    resume = Resume(args.state, "powercut", args.seed)
    if args.life is not None:
        return report(live(args.seed, args.life), resume, time.monotonic() - began)
    tally = _known(resume)
    before = tally.cuts
    with Progress("powercut", max(0, args.cuts - before)) as bar:

        def step(tally: Tally) -> None:
            each_ms = 1e3 * (time.monotonic() - began) / (tally.cuts - before)
            bar.to(tally.cuts - before, f"{each_ms:.1f} ms a cut, {sum(tally.wrong.values())} wrong")
            resume.save(tally.as_json())

        cuts(args.cuts, args.seed, tally, step)
    return report(tally, resume, time.monotonic() - began, tally.cuts - before)


def _known(resume: Resume) -> Tally:
    known = resume.load()
    if known is None:
        return Tally()
    from hil.powercut.cuts import CUTS_A_LIFE  # needs apsw

    counts = Counts(resume.path, known)
    tally = Tally(
        **{name: counts.number(name) for name in ("cuts", "lives", "writes", "syncs", "unfinished")},
        wrong=counts.by_name("wrong", KINDS),
        first=counts.text("first"),
    )
    counts.done()
    lives, cuts = tally.lives, tally.cuts
    counts.must(lives <= cuts <= CUTS_A_LIFE * lives, f"{cuts} cuts in {lives} lives of at most {CUTS_A_LIFE}")
    counts.must(tally.unfinished <= cuts, f"{tally.unfinished} of {cuts} cuts in mid-work")
    counts.must((tally.writes > 0) == (cuts > 0), f"{tally.writes} writes recorded for {cuts} cuts")
    counts.must(
        (tally.first != "") == (tally.wrong.total() > 0), f"{tally.wrong.total()} wrong, first: {tally.first!r}"
    )
    say(f"going on after {cuts} cuts")
    return tally


def report(tally: Tally, resume: Resume, seconds: float, done: int | None = None) -> Report:
    """The figures."""
    done = tally.cuts if done is None else done
    figures = [
        Figure("power cuts", tally.cuts, "", ">= 1", {"lives": tally.lives, "in mid-work": tally.unfinished}),
        *(Figure(kind, tally.wrong[kind], "", "== 0") for kind in KINDS),
        Figure("writes recorded", tally.writes, "", None, {"syncs": tally.syncs}),
        Figure("time", round(seconds, 1), "s", None, {"ms a cut": round(1e3 * seconds / max(1, done), 2)}),
    ]
    if tally.first:
        figures[1] = Figure(figures[1].name, figures[1].value, "", "== 0", note=f"first of all: {tally.first}")
    extra = {"commit": resume.commit, "source": resume.source, "first": tally.first}
    title = f"powercut, seed {resume.seed}, commit {resume.commit}, source {resume.source}"
    return Report(title, figures, resume.seed, extra=extra)
