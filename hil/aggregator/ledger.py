"""Which durable rows of one device the aggregator has: each counted exactly once, however often it comes."""

from __future__ import annotations

import heapq
from enum import StrEnum


class Fate(StrEnum):
    """What became of a row that was heard."""

    NEW = "new"
    DUPLICATE = "duplicate"  # same seq, same content
    CONFLICT = "conflict"  # same seq, other content: a clone, or a seq used twice


class Ledger:
    """Rows by seq, counted from 1. It never claims to have a row that it has not seen."""

    def __init__(self) -> None:
        self._content: dict[int, bytes] = {}
        self._above: list[int] = []  # heap of seqs beyond `upto`
        self.upto = 0  # every seq from 1 to here is counted
        self.duplicates = 0
        self.conflicts: list[int] = []

    def __len__(self) -> int:
        return len(self._content)

    def __contains__(self, seq: int) -> bool:
        return seq in self._content

    def count(self, seq: int, content: bytes) -> Fate:
        """Take a row: `content` is a digest of what it says."""
        known = self._content.get(seq)
        if known is not None:
            if known == content:
                self.duplicates += 1
                return Fate.DUPLICATE
            self.conflicts.append(seq)
            return Fate.CONFLICT
        self._content[seq] = content
        heapq.heappush(self._above, seq)
        while self._above and self._above[0] == self.upto + 1:
            self.upto = heapq.heappop(self._above)
        return Fate.NEW

    def also(self, limit: int) -> tuple[int, ...]:
        """The lowest seqs that are counted beyond a gap, at most `limit`."""
        return tuple(heapq.nsmallest(limit, self._above))

    @property
    def highest(self) -> int:
        """Highest seq counted; 0 if none."""
        return max(self._above, default=self.upto)

    def missing(self) -> tuple[int, ...]:
        """Every gap below the highest seq."""
        return tuple(seq for seq in range(self.upto + 1, self.highest) if seq not in self._content)
