"""`bench start`: from the start of the daemon to a birth and a live record that an aggregator has verified."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from hil import site
from hil.aggregator.aggregator import Aggregator
from hil.backends.process import ProcessBackend
from hil.bench.rig import live, wait
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.rounds import median
from hil.stall import unstalled
from hil.talk import say

REACH_S = 5
WAIT_S = 20.0


def run(args: argparse.Namespace) -> Report:
    """The worst of the rounds has a reach."""
    times, void = unstalled(lambda: measure(max(3, args.rounds)), say=say, fine=lambda t: max(t) <= REACH_S)
    beside = {"rounds": len(times), "median": round(median(times), 2)}
    name, reach = "start -> birth and live verified, worst", f"<= {REACH_S}"
    figure = Figure(name, round(max(times), 2), "s", reach, beside, peers=("median",))
    return Report("start of the daemon", [figure], void=void)


def measure(rounds: int) -> Sequence[float]:
    """Seconds of each start; the daemon is stopped cleanly in between."""
    times = []
    with live() as backend, Progress("start", rounds) as bar:
        for _ in range(rounds):
            backend.supervisor.stop()
            times.append(_start(backend))
            wait(backend, lambda s: s["agent.devices_ok"] == 3)
            bar.step()
    return times


def _start(backend: ProcessBackend) -> float:
    before = backend.live.look(lambda a: len(a.books[site.DEVICE].boots))
    began = time.monotonic()
    backend.supervisor.start()

    def verified(aggregator: Aggregator) -> bool:
        book = aggregator.books[site.DEVICE]
        if len(book.boots) <= before or book.birth is None or not book.lives:
            return False
        boot = book.boots[-1]
        return bool(book.birth.claims["boot"] == boot == book.lives[-1].claims["boot"])

    if not backend.live.wait_for(verified, WAIT_S):
        return WAIT_S
    return time.monotonic() - began
