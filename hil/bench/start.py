"""`bench start`: start of the installed daemon -> birth and the first live record, verified by the aggregator."""

from __future__ import annotations

import argparse

from hil.bench.live import running, verified
from hil.figures import Figure, Report, Scalar
from hil.program import installed_from
from hil.rounds import interleave, median

REACH_S = 5.0
WAIT_S = 20.0


def run(args: argparse.Namespace) -> Report:
    """Medians of the rounds, s."""
    births: list[float] = []

    def once() -> float:
        with running(args.seed) as backend:
            began = backend.now_ns()
            birth = backend.live.wait_for(lambda a: a.score()["verified"]["birth"], WAIT_S)
            births.append((backend.now_ns() - began) / 1e9 if birth else WAIT_S)
            live = backend.live.wait_for(lambda a: a.score()["verified"]["live"], WAIT_S)
            return (backend.now_ns() - began) / 1e9 if live and verified(backend, "birth") else WAIT_S

    both = interleave({"start": once}, args.rounds, title="start")["start"]
    beside: dict[str, Scalar] = {
        "birth alone_s": round(median(births), 2),
        "slowest_s": round(max(both), 2),
        "daemon": installed_from(),
    }
    figure = Figure("birth and a live record verified", round(median(both), 2), "s", f"<= {REACH_S}", beside)
    return Report("daemon start, real broker with mutual TLS", [figure])
