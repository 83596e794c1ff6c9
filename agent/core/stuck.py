"""A meter that repeats itself: a clamp that fell off, or a gateway that serves an old block, looks alive by its age.

A grid meter whose whole block stays identical for `STUCK_NS` while the battery's power moved by more than `MOVED_W` did
not see what it is there to see. The same goes for one that shows exactly no power (`blind`), whatever else of it moves:
a clamp that hangs in the air sees nothing, while volts and frequency go on. While the battery rests, a still meter is
not accused: voltage and frequency of some meters are coarse, a night is long, and a leg may have no load.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple

from agent.core.params import S
from drivers.readings import MeterReading

STUCK_NS = 59 * S  # and a sample, a cycle and a write: within 62 s
MOVED_W = 300
SETTLED_NS = 10 * S  # of exactly nothing: what moved before may be older than the meter's sample
NOTHING: tuple[object, ...] = ("no power",)


class Stuck(NamedTuple):
    """One meter's last block, times and counters aside, since when it is the same, how far the battery moved."""

    block: tuple[object, ...]
    since_ns: int
    least_w: int | None
    most_w: int | None

    @property
    def sees_nothing(self) -> bool:
        """Whether all that it has against the meter is that it shows exactly no power."""
        return self.block is NOTHING

    def is_stuck(self, now_ns: int) -> bool:
        """Whether it stood still while the battery did not."""
        if self.least_w is None or self.most_w is None:
            return False
        return now_ns - self.since_ns >= STUCK_NS and self.most_w - self.least_w > MOVED_W


ELSE = ("at_ns", "grid_was", "newest_ns", "import_wh", "export_wh")  # times, and counters that are read once a minute
said = attrgetter(*[field.name for field in fields(MeterReading) if field.name not in ELSE])


def blind(meter: MeterReading, legs: int) -> bool:
    """Exactly no power at the connection, or in one of the `legs` that share the battery's power evenly. A single leg
    of a home whose inverter feeds one may have no load: of that nobody can say what it should show."""
    return meter.grid_w == 0 or (legs > 1 and 0 in meter.phase_w[:legs])


def follow(
    old: Stuck | None, meter: MeterReading | None, battery_w: int | None, now_ns: int, nothing: bool = False
) -> Stuck | None:
    """`meter` and `battery_w` are fresh or None. Without a fresh block there is nothing to compare. `nothing`: it is
    `blind` though the battery does what we say, and not what would bring the meter to zero."""
    if meter is None:
        return None
    block = said(meter)
    if nothing and (old is None or old.block != block):
        block = NOTHING
    if old is None or old.block != block:
        return Stuck(block, now_ns, battery_w, battery_w)
    if battery_w is None:
        return old
    if old.sees_nothing and now_ns - old.since_ns < SETTLED_NS:
        return Stuck(block, old.since_ns, battery_w, battery_w)
    if old.least_w is None or old.most_w is None:
        return Stuck(block, old.since_ns, battery_w, battery_w)
    if old.least_w <= battery_w <= old.most_w:
        return old
    return Stuck(block, old.since_ns, min(old.least_w, battery_w), max(old.most_w, battery_w))
