"""`bench step`: one cycle of the core, on the inputs of a real run, half of it dispatched, replayed cycle by cycle."""

from __future__ import annotations

import argparse
import time

from agent import control
from agent.core.decision import Outputs
from agent.core.inputs import Inputs
from agent.core.params import Params
from agent.core.state import State
from agent.core.step import step
from hil.backends.virtual import VirtualBackend
from hil.figures import Figure, Report
from hil.rounds import interleave, median, percentile
from hil.scenario import find, load

REACH_MS = 0.3
S = 1_000_000_000


def run(args: argparse.Namespace) -> Report:
    """Median and p99 of `core.step`, ms."""
    taken = _record(args.seed, 900)
    params, cycles = taken

    def once() -> float:
        times = []
        for state, inputs in cycles:
            began = time.perf_counter_ns()
            step(params, state, inputs)
            times.append((time.perf_counter_ns() - began) / 1e6)
        worst.append(percentile(times, 990))
        return median(times)

    worst: list[float] = []
    medians = interleave({"step": once}, args.rounds, title="core.step")["step"]
    beside = {"p99_ms": round(median(worst), 3), "cycles": len(cycles)}
    return Report(
        "one cycle of the core", [Figure("core.step", round(median(medians), 3), "ms", f"<= {REACH_MS}", beside)]
    )


def _record(seed: int, seconds: int) -> tuple[Params, list[tuple[State, Inputs]]]:
    """Parameters and (state, inputs) of every cycle of a run, half of it dispatched."""
    cycles: list[tuple[State, Inputs]] = []
    backend = VirtualBackend()

    def spy(params: Params, state: State, inputs: Inputs) -> tuple[State, Outputs]:
        cycles.append((state, inputs))
        return step(params, state, inputs)

    vars(control)["step"] = spy  # what the shell calls, seen from outside
    try:
        backend.start(load(find("dispatch")), seed)
        backend.run_until(30 * S)
        backend.aggregator("dispatch", "bench", power_w=5000, duration=seconds // 2, primacy=1, ramp="direct")
        backend.run_until(seconds * S)
    finally:
        vars(control)["step"] = step
    params = backend.config.params
    backend.finish()
    return params, cycles
