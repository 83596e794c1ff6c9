"""The interval of true time: what a broker that delays messages can and cannot do to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.inputs import Clock, ClockTrust
from agent.link.clock import DRIFT_PPM, LinkClock

S = 1_000_000_000
WALL = 1_700_000_000_000


def kernel(wall_ms: int, trust: ClockTrust = ClockTrust.SYNCED) -> Clock:
    return Clock(wall_ms, trust, "kernel", "boot")


def test_nothing_is_known_before_anything_was_said() -> None:
    clock = LinkClock()
    assert clock.read(0) is None
    assert not clock.known
    clock.kernel(kernel(WALL, ClockTrust.UNTRUSTED), 0)
    assert not clock.known


def test_a_trusted_kernel_clock_runs_on_by_the_monotonic_clock() -> None:
    clock = LinkClock()
    clock.kernel(kernel(WALL, ClockTrust.HOLDOVER), 0)
    assert clock.known
    assert clock.read(5 * S) == WALL + 5000


def test_an_untrusted_kernel_clock_gives_way_to_the_signed_time() -> None:
    clock = LinkClock()
    clock.kernel(kernel(1000, ClockTrust.UNTRUSTED), 0)
    clock.signed(WALL, 0, 2 * S)
    assert clock.known
    assert clock.read(2 * S) == WALL


def test_a_kernel_clock_inside_the_interval_is_kept_and_one_outside_is_pulled_to_its_edge() -> None:
    for said, read in ((WALL + 1500, WALL + 1500), (WALL - 60_000, WALL), (WALL + 60_000, WALL + 2000)):
        clock = LinkClock()
        clock.kernel(kernel(said), 2 * S)
        clock.signed(WALL, 0, 2 * S)  # asked at 0, answered at 2 s: true time is WALL .. WALL + 2000
        assert clock.read(2 * S) == read


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=20))
def test_delayed_messages_never_move_the_interval_off_the_truth(parts: list[tuple[int, int]]) -> None:
    """Time messages are made `at` ms after the first birth and held back for `held` ms: truth stays inside."""
    clock = LinkClock()
    for at, held in sorted(parts, key=lambda p: p[0] + p[1]):
        clock.signed(WALL + at, 0, (at + held) * 1_000_000)
    end = max(at + held for at, held in parts)
    truth = WALL + end
    low = clock.signed_ms(end * 1_000_000)
    assert low is not None
    assert low <= truth
    clock.kernel(kernel(truth), end * 1_000_000)
    assert clock.read(end * 1_000_000) == truth


@given(st.integers(0, 10**6))
def test_a_held_back_message_never_turns_the_clock_back(held_ms: int) -> None:
    clock = LinkClock()
    clock.signed(WALL, 0, 0)
    before = clock.signed_ms(held_ms * 1_000_000)
    clock.signed(WALL, 0, held_ms * 1_000_000)
    after = clock.signed_ms(held_ms * 1_000_000)
    assert before is not None
    assert after is not None
    assert after >= before
    assert before >= WALL + held_ms - held_ms * DRIFT_PPM // 1_000_000 - 1


def test_an_untrusted_kernel_clock_is_not_believed_even_where_it_could_be_right() -> None:
    clock = LinkClock()
    clock.kernel(kernel(WALL + 1500, ClockTrust.UNTRUSTED), 7 * S)
    clock.signed(WALL, 5 * S, 7 * S)
    assert clock.read(7 * S) == WALL


def test_only_a_quicker_answer_narrows_the_upper_end() -> None:
    clock = LinkClock()
    clock.signed(WALL, 5 * S, 7 * S)  # at 7 s: WALL .. WALL + 2000
    clock.signed(WALL + 8000, 5 * S, 15 * S)  # alone it would say WALL + 8000 .. WALL + 18000 at 15 s
    clock.kernel(kernel(WALL + 17_000), 15 * S)
    assert clock.read(15 * S) == WALL + 10_001  # and 200 ppm of 8 s


def test_the_ends_drift_apart_by_200_ppm() -> None:
    clock = LinkClock()
    clock.signed(WALL, 0, 0)
    hour = 3600 * S
    low = clock.signed_ms(hour)
    assert low == WALL + 3_600_000 - 720
    clock.kernel(kernel(WALL + 10**9), hour)
    assert clock.read(hour) == WALL + 3_600_000 + 720
