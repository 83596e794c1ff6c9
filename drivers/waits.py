"""How long a unit lets us wait, counted in a small fixed array: cheap enough for every transaction. Pure.

A wait is from the last byte of the request to the first of the reply, silence of 3.5 characters taken off: the device's
own turnaround and what the adapter adds. Four buckets an octave: a bound is at most a quarter too coarse.
"""

from __future__ import annotations

BUCKETS = 48
UNIT_SHIFT = 18  # the smallest step is 2 ** 18 ns, 0.26 ms


def place(wait_ns: int) -> int:
    """The bucket of a wait."""
    steps = wait_ns >> UNIT_SHIFT
    if steps < 4:
        return steps
    octave = steps.bit_length()
    found = (octave - 2) * 4 + (steps >> octave - 3 & 3)
    return found if found < BUCKETS else BUCKETS - 1


def floor_ns(bucket: int) -> int:
    """The shortest wait of a bucket; that of the next is where it ends."""
    if bucket < 4:
        return bucket << UNIT_SHIFT
    octave, quarter = divmod(bucket, 4)
    return (4 + quarter << octave - 1) << UNIT_SHIFT


class Tally:
    """One unit's answers."""

    __slots__ = ("crc_errors", "exceptions", "timeouts", "waits")

    def __init__(self) -> None:
        self.exceptions = self.crc_errors = self.timeouts = 0
        self.waits = [0] * BUCKETS

    def failed(self, fate: str) -> None:
        """A transaction that ended without the data."""
        if fate == "timeout":
            self.timeouts += 1
        elif fate == "garbled":
            self.crc_errors += 1
        else:
            self.exceptions += 1
