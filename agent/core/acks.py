"""The body of an ack, as it goes on the wire."""

from __future__ import annotations

from agent.core.command import CommandKind
from agent.core.decision import Record
from agent.core.durable import CommandRecord

ASKING = (CommandKind.DISPATCH, CommandKind.QUOTE)


def ack(
    record: CommandRecord,
    sentence: str,
    given_w: int | None = None,
    limit_w: int | None = None,
    energy_mwh: int | None = None,
) -> Record:
    """One ack of `record` in its present state. Energy is + discharged, whole watt-hours rounded toward zero."""
    command = record.command
    delivered = record.delivered_mwh if energy_mwh is None else energy_mwh
    return Record(
        "ack",
        {
            "command_id": command.id,
            "state": record.state.value,
            "reason": record.reason,
            "asked_w": command.power_w if command.kind in ASKING else None,
            "given_w": given_w,
            "limit_w": limit_w,
            "energy_wh": (abs(delivered) // 1000) * (1 if delivered >= 0 else -1),
            "effective_start": record.accepted_ms if command.start_ms is None else command.start_ms + record.shift_ms,
            "sentence": sentence,
        },
    )
