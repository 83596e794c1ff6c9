"""A meter that stands still while the battery does not; one that rests in a quiet night is not accused."""

from __future__ import annotations

from agent.core.params import S
from agent.core.stuck import MOVED_W, SETTLED_NS, STUCK_NS, Stuck, blind, follow
from drivers.readings import MeterReading
from tests.core.home import meter


def run(old: Stuck | None, seconds: range, battery_w: int | None, grid_w: int = 0) -> Stuck | None:
    for second in seconds:
        old = follow(old, meter(second * S, grid_w=grid_w), battery_w, second * S)
    return old


def test_a_minute_of_the_same_while_the_battery_moves() -> None:
    stuck = run(None, range(10), 0)
    stuck = run(stuck, range(10, STUCK_NS // S), MOVED_W + 1)
    assert stuck is not None and not stuck.is_stuck(STUCK_NS - 1)
    assert stuck.is_stuck(STUCK_NS)


def test_a_battery_that_moved_less_proves_nothing() -> None:
    stuck = run(run(None, range(10), 0), range(10, 600), MOVED_W)
    assert stuck is not None and not stuck.is_stuck(600 * S)


def test_a_quiet_night_accuses_nobody() -> None:
    stuck = run(None, range(3600), 0)
    assert stuck is not None and not stuck.is_stuck(3600 * S)


def test_any_other_digit_clears_it() -> None:
    stuck = run(run(None, range(30), 0), range(30, 70), 5000)
    assert stuck is not None and stuck.is_stuck(70 * S)
    stuck = run(stuck, range(70, 71), 5000, grid_w=1)
    assert stuck is not None and not stuck.is_stuck(70 * S) and stuck.since_ns == 70 * S


def test_exactly_no_power_at_all_or_in_a_leg_that_the_battery_feeds() -> None:
    def legs(*watts: int | None) -> MeterReading:
        return meter(0, grid_w=500, phase_w=watts)

    assert blind(meter(0, grid_w=0), 1) and not blind(meter(0, grid_w=500), 1)
    assert blind(legs(500, 0, 300), 3) and not blind(legs(500, 0, 300), 1), "the one that it feeds is not known"
    assert not blind(legs(500, 300, 0), 2), "a third that is not there"
    assert not blind(legs(500, None, 300), 3)


def test_what_sees_nothing_is_found_though_its_volts_move() -> None:
    """And what the battery did before it was seen to see nothing does not count."""

    def seen(old: Stuck | None, seconds: range, battery_w: int) -> Stuck | None:
        for at in seconds:
            old = follow(old, meter(at * S, grid_w=0, frequency_mhz=60_000 + at), battery_w, at * S, nothing=True)
        return old

    settled = SETTLED_NS // S
    resting = seen(seen(None, range(settled - 1), 5000), range(settled - 1, 100), 0)
    assert resting is not None and resting.sees_nothing and not resting.is_stuck(100 * S)
    moved = seen(resting, range(100, 101), 2000)
    assert moved is not None and moved.is_stuck(100 * S)
    again = follow(moved, meter(101 * S, grid_w=1), 2000, 101 * S)
    assert again is not None and not again.sees_nothing and again.since_ns == 101 * S


def test_without_a_reading_there_is_nothing_to_compare() -> None:
    assert follow(run(None, range(30), 0), None, 0, 31 * S) is None
    stuck = run(None, range(30), None)
    assert stuck is not None and not stuck.is_stuck(90 * S)
    assert run(stuck, range(30, 31), 4000) == Stuck(stuck.block, 0, 4000, 4000)
