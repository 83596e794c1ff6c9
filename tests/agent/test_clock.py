"""How far the wall clock is believed, and that nothing is believed of a clock that has just been stepped."""

from __future__ import annotations

import pytest

from agent.clock import APART_MS, ClockKeeper
from agent.core.inputs import ClockTrust
from agent.runtime.part import Now

S = 1_000_000_000
DAY_MS = 86_400_000


def at(s: float, stepped_ms: int = 0) -> Now:
    """So many seconds after the start, on a wall clock that began at 1000 ms and was stepped by that since."""
    return Now(round(s * S), 1_000 + round(s * 1000) + stepped_ms)


def said(keeper: ClockKeeper, now: Now) -> tuple[int, ClockTrust]:
    clock = keeper.read(now)
    assert (clock.kernel_boot, clock.boot) == ("k", "b")
    return clock.wall_ms, clock.trust


def test_nothing_said_means_untrusted() -> None:
    assert said(ClockKeeper("k", "b"), at(1)) == (2_000, ClockTrust.UNTRUSTED)


def test_kernel_time_is_synced_and_then_held_over() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True, at(0))
    assert said(keeper, at(1)) == (2_000, ClockTrust.SYNCED)
    keeper.ntp(False, at(1))
    assert said(keeper, at(2)) == (3_000, ClockTrust.HOLDOVER)


def test_what_the_kernel_said_before_the_start_holds_until_it_speaks_again() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True)
    assert said(keeper, at(1)) == (2_000, ClockTrust.SYNCED)


def test_network_time_that_was_lost_before_the_first_cycle_is_held_over_from_where_it_was() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True, at(0))
    keeper.ntp(False, at(1))
    assert said(keeper, at(2, DAY_MS)) == (3_000, ClockTrust.HOLDOVER)


def test_a_signed_time_runs_on_by_the_monotonic_clock_until_the_kernel_knows_better() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.signed(50_000, 1 * S)
    assert said(keeper, at(3)) == (52_000, ClockTrust.SYNCED)
    keeper.ntp(True, at(4))
    assert said(keeper, at(5)) == (6_000, ClockTrust.SYNCED)
    keeper.ntp(False, at(6))
    assert said(keeper, at(7)) == (56_000, ClockTrust.SYNCED), "the signed time again, not the kernel's and it"


def test_the_aggregators_word_moves_no_clock_that_this_gateway_has() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True, at(0))
    said(keeper, at(1))
    keeper.ntp(False, at(1))
    for lie_ms in (DAY_MS, -DAY_MS, APART_MS + 1):
        keeper.signed(2_000 + lie_ms, 1 * S)
        assert said(keeper, at(2)) == (3_000, ClockTrust.HOLDOVER)
    keeper.signed(2_000 + APART_MS, 1 * S)
    assert said(keeper, at(2)) == (3_000 + APART_MS, ClockTrust.SYNCED)
    assert keeper.read(at(2)).own
    keeper.signed(2_000 + APART_MS + 30, 1 * S)
    assert keeper.read(at(201)).trust is ClockTrust.SYNCED, "40 ms of 200 s may be drift"


def test_what_the_aggregator_alone_says_is_marked_so() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.signed(50_000, 0)
    assert (keeper.read(at(1)).trust, keeper.read(at(1)).own) == (ClockTrust.SYNCED, False)
    keeper.ntp(True, at(2))
    assert keeper.read(at(2)).own


def test_network_time_that_steps_the_kernel_is_not_added_to_the_signed_time() -> None:
    """A gateway without a battery-backed clock starts 3 days behind; a signed time corrects that, then NTP comes."""
    keeper = ClockKeeper("k", "b")
    behind = 3 * DAY_MS
    keeper.signed(behind + 1_000, 0)
    assert said(keeper, at(10)) == (behind + 11_000, ClockTrust.SYNCED)
    assert said(keeper, at(11, behind)) == (behind + 12_000, ClockTrust.SYNCED), "stepped, and the kernel not asked yet"
    keeper.ntp(True, at(12, behind))
    assert said(keeper, at(13, behind)) == (behind + 14_000, ClockTrust.SYNCED)


@pytest.mark.parametrize("by_ms", [-DAY_MS, -500, 501, DAY_MS])
def test_a_step_of_the_kernels_clock_is_not_believed_until_the_kernel_was_asked_again(by_ms: int) -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True, at(0))
    said(keeper, at(1))
    slack = (by_ms == -500) * by_ms  # half a second is no step
    stays = ClockTrust.SYNCED if slack else ClockTrust.HOLDOVER
    assert said(keeper, at(2, by_ms)) == (3_000 + slack, stays)
    assert said(keeper, at(3, by_ms)) == (4_000 + slack, stays), "and not in the cycle after it either"
    keeper.ntp(True, at(4, by_ms))
    assert said(keeper, at(5, by_ms)) == (6_000 + by_ms, ClockTrust.SYNCED)


def test_a_step_between_the_last_cycle_and_the_kernels_word_is_covered_by_that_word() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True, at(0))
    said(keeper, at(1))
    keeper.ntp(True, at(1.5, DAY_MS))
    assert said(keeper, at(2, DAY_MS)) == (3_000 + DAY_MS, ClockTrust.SYNCED)


def test_a_step_back_and_forth_within_a_cycle_is_none() -> None:
    keeper = ClockKeeper("k", "b")
    keeper.ntp(True, at(0))
    for s in range(100):
        assert said(keeper, at(s, s * 400)) == (1_000 + s * 1_400, ClockTrust.SYNCED), "slewed, however far in all"
