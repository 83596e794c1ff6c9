"""`python -m hil crash --kills N`: kill -9 of the real daemon at random instants, with commands in flight.

The installed daemon on a paced RS-485 line, mosquitto with mutual TLS, a verifying aggregator. Judged by the
aggregator's book and the devices' register log. The seed fixes what is done; when it hits is the machine's own. A home
in which a promise broke leaves its files: wire, store, logs, and a story that `--judge` judges once more.
"""

from __future__ import annotations

import argparse
import itertools
import math
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from hil.amount import count
from hil.campaign.counts import Counts
from hil.campaign.resume import Resume
from hil.crash import evidence
from hil.crash.run import Kills, Run
from hil.crash.story import KINDS, NS
from hil.figures import Figure, Report
from hil.program import installed_from, of_this_source
from hil.progress import Progress
from hil.report import sheet
from hil.stall import Stalls, unstalled
from hil.strict import FileError
from hil.talk import data, say

KILLS_A_HOME = 25
IN_FORCE, OPEN, ACTED = (
    0.1,
    0.3,
    0.1,
)  # least shares; 2,000 kills met 0.47, 0.76 and 0.40, on a busy machine 0.33, 0.62, 0.36
COUNTED = ("done", "in_start", "remote", "unsettled", "commands", "acted", "replays")


def main(argv: Sequence[str]) -> int:
    """0 when every figure with a reach holds."""
    parser = argparse.ArgumentParser(prog="python -m hil crash", description=__doc__)
    parser.add_argument("--kills", type=count, default=50, help="in all, a resumed run's too (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--homes", type=count, default=2, help="so many side by side (default 2)")
    parser.add_argument("--home", type=int, metavar="N", help="only what home N of that seed does, again and again")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="what a home leaves in which a promise broke goes there"
    )
    parser.add_argument("--judge", type=Path, metavar="FILE", help="only judge the story.json that a home left")
    parser.add_argument("--state", type=Path, metavar="FILE", help="go on where the run of that file stopped")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if args.home is not None and (args.state is not None or args.home < 0):
        parser.error("--home is 0 or more, and counts in no file")
    if sheet.refused(args):
        return 2
    try:
        if args.judge is not None:
            return _judged(args.judge)
        of_this_source()
        report = campaign(args.kills, args.seed, args.homes, args.state, args.keep, args.home)
        return sheet.told(report, args, "crash", argv)
    except FileError as error:
        say(str(error))
        return 2


def _judged(path: Path) -> int:
    story = evidence.read(path)
    wrong = story.wrong()
    for one in wrong:
        stood = "; the machine stood still for as long" if one.explained(story.away) else ""
        data(f"xx {one.kind}: {one.sentence}{stood}")
    data(f"{len(story.orders)} commands, {len(story.writes)} setpoints, {len(wrong)} wrong")
    return 1 if wrong else 0


class _Count:
    """What all homes together have done; a file keeps it."""

    def __init__(self, resume: Resume) -> None:
        self._resume = resume
        self._lock = threading.Lock()
        self.homes, self.void = 0, 0
        self.done: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.found: list[list[str]] = []
        known = resume.load()
        if known is not None:
            self._go_on(Counts(resume.path, known))

    def _go_on(self, counts: Counts) -> None:
        self.homes, self.void = counts.number("homes"), counts.number("void")
        self.done, self.wrong = counts.by_name("done", COUNTED), counts.by_name("wrong", KINDS)
        self.found = counts.pairs("found")
        counts.done()
        kills, done = self.done["done"], self.done
        most = KILLS_A_HOME * self.homes
        counts.must(self.homes <= kills <= most, f"{kills} kills in {self.homes} homes of at most {KILLS_A_HOME}")
        for name in ("in_start", "remote", "unsettled"):
            counts.must(done[name] <= kills, f"{name} {done[name]} of {kills} kills")
        counts.must(done["acted"] <= done["commands"], f"{done['acted']} of {done['commands']} commands acted")
        told = Counter(kind for kind, _ in self.found)
        counts.must(+told == +self.wrong, f"{self.wrong.total()} wrong, {told.total()} told")

    def add(self, kills: Kills, home: int, void: int, left: Path | None) -> None:
        """One home has come to its end. `left`: where its files are, if a promise broke."""
        with self._lock:
            self.done.update({name: getattr(kills, name) for name in COUNTED})
            for one in kills.story.wrong():
                self.wrong[one.kind] += 1
                self.found.append([one.kind, f"home {home}: {one.sentence}"])
                say(f"xx home {home}: {one.kind}: {one.sentence}; see {left}")
            self.homes += 1
            self.void += void
            self._resume.save({name: getattr(self, name) for name in ("homes", "void", "done", "wrong", "found")})


def campaign(
    kills: int,
    seed: int,
    homes: int,
    state: Path | None = None,
    keep: Path | None = None,
    only: int | None = None,
) -> Report:
    """So many kills, spread over homes of at most `KILLS_A_HOME`; of the home `only` alone, where one is named."""
    began = time.monotonic()
    resume = Resume(state, "crash", seed)
    count = _Count(resume)
    before = count.done["done"]
    left = max(0, kills - before)
    each = min(KILLS_A_HOME, -(-left // homes))
    shares = [min(each, left - at) for at in range(0, left, each)] if left else []
    with Progress("crash", left) as bar, ThreadPoolExecutor(homes) as pool:
        killed = itertools.count(1)
        broken_off = threading.Event()

        def step(_: str) -> None:
            if broken_off.is_set():
                raise InterruptedError("broken off")  # in the home's own thread: it ends what it started
            bar.step(f"{(time.monotonic() - began) / next(killed):.2f} s a kill, {sum(count.wrong.values())} wrong")

        numbers = [count.homes + n if only is None else only for n in range(len(shares))]
        jobs = [
            pool.submit(_home, count, number, seed, share, step, keep)
            for number, share in zip(numbers, shares, strict=True)
        ]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            say("broken off: each home ends the kill that it is at")
            broken_off.set()
            pool.shutdown(cancel_futures=True)
            raise
    return _report(count, resume, time.monotonic() - began, count.done["done"] - before)


def _home(count: _Count, number: int, seed: int, kills: int, step: Callable[[str], None], keep: Path | None) -> None:
    ran: list[Path] = []

    def once() -> Kills:
        ran.append(Path(tempfile.mkdtemp(prefix="bench-")))  # a short path: sockets are in it
        return Run(f"{seed}/crash/{number}", ran[-1], lambda: step("")).run(kills)

    def told(done: Kills, seen: Stalls) -> None:
        done.story.away = [(round((at_s - ms / 1e3) * NS), round(at_s * NS)) for at_s, ms in seen.stalls]

    try:
        done, void = unstalled(once, say=say, fine=lambda done: done.story.stands(), told=told)
        left = evidence.leave(ran.pop(), done.story, number, seed, keep) if done.story.wrong() else None
        count.add(done, number, void, left)
    finally:
        for directory in ran:
            shutil.rmtree(directory, ignore_errors=True)


def _report(count: _Count, resume: Resume, seconds: float, done: int) -> Report:
    names = count.done
    kills, commands = names["done"], names["commands"]
    met = {"with a setpoint in force": names["remote"], "with an open command": names["unsettled"]}
    figures = [
        Figure("kills", kills, "", ">= 1", {**met, "before ready": names["in_start"], "homes": count.homes}),
        *(Figure(kind, count.wrong[kind], "", "== 0", note=_first(count, kind)) for kind in KINDS),
        _least("kills with a setpoint in force", names["remote"], IN_FORCE, kills, kills),
        _least("kills with an open command", names["unsettled"], OPEN, kills, kills),
        _least("commands that acted", names["acted"], ACTED, commands, kills, {"sent again": names["replays"]}),
        Figure("time", round(seconds, 1), "s", None, {"s a kill": round(seconds / max(1, done), 2)}),
    ]
    failures = [sentence for _, sentence in count.found]
    extra = {"commit": resume.commit, "source": resume.source, "failures": failures, "daemon": installed_from()}
    title = f"crash, seed {resume.seed}, commit {resume.commit}, source {resume.source}, daemon {installed_from()}"
    return Report(title, figures, resume.seed, count.void, extra)


def _least(
    name: str, value: int, share: float, of: int, kills: int, more: Mapping[str, int] = MappingProxyType({})
) -> Figure:
    """A run in which hardly any of it happened has tried nothing, and proves nothing."""
    judged = kills >= KILLS_A_HOME
    note = "" if judged else f"fewer than {KILLS_A_HOME} kills: printed, not judged"
    reach = f">= {max(1, math.ceil(share * of))}" if judged else None
    return Figure(name, value, "", reach, {"of": of, **more}, note)


def _first(count: _Count, kind: str) -> str:
    return next((sentence for its, sentence in count.found if its == kind), "")
