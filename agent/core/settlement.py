"""Energy of each running command, exact: watt x ns added up, whole milliwatt-hours when told."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.durable import CommandRecord
from agent.core.soc import NJ_PER_MWH


@dataclass(frozen=True, slots=True)
class Meters:
    """Energy since this process took the command up, + discharge, by command id."""

    energy: tuple[tuple[str, int], ...] = ()  # (id, nJ)

    def add(self, command_id: str, nanojoules: int) -> Meters:
        """The same, with that much more on one command."""
        for i, (key, sofar) in enumerate(self.energy):
            if key == command_id:
                return Meters((*self.energy[:i], (key, sofar + nanojoules), *self.energy[i + 1 :]))
        return Meters((*self.energy, (command_id, nanojoules)))

    def without(self, command_id: str) -> Meters:
        """The same, with that command closed."""
        if not self.energy:
            return self
        return Meters(tuple(e for e in self.energy if e[0] != command_id))

    def total(self, record: CommandRecord) -> int:
        """mWh over the command's life: what the disk knew, and what was measured since; rounded toward zero."""
        since = next((e for key, e in self.energy if key == record.command.id), 0)
        mwh = abs(since) // NJ_PER_MWH
        return record.delivered_mwh + (mwh if since >= 0 else -mwh)

    def has(self, command_id: str) -> bool:
        """Something was added for it."""
        return any(key == command_id for key, _ in self.energy)

    def folded(self) -> Meters:
        """What remains when whole milliwatt-hours have gone into the durable records."""
        return Meters(tuple((key, _remainder(e)) for key, e in self.energy))


def _remainder(nanojoules: int) -> int:
    rest = abs(nanojoules) % NJ_PER_MWH
    return rest if nanojoules >= 0 else -rest
