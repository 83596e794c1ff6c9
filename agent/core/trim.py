"""At the reserve 0 W must be zero. What an inverter gives all the same, within the band in which it still counts as
obedient, adds up; then so much charge is asked for as makes up for it.

Each permille of the capacity that was given moves the charge by the mean power that it was given with, and each one
that came back moves it the other way. It ends with the discharge that is allowed again, or with the setpoint.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.actuation import BAND_PERMILLE
from agent.core.params import Params
from agent.core.snapshot import Snapshot
from agent.core.soc import NJ_PER_MWH
from agent.core.writes import Hand

NEAR_PERMILLE = 10  # above the reserve; further up what leaks is not missing
STEP_PERMILLE = 1  # of the capacity, given or come back, before the charge is moved


class Trim(NamedTuple):
    """`charge_w`: what is asked for in place of 0 W, >= 0. `given_nj`: W x ns, since `since_ns`."""

    charge_w: int = 0
    given_nj: int = 0
    since_ns: int = 0


NOTHING = Trim()


def follow(before: Trim, s: Snapshot, p: Params, hand: Hand, dt_ns: int) -> Trim:
    """One cycle. Counts only under a setpoint that was read back and is zero but for this."""
    if hand.setpoint_w is None or s.soc_lo_mwh is None:
        return NOTHING
    if s.soc_lo_mwh > (s.reserve_permille + NEAR_PERMILLE) * p.site.capacity_wh:
        return NOTHING
    most_w = p.site.nameplate_discharge_w * BAND_PERMILLE // 1000
    if not hand.confirmed or not -most_w <= hand.setpoint_w <= 0 or s.battery_w is None:
        return before
    given_nj = before.given_nj + s.battery_w * dt_ns
    limit = max(1, STEP_PERMILLE * p.site.capacity_wh * NJ_PER_MWH)
    if abs(given_nj) < limit:
        return before._replace(given_nj=given_nj, since_ns=before.since_ns or s.now_ns)
    mean_w = given_nj // max(1, s.now_ns - before.since_ns)
    return Trim(max(0, min(most_w, before.charge_w + mean_w)), 0, s.now_ns)


def trimmed(given_w: int | None, charge_w: int, lo_w: int, resolution_w: int) -> int | None:
    """The setpoint with it, inside the permit's `lo_w`: only in place of zero, or of a smaller charge."""
    if not charge_w or given_w is None or given_w > 0:
        return given_w
    step = max(1, resolution_w)
    return min(given_w, -(min(charge_w, -lo_w) // step * step))
