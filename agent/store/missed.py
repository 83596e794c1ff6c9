"""Blocks of telemetry that the disk did not take: they have no numbers, so no gap record can name them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from agent.mail import AppendBatch


@dataclass(frozen=True, slots=True)
class Missed:
    """So many, with so many samples, written from `from_ms` to `to_ms` (wall)."""

    blocks: int = 0
    samples: int = 0
    from_ms: int = 0
    to_ms: int = 0

    def plus(self, batch: AppendBatch) -> Missed:
        """With this one."""
        at_ms = batch.clock.wall_ms
        from_ms = self.from_ms if self.blocks else at_ms
        return Missed(self.blocks + 1, self.samples + batch.samples, from_ms, max(self.to_ms, at_ms))

    def told(self) -> list[tuple[str, bytes]]:
        """The row that says so, if there is anything to say."""
        if not self.blocks:
            return []
        body = {"event": "not_stored", "blocks": self.blocks, "samples": self.samples}
        body |= {"from_ms": self.from_ms, "to_ms": self.to_ms}
        return [("event", json.dumps(body, separators=(",", ":")).encode())]


NOTHING = Missed()
