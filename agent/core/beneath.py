"""Does the inverter's own floor hold the reserve? One that reads back as written may still not act, or count by an SoC
of its own that is higher than the BMS'.

What the battery gives in the inverter's own mode while it is surely below the reserve adds up, less what it takes. It
may be so low for good reasons (an outage, a reserve that was raised, losses of its own): only energy that flows out
there speaks against the floor.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.params import Params, S
from agent.core.snapshot import Snapshot
from agent.core.soc import NJ_PER_MWH
from agent.core.writes import Hand
from drivers.readings import GridState

MARGIN_PERMILLE = 15  # below the reserve: whole percents of an inverter's SoC, and half of one that it lags behind
MOST_PERMILLE = 5  # of the capacity, given down there: more than idle losses of a night without sun
SURE_NS = 60 * S  # a reserve that was just raised, or a grid that is just back, is heeded by then


class Beneath(NamedTuple):
    """`drawn_nj`: what was given below the reserve, W x ns, since `since_ns`."""

    since_ns: int = 0
    drawn_nj: int = 0


NOTHING = Beneath()


def follow(before: Beneath, s: Snapshot, p: Params, hand: Hand, dt_ns: int) -> Beneath:
    """One cycle. Begins anew with whatever is not the inverter's own doing on grid, under a floor that reads as one."""
    if s.soc_hi_mwh is None or s.battery_w is None:
        return before
    if s.soc_hi_mwh >= (s.reserve_permille - MARGIN_PERMILLE) * p.site.capacity_wh:
        return NOTHING
    if s.grid is not GridState.CONNECTED or hand.setpoint_w is not None or hand.maybe_active or not _floored(s):
        return NOTHING
    drawn_w = s.battery_w if s.battery_w < 0 or s.battery_w > p.dead_band_w else 0
    drawn_nj = min(_limit(p), before.drawn_nj + drawn_w * dt_ns)
    return Beneath(before.since_ns if before.drawn_nj else s.now_ns, drawn_nj) if drawn_nj > 0 else NOTHING


def ignored(found: Beneath, now_ns: int, p: Params) -> bool:
    """The floor does not hold."""
    return found.drawn_nj >= _limit(p) and now_ns - found.since_ns >= SURE_NS


def _limit(p: Params) -> int:
    return max(1, MOST_PERMILLE * p.site.capacity_wh * NJ_PER_MWH)


def _floored(s: Snapshot) -> bool:
    """Each inverter reads a floor at or above the reserve, and follows no other hand."""
    readings = [unit.reading for unit in s.units if not unit.out] if s.units else [s.inverter]
    return all(
        r is not None and (r.floor_permille or 0) >= s.reserve_permille and not r.remote_active for r in readings
    )
