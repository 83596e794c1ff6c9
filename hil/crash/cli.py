"""`python -m hil crash --kills N`: kill -9 of the real daemon at random instants, with commands in flight.

The installed daemon on a paced RS-485 line, mosquitto with mutual TLS, a verifying aggregator. Judged by the
aggregator's book and the devices' register log. The seed fixes what is done; when it hits is the machine's own.
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hil.amount import count
from hil.campaign.resume import Resume
from hil.crash.run import Kills, Run
from hil.crash.story import ALIVE, KINDS
from hil.figures import Figure, Report
from hil.program import installed_from
from hil.progress import Progress
from hil.report import sheet
from hil.stall import unstalled
from hil.strict import FileError
from hil.talk import say

KILLS_A_HOME = 25
COUNTED = ("done", "in_start", "remote", "unsettled", "commands", "acted", "replays")


def main(argv: Sequence[str]) -> int:
    """0 when every figure with a reach holds."""
    parser = argparse.ArgumentParser(prog="python -m hil crash", description=__doc__)
    parser.add_argument("--kills", type=count, default=50, help="in all, a resumed run's too (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed does the same again (default 1)")
    parser.add_argument("--homes", type=count, default=2, help="so many side by side (default 2)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="go on where the run of that file stopped")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    try:
        return sheet.told(campaign(args.kills, args.seed, args.homes, args.state), args, "crash", argv)
    except FileError as error:
        say(str(error))
        return 2


class _Count:
    """What all homes together have done; a file keeps it."""

    def __init__(self, resume: Resume) -> None:
        known = resume.load() or {}
        self._resume = resume
        self._lock = threading.Lock()
        self.homes = int(known.get("homes", 0))
        self.void = int(known.get("void", 0))
        self.done: Counter[str] = Counter(known.get("done", {}))
        self.wrong: Counter[str] = Counter(known.get("wrong", {}))
        self.first = str(known.get("first", ""))

    def add(self, kills: Kills, home: int, void: int) -> None:
        """One home has come to its end."""
        with self._lock:
            self.done.update({name: getattr(kills, name) for name in COUNTED})
            for kind, sentence in kills.story.wrong():
                self.wrong[kind] += 1
                self.first = self.first or f"home {home}: {sentence}"
            self.homes += 1
            self.void += void
            self._resume.save({name: getattr(self, name) for name in ("homes", "void", "done", "wrong", "first")})


def campaign(kills: int, seed: int, homes: int, state: Path | None = None) -> Report:
    """So many kills, spread over homes of at most `KILLS_A_HOME`."""
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

        jobs = [pool.submit(_home, count, count.homes + n, seed, share, step) for n, share in enumerate(shares)]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            say("broken off: each home ends the kill that it is at")
            broken_off.set()
            pool.shutdown(cancel_futures=True)
            raise
    return _report(count, resume, time.monotonic() - began, count.done["done"] - before)


def _home(count: _Count, number: int, seed: int, kills: int, step: Callable[[str], None]) -> None:
    def once() -> Kills:
        return Run(f"{seed}/crash/{number}", None, lambda: step("")).run(kills)

    done, void = unstalled(once, say=say, fine=_stands)
    count.add(done, number, void)


def _stands(kills: Kills) -> bool:
    """A stall explains a setpoint that ends late, and nothing that is lost or acts twice."""
    kinds = {kind for kind, _ in kills.story.wrong()}
    return kinds != {ALIVE}


def _report(count: _Count, resume: Resume, seconds: float, done: int) -> Report:
    names = count.done
    met = {"with a setpoint in force": names["remote"], "with an open command": names["unsettled"]}
    figures = [
        Figure("kills", names["done"], "", ">= 1", {**met, "before ready": names["in_start"], "homes": count.homes}),
        *(Figure(kind, count.wrong[kind], "", "== 0") for kind in KINDS),
        Figure("commands", names["commands"], "", None, {"acted": names["acted"], "sent again": names["replays"]}),
        Figure("time", round(seconds, 1), "s", None, {"s a kill": round(seconds / max(1, done), 2)}),
    ]
    if count.first:
        figures[1] = Figure(KINDS[0], count.wrong[KINDS[0]], "", "== 0", note=f"first of all: {count.first}")
    extra = {"commit": resume.commit, "source": resume.source, "first": count.first, "daemon": installed_from()}
    title = f"crash, seed {resume.seed}, commit {resume.commit}, source {resume.source}, daemon {installed_from()}"
    return Report(title, figures, resume.seed, count.void, extra)
