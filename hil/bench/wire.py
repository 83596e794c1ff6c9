"""`bench wire`: how exactly the paced wire keeps its baud rate; the bench must not lie about time."""

from __future__ import annotations

import argparse

from hil.figures import Figure, Report
from hil.rounds import interleave, median
from hil.wire.accuracy import measure

REACH_PERCENT = 3
LINES = ((9_600, 1, 12), (19_200, 1, 24), (115_200, 8, 100))  # baud, UART fifo, frames a round


def run(args: argparse.Namespace) -> Report:
    """Median frame error of each line, medians over interleaved rounds."""
    sides = {f"{baud}": _side(baud, fifo, frames) for baud, fifo, frames in LINES}
    errors = interleave(sides, max(3, args.rounds), title="wire")
    figures = [
        Figure(
            f"median frame error at {baud} baud", round(abs(median(errors[str(baud)])), 3), "%", f"<= {REACH_PERCENT}"
        )
        for baud, _, _ in LINES
    ]
    return Report("accuracy of the paced wire", figures)


def _side(baud: int, fifo: int, frames: int) -> _Side:
    return _Side(baud, fifo, frames)


class _Side:
    def __init__(self, baud: int, fifo: int, frames: int) -> None:
        self._line = (baud, fifo, frames)

    def __call__(self) -> float:
        """Percent."""
        return 100 * measure(*self._line).p50
