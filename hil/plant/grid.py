"""The utility: frequency and voltage as mean-reverting random walks, and outages."""

from __future__ import annotations

import math
import random


def _walk(dt_s: float, memory_s: float, sigma: float) -> tuple[float, float]:
    """(what is kept, how far it is kicked) in a step of a process with that memory and standard deviation."""
    keep = math.exp(-dt_s / memory_s)
    return keep, sigma * math.sqrt(1.0 - keep * keep)


class Grid:
    """`on`, `frequency_hz`, `volts` (line to neutral). An Ornstein-Uhlenbeck process each, exact for any step."""

    def __init__(self, rng: random.Random, nominal_hz: float, nominal_v: float) -> None:
        self.on = True
        self.nominal_hz = nominal_hz
        self.nominal_v = nominal_v
        self.forced_hz: float | None = None
        self.forced_v: float | None = None
        self.frequency_hz = nominal_hz
        self.volts = nominal_v
        self._rng = rng
        self._dt_s, self._walk = 0.0, (1.0, 0.0, 1.0, 0.0)
        self._df = 0.0
        self._dv = 0.0

    def step(self, dt_s: float) -> None:
        """Walk on. 15 mHz around nominal with 40 s of memory; 0.8 V with 120 s."""
        if dt_s != self._dt_s:
            self._dt_s, self._walk = dt_s, (*_walk(dt_s, 40.0, 0.015), *_walk(dt_s, 120.0, 0.8))
        rng, (keep_f, kick_f, keep_v, kick_v) = self._rng, self._walk
        self._df = self._df * keep_f + rng.gauss(0.0, 1.0) * kick_f
        self._dv = self._dv * keep_v + rng.gauss(0.0, 1.0) * kick_v
        self.frequency_hz = self.nominal_hz + self._df if self.forced_hz is None else self.forced_hz
        self.volts = self.nominal_v + self._dv if self.forced_v is None else self.forced_v

    def outage(self) -> None:
        """The utility is gone."""
        self.on = False

    def restore(self) -> None:
        """It is back."""
        self.on = True
