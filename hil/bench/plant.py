"""`bench plant`: how much faster than the clock the physics of the simulated home is: no devices, wire or agent."""

from __future__ import annotations

import argparse
import time
from functools import partial

from hil.figures import Figure, Report
from hil.plant.home import Home, HomeParams
from hil.rounds import interleave, median

REACH = 20_000
SECONDS = 7_200
S = 1_000_000_000


def run(args: argparse.Namespace) -> Report:
    """A living house and a still one, interleaved; the first has the reach. Two packs with two inverters beside."""
    sides = {
        "house, sun and clouds": HomeParams(start_s_of_day=11 * 3600.0),
        "a still house": HomeParams(load_w=900.0, pv_w=0.0),
        "two packs, two inverters": HomeParams(packs=2, inverters=2),
    }
    speeds = interleave(
        {name: partial(measure, params, args.seed) for name, params in sides.items()},
        args.rounds,
        title="plant",
    )
    figures = [
        Figure(
            name,
            round(median(values)),
            "x",
            f">= {REACH}" if i == 0 else None,
            {"slowest": round(min(values))},
            peers=("slowest",),
        )
        for i, (name, values) in enumerate(speeds.items())
    ]
    return Report("the plant alone, one core", figures, seed=args.seed)


def measure(params: HomeParams, seed: int) -> float:
    """Virtual seconds per second of CPU over two hours of a home's life."""
    home = Home(seed, params)
    began = time.process_time()
    home.advance_to(SECONDS * S)
    return SECONDS / (time.process_time() - began)
