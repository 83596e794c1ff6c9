"""The commands that are due, as wishes."""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.command import CommandKind, RampClass
from agent.core.due import Asks


def propose(asks: Asks) -> Proposal | None:
    """None = no power is asked for now. An event ramps as scheduled unless it asks for something faster, a setpoint of
    a session as regulation."""
    if asks.power is None or asks.power_w is None:
        return None
    command = asks.power.command
    if command.kind is CommandKind.SESSION:
        ramp = RampClass.REGULATION
    else:
        scheduled = command.start_ms is not None and command.ramp is RampClass.DIRECT
        ramp = RampClass.SCHEDULED if scheduled else command.ramp
    return Proposal(Rank.DISPATCH, f"dispatch:{command.id}", asks.power_w, ramp, command.id)


def scheduled(asks: Asks) -> Proposal | None:
    """What the schedule has for now; None = no wish."""
    if asks.schedule is None or asks.schedule_w is None:
        return None
    command_id = asks.schedule.command.id
    return Proposal(Rank.SCHEDULE, f"schedule:{command_id}", asks.schedule_w, RampClass.SCHEDULED, command_id)
