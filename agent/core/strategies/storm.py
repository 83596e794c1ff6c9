"""Charge for a storm: once its window has begun, up to the reserve that the homeowner wants for it."""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.params import Params
from agent.core.snapshot import Snapshot

SOURCE = "storm"


def propose(s: Snapshot, params: Params, before: str | None) -> Proposal | None:
    """None = nothing to charge for, or it is there. `before`: source of the last cycle's cure or storm; once begun it
    goes on up to the hysteresis above."""
    if not s.storm_permille or s.soc_lo_mwh is None or s.battery_age_ns > s.battery_stale_ns:
        return None
    goal = s.storm_permille + (params.hysteresis_permille if before == SOURCE else 0)
    if s.soc_lo_mwh >= min(goal, params.soc_ceiling_permille) * params.site.capacity_wh:
        return None
    return Proposal(Rank.STORM, SOURCE, -(params.site.capacity_wh // params.storm_hours), RampClass.SCHEDULED)
