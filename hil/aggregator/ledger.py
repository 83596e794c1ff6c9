"""Which durable rows of one device the aggregator has: each counted exactly once, however often it comes."""

from __future__ import annotations

import heapq
import itertools
from enum import StrEnum


class Fate(StrEnum):
    """What became of a row that was heard."""

    NEW = "new"
    DUPLICATE = "duplicate"  # same seq, same content
    CONFLICT = "conflict"  # same seq, other content: a clone, or a seq used twice


class Ledger:
    """Rows by seq, counted from 1. It never claims a row that it has not seen and that the device may still have."""

    def __init__(self) -> None:
        self._content: dict[int, bytes] = {}
        self._above: list[tuple[int, int]] = []  # heap of disjoint stretches beyond `upto`
        self.upto = 0  # every seq from 1 to here is counted, or gone
        self.gone = 0  # of those, rows that came never and will not
        self._lost: list[tuple[int, int]] = []  # of those, named by a gap record
        self.duplicates = 0
        self.conflicts: list[int] = []
        self.heard = 0  # the highest that came; `highest` counts what is gone too

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
        self.heard = max(self.heard, seq)
        if seq <= self.upto or any(low <= seq <= high for low, high in self._lost):  # given up, and came all the same
            self.gone -= 1
            return Fate.NEW
        heapq.heappush(self._above, (seq, seq))
        self._close()
        return Fate.NEW

    def lose(self, first: int, last: int) -> None:
        """The device says that it keeps none of these any more: what is missing there is gone."""
        first = max(first, self.upto + 1)
        known = [(low, high) for low, high in sorted(self._above) if high >= first and low <= last]
        for low, high in itertools.pairwise([(0, first - 1), *known, (last + 1, last + 1)]):
            if high[0] > low[1] + 1:
                stretch = low[1] + 1, high[0] - 1
                self.gone += stretch[1] - stretch[0] + 1
                self._lost.append(stretch)
                heapq.heappush(self._above, stretch)
        self._close()

    def _close(self) -> None:
        while self._above and self._above[0][0] <= self.upto + 1:
            self.upto = max(self.upto, heapq.heappop(self._above)[1])
        self._lost = [stretch for stretch in self._lost if stretch[1] > self.upto]

    def begin(self, first: int) -> None:
        """The device has nothing before `first` any more (its signed birth says so): what is missing there is gone."""
        self.lose(1, first - 1)

    @property
    def highest(self) -> int:
        """Highest seq counted; 0 if none."""
        return max((high for _, high in self._above), default=self.upto)

    def missing(self, limit: int = 100_000) -> tuple[int, ...]:
        """Gaps below the highest seq, the lowest `limit` of them: a device may name any number up to 2^63."""
        ends = [(0, self.upto), *sorted(self._above)]
        gaps = itertools.chain.from_iterable(range(low[1] + 1, high[0]) for low, high in itertools.pairwise(ends))
        return tuple(itertools.islice(gaps, limit))
