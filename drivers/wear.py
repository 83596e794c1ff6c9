"""How often registers that wear out were written within the last 24 h. Not kept over a restart."""

from __future__ import annotations

from collections import deque

DAY_NS = 86_400_000_000_000
FLOOR_BUDGET = 24  # a day, where the control states no budget
MOST = 1000  # as many as a profile's budget may be


class Wear:
    """Of one device."""

    def __init__(self) -> None:
        self._written_ns: deque[int] = deque(maxlen=MOST)

    def wrote(self, now_ns: int) -> None:
        """A wearing register was written."""
        self._written_ns.append(now_ns)

    def spent(self, now_ns: int, budget: int) -> bool:
        """No write is left of the last 24 h's budget; 0 = none is stated."""
        return sum(1 for at_ns in self._written_ns if now_ns - at_ns < DAY_NS) >= (budget or FLOOR_BUDGET)
