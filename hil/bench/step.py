"""`bench step`: one cycle of the core, on the inputs of a home that lives: idle, dispatched, ramping."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from agent import control
from hil.backends.virtual import VirtualBackend
from hil.figures import Figure, Report
from hil.rounds import interleave, median, percentile
from hil.scenario import find, load

REACH_MS = 0.3
SECONDS = 120
S = 1_000_000_000


def run(args: argparse.Namespace) -> Report:
    """Median over rounds of the median, with a reach; p99 beside."""
    every: list[float] = []

    def side() -> float:
        times = measure()
        every.extend(times)
        return percentile(times, 500)

    medians = interleave({"step": side}, max(3, args.rounds), title="step")["step"]
    beside = {"p99": round(percentile(every, 990), 3), "worst": round(max(every), 3), "cycles": len(every)}
    reach = f"<= {REACH_MS}"
    figure = Figure("core.step, median", round(median(medians), 3), "ms", reach, beside, peers=("p99",))
    return Report("one cycle of the core", [figure], seed=args.seed)


def measure() -> list[float]:
    """Milliseconds of every call that the shell makes of `core.step` in two minutes of a dispatched home."""
    times: list[float] = []
    real: Callable[..., Any] = vars(control)["step"]

    def timed(*args: Any) -> Any:
        began = time.perf_counter_ns()
        result = real(*args)
        times.append((time.perf_counter_ns() - began) / 1e6)
        return result

    backend = VirtualBackend()
    vars(control)["step"] = timed  # the shell calls it by this name
    try:
        backend.start(load(find("dispatch")), 1)
        backend.run_until(30 * S)
        times.clear()
        backend.aggregator("dispatch", "bench", power_w=5000, duration=60, primacy=1, ramp="direct")
        backend.run_until((30 + SECONDS) * S)
    finally:
        vars(control)["step"] = real
        backend.finish()
        backend.discard()
    return times
