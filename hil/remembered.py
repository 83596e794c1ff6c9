"""The plant's own past, by the home's clock: what anything that the home says about a time is held against."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

from hil.expr import Value

EACH_MS = 500
Stand = tuple[float, ...]


class Remembered:
    """Signals of `names` every half a second; `at` and `over` look back."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._times: list[int] = []  # UTC ms, rising
        self._stands: list[Stand] = []

    def see(self, wall_ms: int, truth: Mapping[str, Value]) -> None:
        """The plant at that time. A clock that is put back begins anew; a rig has no plant to look into."""
        stand = tuple(float(value) for name in self.names if isinstance(value := truth.get(name), int | float))
        if len(stand) != len(self.names):
            return
        if self._times and wall_ms < self._times[-1]:
            self._times.clear()
            self._stands.clear()
        if not self._times or wall_ms - self._times[-1] >= EACH_MS:
            self._times.append(wall_ms)
            self._stands.append(stand)

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """First and last look; None = none yet."""
        return (self._times[0], self._times[-1]) if self._times else None

    def at(self, wall_ms: int) -> dict[str, float]:
        """On the line between the looks before and after; at least one look, and none later than the last."""
        i = bisect_left(self._times, wall_ms)
        if i == 0:
            return dict(zip(self.names, self._stands[0], strict=True))
        (a, b), (x, y) = self._times[i - 1 : i + 1], self._stands[i - 1 : i + 1]
        part = (wall_ms - a) / (b - a)
        return {name: p + (q - p) * part for name, p, q in zip(self.names, x, y, strict=True)}

    def over(self, from_ms: int, to_ms: int) -> list[dict[str, float]]:
        """Every look in that time."""
        first, last = bisect_left(self._times, from_ms), bisect_right(self._times, to_ms)
        return [dict(zip(self.names, stand, strict=True)) for stand in self._stands[first:last]]
