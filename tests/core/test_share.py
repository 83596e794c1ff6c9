"""One setpoint over several inverters: never beyond a cap, never against each other, exactly what was given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.share import Span, asked, read_back, resplit, safely, share

WATTS = st.integers(-20_000, 20_000)
UNITS = st.lists(
    st.tuples(st.integers(0, 12_000), st.integers(1, 120), st.integers(-12_000, 12_000)), min_size=1, max_size=5
)


@pytest.mark.parametrize(
    ("given_w", "caps", "steps", "shares"),
    [
        (5000, [5000, 5000], [1, 1], (2500, 2500)),
        (-5000, [5000, 5000], [1, 1], (-2500, -2500)),
        (6000, [8000, 4000], [1, 1], (4000, 2000)),  # two thirds of the headroom, two thirds of the power
        (6000, [5000, 0], [1, 1], (5000, 0)),  # one cannot, the other can do no more
        (101, [5000, 5000], [1, 1], (51, 50)),  # the odd watt goes to the first with room
        (1000, [5000, 5000], [114, 114], (456, 456)),  # whole steps of one percent of 11.4 kW, toward zero
        (0, [5000, 5000], [1, 1], (0, 0)),
        (700, [0, 0], [1, 1], (0, 0)),
    ],
)
def test_examples(given_w: int, caps: list[int], steps: list[int], shares: tuple[int, ...]) -> None:
    assert share(given_w, caps, steps) == shares


@given(WATTS, UNITS)
def test_no_share_is_too_much(given_w: int, units: list[tuple[int, int, int]]) -> None:
    caps, steps = [u[0] for u in units], [u[1] for u in units]
    shares = share(given_w, caps, steps)
    assert all(abs(part) <= cap and part % step == 0 for part, cap, step in zip(shares, caps, steps, strict=True))
    assert all(part * given_w >= 0 for part in shares)
    assert abs(sum(shares)) <= abs(given_w)


@given(WATTS, st.lists(st.integers(0, 12_000), min_size=1, max_size=5))
def test_what_fits_is_given_to_the_watt(given_w: int, caps: list[int]) -> None:
    ones = [1] * len(caps)
    assert abs(sum(share(given_w, caps, ones))) == min(abs(given_w), sum(caps))


def test_every_small_case_is_exact() -> None:
    for a, b, c, watts in product(range(6), range(6), range(4), range(-16, 17)):
        shares = share(watts, [a, b, c], [1, 1, 1])
        assert abs(sum(shares)) == min(abs(watts), a + b + c)
        assert all(0 <= (part if watts >= 0 else -part) <= cap for part, cap in zip(shares, (a, b, c), strict=True))


@given(WATTS, UNITS)
def test_an_old_split_is_kept_only_where_it_is_a_good_one(given_w: int, units: list[tuple[int, int, int]]) -> None:
    caps, steps, before = [u[0] for u in units], [u[1] for u in units], [u[2] for u in units]
    shares = resplit(given_w, caps, steps, before)
    assert all(0 <= (part if given_w >= 0 else -part) <= cap for part, cap in zip(shares, caps, strict=True))
    assert sum(shares) == sum(share(given_w, caps, steps))


def test_a_cap_that_trembles_writes_nothing() -> None:
    assert resplit(5000, [5000, 4990], [1, 1], [2500, 2500]) == (2500, 2500)
    assert resplit(5000, [5000, 2000], [1, 1], [2500, 2500]) == (3572, 1428)  # beyond its cap: split anew


# --- the order of writes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shares", "spans", "now"),
    [
        ((2500, 2500), ((5000, 5000), (0, 0)), (2500, 0)),  # first the one comes down
        ((2500, 2500), ((2500, 2500), (0, 0)), (2500, 2500)),  # then the other goes up
        ((2500, 2500), ((0, 0), (0, 0)), (2500, 2500)),
        ((-2500, -2500), ((2500, 2500), (0, 0)), (0, 0)),  # a turn goes by zero, and nobody goes ahead
        ((2000, 3000), ((2000, 2500), (2500, 2500)), (2000, 2500)),  # 2000 was asked, 2500 may still run
    ],
)
def test_what_shrinks_goes_first(shares: tuple[int, ...], spans: tuple[Span, ...], now: tuple[int, ...]) -> None:
    assert safely(shares, spans) == now


TAKEN, KNOWN, LOST = (True, True), (True, False), (False, False)


def told(splits: Sequence[tuple[int, ...]], fates: list[tuple[bool, bool]]) -> None:
    """Any sequence of splits; each order is taken or lost, each answer heard or not."""
    most, least = max(0, *(sum(split) for split in splits)), min(0, *(sum(split) for split in splits))
    count = len(splits[0])
    runs, spans = [0] * count, [(0, 0)] * count
    fate = iter(fates)
    for split in splits:
        for i, value in enumerate(safely(split, spans)):
            taken, known = next(fate, TAKEN)
            spans[i] = asked(spans[i], value)
            if taken:
                runs[i] = value
                if known:
                    spans[i] = read_back(value, value)
        assert least <= sum(runs) <= most
        assert sum(max(0, span[1]) for span in spans) <= most
        assert sum(min(0, span[0]) for span in spans) >= least


def test_every_fate_of_two_inverters_that_swap_the_load() -> None:
    swaps = [(9, 0), (0, 9), (0, 9), (9, 0)]
    for fates in product((TAKEN, KNOWN, LOST), repeat=8):
        told(swaps, list(fates))


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9_000), st.integers(0, 9_000)), min_size=2, max_size=12),
    st.lists(st.sampled_from((TAKEN, KNOWN, LOST)), min_size=24, max_size=24),
)
def test_whichever_orders_are_lost_no_more_runs_than_one_of_the_splits(
    splits: list[tuple[bool, int, int]], fates: list[tuple[bool, bool]]
) -> None:
    told([(a, b) if discharge else (-a, -b) for discharge, a, b in splits], fates)
