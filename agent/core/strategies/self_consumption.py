"""Self-consumption is the inverter's own mode: we ask for nothing and keep the reserve mirrored into its floor."""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank


def propose() -> Proposal:
    """Released."""
    return Proposal(Rank.SELF_CONSUMPTION, "self_consumption", None)
