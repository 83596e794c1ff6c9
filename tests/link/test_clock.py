"""The interval of true time: what a broker that delays messages can and cannot do to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.inputs import Clock, ClockTrust
from agent.link.clock import APART_MS, DRIFT_PPM, LinkClock

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
    low = clock.least(end * 1_000_000)
    assert low is not None
    assert low <= truth
    span = clock.span(end * 1_000_000)
    assert span is None or span[0] <= truth <= span[1]
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


def test_a_round_trip_of_more_than_half_a_minute_is_no_time_to_judge_by() -> None:
    clock = LinkClock()
    assert clock.signed(WALL, 0, 30_001 * S // 1000)
    assert (clock.known, clock.span(31 * S), clock.signed_ms(31 * S)) == (False, None, None)
    assert clock.wide(31 * S)
    assert clock.signed(WALL + 1000, 31 * S, 33 * S)  # to another nonce
    assert clock.span(33 * S) == (WALL + 2998, WALL + 3000), "of the first one it is known that it was no earlier"
    assert not clock.wide(33 * S)


def test_late_is_judged_by_the_latest_and_early_by_the_least_unless_we_have_a_clock() -> None:
    clock = LinkClock()
    clock.signed(WALL, 0, 20 * S)
    assert clock.span(20 * S) == (WALL, WALL + 20_000)
    clock.kernel(kernel(WALL + 7000), 20 * S)
    assert clock.span(20 * S) == (WALL + 7000, WALL + 7000)


@given(st.integers(-(10**9), 10**9), st.integers(0, 60_000))
def test_our_own_clock_is_moved_by_no_signed_time(off_ms: int, held_ms: int) -> None:
    clock = LinkClock()
    clock.kernel(kernel(WALL), held_ms * 1_000_000)
    taken = clock.signed(WALL + off_ms, 0, held_ms * 1_000_000)
    assert taken is (off_ms <= APART_MS and off_ms + held_ms >= -APART_MS)
    span = clock.span(held_ms * 1_000_000)
    assert span is not None
    assert abs(span[0] - WALL) <= (APART_MS if taken else 0)


def test_signed_times_that_cannot_both_be_true_are_not_both_taken() -> None:
    clock = LinkClock()
    assert clock.signed(WALL, 0, S)
    for lie in (14 * 86_400_000, -14 * 86_400_000, APART_MS + 2002):
        assert not clock.signed(WALL + lie, S, 2 * S)
    for n in range(1, 100):  # nor do many small ones go further than one
        clock.signed(WALL + n * 60_000, S, 2 * S)
    span = clock.span(2 * S)
    assert span is not None
    assert span[1] - WALL <= 2001


def test_a_clock_of_ours_that_contradicts_the_signed_time_stops_what_rests_on_either() -> None:
    clock = LinkClock()
    clock.signed(WALL, 0, S)
    clock.kernel(kernel(WALL + 3_600_000), 2 * S)
    assert (clock.apart, clock.known, clock.span(2 * S)) == (True, False, None)
    assert clock.least(2 * S) == WALL + 999
    clock.kernel(kernel(WALL + 2000), 3 * S)
    assert (clock.apart, clock.known) == (False, True)
    clock.kernel(kernel(WALL + 3_600_000), 4 * S)
    assert clock.signed(WALL + 3_600_500, 0, 5 * S), "our clock and this word agree against the first one"
    assert clock.known


def test_a_clock_that_has_the_aggregators_word_alone_is_no_clock_of_ours() -> None:
    clock = LinkClock()
    clock.signed(WALL, 0, S)
    clock.kernel(Clock(WALL + 10**9, ClockTrust.SYNCED, "kernel", "boot", signed=True), S)
    assert not clock.apart
    assert clock.span(S) == (WALL, WALL + 1000)


def test_a_clock_that_network_time_left_long_ago_may_have_drifted() -> None:
    clock = LinkClock()
    clock.kernel(kernel(WALL), 0)
    month = 30 * 86_400
    clock.kernel(kernel(WALL + month * 1000, ClockTrust.HOLDOVER), month * S)
    drift_ms = month * 1000 * DRIFT_PPM // 1_000_000
    assert clock.signed(WALL + month * 1000 + drift_ms + APART_MS, month * S, month * S)
    other = LinkClock()
    other.kernel(kernel(WALL + month * 1000), month * S)
    assert not other.signed(WALL + month * 1000 + drift_ms + APART_MS, month * S, month * S)


def test_what_a_revoked_key_said_of_the_time_is_forgotten() -> None:
    clock = LinkClock()
    clock.signed(WALL, 0, S)
    clock.forget()
    assert (clock.known, clock.least(S), clock.read(S)) == (False, None, None)
