"""What was tried, and what was wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

LOST, TWICE, NUMBERS, RESERVE, DAMAGED, CHAIN, ELSE = (
    "acknowledged lost",
    "executed twice",
    "sequence went back",
    "reserve not as told",
    "store damaged",
    "settlement chain broken",
    "other",
)
KINDS = (LOST, TWICE, NUMBERS, RESERVE, DAMAGED, CHAIN, ELSE)


@dataclass(slots=True)
class Tally:
    """What was tried, and what was wrong."""

    cuts: int = 0
    lives: int = 0
    writes: int = 0
    syncs: int = 0
    unfinished: int = 0  # cuts while the store was at work
    wrong: Counter[str] = field(default_factory=Counter)
    first: str = ""

    def add(self, other: Tally) -> None:
        """Both together."""
        self.cuts += other.cuts
        self.lives += other.lives
        self.writes += other.writes
        self.syncs += other.syncs
        self.unfinished += other.unfinished
        self.wrong.update(other.wrong)
        self.first = self.first or other.first

    def as_json(self) -> dict[str, object]:
        """For the file of a campaign."""
        names = ("cuts", "lives", "writes", "syncs", "unfinished", "first")
        return {name: getattr(self, name) for name in names} | {"wrong": {k: self.wrong[k] for k in KINDS}}
