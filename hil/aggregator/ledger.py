"""Which durable rows of one device the aggregator has: each counted exactly once, however often it comes."""

from __future__ import annotations

import heapq
import itertools
from enum import StrEnum

MOST_LOST = 100_000  # rows that one gap record may name


class Fate(StrEnum):
    """What became of a row that was heard."""

    NEW = "new"
    DUPLICATE = "duplicate"  # same seq, same content
    CONFLICT = "conflict"  # same seq, other content: a clone, or a seq used twice


class Ledger:
    """Rows by seq, counted from 1. It never claims a row that it has not seen and that the device may still have."""

    def __init__(self) -> None:
        self._content: dict[int, bytes] = {}
        self._above: list[int] = []  # heap of seqs beyond `upto`
        self.upto = 0  # every seq from 1 to here is counted, or gone
        self.gone = 0  # of those, rows that came never and will not
        self._lost: set[int] = set()  # named by a gap record
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
        if seq <= self.upto or seq in self._lost:  # it was given up, and came all the same
            self.gone -= 1
            self._lost.discard(seq)
            return Fate.NEW
        heapq.heappush(self._above, seq)
        self._close()
        return Fate.NEW

    def lose(self, first: int, last: int) -> None:
        """The device says that it keeps none of these any more: what is missing there is gone."""
        if last - first < MOST_LOST:
            for seq in range(max(first, self.upto + 1), last + 1):
                if seq not in self._content and seq not in self._lost:
                    self._lost.add(seq)
                    self.gone += 1
                    heapq.heappush(self._above, seq)
            self._close()

    def _close(self) -> None:
        while self._above and self._above[0] <= self.upto + 1:
            self.upto = max(self.upto, heapq.heappop(self._above))

    def begin(self, first: int) -> None:
        """The device has nothing before `first` any more (its signed birth says so): what is missing there is gone."""
        if first - 1 > self.upto:
            self.gone += first - 1 - self.upto - sum(seq < first for seq in self._above)
            self.upto = first - 1
        self._close()

    @property
    def highest(self) -> int:
        """Highest seq counted; 0 if none."""
        return max(self._above, default=self.upto)

    def missing(self, limit: int = 100_000) -> tuple[int, ...]:
        """Gaps below the highest seq, the lowest `limit` of them: a device may name any number up to 2^63."""
        ends = [self.upto, *sorted(self._above)]
        gaps = itertools.chain.from_iterable(range(low + 1, high) for low, high in itertools.pairwise(ends))
        return tuple(itertools.islice(gaps, limit))
