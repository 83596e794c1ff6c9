"""The cures: what the battery needs whoever asks for what. Always inside the permit, so a cure can loosen no limit.

Cell cure: a cell that is nearly empty is charged, one that is over-full is discharged, slowly, until it is safe again.
Restore: back up to the reserve, where the configuration allows it.
"""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.params import Params
from agent.core.snapshot import Snapshot

LOW_START_MV, LOW_END_MV = 2850, 3100
HIGH_START_MV, HIGH_END_MV = 3630, 3450
CURE_HOURS = 20  # 0.05 C


def cure(s: Snapshot, params: Params, before: str | None) -> Proposal | None:
    """The cure that is needed now, or None. `before`: source of the last cycle's cure, which runs to its own end."""
    pack = s.pack
    if pack is None or s.battery_age_ns > s.battery_stale_ns:
        return None
    gentle_w = params.site.capacity_wh // CURE_HOURS
    low, high = pack.cell_min_mv, pack.cell_max_mv
    if low is not None and low < (LOW_END_MV if before == "cure:cell_low" else LOW_START_MV):
        return Proposal(Rank.CELL_CURE, "cure:cell_low", -gentle_w, RampClass.DIRECT)
    if high is not None and high > (HIGH_END_MV if before == "cure:cell_high" else HIGH_START_MV):
        return Proposal(Rank.CELL_CURE, "cure:cell_high", gentle_w, RampClass.DIRECT)
    return _restore(s, params, before)


def _restore(s: Snapshot, params: Params, before: str | None) -> Proposal | None:
    """Charge from the grid to the reserve, at `restore_w`; once begun, up to the hysteresis above it."""
    if params.restore_w <= 0 or s.soc_lo_mwh is None:
        return None
    goal = s.owed_permille + (params.hysteresis_permille if before == "cure:reserve" else 0)
    if s.soc_lo_mwh >= min(goal, params.soc_ceiling_permille) * params.site.capacity_wh:
        return None
    return Proposal(Rank.RESTORE, "cure:reserve", -params.restore_w, RampClass.SCHEDULED)
