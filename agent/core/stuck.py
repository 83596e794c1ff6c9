"""A meter that repeats itself: a clamp that fell off, or a gateway that serves an old block, looks alive by its age.

A grid meter whose whole block stays identical for `STUCK_NS` while the battery's power moved by more than `MOVED_W` did
not see what it is there to see (facts: exactly 0 W for a minute). While the battery rests, a still meter is not
accused: voltage and frequency of some meters are coarse, and a night is long.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple

from agent.core.params import S
from drivers.readings import MeterReading

STUCK_NS = 60 * S
MOVED_W = 300


class Stuck(NamedTuple):
    """One meter's last block, its times aside, since when it is the same, and how far the battery moved meanwhile."""

    block: tuple[object, ...]
    since_ns: int
    least_w: int | None
    most_w: int | None

    def is_stuck(self, now_ns: int) -> bool:
        """Whether it stood still while the battery did not."""
        if self.least_w is None or self.most_w is None:
            return False
        return now_ns - self.since_ns >= STUCK_NS and self.most_w - self.least_w > MOVED_W


TIMES = ("at_ns", "grid_was", "newest_ns")
said = attrgetter(*[field.name for field in fields(MeterReading) if field.name not in TIMES])


def follow(old: Stuck | None, meter: MeterReading | None, battery_w: int | None, now_ns: int) -> Stuck | None:
    """`meter` and `battery_w` are fresh or None. Without a fresh block there is nothing to compare."""
    if meter is None:
        return None
    block = said(meter)
    if old is None or old.block != block:
        return Stuck(block, now_ns, battery_w, battery_w)
    if battery_w is None:
        return old
    if old.least_w is None or old.most_w is None:
        return Stuck(block, old.since_ns, battery_w, battery_w)
    if old.least_w <= battery_w <= old.most_w:
        return old
    return Stuck(block, old.since_ns, min(old.least_w, battery_w), max(old.most_w, battery_w))
