"""Acks of the last commands: a command that comes again gets its own again, at most every few seconds. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace

from agent.mail import Anchored, OutboxRow

ACKS_KEPT = 64


class Answers:
    """Of one start of the daemon. `every_ns`: pause between two repetitions of one ack."""

    def __init__(self, every_ns: int) -> None:
        self._every_ns = every_ns
        self._acks: OrderedDict[str, OutboxRow] = OrderedDict()
        self._repeated_ns: dict[str, int] = {}

    def keep(self, row: OutboxRow) -> None:
        """An ack that is on the disk."""
        try:
            command = json.loads(row.payload).get("command_id")
        except (ValueError, AttributeError):
            return
        if isinstance(command, str):
            self._acks[command] = row
            self._acks.move_to_end(command)
            while len(self._acks) > ACKS_KEPT:
                self._repeated_ns.pop(self._acks.popitem(last=False)[0], None)

    def shifted(self, event: Anchored) -> None:
        """Rows that had not gone out have other numbers now."""
        moved = {c: replace(r, seq=r.seq + event.shift) for c, r in self._acks.items() if r.seq >= event.held}
        self._acks.update(moved)

    def repeat(self, command: str, now_ns: int) -> OutboxRow | None:
        """The row to send once more, if there is one and it is time."""
        row, last_ns = self._acks.get(command), self._repeated_ns.get(command)
        if row is None or (last_ns is not None and now_ns - last_ns < self._every_ns):
            return None
        self._repeated_ns[command] = now_ns
        return row
