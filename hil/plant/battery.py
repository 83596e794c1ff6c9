"""A 16s LFP pack: open-circuit voltage over SoC, ohmic and RC drop, heat, and cells that are not all alike.

Sources of the numbers: docs/design.md's bench chapter (LFP OCV points, 0.4 mOhm a cell at 25 C and three times that at
-10 C, RC of 60 s, about 60 kJ/K and 8 W/K for the pack). SoC is by charge, the true one: nobody on a bus ever sees it.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass

# Cell open-circuit voltage: (SoC as a fraction, V), rising, linear between points.
OCV: tuple[tuple[float, float], ...] = (
    (0.00, 2.60), (0.02, 3.00), (0.05, 3.12), (0.10, 3.20), (0.20, 3.25), (0.40, 3.28),
    (0.60, 3.30), (0.80, 3.33), (0.95, 3.35), (0.99, 3.45), (1.00, 3.60),
)  # fmt: skip
_SOC = tuple(point[0] for point in OCV)
_VOLT = tuple(point[1] for point in OCV)


def open_circuit_v(soc: float) -> float:
    """Volts of one resting cell at `soc` (fraction; flat outside 0..1)."""
    if soc <= 0.0:
        return _VOLT[0]
    if soc >= 1.0:
        return _VOLT[-1]
    i = bisect_right(_SOC, soc)
    return _VOLT[i - 1] + (_VOLT[i] - _VOLT[i - 1]) * (soc - _SOC[i - 1]) / (_SOC[i] - _SOC[i - 1])


@dataclass(frozen=True, slots=True)
class PackParams:
    """One pack. 488 Ah at 51.2 V are the demo home's 25 kWh."""

    cells: int = 16
    capacity_ah: float = 488.0
    r0_ohm: float = 0.0004  # a cell, at 25 C
    r1_ohm: float = 0.0003
    tau_s: float = 60.0
    heat_j_per_k: float = 60_000.0
    cooling_w_per_k: float = 8.0
    ambient_c: float = 22.0
    spread_mv: float = 4.0  # standard deviation of a cell's offset on the flat part of the curve


class Battery:
    """The pack. Currents and powers + = discharge. `settle` once a second, `drain` as often as the plant steps."""

    def __init__(self, params: PackParams, soc: float, temp_c: float, rng: random.Random) -> None:
        self.params = params
        self.soc = soc
        self.temp_c = temp_c
        self.current_a = 0.0
        self.heat_wh = 0.0
        self._rc_v = 0.0
        offsets = [rng.gauss(0.0, params.spread_mv / 1000.0) for _ in range(params.cells)]
        mean = sum(offsets) / len(offsets)
        self._offsets = [offset - mean for offset in offsets]
        self._lowest, self._highest = min(self._offsets), max(self._offsets)
        self._amp_s = params.capacity_ah * 3600.0
        self._cell_v = open_circuit_v(soc)
        self._knee = 1.0
        self.pack_v = self._cell_v * params.cells

    def drain(self, dc_w: float, dt_s: float) -> None:
        """Take `dc_w` (negative: put in) for `dt_s`. The voltage of the last `settle` gives the current."""
        self.current_a = current = dc_w / self.pack_v
        soc = self.soc - current * dt_s / self._amp_s
        self.soc = 0.0 if soc < 0.0 else 1.0 if soc > 1.0 else soc

    def settle(self, dt_s: float) -> None:
        """Let voltage and heat follow the present current over `dt_s`."""
        params, current = self.params, self.current_a
        r0 = params.r0_ohm * self._cold()
        share = math.exp(-dt_s / params.tau_s)
        self._rc_v = self._rc_v * share + current * params.r1_ohm * (1.0 - share)
        self._cell_v = open_circuit_v(self.soc) - self._rc_v - current * r0
        self.pack_v = self._cell_v * params.cells
        heat_w = current * current * (r0 + params.r1_ohm) * params.cells
        loss_w = params.cooling_w_per_k * (self.temp_c - params.ambient_c)
        self.temp_c += (heat_w - loss_w) * dt_s / params.heat_j_per_k
        self.heat_wh += heat_w * dt_s / 3600.0
        soc = self.soc
        self._knee = 1.0 + (40.0 * (0.10 - soc) if soc < 0.10 else 60.0 * (soc - 0.95) if soc > 0.95 else 0.0)

    def cell_v(self, index: int) -> float:
        """Volts of cell `index`; cells drift apart toward both ends of the curve."""
        return self._cell_v + self._offsets[index] * self._knee

    @property
    def cell_min_v(self) -> float:
        """Lowest cell."""
        return self._cell_v + self._lowest * self._knee

    @property
    def cell_max_v(self) -> float:
        """Highest cell."""
        return self._cell_v + self._highest * self._knee

    def _cold(self) -> float:
        """Resistance over temperature: 1 at 25 C, 3 at -10 C, exponential between and beyond."""
        return math.exp((25.0 - self.temp_c) * 0.0314)
