"""The budget of wearing writes: a hard cap over any 24 h, a part for releases, and a count that no crash loses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.memory import Memory
from drivers.wear import DAY_NS, HOUR_NS, Wear, reserve

S = 1_000_000_000
START = 5 * DAY_NS


def test_a_setpoint_leaves_the_releases_their_part() -> None:
    wear = Wear(None)
    for _ in range(80):
        wear.wrote(START)
    assert wear.free_ns(START, 100, 2, 1, releasing=False) == START + DAY_NS
    assert wear.free_ns(START, 101, 2, 1, releasing=False) == START
    assert wear.free_ns(START, 100, 2, 1, releasing=True) == START
    assert wear.free_ns(START + DAY_NS, 100, 2, 1, releasing=False) == START + DAY_NS


def test_no_release_goes_beyond_the_budget_and_the_last_of_it_lasts_for_the_day() -> None:
    wear = Wear(None)
    for _ in range(80):
        wear.wrote(START)
    made, now = 80, START
    while now < START + DAY_NS - HOUR_NS:
        if wear.free_ns(now, 100, 2, 2, releasing=True) <= now:
            wear.wrote(now, releasing=True)
            wear.wrote(now, releasing=True)
            made += 2
        now += 60 * S
    assert 90 < made <= 100
    assert wear.free_ns(now, 100, 2, 2, releasing=True) - now < 6 * HOUR_NS  # a release is never a day away


def test_a_crash_counts_the_whole_block_and_a_reboot_the_whole_day() -> None:
    wear = Wear(Memory())
    spent, block = wear.store(START, 100, 3)
    assert (spent, block) == ((), 10)
    assert not wear.covered(1)  # not on the disk yet
    wear.stored(block)
    assert wear.covered(10)
    for _ in range(4):
        wear.wrote(START)
    assert wear.covered(6)
    assert not wear.covered(7)
    again = Wear(Memory(spent, block))
    assert again.count(START + HOUR_NS) == 10
    assert again.count(START + DAY_NS) == 10  # when they were made is not known: a day from the restart
    assert again.count(START + HOUR_NS + DAY_NS) == 0


@given(st.lists(st.tuples(st.integers(0, 3 * HOUR_NS), st.booleans(), st.booleans()), max_size=300))
def test_the_cap_holds_over_any_24_hours_and_over_any_crash(steps: list[tuple[int, bool, bool]]) -> None:
    """Each step: later by so much, a release or not, and perhaps a crash at that moment."""
    budget, release, need = 24, 2, 2
    disk = Memory()
    wear, now = Wear(disk), START
    made: list[int] = []
    for pause, releasing, crash in steps:
        now += pause
        if crash:
            wear = Wear(disk)
        if wear.free_ns(now, budget, release, need, releasing) > now:
            continue
        if not wear.covered(need):
            spent, block = wear.store(now, budget, need)
            disk = Memory(spent, block)
            wear.stored(block)
        for _ in range(need):
            wear.wrote(now, releasing)
            made.append(now)
    for at in made:
        assert sum(1 for other in made if at - DAY_NS < other <= at) <= budget


def test_the_part_for_releases() -> None:
    assert reserve(100, 2) == 20
    assert reserve(10, 7) == 10  # a device whose release takes more than that is never armed
