"""What a resting LFP cell shows over its SoC, and what a string of unlike cells makes of it.

The points are those of the bench's sources (docs/simulated-home.md): 3.00 V at 2 %, 3.20 at 10 %, 3.28 at 40 %, 3.33 at
80 %, 3.45 at 99 %, with the plateau and both ends filled in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

# (SoC as a fraction, V), rising, linear between points.
OCV: tuple[tuple[float, float], ...] = (
    (0.00, 2.60), (0.02, 3.00), (0.05, 3.12), (0.10, 3.20), (0.20, 3.25), (0.40, 3.28),
    (0.60, 3.30), (0.80, 3.33), (0.95, 3.35), (0.99, 3.45), (1.00, 3.60),
)  # fmt: skip
_SOC = tuple(point[0] for point in OCV)
_VOLT = tuple(point[1] for point in OCV)
_SLOPE = tuple((v1 - v0) / (s1 - s0) for (s0, v0), (s1, v1) in pairwise(OCV))


def open_circuit_v(soc: float) -> float:
    """Volts of one resting cell at `soc` (fraction; flat outside 0..1)."""
    if soc <= 0.0:
        return _VOLT[0]
    if soc >= 1.0:
        return _VOLT[-1]
    i = bisect_right(_SOC, soc) - 1
    return _VOLT[i] + _SLOPE[i] * (soc - _SOC[i])


class Cell(NamedTuple):
    """How one cell differs from the weakest of its string, whose SoC is the pack's."""

    spare: float = 0.0  # the part of its charge that the pack can never use, >= 0; the weakest has none
    balance: float = 1.0  # where that part lies: 1 = all below (full together with the weakest), 0 = all above
    resistance: float = 1.0  # times that of the mean cell

    def soc(self, pack_soc: float) -> float:
        """Its own SoC when the pack's is `pack_soc`; 0..1 for 0..1."""
        return pack_soc + self.spare * (self.balance - pack_soc)


class String:
    """Open-circuit volts and energy of cells in series over the pack's SoC: exact, by one table of the points between
    which every cell is on one straight piece of its curve."""

    def __init__(self, cells: Sequence[Cell], capacity_ah: float) -> None:
        knots = {0.0, 1.0}
        for cell in cells:
            for soc in _SOC:
                at = (soc - cell.spare * cell.balance) / (1.0 - cell.spare)
                if 0.0 < at < 1.0:
                    knots.add(at)
        self._soc = tuple(sorted(knots))
        self._volts = tuple(sum(open_circuit_v(cell.soc(soc)) for cell in cells) for soc in self._soc)
        pairs = list(zip(self._soc, self._volts, strict=True))
        steps = [(s1 - s0, v1 - v0, v0 + v1) for (s0, v0), (s1, v1) in pairwise(pairs)]
        self._slope = tuple(dv / ds for ds, dv, _ in steps)
        below = [0.0]
        for ds, _, both in steps:
            below.append(below[-1] + ds * both / 2.0 * capacity_ah)
        self._below_wh = tuple(below)
        self._capacity_ah = capacity_ah
        self._cells = tuple(cells)
        self._piece = -1
        self._rows: list[tuple[float, float, float]] = []  # of this piece: volts at its start, slope, resistance

    def volts(self, soc: float) -> float:
        """Of the whole string at rest. `soc` 0..1."""
        i = self._at(soc)
        return self._volts[i] + self._slope[i] * (soc - self._soc[i])

    def cells_v(self, soc: float, sag_v: float) -> list[float]:
        """Of each cell, when the mean one sags by `sag_v`."""
        i = self._at(soc)
        if i != self._piece:
            self._piece, (start, end) = i, self._soc[i : i + 2]
            ends = [(open_circuit_v(c.soc(start)), open_circuit_v(c.soc(end)), c.resistance) for c in self._cells]
            self._rows = [(v0, (v1 - v0) / (end - start), r) for v0, v1, r in ends]
        over = soc - self._soc[i]
        return [v + slope * over - sag_v * r for v, slope, r in self._rows]

    def energy_wh(self, soc: float) -> float:
        """From empty to `soc`: the integral of volts over charge."""
        i = self._at(soc)
        over = soc - self._soc[i]
        return self._below_wh[i] + over * (self._volts[i] + self._slope[i] * over / 2.0) * self._capacity_ah

    def _at(self, soc: float) -> int:
        i = bisect_right(self._soc, soc) - 1
        return i if i < len(self._slope) else i - 1
