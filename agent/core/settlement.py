"""Energy of each running command, exact: watt x ns added up, whole milliwatt-hours when told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core.durable import CommandRecord
from agent.core.soc import NJ_PER_MWH


@dataclass(frozen=True, slots=True)
class Meters:
    """Energy since this process took the command up, + discharge, by command id, both ways apart."""

    energy: tuple[tuple[str, int, int], ...] = ()  # (id, nJ discharged, nJ charged)

    def add(self, command_id: str, nanojoules: int) -> Meters:
        """The same, with that much more on one command."""
        given, taken = (nanojoules, 0) if nanojoules >= 0 else (0, -nanojoules)
        for i, (key, out, into) in enumerate(self.energy):
            if key == command_id:
                return Meters((*self.energy[:i], (key, out + given, into + taken), *self.energy[i + 1 :]))
        return Meters((*self.energy, (command_id, given, taken)))

    def without(self, command_id: str) -> Meters:
        """The same, with that command closed."""
        if not self.energy:
            return self
        return Meters(tuple(e for e in self.energy if e[0] != command_id))

    def total(self, record: CommandRecord) -> int:
        """mWh over the command's life, + discharge: what the disk knew, and what was measured since."""
        out, into = self._since(record)
        return record.delivered_mwh + out - into

    def told(self, record: CommandRecord) -> CommandRecord:
        """The record with all that was measured."""
        out, into = self._since(record)
        total = record.delivered_mwh + out - into
        return replace(record, delivered_mwh=total, both_mwh=charged_mwh(record) + into - max(0, -total))

    def _since(self, record: CommandRecord) -> tuple[int, int]:
        """Whole mWh out and in, each rounded down for itself: neither ever falls."""
        found = next((e for e in self.energy if e[0] == record.command.id), None)
        return (0, 0) if found is None else (found[1] // NJ_PER_MWH, found[2] // NJ_PER_MWH)

    def has(self, command_id: str) -> bool:
        """Something was added for it."""
        return any(key == command_id for key, _, _ in self.energy)

    def folded(self) -> Meters:
        """What remains when whole milliwatt-hours have gone into the durable records."""
        return Meters(tuple((key, out % NJ_PER_MWH, into % NJ_PER_MWH) for key, out, into in self.energy))


def charged_mwh(record: CommandRecord) -> int:
    """What went into the battery for it, >= 0; with `delivered_mwh` added, what came out."""
    return record.both_mwh + max(0, -record.delivered_mwh)
