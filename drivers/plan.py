"""Values -> the fewest reads that fetch them, each short enough for the device and for who waits behind it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BITS_PER_REGISTER = 16
COIL_FUNCTIONS = (1, 2)


@dataclass(frozen=True, slots=True)
class Span:
    """One value: `length` registers (or bits of a coil read) from `start`. A read never crosses regions or units."""

    function: int
    region: int
    start: int
    length: int
    unit: int | None = None  # None = the device's own


@dataclass(frozen=True, slots=True)
class ReadRange:
    """One read request, and which of the spans (by index) it fetches."""

    function: int
    start: int
    length: int
    members: tuple[int, ...]
    unit: int | None = None  # None = the device's own


@dataclass(frozen=True, slots=True)
class Reach:
    """What one read may be. `registers`, `bits`: at most so many. `gap`: over so many that nobody asked for it may run.
    `holes`: (function, first, last) of addresses that the device refuses, and with them the whole read."""

    registers: int
    bits: int
    gap: int | None = None
    holes: tuple[tuple[int, int, int], ...] = ()

    def allows(self, function: int, begin: int, end: int, stop: int) -> bool:
        """A read of `begin` to `end` may go on to `stop`; both are behind the last one."""
        if stop - begin > (self.bits if function in COIL_FUNCTIONS else self.registers):
            return False
        return not any(code == function and first < stop and last >= end for code, first, last in self.holes)

    def bridges(self, end: int, start: int) -> bool:
        """Between a value that ends before `end` and one at `start` lies no more than may be read for nothing."""
        return self.gap is None or start - end <= self.gap


def plan(spans: Sequence[Span], reach: Reach) -> tuple[ReadRange, ...]:
    """The fewest reads within reach.

    Going up the addresses and starting a new read only when the next value does not fit any more gives the fewest. A
    value longer than the cap gets a read of its own, up to the caller to have refused.
    """

    def place(i: int) -> tuple[int, int, int, int, int, int]:
        span = spans[i]
        return (-1 if span.unit is None else span.unit, span.function, span.region, span.start, -span.length, i)

    order = sorted(range(len(spans)), key=place)
    ranges: list[ReadRange] = []
    members: list[int] = []
    begin = end = 0

    def close() -> None:
        if members:
            first = spans[members[0]]
            ranges.append(ReadRange(first.function, begin, end - begin, tuple(members), first.unit))
            members.clear()

    for index in order:
        span = spans[index]
        stop = span.start + span.length
        if members:
            first = spans[members[0]]
            together = (first.unit, first.function, first.region) == (span.unit, span.function, span.region)
            longer = max(stop, end)
            near = stop <= end or reach.allows(span.function, begin, end, longer)  # inside a longer one costs nothing
            if together and near and reach.bridges(end, span.start):
                end = longer
                members.append(index)
                continue
        close()
        begin, end = span.start, stop
        members.append(index)
    close()
    return tuple(ranges)
