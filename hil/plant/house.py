"""What the house draws: a base, an evening, a kettle now and then. W >= 0."""

from __future__ import annotations

import random

# Watts by hour of the day, linear between hours.
HOURS: tuple[int, ...] = (
    320, 300, 290, 290, 300, 360, 700, 1100, 900, 650, 600, 650,
    800, 700, 600, 650, 900, 1600, 2400, 2700, 2300, 1700, 900, 500, 320,
)  # fmt: skip


class House:
    """`load_w` changes once a second. `forced_w` overrides the profile; noise stops too."""

    def __init__(self, rng: random.Random, own_w: float) -> None:
        self.forced_w: float | None = None
        self.load_w = 0.0
        self._own_w = own_w  # the inverter's own consumption, part of what the house bus must feed
        self._rng = rng
        self._appliance_w = 0.0
        self._appliance_s = 0.0

    def step(self, second_of_day: float, dt_s: float) -> None:
        """One second or so passes."""
        if self.forced_w is not None:
            self.load_w = self.forced_w
            return
        rng = self._rng
        self._appliance_s -= dt_s
        if self._appliance_s <= 0.0:
            if self._appliance_w:
                self._appliance_w, self._appliance_s = 0.0, rng.expovariate(1 / 900.0)
            else:
                self._appliance_w, self._appliance_s = rng.choice((600.0, 1200.0, 2100.0, 3000.0)), rng.uniform(60, 240)
        hours = second_of_day / 3600.0
        hour = int(hours)
        base = HOURS[hour] + (HOURS[hour + 1] - HOURS[hour]) * (hours - hour)
        self.load_w = base * (0.97 + 0.06 * rng.random()) + self._appliance_w + self._own_w
