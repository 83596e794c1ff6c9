"""The meter at the grid connection, on the grid side of the transfer relay. W + = import."""

from __future__ import annotations

import random


class Meter:
    """Three phases, or two legs, and two counters. Faults: `dies_with_grid`, `flipped` (CTs reversed)."""

    def __init__(self, rng: random.Random, legs: int = 3) -> None:
        self.dies_with_grid = False
        self.flipped = False
        self.total_w = 0.0
        self.volts = 0.0
        self.frequency_hz = 0.0
        self.import_wh = 0.0
        self.export_wh = 0.0
        a, b = rng.uniform(0.28, 0.38), rng.uniform(0.28, 0.38)
        self.legs = legs
        self.shares = (a, b, 1.0 - a - b) if legs == 3 else (a, 1.0 - a, 0.0)
        self._alive = True

    def step(self, now_w: float, mean_w: float, volts: float, hertz: float, dt_s: float) -> None:
        """`mean_w` flowed for `dt_s` and `now_w` flows at its end. Without a grid all is zero, and some meters die."""
        self._alive = volts > 0.0 or not self.dies_with_grid
        if self.flipped:
            now_w, mean_w = -now_w, -mean_w
        self.total_w, self.volts, self.frequency_hz = now_w, volts, hertz
        if mean_w > 0.0:
            self.import_wh += mean_w * dt_s / 3600.0
        else:
            self.export_wh -= mean_w * dt_s / 3600.0

    @property
    def dead(self) -> bool:
        """Whether it has no supply."""
        return not self._alive
