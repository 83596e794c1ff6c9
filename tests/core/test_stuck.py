"""A meter that stands still while the battery does not; one that rests in a quiet night is not accused."""

from __future__ import annotations

from agent.core.params import S
from agent.core.stuck import MOVED_W, STUCK_NS, Stuck, follow
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


def test_without_a_reading_there_is_nothing_to_compare() -> None:
    assert follow(run(None, range(30), 0), None, 0, 31 * S) is None
    stuck = run(None, range(30), None)
    assert stuck is not None and not stuck.is_stuck(90 * S)
    assert run(stuck, range(30, 31), 4000) == Stuck(stuck.block, 0, 4000, 4000)
