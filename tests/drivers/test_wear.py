"""The budget of wearing writes: a hard cap over any 24 h, a part for releases, and a count that no crash loses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import profile
from drivers.family import Control, PutGroup
from drivers.memory import Memory
from drivers.wear import DAY_NS, HOUR_NS, Share, Wear, most, reserve

S = 1_000_000_000
START = 5 * DAY_NS


def spend(wear: Wear, count: int) -> Wear:
    for _ in range(count):
        wear.wrote(START)
    return wear


@pytest.mark.parametrize(
    ("share", "last"),
    [(Share.DISPATCH, 50 - 1 - 2), (Share.HOME, 75 - 1), (Share.RAISE, 88 - 1), (Share.RELEASE, 100 - 1)],
)
def test_each_stops_where_the_part_of_the_next_begins(share: Share, last: int) -> None:
    """Of 100: half for dispatch, its release of two included; 20 kept for releases, five before them for a floor."""
    wear = spend(Wear(None), last)
    assert wear.free_ns(START, 100, 2, 1, share) == START
    wear.wrote(START)
    assert wear.free_ns(START, 100, 2, 1, share) == START + DAY_NS
    assert wear.free_ns(START + DAY_NS, 100, 2, 1, share) == START + DAY_NS


def test_no_release_goes_beyond_the_budget_and_the_last_of_it_lasts_for_the_day() -> None:
    wear = spend(Wear(None), 80)
    made, now = 80, START
    while now < START + DAY_NS - HOUR_NS:
        if wear.free_ns(now, 100, 2, 2, Share.RELEASE) <= now:
            wear.wrote(now, releasing=True)
            wear.wrote(now, releasing=True)
            made += 2
        now += 60 * S
    assert 90 < made <= 100
    assert wear.free_ns(now, 100, 2, 2, Share.RELEASE) - now < 6 * HOUR_NS  # a release is never a day away


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


class Life:
    """One device over restarts: what its disk has, and every write that was made, in the order of time."""

    def __init__(self, budget: int, release: int) -> None:
        self.budget, self.release, self.now = budget, release, START
        self.disk = Memory()
        self.wear = Wear(self.disk)
        self.made: list[tuple[int, Share]] = []
        self.ahead = 0  # counted and never made: blocks that a crash has left

    def order(self, share: Share, need: int) -> bool:
        """An order, if its share has room: its block on the disk first, unless it is a release."""
        if self.wear.free_ns(self.now, self.budget, self.release, need, share) > self.now:
            return False
        if not self.wear.covered(need):
            spent, block = self.wear.store(self.now, self.budget, max(need, self.release))
            self.disk = Memory(spent, block)
            self.wear.stored(block)
        for _ in range(need):
            self.wear.wrote(self.now, share is Share.RELEASE)
            self.made.append((self.now, share))
        return True

    def crash(self) -> None:
        self.ahead += self.disk.ahead
        self.wear = Wear(self.disk)

    def within_a_day(self, *shares: Share) -> int:
        """The most writes of these shares in any 24 h."""
        times = [at for at, share in self.made if share in shares]
        return max((sum(1 for other in times if at - DAY_NS < other <= at) for at in times), default=0)


STEPS = st.lists(
    st.tuples(st.integers(0, 3 * HOUR_NS), st.sampled_from(list(Share)), st.integers(1, 3), st.booleans()), max_size=300
)
BUDGETS = st.sampled_from([(20, 1), (24, 2), (24, 4), (100, 12), (200, 2), (500, 3)])


@given(BUDGETS, STEPS)
def test_the_cap_holds_over_any_24_hours_and_over_any_crash(
    sizes: tuple[int, int], steps: list[tuple[int, Share, int, bool]]
) -> None:
    """Each step: later by so much, so many writes of a share, and perhaps a crash before them."""
    life = Life(*sizes)
    for pause, share, need, crash in steps:
        life.now += pause
        if crash:
            life.crash()
        life.order(share, need)
    assert life.within_a_day(*Share) <= life.budget
    assert life.within_a_day(Share.DISPATCH) <= life.budget // 2 - life.release
    home = most(*sizes, Share.HOME)
    assert life.within_a_day(Share.DISPATCH, Share.HOME) <= home
    assert life.within_a_day(Share.DISPATCH, Share.HOME, Share.RAISE) <= most(*sizes, Share.RAISE)


@given(BUDGETS, STEPS, st.sampled_from([Share.HOME, Share.RAISE, Share.RELEASE]))
def test_no_share_takes_what_belongs_to_those_after_it(
    sizes: tuple[int, int], steps: list[tuple[int, Share, int, bool]], mine: Share
) -> None:
    """Whatever those before it did, all within one day, with a release after each setpoint: its own part is there."""
    life = Life(*sizes)
    for _, share, need, _ in steps:
        if share < mine and life.order(share, need) and share is Share.DISPATCH:
            assert life.order(Share.RELEASE, life.release)  # what a dispatch begins is ended at once, and is its own
    before = most(*sizes, Share(mine - 1))
    own = life.release if mine is Share.RELEASE else most(*sizes, mine) - before
    assert own >= 1
    assert life.order(mine, own)


@given(BUDGETS, STEPS)
def test_a_restart_gives_no_share_more_room(sizes: tuple[int, int], steps: list[tuple[int, Share, int, bool]]) -> None:
    life = Life(*sizes)
    for pause, share, need, _ in steps:
        life.now += pause
        life.order(share, need)
    before = [life.wear.free_ns(life.now, *sizes, 1, share) for share in (Share.DISPATCH, Share.HOME, Share.RAISE)]
    life.crash()
    after = [life.wear.free_ns(life.now, *sizes, 1, share) for share in (Share.DISPATCH, Share.HOME, Share.RAISE)]
    minute = HOUR_NS // 60  # writes of one minute are counted as one, from the last of them: longer than it need be
    assert all(now <= then + minute for now, then in zip(before, after, strict=True))


SHIPPED = [
    pytest.param(control, found.floor, id=f"{found.id}-{control.id}")
    for found in map(profile.load, sorted(path.stem for path in profile.PROFILES.glob("*.toml")))
    for control in found.controls
    if control.daily_writes
]


@pytest.mark.parametrize(("control", "floor"), SHIPPED)
def test_every_shipped_budget_has_room_for_each(control: Control, floor: PutGroup | None) -> None:
    """At the least: a dispatch with its release, after it the home's own setpoint, a floor, and a release at once."""
    release = sum(group.wears for group in control.clear)
    arm = sum(group.wears for group in (*control.arm, *control.power))
    life = Life(control.daily_writes, release)
    dispatches = 0
    while life.order(Share.DISPATCH, arm):
        assert life.order(Share.RELEASE, release)
        dispatches += 1
    assert dispatches >= 1
    assert life.order(Share.HOME, arm)
    while life.order(Share.HOME, 1):
        pass
    assert floor is None or not floor.wears or life.order(Share.RAISE, 1)
    while life.order(Share.RAISE, 1):
        pass
    assert life.order(Share.RELEASE, release)


def test_the_part_for_releases() -> None:
    assert reserve(100, 2) == 20
    assert reserve(10, 7) == 10  # a device whose release takes more than that is never armed
