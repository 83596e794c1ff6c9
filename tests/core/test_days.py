"""Days of the accounts over a clock that is put elsewhere: each second in the day of its time, and every day ends."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core import guarantee
from agent.core.inputs import ClockTrust
from tests.core.test_accounts import Tally

DAY_MS = 86_400_000
LOW = 150  # permille of charge, below the reserve
S = 9  # seconds between two cycles
STEPS = st.tuples(
    st.integers(1, 300),
    st.booleans(),
    st.sampled_from([0, 0, 3, 90, 7200, 86_400, 400 * 86_400]),
    st.sampled_from([-1, 1]),
)


class Days(Tally):
    """With what each day is to tell, by the wall clock of each second: (its date, seconds below the reserve)."""

    def __init__(self, trust: ClockTrust = ClockTrust.SYNCED) -> None:
        super().__init__()
        self.trust = trust
        self.put()
        self.told = [(self.today, 0)]

    @property
    def today(self) -> str:
        return guarantee.date(self.wall_ms // DAY_MS)

    def pass_s(self, cycles: int, below: bool = False) -> None:
        """So many cycles; the second in which a clock is put elsewhere belongs to what ends."""
        for _ in range(cycles):
            counts = self.ledger.key is not None
            self.put(s=S, soc=LOW if below else 600)
            date, sofar = self.told[-1]
            self.told[-1] = (date, sofar + S * (counts and below))
            if self.today != date:
                self.told.append((self.today, 0))

    def until_midnight(self) -> None:
        date = self.today
        while self.today == date:
            self.pass_s(1)


def told(days: Days) -> list[tuple[str, int]]:
    return [(record["day"], record["below_s"]) for record in days.of("reserve")]


@settings(max_examples=30, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.booleans())
@example([(20, True, 400 * 86_400, 1), (20, True, 400 * 86_400, -1)], True)
def test_whatever_the_clock_does_every_day_is_told_with_its_own_seconds_and_the_next_one_ends(
    steps: list[tuple[int, bool, int, int]], restart: bool
) -> None:
    days = Days()
    for cycles, below, by_s, way in steps:
        days.pass_s(cycles, below)
        days.offset_ms += by_s * 1000 * way
        days.pass_s(1, below)
        if restart:
            days.restart()
            days.pass_s(1)
    days.until_midnight()
    assert told(days) == days.told[:-1], "and the day that ends at this midnight is the last one"
    assert [record["day"] for record in days.of("checkpoint")] == [date for date, _ in days.told[:-1]]


@pytest.mark.parametrize("ahead", [1, 400])
def test_a_clock_that_was_ahead_for_minutes_costs_no_checkpoint_of_the_days_after(ahead: int) -> None:
    days = Days()
    days.pass_s(10)
    days.offset_ms += ahead * DAY_MS
    days.pass_s(20)
    days.offset_ms -= ahead * DAY_MS
    before = days.today
    for _ in range(2):
        days.until_midnight()
    dates = [record["day"] for record in days.of("checkpoint")]
    assert dates[0] == dates[2] == before, "in two eras: what was before, and the rest of it"
    assert dates[3:] == [guarantee.date(days.wall_ms // DAY_MS - 1)]
    assert len(days.of("clock")) == 2


def test_seconds_before_any_clock_was_trusted_are_told_with_the_first_day() -> None:
    days = Days(ClockTrust.UNTRUSTED)
    days.pass_s(10, below=True)
    days.trust = ClockTrust.SYNCED
    days.pass_s(1, below=True)
    days.until_midnight()
    assert told(days) == days.told[:-1] == [("2023-11-14", 11 * S)]


def test_a_clock_that_nobody_trusts_ends_no_day() -> None:
    days = Days()
    days.trust = ClockTrust.UNTRUSTED
    days.offset_ms += 400 * DAY_MS
    days.pass_s(20)
    days.offset_ms -= 400 * DAY_MS
    days.pass_s(20)
    assert told(days) == []
