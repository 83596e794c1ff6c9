"""The cures: what the battery or the site needs whoever asks for what. Always inside the permit, so a cure can loosen
no limit of commissioning. Limits that were set from afar keep no cell from its cure, no BMS from the charge that it
asks for, and no home below its reserve from what fills it up; and none of them makes the battery give.

Cell cure: a cell that is nearly empty is charged, one that is over-full is discharged, slowly, until it is safe again.
Request: the BMS asks to be charged. Absorb and shed: the site exports or imports more than it may, and the battery
takes or gives the rest, though a dispatch that does more of the same goes on. Restore: back up to the homeowner's
reserve, gently, after a random delay, so that a street does not start at once when its grid returns; with all that the
sun leaves over, where that is more.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.arbiter import Proposal, Rank
from agent.core.caps import CURE_HOURS, fuse_of
from agent.core.command import RampClass
from agent.core.packs import Pack
from agent.core.params import Params
from agent.core.snapshot import Snapshot
from agent.core.strategies.self_consumption import follow

LOW_START_MV, LOW_END_MV = 2850, 3100
HIGH_START_MV, HIGH_END_MV = 3630, 3450
RESTORE_HOURS = 10  # at most 0.1 C
UNBOUND = frozenset({Rank.CELL_CURE, Rank.REQUEST, Rank.RESTORE})
RESTORE_BELOW_PERMILLE = 10  # under the reserve before it begins; idle losses alone do not start it


class Obliged(NamedTuple):
    """What the cures remember. `source`: of the last cycle's, which runs to its own end."""

    source: str | None = None
    restore_ns: int | None = None  # when restoring begins
    over_ns: int | None = None  # since when the site exceeds a limit


NOTHING = Obliged()


def cure(
    s: Snapshot, params: Params, before: Obliged, draw: int, ruling_w: int | None = None
) -> tuple[Proposal | None, Obliged]:
    """The cure that is needed now, or None, and what the next cycle must know. `draw`: random bits; `ruling_w`: the
    setpoint of now, None = released."""
    pack = s.pack
    if pack is None or s.battery_age_ns > s.battery_stale_ns:
        return None, NOTHING
    site, over_ns = _site(s, params, before)
    restore, restore_ns = _restore(s, params, before, draw, ruling_w)
    wish = _cell(pack, params, before.source) or _requested(pack, params) or site or restore
    return wish, Obliged(wish.source if wish is not None else None, restore_ns, over_ns)


def full(s: Snapshot, params: Params) -> bool:
    """Near the ceiling: once it was reached, nothing charges for the width of its hysteresis. To hold zero meanwhile
    for what would fill it up would only keep the sun out of it."""
    top = params.soc_ceiling_permille - params.hysteresis_permille
    return s.soc_hi_mwh is not None and s.soc_hi_mwh >= top * params.site.capacity_wh


def below(s: Snapshot, params: Params, permille: int = 0) -> bool:
    """Surely by so much under the reserve that is owed, or the ceiling where that is lower."""
    owed = min(s.owed_permille - permille, params.soc_ceiling_permille)
    return s.soc_lo_mwh is not None and s.soc_lo_mwh < owed * params.site.capacity_wh


def unbound(s: Snapshot, params: Params, wish: Proposal | None, idle: bool) -> bool:
    """Whether a home with limits from afar (`params.own` is there) goes by its commissioned ones alone: for a cure that
    fills or spares the battery, and below the reserve while nobody asks for anything (`idle`)."""
    if wish is None or wish.rank is Rank.SITE:
        return idle and below(s, params)
    return wish.rank in UNBOUND


def overtaken(wish: Proposal, dispatched_w: int, ruling_w: int | None) -> bool:
    """A dispatch does as much of the same as the site needs, and the setpoint that rules does so already: the site
    does not wait over its limit for a slow ramp."""
    if wish.rank is not Rank.SITE or wish.power_w is None or ruling_w is None:
        return False
    if wish.power_w < 0:
        return max(dispatched_w, ruling_w) <= wish.power_w
    return min(dispatched_w, ruling_w) >= wish.power_w


def waived(wish: Proposal, dispatched_w: int | None, ruling_w: int | None, stopped: bool) -> bool:
    """Only cells are cured while a person has stopped the agent; a dispatch that does what the site needs goes on."""
    if stopped and wish.rank is not Rank.CELL_CURE:
        return True
    return dispatched_w is not None and overtaken(wish, dispatched_w, ruling_w)


def _cell(pack: Pack, params: Params, before: str | None) -> Proposal | None:
    gentle_w = params.site.capacity_wh // CURE_HOURS
    low, high = pack.cell_min_mv, pack.cell_max_mv
    if low is not None and low < (LOW_END_MV if before == "cure:cell_low" else LOW_START_MV):
        return Proposal(Rank.CELL_CURE, "cure:cell_low", -gentle_w, RampClass.DIRECT)
    if high is not None and high > (HIGH_END_MV if before == "cure:cell_high" else HIGH_START_MV):
        return Proposal(Rank.CELL_CURE, "cure:cell_high", gentle_w, RampClass.DIRECT)
    return None


def _requested(pack: Pack, params: Params) -> Proposal | None:
    if not pack.force_charge:
        return None
    return Proposal(Rank.REQUEST, "cure:bms_request", -(params.site.capacity_wh // CURE_HOURS), RampClass.DIRECT)


def _site(s: Snapshot, params: Params, before: Obliged) -> tuple[Proposal | None, int | None]:
    """Absorb or shed. It begins when a limit was exceeded for a cycle, and ends when the house alone keeps it."""
    if s.net_lo_w is None or s.net_hi_w is None or s.battery_w is None:
        return None, None
    out_w = -s.net_lo_w - params.site.export_limit_w
    in_w = _in(s, params, s.net_hi_w - (params.own or params).site.import_limit_w)
    if before.source == "cure:absorb" and out_w > 0:
        return _proposed("cure:absorb", -out_w), before.over_ns
    if before.source == "cure:shed" and in_w > 0:
        return _proposed("cure:shed", in_w), before.over_ns
    absorb = out_w + s.battery_w > params.dead_band_w
    if not absorb and in_w - s.battery_w <= params.dead_band_w:
        return None, None
    since = s.now_ns if before.over_ns is None else before.over_ns
    if s.now_ns - since < params.timers.cycle_ns or (out_w if absorb else in_w) <= 0:
        return None, since
    return _proposed("cure:absorb", -out_w) if absorb else _proposed("cure:shed", in_w), since


def _proposed(source: str, power_w: int) -> Proposal:
    return Proposal(Rank.SITE, source, power_w, RampClass.REGULATION)


def _in(s: Snapshot, params: Params, over_w: int) -> int:
    """What the battery must give so that neither the site nor, where its power surely reaches it, a leg imports more
    than it may. `over_w`: of the site."""
    legs, site = s.legs, params.site
    if legs is None or not (site.legs > 1 or legs.seen == 1):
        return over_w
    return max(over_w, legs.hi_w - fuse_of(site, legs.mv) // 1000)


def _restore(
    s: Snapshot, params: Params, before: Obliged, draw: int, ruling_w: int | None
) -> tuple[Proposal | None, int | None]:
    """Charge from the grid to the reserve that the homeowner set; from the sun as much as it gives."""
    if params.restore_w <= 0 or s.soc_lo_mwh is None or not s.reserve_told:
        return None, None
    margin = 0 if before.restore_ns is not None else RESTORE_BELOW_PERMILLE
    if not below(s, params, margin):
        return None, None
    start_ns = before.restore_ns
    if start_ns is None:
        start_ns = s.now_ns + draw % max(1, params.timers.grid_jitter_ns)
    if s.now_ns < start_ns:
        return None, start_ns
    power_w = min(params.restore_w, params.site.capacity_wh // RESTORE_HOURS)
    asked_w = min(-power_w, follow(s, params.dead_band_w, ruling_w))
    return Proposal(Rank.RESTORE, "cure:reserve", asked_w, RampClass.SCHEDULED), start_ns
