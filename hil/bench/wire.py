"""`bench wire`: how exactly the paced wire keeps its baud rate: frames of 125 bytes against bytes x bits / baud."""

from __future__ import annotations

import argparse

from hil.figures import Figure, Report
from hil.rounds import interleave, median
from hil.wire.accuracy import measure

REACH = 0.03
LINES = ((9600, 1, 8), (19_200, 1, 16), (115_200, 8, 60))  # baud, fifo, frames a round


def run(args: argparse.Namespace) -> Report:
    """Median frame error of each line; medians, because one stall of the machine ruins a mean."""
    sides = {
        f"{baud} baud": (lambda b=baud, f=fifo, n=frames: abs(measure(b, f, n).p50)) for baud, fifo, frames in LINES
    }
    errors = interleave(sides, args.rounds, title="wire")
    figures = [
        Figure(
            f"median frame error at {name}",
            round(median(values), 4),
            "",
            f"<= {REACH}",
            {"worst": round(max(values), 4)},
        )
        for name, values in errors.items()
    ]
    return Report("the paced wire", figures)
