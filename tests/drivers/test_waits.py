"""The histogram of waits: complete, ordered, and a quarter of an octave fine."""

from __future__ import annotations

from itertools import pairwise

import pytest

from drivers.waits import BUCKETS, Tally, floor_ns, place

MS = 1_000_000


@pytest.mark.parametrize("wait_ns", [0, 1, 262_143, 262_144, MS, 2 * MS, 16 * MS, 17 * MS, 300 * MS, 999 * MS])
def test_a_wait_lies_in_its_bucket(wait_ns: int) -> None:
    bucket = place(wait_ns)
    assert floor_ns(bucket) <= wait_ns < floor_ns(bucket + 1)


def test_buckets_follow_each_other_and_none_is_wider_than_a_quarter() -> None:
    floors = [floor_ns(bucket) for bucket in range(BUCKETS)]
    assert floors == sorted(set(floors))
    assert all(high - low <= max(low / 4, 262_144) for low, high in pairwise(floors))
    assert [place(floor) for floor in floors] == [*range(BUCKETS)]


def test_a_wait_without_end_is_in_the_last() -> None:
    assert place(1 << 62) == BUCKETS - 1


def test_a_tally_tells_how_it_failed() -> None:
    tally = Tally()
    for fate in ("timeout", "timeout", "garbled", "exception"):
        tally.failed(fate)
    assert (tally.timeouts, tally.crc_errors, tally.exceptions) == (2, 1, 1)
