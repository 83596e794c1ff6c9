"""`bench virtual`: how much faster than the clock the whole agent runs on the virtual runtime, on one core.

Real port, codec, core, gate, JWS and store; simulated home, wire, broker and aggregator in the same process, and all of
that is counted. Rounds at 1 Hz polls and at the profiles' own (4 Hz) are interleaved.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Mapping

from hil.backends.virtual import VirtualBackend
from hil.figures import Figure, Report
from hil.rounds import interleave, median
from hil.scenario import find, load

REACH = 1_000
WARM_S = 30
SLOW_POLLS: Mapping[str, Mapping[str, int]] = {
    "battery": {"pack": 1000, "state": 5000},
    "meter": {"fast": 1000, "phases": 5000, "energy": 60_000},
    "inverter": {"fast": 2000, "slow": 3000, "control": 3000},
}
S = 1_000_000_000


def run(args: argparse.Namespace) -> Report:
    """Figures: times real time at 1 Hz (with a reach) and at 4 Hz (printed)."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return _run(args)
    finally:
        os.sched_setaffinity(0, cores)


def _run(args: argparse.Namespace) -> Report:
    rates: dict[str, list[float]] = {"1 Hz": [], "4 Hz": []}

    def side(name: str, polls: Mapping[str, Mapping[str, int]] | None) -> float:
        speed, rate = _measure(polls, args.seconds)
        rates[name].append(rate)
        return speed

    speeds = interleave(
        {"1 Hz": lambda: side("1 Hz", SLOW_POLLS), "4 Hz": lambda: side("4 Hz", None)}, args.rounds, title="virtual"
    )
    figures = []
    for name, reach in (("1 Hz", f">= {REACH}"), ("4 Hz", None)):
        beside = {"transactions_per_s": round(median(rates[name]), 2), "slowest": round(min(speeds[name]))}
        speed = round(median(speeds[name]))
        figures.append(Figure(f"virtual time, polls at {name}", speed, "x", reach, beside, peers=("slowest",)))
    return Report("virtual runtime, one core, everything counted", figures, seed=args.seed)


def _measure(polls: Mapping[str, Mapping[str, int]] | None, seconds: int) -> tuple[float, float]:
    """(virtual seconds per second of CPU, transactions per virtual second); half of the time under a dispatch."""
    scenario = load(find("dispatch"))
    backend = VirtualBackend(polls, observed=False)
    backend.start(scenario, 1)
    backend.run_until(WARM_S * S)
    gc.collect()
    requests, began = backend.wire.requests, time.process_time()
    backend.aggregator("dispatch", "bench", power_w=5000, duration=seconds // 2, primacy=1, ramp="direct")
    backend.run_until((WARM_S + seconds) * S)
    spent = time.process_time() - began
    rate = (backend.wire.requests - requests) / seconds
    ended = backend.functions()["ack_state"]("bench")
    backend.finish()
    backend.discard()
    if ended != "completed":
        raise RuntimeError(
            f"the home did not do the bench's dispatch (last ack: {ended or 'none'}): nothing was measured"
        )
    return seconds / spent, rate
