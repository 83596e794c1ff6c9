"""Where the store keeps its files, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where things are, and how much telemetry is kept without a receipt: one-minute rows of 7 days offline, and a
    day in which they can go out."""

    path: Path
    reserve_path: Path
    telemetry_rows: int = 8 * 1440
    forget_ns: int = 600 * S  # receipted rows are deleted in bulk, this often
    kernel_boot: str = ""  # monotonic times of another are not comparable

    @property
    def pins_path(self) -> Path:
        """Who each device was at commissioning."""
        return self.path.with_name("pins")

    @property
    def memories_path(self) -> Path:
        """What must not be forgotten of each device."""
        return self.path.with_name("memories")

    @property
    def trust_path(self) -> Path:
        """Whom this home believes."""
        return self.path.with_name("trust")

    @property
    def documents_path(self) -> Path:
        """What was set from afar."""
        return self.path.with_name("documents")

    @property
    def ledger_path(self) -> Path:
        """How the names of the settlement archive's files begin."""
        return self.path.with_name("ledger")

    @property
    def floor_path(self) -> Path:
        """The small second file beside the database."""
        return self.path.with_name("floor")
