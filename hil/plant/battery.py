"""A 16s LFP pack: open-circuit voltage over SoC, ohmic and RC drop, heat, and cells that are not all alike.

Equations, numbers and where they come from: docs/simulated-home.md. SoC is by charge and true: nobody on a bus sees it.
The pack's SoC is that of its weakest cell, so 0 and 1 are where the pack has to stop.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from hil.plant.ocv import Cell, String


@dataclass(frozen=True, slots=True)
class PackParams:
    """One pack. 488 Ah at 51.2 V are the demo home's 25 kWh."""

    cells: int = 16
    capacity_ah: float = 488.0
    r0_ohm: float = 0.0004  # a cell, at 25 C
    r1_ohm: float = 0.0003
    tau_s: float = 60.0
    cold_per_k: float = math.log(3.0) / 35.0  # both resistances are three times as large at -10 C as at 25 C
    heat_j_per_k: float = 60_000.0
    cooling_w_per_k: float = 8.0
    ambient_c: float = 22.0
    spare: float = 0.012  # spread of the cells' capacity, as a part of it
    unbalanced: float = 0.4  # 0 = all cells are full together
    r_spread: float = 0.05
    temp_spread_c: float = 0.0  # warmest less coldest cell: a pack at an outer wall, or with a heater


def unlike_cells(params: PackParams, rng: random.Random) -> tuple[Cell, ...]:
    """Cells as they leave a factory: one is the weakest, and resistances average 1."""
    spares = [abs(rng.gauss(0.0, params.spare)) for _ in range(params.cells)]
    least = min(spares)
    factors = [1.0 + rng.gauss(0.0, params.r_spread) for _ in range(params.cells)]
    mean = sum(factors) / params.cells
    return tuple(
        Cell(spare - least, 1.0 - params.unbalanced * rng.random(), factor / mean)
        for spare, factor in zip(spares, factors, strict=True)
    )


class Battery:
    """The pack. Currents and powers + = discharge. `settle` once a second, `drain` as often as the plant steps."""

    def __init__(
        self, params: PackParams, soc: float, temp_c: float, rng: random.Random, cells: Sequence[Cell] | None = None
    ) -> None:
        self.params = params
        self.cells = unlike_cells(params, rng) if cells is None else tuple(cells)
        self.soc = soc
        self.temp_c = temp_c
        self.current_a = 0.0
        self.heat_wh = 0.0  # what its resistances made, since the start
        self.terminal_wh = 0.0  # what left at its terminals, + = discharge
        self._string = String(self.cells, params.capacity_ah)
        self._amp_s = params.capacity_ah * 3600.0
        self._rc_v = 0.0  # of the mean cell
        self._moved_as = self._moved_a2s = 0.0  # integrals of current and of its square since the last `settle`
        self._settled_v: list[float] = []
        self.cell_min_v = self.cell_max_v = 0.0
        self._follow()

    def drain(self, dc_w: float, dt_s: float) -> None:
        """Take `dc_w` (negative: put in) for `dt_s`. The current is the one at which volts x amps are `dc_w`; beyond
        the pack's greatest power (some 100 kW) it collapses to half its voltage.
        """
        emf = self._emf_v
        root = emf * emf - self._r0_ohm * dc_w * 4.0
        self.carry(2.0 * dc_w / (emf + math.sqrt(root)) if root > 0.0 else emf / (2.0 * self._r0_ohm), dt_s)

    def carry(self, current_a: float, dt_s: float) -> None:
        """Let `current_a` flow for `dt_s`."""
        self.current_a = current_a
        self.pack_v = volts = self._emf_v - current_a * self._r0_ohm
        moved = current_a * dt_s
        self._moved_as += moved
        self._moved_a2s += moved * current_a
        self.terminal_wh += moved * volts / 3600.0
        soc = self.soc - moved / self._amp_s
        self.soc = 0.0 if soc < 0.0 else 1.0 if soc > 1.0 else soc

    def settle(self, dt_s: float) -> None:
        """Let RC, heat and cells follow what flowed in the last `dt_s`; 0 = only look again."""
        params = self.params
        if dt_s > 0.0:
            mean_a, before = self._moved_as / dt_s, self._rc_v
            share = math.exp(-dt_s / params.tau_s)
            r1_ohm = params.r1_ohm * self._cold
            self._rc_v = before * share + mean_a * r1_ohm * (1.0 - share)
            middle = (before + self._rc_v) / 2.0
            heat_j = self._moved_a2s * self._r0_ohm + middle * middle / r1_ohm * params.cells * dt_s
            self._moved_as = self._moved_a2s = 0.0
            loss_w = params.cooling_w_per_k * (self.temp_c - params.ambient_c)
            self.temp_c += (heat_j - loss_w * dt_s) / params.heat_j_per_k
            self.heat_wh += heat_j / 3600.0
        self._follow()

    def _follow(self) -> None:
        params = self.params
        self._cold = cold = math.exp((25.0 - self.temp_c) * params.cold_per_k)
        self._r0_ohm = params.r0_ohm * cold * params.cells
        self._emf_v = self._string.volts(self.soc) - self._rc_v * params.cells
        self.pack_v = self._emf_v - self.current_a * self._r0_ohm
        sag = self._rc_v + self.current_a * params.r0_ohm * cold
        self._settled_v = volts = self._string.cells_v(self.soc, sag)
        self.cell_min_v, self.cell_max_v = min(volts), max(volts)

    @property
    def coldest_c(self) -> float:
        """Of all cells; `temp_c` is their middle."""
        return self.temp_c - self.params.temp_spread_c / 2.0

    @property
    def cells_v(self) -> Sequence[float]:
        """Volts of each cell at the last `settle`."""
        return self._settled_v

    @property
    def energy_wh(self) -> float:
        """What is left between here and the weakest cell's empty, before any resistance."""
        return self._string.energy_wh(self.soc)

    def energy_at_wh(self, soc: float) -> float:
        """The same at another SoC."""
        return self._string.energy_wh(soc)

    @property
    def rc_wh(self) -> float:
        """What the RC elements hold: 1/2 C V^2 of each cell, C = tau / R1."""
        params = self.params
        farad = params.tau_s / (params.r1_ohm * self._cold)
        return 0.5 * farad * self._rc_v * self._rc_v * params.cells / 3600.0
