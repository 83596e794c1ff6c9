"""When a record is of: days and months of any year, as the core writes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.guarantee import date
from agent.tools.placing import _day, _month

DAY_MS = 86_400_000


@given(st.integers(0, (1 << 53) // DAY_MS))
def test_a_day_that_the_core_writes_is_read_as_that_day_and_month(day: int) -> None:
    assert _day(date(day)) == day
    year, month, _ = map(int, date(day).split("-"))
    assert _month(day * DAY_MS) == _month(day * DAY_MS + DAY_MS - 1) == (year, month)
