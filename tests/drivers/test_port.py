"""One transaction at a time: what counts as its reply, when it is given up, and when the next may start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.port import Fate, Outcome, Port, Request, Timing
from tests.drivers.wire import MS, US, crc

SERIAL = Timing.serial(19200, 10, 0)
T0 = 1_000_000_000


def frame(*body: int) -> bytes:
    return bytes(body) + crc(bytes(body))


GOOD = frame(3, 3, 4, 0x12, 0x34, 0x56, 0x78)


def asked(unit: int = 3, tcp: bool = False, echo: bool = False) -> tuple[Port, Request]:
    port = Port(Timing(0, 0, 0) if tcp else SERIAL, tcp, echo)
    request = port.read(unit, 3, 40000, 2, 300 * MS)
    port.send(request, T0)
    return port, request


def fate(outcome: Outcome | None) -> Fate | None:
    return None if outcome is None else outcome.fate


def test_timing_is_that_of_the_serial_line_specification() -> None:
    assert Timing.serial(9600, 11, 0).t35_ns == 4_010_419  # 3.5 * 11 bits
    assert Timing.serial(19200, 10, 0).t35_ns == 1_822_919
    assert Timing.serial(115200, 10, 0).t35_ns == 1_750_000
    assert Timing.serial(9600, 10, 0).registers_within(85 * MS) == 29
    assert Timing(0, 0, 0).registers_within(1) == 125


def test_request_bytes_and_prediction_are_those_of_the_wire() -> None:
    port = Port(SERIAL, False)
    sent = port.send(port.read(3, 3, 40000, 2, 300 * MS), T0)
    assert sent.data == frame(3, 3, 0x9C, 0x40, 0, 2)
    assert sent.reply_len == 9
    assert sent.predicted_end_ns == T0 + 17 * SERIAL.char_ns + SERIAL.t35_ns
    assert sent.deadline_ns == sent.predicted_end_ns + 305 * MS


def test_the_reply_ends_it_and_silence_of_three_and_a_half_characters_follows() -> None:
    port, _ = asked()
    assert port.feed(GOOD, T0 + 20 * MS) == Outcome(Fate.DATA, T0 + 20 * MS, GOOD[1:-2])
    assert not port.busy
    assert port.ready_ns == T0 + 20 * MS + SERIAL.t35_ns


@given(st.integers(1, len(GOOD) - 1), st.integers(1, len(GOOD) - 1))
def test_a_reply_in_pieces_is_put_together(a: int, b: int) -> None:
    port, _ = asked()
    first, second = sorted((a, b))
    assert port.feed(GOOD[:first], T0 + 10 * MS) is None
    assert port.feed(GOOD[first:second], T0 + 11 * MS) is None
    assert fate(port.feed(GOOD[second:], T0 + 12 * MS)) is Fate.DATA


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_never_data_and_is_known_at_once(place: int, bit: int) -> None:
    port, _ = asked()
    bad = bytearray(GOOD)
    bad[place] ^= 1 << bit
    assert fate(port.feed(bytes(bad), T0 + 20 * MS)) is Fate.GARBLED
    assert port.counters.crc_errors == 1


@given(st.binary(max_size=40))
def test_bytes_from_nowhere_are_never_data(noise: bytes) -> None:
    port, _ = asked()
    assert fate(port.feed(noise, T0 + 20 * MS)) is not Fate.DATA or GOOD[:3] in noise


def test_an_exception_is_told_from_data() -> None:
    port, _ = asked()
    assert port.feed(frame(3, 0x83, 2), T0 + 20 * MS) == Outcome(Fate.EXCEPTION, T0 + 20 * MS, code=2)
    assert port.counters.exceptions == 1


def test_noise_before_the_reply_is_dug_through() -> None:
    port, _ = asked()
    assert fate(port.feed(b"\xff\x00\x80" + GOOD, T0 + 20 * MS)) is Fate.DATA
    assert (port.counters.noise, port.counters.foreign) == (1, 0)


def test_a_frame_of_another_unit_is_passed_over_and_ours_still_taken() -> None:
    port, _ = asked()
    assert port.feed(frame(2, 3, 4, 1, 2, 3, 4), T0 + 10 * MS) is None
    assert fate(port.feed(GOOD, T0 + 25 * MS)) is Fate.DATA
    assert port.counters.foreign == 1


def test_wrong_function_and_wrong_length_are_passed_over() -> None:
    for other in (frame(3, 4, 4, 1, 2, 3, 4), frame(3, 3, 6, 1, 2, 3, 4, 5, 6)):
        port, _ = asked()
        assert port.feed(other, T0 + 10 * MS) is None
        assert fate(port.expire(port.deadline_ns)) is Fate.TIMEOUT
        assert port.counters.foreign == 1


def test_unit_0_takes_replies_of_unit_0_only() -> None:
    port, _ = asked(unit=0)
    assert port.feed(GOOD, T0 + 10 * MS) is None
    assert fate(port.feed(frame(0, 3, 4, 1, 2, 3, 4), T0 + 25 * MS)) is Fate.DATA


def test_a_truncated_reply_is_given_up_soon_and_not_at_the_full_deadline() -> None:
    port, _ = asked()
    full = port.deadline_ns
    assert port.feed(GOOD[:6], T0 + 15 * MS) is None
    assert port.deadline_ns < full
    assert port.expire(port.deadline_ns - 1) is None
    assert fate(port.expire(port.deadline_ns)) is Fate.TIMEOUT
    assert port.counters.timeouts == 1


def test_what_arrives_when_nothing_was_asked_is_foreign_and_keeps_the_line_busy() -> None:
    port, _ = asked()
    port.feed(GOOD, T0 + 20 * MS)
    assert port.feed(GOOD, T0 + 30 * MS) is None
    assert port.counters.foreign == 1
    assert port.ready_ns == T0 + 30 * MS + SERIAL.t35_ns


def test_a_late_reply_cannot_pass_for_another_read_of_the_same_shape() -> None:
    port, first = asked()
    port.expire(port.deadline_ns)
    at = port.deadline_ns
    same_shape = port.read(3, 3, 40010, 2, 300 * MS)
    assert port.held_until(same_shape) == at + 600 * MS
    assert port.held_until(first) == 0  # asking the same again is harmless
    assert port.held_until(port.read(3, 3, 40000, 2, 300 * MS)) == 0
    assert port.held_until(port.read(3, 3, 40000, 2, 300 * MS), again=False) == at + 600 * MS  # not as a proof
    assert port.held_until(port.read(3, 3, 40010, 3, 300 * MS)) == 0
    assert port.held_until(port.read(2, 3, 40010, 2, 300 * MS)) == 0


def test_a_poll_that_repeats_quickly_does_not_hold_up_the_others_for_ever() -> None:
    port, request = asked()
    given_up = now = port.deadline_ns
    port.expire(now)
    other = port.read(3, 3, 40010, 2, 300 * MS)
    while port.held_until(other) > now and now < T0 + 60_000 * MS:
        port.send(request, now)
        now += 50 * MS
        assert fate(port.feed(GOOD, now)) is Fate.DATA
    assert now == given_up + 1_200 * MS


def test_the_answer_to_a_second_try_may_come_twice_and_is_still_waited_for() -> None:
    port, request = asked()
    at = port.deadline_ns
    port.expire(at)
    deadline = port.send(request, at).deadline_ns
    assert fate(port.feed(GOOD, at + 20 * MS)) is Fate.DATA  # of the first try, for all we know
    assert port.held_until(port.read(3, 3, 40010, 2, 300 * MS)) == deadline + 600 * MS
    port.feed(GOOD, at + 60 * MS)
    assert port.counters.late == 1
    assert port.held_until(port.read(3, 3, 40010, 2, 300 * MS)) == 0


def test_late_replies_of_several_requests_are_told_from_foreign_ones() -> None:
    port, _ = asked()
    port.expire(port.deadline_ns)
    at = port.deadline_ns
    port.send(port.read(2, 4, 10, 1, 300 * MS), at)
    assert port.feed(GOOD, at + 10 * MS) is None
    assert fate(port.feed(frame(2, 4, 2, 1, 1), at + 30 * MS)) is Fate.DATA
    assert (port.counters.late, port.counters.foreign, port.overheard.trouble(at + 40 * MS)) == (1, 0, "")


def test_an_adapter_that_hears_itself_is_found_out_and_then_understood() -> None:
    port, request = asked()
    assert port.feed(request.frame + GOOD[:1], T0 + 15 * MS) is None
    assert fate(port.feed(GOOD[1:], T0 + 20 * MS)) is Fate.DATA
    sent = port.send(request, T0 + 400 * MS)
    assert sent.reply_len == len(request.frame) + len(GOOD)
    assert fate(port.feed(request.frame + GOOD, T0 + 420 * MS)) is Fate.DATA


def test_the_echo_of_a_write_is_not_its_reply() -> None:
    port = Port(SERIAL, False, echo=True)
    request = port.write(3, 6, 100, (7,), 300 * MS)
    port.send(request, T0)
    assert port.feed(request.frame, T0 + 10 * MS) is None
    assert fate(port.feed(request.frame, T0 + 20 * MS)) is Fate.DATA  # function 6 answers with the same bytes


def test_a_write_is_answered_by_its_own_address_and_count_only() -> None:
    port = Port(SERIAL, False)
    request = port.write(3, 16, 40208, (61151, 4385), 300 * MS)
    assert request.frame == frame(3, 16, 0x9D, 0x10, 0, 2, 4, 0xEE, 0xDF, 0x11, 0x21)
    port.send(request, T0)
    assert port.feed(frame(3, 16, 0x9D, 0x11, 0, 2), T0 + 10 * MS) is None
    assert fate(port.feed(frame(3, 16, 0x9D, 0x10, 0, 2), T0 + 20 * MS)) is Fate.DATA


def test_the_nap_ends_before_the_fastest_reply_seen_of_that_unit() -> None:
    """Up by a sixteenth and by 0.1 ms at most, down at once and an eighth further."""
    port, request = asked()
    wire = request.wire_ns
    for turnaround_us, expected_us in ((1_600, 100), (900_000, 200), (1_000, 250), (160, 140)):
        port.feed(GOOD, T0 + wire + turnaround_us * US)
        assert port.send(request, T0).predicted_end_ns == T0 + wire + expected_us * US


def test_a_pause_that_the_device_needs_is_kept() -> None:
    port = Port(SERIAL, False)
    port.send(port.read(3, 3, 40000, 2, 300 * MS, gap_ns=50 * MS), T0)
    port.feed(GOOD, T0 + 20 * MS)
    assert port.ready_ns == T0 + 70 * MS + SERIAL.t35_ns


# --- TCP --------------------------------------------------------------------------------------------------------------
def adu(tid: int, unit: int, *pdu: int) -> bytes:
    return tid.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit, *pdu))


def test_tcp_takes_its_own_transaction_only() -> None:
    port, request = asked(tcp=True)
    assert request.reply_len == 13
    old = adu(9, 3, 3, 4, 9, 9, 9, 9)
    assert port.feed(old, T0 + 1 * MS) is None
    outcome = port.feed(adu(1, 3, 3, 4, 1, 2, 3, 4), T0 + 2 * MS)
    assert outcome == Outcome(Fate.DATA, T0 + 2 * MS, bytes((3, 4, 1, 2, 3, 4)))
    assert port.counters.foreign == 1


def test_tcp_counts_a_late_answer_apart_and_takes_a_frame_that_is_half_here_on() -> None:
    port, request = asked(tcp=True)
    port.expire(port.deadline_ns)
    late = adu(1, 3, 3, 4, 9, 9, 9, 9)
    port.feed(late[:7], port.deadline_ns + 1)
    port.send(request, port.deadline_ns + 2)
    assert fate(port.feed(late[7:] + adu(2, 3, 3, 4, 1, 2, 3, 4), port.deadline_ns)) is Fate.DATA
    assert (port.counters.late, port.counters.foreign) == (1, 0)


@given(st.integers(0, 2) | st.integers(255, 0xFFFF))
def test_tcp_lengths_that_no_frame_has_end_the_connection(length: int) -> None:
    port, _ = asked(tcp=True)
    data = b"\0\x01\0\0" + length.to_bytes(2, "big") + bytes((3, 0x83))
    assert fate(port.feed(data, T0)) is Fate.GARBLED


def test_tcp_reads_frames_that_come_together_or_in_pieces() -> None:
    port, _ = asked(tcp=True)
    data = adu(9, 3, 3, 4, 9, 9, 9, 9) + adu(1, 3, 3, 4, 1, 2, 3, 4)
    assert port.feed(data[:20], T0) is None
    assert fate(port.feed(data[20:], T0)) is Fate.DATA


def test_tcp_refusals_wrong_units_and_lengths() -> None:
    port, _ = asked(tcp=True)
    assert port.feed(adu(1, 4, 3, 4, 1, 2, 3, 4), T0) is None
    assert port.feed(adu(1, 3, 3, 2, 1, 2), T0) is None
    assert port.feed(adu(1, 3, 0x83, 6), T0) == Outcome(Fate.EXCEPTION, T0, code=6)


def test_tcp_that_is_no_modbus_is_garbled() -> None:
    port, _ = asked(tcp=True)
    assert fate(port.feed(b"HTTP/1.1 400 Bad Request", T0)) is Fate.GARBLED
