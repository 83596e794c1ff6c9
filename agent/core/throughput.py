"""How much energy was discharged this UTC day; kept over a crash with few commits, and never too low.

What is stored is ahead of what was counted by one to two steps, so the disk is asked once a step, and a start after a
crash takes up more than was spent. Time for which no power is known counts nothing. Which day it is, a trusted clock
says by standing at it for a while: one that is wrong for a moment neither begins a day nor keeps one from ending. A
gateway that no trusted clock tells the day begins anew after 24 h of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.core.params import S
from agent.core.snapshot import Snapshot
from agent.core.soc import NJ_PER_MWH

DAY_MS = 86_400_000
DAY_NS = DAY_MS * 1_000_000
STEPS = 50  # of a full cycle
STANDS_NS = 600 * S  # so long a trusted clock must say another day before it is believed


class Spent(NamedTuple):
    """`day`: UTC days since 1970 by a trusted clock, 0 = none was known yet. `nj`: energy out of the battery since its
    begin. `other`: the day that the clock has said for the last `stood_ns`, in which `since_nj` left the battery.
    `untold_ns`: for how long no trusted clock has said `day`, since the start or since the count began anew."""

    day: int = 0
    nj: int = 0
    other: int = 0
    stood_ns: int = 0
    since_nj: int = 0
    untold_ns: int = 0

    @property
    def mwh(self) -> int:
        """Rounded up."""
        return -(-self.nj // NJ_PER_MWH)


def begin(durable: Durable) -> Spent:
    """After a start."""
    return Spent(durable.day, durable.day_mwh * NJ_PER_MWH)


def count(spent: Spent, clock: Clock, s: Snapshot, dt_ns: int) -> Spent:
    """One cycle more. Another day begins when a trusted clock has said so for `STANDS_NS`; what was spent meanwhile is
    the new day's. An earlier one takes over all that was counted: going back must not be a way to forget. 24 h in which
    no trusted clock has said the day that is counted are a day too."""
    pack_w = s.pack.power_w if s.pack is not None and s.battery_age_ns <= s.battery_stale_ns else None
    nj = max(0, s.battery_w or 0, pack_w or 0) * dt_ns
    day = clock.wall_ms // DAY_MS
    if clock.trust is ClockTrust.UNTRUSTED:
        return _untold(Spent(spent.day, spent.nj + nj), spent.untold_ns + dt_ns)
    if day == spent.day:
        return Spent(spent.day, spent.nj + nj) if nj or spent.other or spent.untold_ns else spent
    if day == spent.other:
        stood_ns, since_nj = spent.stood_ns + dt_ns, spent.since_nj + nj
    else:
        stood_ns, since_nj = dt_ns, nj
    if spent.day and stood_ns < STANDS_NS:
        return _untold(Spent(spent.day, spent.nj + nj, day, stood_ns, since_nj), spent.untold_ns + dt_ns)
    return Spent(day, since_nj if day > spent.day else spent.nj + nj)


def _untold(spent: Spent, untold_ns: int) -> Spent:
    return Spent(spent.day) if untold_ns >= DAY_NS else spent._replace(untold_ns=untold_ns)


def kept(durable: Durable, spent: Spent, capacity_wh: int) -> Durable:
    """The same object as long as what is stored is one to two steps ahead; more it is when the count began anew."""
    step, mwh = max(1, capacity_wh * 1000 // STEPS), spent.mwh
    if not mwh or (durable.day == spent.day and mwh + step <= durable.day_mwh <= mwh + 2 * step):
        return durable
    return replace(durable, day=spent.day, day_mwh=(mwh // step + 2) * step)


def exact(durable: Durable, spent: Spent) -> Durable:
    """At a clean stop."""
    return replace(durable, day=spent.day, day_mwh=spent.mwh)
