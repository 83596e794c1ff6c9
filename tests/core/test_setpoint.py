"""Clamp, ramp and rounding: examples and laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.command import RampClass
from agent.core.params import S
from agent.core.setpoint import relax, shape
from tests.core.home import PARAMS

POWER = st.integers(-20_000, 20_000)


@pytest.mark.parametrize(
    ("start", "target", "step", "result"),
    [
        (0, 5000, 570, 570),
        (4800, 5000, 570, 5000),
        (5000, 2000, 570, 2000),  # toward zero at once
        (5000, 0, 570, 0),
        (5000, -5000, 570, -570),  # to the other side: from zero
        (-5000, 5000, 570, 570),
        (0, -5000, 570, -570),
        (-5000, -2000, 570, -2000),
        (-5000, -5100, 570, -5100),
        (3000, 5000, 0, 3000),
        (0, 0, 570, 0),
    ],
)
def test_relax(start: int, target: int, step: int, result: int) -> None:
    assert relax(start, target, step) == result


def test_released_ramps_from_what_the_battery_does() -> None:
    made = shape(5000, -11_400, 11_400, None, 3000, RampClass.DIRECT, S, 1, PARAMS)
    assert made.given_w == 3570
    other = shape(-5000, -11_400, 11_400, None, 3000, RampClass.DIRECT, S, 1, PARAMS)
    assert other.given_w == -570
    unknown = shape(5000, -11_400, 11_400, None, None, RampClass.DIRECT, S, 1, PARAMS)
    assert unknown.given_w == 570


def test_clamped_and_ramping_are_told_apart() -> None:
    made = shape(5000, 0, 600, 400, 0, RampClass.DIRECT, S, 1, PARAMS)
    assert (made.given_w, made.clamped, made.ramping) == (600, True, False)
    made = shape(5000, 0, 9000, 400, 0, RampClass.DIRECT, S, 1, PARAMS)
    assert (made.given_w, made.clamped, made.ramping) == (970, False, True)


@given(
    POWER,
    st.integers(-12_000, 0),
    st.integers(0, 12_000),
    st.none() | POWER,
    st.none() | POWER,
    st.sampled_from(RampClass),
    st.integers(0, 5 * S),
    st.integers(0, 300),
)
def test_laws(
    asked: int, lo: int, hi: int, before: int | None, measured: int | None, ramp: RampClass, ns: int, step: int
) -> None:
    made = shape(asked, lo, hi, before, measured, ramp, ns, step, PARAMS)
    assert lo <= made.given_w <= hi  # Q: rounding stays inside
    assert abs(made.given_w) <= abs(made.ramped_w)
    assert made.given_w % max(1, step) == 0
    assert made.given_w * asked >= 0  # never the other way round
    target = max(lo, min(hi, asked))
    assert abs(made.ramped_w) <= abs(target)
    start = before if before is not None else measured or 0
    if start * target >= 0 and abs(target) <= abs(start):
        assert made.ramped_w == target  # R: tightening is never ramped
