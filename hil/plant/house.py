"""What the house draws, leg by leg: a base, an evening, a kettle now and then. W >= 0."""

from __future__ import annotations

import random

# Watts by hour of the day, linear between hours.
HOURS: tuple[int, ...] = (
    320, 300, 290, 290, 300, 360, 700, 1100, 900, 650, 600, 650,
    800, 700, 600, 650, 900, 1600, 2400, 2700, 2300, 1700, 900, 500, 320,
)  # fmt: skip

Legs = tuple[float, float, float]  # of L1, L2, L3; what is not connected is 0


class House:
    """`load_w` changes once a second. `forced_w` overrides the profile; noise stops too, and what the inverter itself
    draws is meant to be part of it."""

    def __init__(self, rng: random.Random, legs: int) -> None:
        self.forced_w: float | None = None
        self.load_w = 0.0
        self.legs = legs
        a, b = rng.uniform(0.28, 0.38), rng.uniform(0.28, 0.38)
        self.base: Legs = (
            (a, b, 1.0 - a - b) if legs == 3 else (a + 0.17, 0.83 - a, 0.0) if legs == 2 else (1.0, 0.0, 0.0)
        )
        self._rng = rng
        self._appliance_w = 0.0
        self._appliance_s = 0.0
        self._leg = 0

    def step(self, second_of_day: float, dt_s: float, own_w: float) -> None:
        """One second or so passes. `own_w`: what the inverter draws for itself."""
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
                self._leg = rng.randrange(self.legs)
        hours = second_of_day / 3600.0
        hour = int(hours)
        base = HOURS[hour] + (HOURS[hour + 1] - HOURS[hour]) * (hours - hour)
        self.load_w = base * (0.97 + 0.06 * rng.random()) + self._appliance_w + own_w

    @property
    def shares(self) -> Legs:
        """Which part of `load_w` each leg carries: an appliance hangs on one of them. Their sum is 1."""
        if self.forced_w is not None or not self._appliance_w:
            return self.base
        rest = 1.0 - self._appliance_w / self.load_w
        shares = [share * rest for share in self.base]
        shares[self._leg] += 1.0 - rest
        return (shares[0], shares[1], shares[2])
