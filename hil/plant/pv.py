"""Two strings of solar panels: a clear-sky bell and clouds that come and go. W >= 0."""

from __future__ import annotations

import math
import random

RISE_S, SET_S = 6.5 * 3600, 19.5 * 3600


class Pv:
    """`available_w` is what the sun gives; the inverter may take less of it."""

    def __init__(self, rng: random.Random, peak_w: float) -> None:
        self.forced_w: float | None = None
        self.available_w = 0.0
        self._rng = rng
        self._peak_w = peak_w
        self._clouds = 0.8  # share of the clear sky that comes through

    def step(self, second_of_day: float, dt_s: float) -> None:
        """One second or so passes."""
        if self.forced_w is not None:
            self.available_w = self.forced_w
            return
        if not RISE_S < second_of_day < SET_S or not self._peak_w:
            self.available_w = 0.0
            return
        clouds = self._clouds + (0.8 - self._clouds) * dt_s / 300.0 + self._rng.gauss(0.0, 0.02)
        self._clouds = clouds = 0.1 if clouds < 0.1 else 1.0 if clouds > 1.0 else clouds
        height = math.sin(math.pi * (second_of_day - RISE_S) / (SET_S - RISE_S))
        self.available_w = self._peak_w * clouds * height * math.sqrt(height)
