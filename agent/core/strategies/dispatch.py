"""The command that is due, as a wish."""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.durable import CommandRecord


def propose(record: CommandRecord | None) -> Proposal | None:
    """None = no command is due. An event ramps as scheduled unless it asks for something faster."""
    if record is None:
        return None
    command = record.command
    scheduled = command.start_ms is not None and command.ramp is RampClass.DIRECT
    ramp = RampClass.SCHEDULED if scheduled else command.ramp
    return Proposal(Rank.DISPATCH, f"dispatch:{command.id}", command.power_w, ramp, command.id)
