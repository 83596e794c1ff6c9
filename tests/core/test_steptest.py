"""Sign and size of a meter against steps of the battery, by hand-worked samples and by laws."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.core.steptest import LEAST_STEP_W, STEPS_KEPT, Seen, StepTest, follow

METER, PACK = StepTest(-1), StepTest(1)


def walk(test: StepTest, powers: list[int], gain: float, *, house_w: int = 800, noise: int = 0) -> StepTest:
    """Each power is held for three samples; the other shows `gain` of it."""
    rng = random.Random(5)
    for power in powers:
        for _ in range(3):
            house = house_w + rng.randint(-noise, noise)
            test = follow(test, Seen(power, house + round(test.sign * gain * power)), LEAST_STEP_W)
    return test


def test_a_right_meter_is_right_after_three_steps() -> None:
    assert walk(METER, [0, 2000, -1500], 1).verdict() is None
    done = walk(METER, [0, 2000, -1500, 500], 1)
    assert done.verdict() == "ok"
    assert [step.gain for step in done.steps] == [1000, 1000, 1000]
    assert [step.moved_w for step in done.steps] == [2000, -3500, 2000]


def test_a_reversed_clamp_is_found() -> None:
    assert walk(METER, [0, 2000, -1500, 500], -1).verdict() == "reversed"


def test_a_clamp_that_is_off_or_of_another_size_is_found() -> None:
    assert walk(METER, [0, 2000, -1500, 500], 0).verdict() == "off"
    assert walk(METER, [0, 2000, -1500, 500], 0.5).verdict() == "off"
    assert walk(METER, [0, 2000, -1500, 500], 10).verdict() == "off"


def test_the_edges_of_what_is_right() -> None:
    assert walk(METER, [0, 1000, 0, 1000], 0.6).verdict() == "ok"
    assert walk(METER, [0, 1000, 0, 1000], 0.599).verdict() == "off"
    assert walk(METER, [0, 1000, 0, 1000], 1.4).verdict() == "ok"
    assert walk(METER, [0, 1000, 0, 1000], 1.402).verdict() == "off"


def test_the_pack_s_own_power_has_the_battery_s_sign() -> None:
    assert walk(PACK, [0, 2000, -1500, 500], 1.04).verdict() == "ok"
    assert walk(PACK, [0, 2000, -1500, 500], -1).verdict() == "reversed"


def test_one_kettle_does_not_condemn_a_meter() -> None:
    test = walk(METER, [0, 2000, -1500, 500], 1)
    test = follow(test, Seen(2500, 800 + 2200 - 2500), LEAST_STEP_W)  # a kettle in the moment of the step
    test = follow(test, Seen(2500, 800 + 2200 - 2500), LEAST_STEP_W)
    assert test.steps[-1].gain == -100
    assert test.verdict() == "ok"


def test_a_ramp_is_judged_where_it_comes_to_rest() -> None:
    test = walk(METER, [0], 1)
    for power in range(0, 3000, 200):
        test = follow(test, Seen(power, 800 - power), LEAST_STEP_W)
    assert test.steps == (), "nothing is judged on the way"
    test = walk(test, [3000], 1)
    assert [step.moved_w for step in test.steps] == [3000]


def test_small_steps_and_gaps_say_nothing() -> None:
    assert walk(METER, [0, LEAST_STEP_W - 1, 0, LEAST_STEP_W - 1], -1).steps == ()
    test = walk(METER, [0], 1)
    test = follow(test, None, LEAST_STEP_W)
    assert walk(test, [4000], 1).steps == (), "nobody saw the step: there is nothing to compare"


def test_a_clamp_mended_is_believed_again() -> None:
    test = walk(METER, [0, 2000, -1500, 500], -1)
    assert walk(test, [2500, 0, 2500, 0], 1).verdict() == "ok"


@given(st.lists(st.tuples(st.integers(-12_000, 12_000), st.integers(-20_000, 20_000)), max_size=80))
def test_memory_is_bounded_and_verdicts_need_evidence(samples: list[tuple[int, int]]) -> None:
    test = METER
    for battery, other in samples:
        test = follow(test, Seen(battery, other), LEAST_STEP_W)
    assert len(test.steps) <= STEPS_KEPT
    assert test.verdict() is None or len(test.steps) >= 3


@given(st.integers(-200, 200), st.lists(st.integers(-10_000, 10_000), min_size=4, max_size=12))
def test_a_right_meter_under_a_quiet_house_is_never_called_reversed(offset: int, powers: list[int]) -> None:
    test = walk(METER, powers, 1, noise=100 + abs(offset) // 2)
    assert test.verdict() != "reversed"
