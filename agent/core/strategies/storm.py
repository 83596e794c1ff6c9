"""Charge for a storm: once its window has begun, up to the reserve that the homeowner wants for it."""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.params import Params
from agent.core.snapshot import Snapshot
from agent.core.strategies.self_consumption import follow

SOURCE = "storm"


def propose(s: Snapshot, params: Params, before: str | None, ruling_w: int | None = None) -> Proposal | None:
    """None = nothing to charge for, or it is there. `before`: source of the last cycle's cure or storm; once begun it
    goes on up to the hysteresis above, or as near the ceiling as the BMS can tell. `ruling_w`: the setpoint of now."""
    if not s.storm_permille or s.soc_lo_mwh is None or s.battery_age_ns > s.battery_stale_ns:
        return None
    goal = s.storm_permille + (params.hysteresis_permille if before == SOURCE else 0)
    quantum = s.pack.quantum if s.pack is not None else 0
    if s.soc_lo_mwh >= min(goal, params.soc_ceiling_permille - quantum) * params.site.capacity_wh:
        return None
    from_grid_w = -(params.site.capacity_wh // params.storm_hours)
    asked_w = min(from_grid_w, follow(s, params.dead_band_w, ruling_w))
    return Proposal(Rank.STORM, SOURCE, asked_w, RampClass.SCHEDULED)
