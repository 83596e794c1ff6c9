"""How much energy was discharged this UTC day; kept over a crash with few commits, and never too low.

What is stored is ahead of what was counted by one to two steps, so the disk is asked once a step, and a start after a
crash takes up more than was spent. Time for which no power is known counts nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.core.snapshot import Snapshot
from agent.core.soc import NJ_PER_MWH

DAY_MS = 86_400_000
STEPS = 50  # of a full cycle


class Spent(NamedTuple):
    """`day`: UTC days since 1970 by a trusted clock. `nj`: energy out of the battery since its begin."""

    day: int = 0
    nj: int = 0

    @property
    def mwh(self) -> int:
        """Rounded up."""
        return -(-self.nj // NJ_PER_MWH)


def begin(durable: Durable) -> Spent:
    """After a start."""
    return Spent(durable.day, durable.day_mwh * NJ_PER_MWH)


def count(spent: Spent, clock: Clock, s: Snapshot, dt_ns: int) -> Spent:
    """One cycle more. A new day begins by a trusted clock only, and never an earlier one."""
    day = clock.wall_ms // DAY_MS
    if day > spent.day and clock.trust is not ClockTrust.UNTRUSTED:
        spent = Spent(day, 0)
    pack_w = s.pack.power_w if s.pack is not None and s.battery_age_ns <= s.battery_stale_ns else None
    power_w = max(s.battery_w or 0, pack_w or 0)
    return Spent(spent.day, spent.nj + power_w * dt_ns) if power_w > 0 else spent


def kept(durable: Durable, spent: Spent, capacity_wh: int) -> Durable:
    """The same object as long as what is stored is still a step ahead."""
    step, mwh = max(1, capacity_wh * 1000 // STEPS), spent.mwh
    if not mwh or (durable.day == spent.day and mwh + step <= durable.day_mwh):
        return durable
    return replace(durable, day=spent.day, day_mwh=(mwh // step + 2) * step)


def exact(durable: Durable, spent: Spent) -> Durable:
    """At a clean stop."""
    return replace(durable, day=spent.day, day_mwh=spent.mwh)
