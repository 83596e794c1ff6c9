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


def plan(spans: Sequence[Span], max_registers: int, max_bits: int) -> tuple[ReadRange, ...]:
    """Fewest reads with at most that many registers or bits each.

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
        cap = max_bits if span.function in COIL_FUNCTIONS else max_registers
        if members:
            first = spans[members[0]]
            together = (first.unit, first.function, first.region) == (span.unit, span.function, span.region)
            if together and (stop <= end or stop - begin <= cap):  # what is inside a longer one costs nothing
                end = max(stop, end)
                members.append(index)
                continue
        close()
        begin, end = span.start, stop
        members.append(index)
    close()
    return tuple(ranges)
