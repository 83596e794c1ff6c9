"""What is read of settlement records, and what was found wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.store.chain import NONE

Kind = Literal[
    "unreadable", "altered", "unknown_key", "unsigned", "dropped", "reordered", "repeated", "forked", "unlinked",
    "truncated", "checkpoint", "receipt", "other_key", "other_home",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """`n`: the record, None for a line that is none. `where`: file and line."""

    kind: Kind
    n: int | None
    where: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file."""

    where: str
    data: bytes


@dataclass(slots=True)
class Verdict:
    """All that was seen. `losses` are records that are not here and that the home itself declares lost, `notes` what
    else is worth a word: neither is a finding."""

    records: int = 0
    signed: int = 0
    first: int | None = None
    last: int | None = None
    head: str = NONE
    home: str | None = None  # that the records say they are of
    receipts: int = 0
    receipted: int | None = None  # highest record under a good receipt
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is wrong, and there was something."""
        return not self.findings and self.records > 0


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as it was read. Nothing of it is proven yet."""

    n: int
    prev: str
    hash: str
    body: Mapping[str, Any]
    where: str
    data: bytes
    kid: str | None  # None: nobody has signed it
