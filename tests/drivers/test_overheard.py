"""Two masters on one line, late answers, echoes and noise: what is told from what, and what it does to writes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.bus import Bus, BusSpec
from drivers.events import BusStats, Presence, Stray, WriteClass
from drivers.overheard import QUIET_NS, frame_at, frames_of
from drivers.port import Fate, Port, Timing
from drivers.profile import parse
from tests.drivers.home import home, inverter, specs
from tests.drivers.ordering import TWO_ALIKE, compiled, outcomes, running
from tests.drivers.wire import MS, S, Slave, Wire, crc

T0 = 1_000_000_000
SEEDS = 20
LINE = Timing.serial(19200, 10, 0)


def frame(*body: int) -> bytes:
    return bytes(body) + crc(bytes(body))


ASKED = frame(9, 3, 0, 100, 0, 2)  # by another master
ANSWER = frame(9, 3, 4, 1, 2, 3, 4)
OURS = frame(3, 3, 4, 0x12, 0x34, 0x56, 0x78)


def waiting() -> Port:
    port = Port(LINE, False)
    port.send(port.read(3, 3, 40000, 2, 300 * MS), T0)
    return port


@pytest.mark.parametrize(
    ("data", "asks"),
    [
        (ASKED, True),
        (ANSWER, False),
        (frame(9, 1, 0, 100, 0, 9), True),
        (frame(9, 1, 2, 255, 1), False),
        (frame(9, 6, 0, 1, 0, 2), True),
        (frame(9, 16, 0, 1, 0, 2, 4, 1, 2, 3, 4), True),
        (frame(9, 16, 0, 1, 0, 2), False),
        (frame(9, 0x83, 2), False),
        (frame(0, 6, 0, 1, 0, 2), True),
    ],
)
def test_frames_of_the_specification_are_known_whole(data: bytes, asks: bool) -> None:
    found = frame_at(b"\x55" + data + b"\x55", 1)
    assert found is not None
    assert (found.data, found.asks) == (data, asks)


@given(st.sampled_from([ASKED, ANSWER, OURS]), st.integers(0, 12), st.integers(0, 7))
def test_a_flipped_bit_makes_no_frame_of_it(data: bytes, place: int, bit: int) -> None:
    spoiled = bytearray(data)
    spoiled[place % len(data)] ^= 1 << bit
    assert frames_of(bytes(spoiled)) == ([], len(data))


def test_a_question_and_its_answer_that_are_not_ours_are_two_masters() -> None:
    port = Port(LINE, False)
    port.stray(ASKED + b"\0" + ANSWER, T0)
    assert (port.counters.requests, port.counters.foreign, port.counters.noise) == (1, 1, 1)
    sentence = port.overheard.trouble(T0)
    assert sentence == "two masters on this line: somebody else is answered by unit 9 (function 3, 9 bytes)"
    assert port.overheard.trouble(T0 + QUIET_NS - 1) == sentence
    assert port.overheard.trouble(T0 + QUIET_NS) == ""


def test_one_sound_frame_alone_may_be_chance() -> None:
    port = Port(LINE, False)
    port.stray(ASKED, T0)
    assert port.overheard.trouble(T0) == ""
    port.stray(ASKED, T0 + QUIET_NS + 1)
    assert port.overheard.trouble(T0 + QUIET_NS + 1) == ""
    port.stray(ASKED, T0 + QUIET_NS + 2)
    assert "asks unit 9 (function 3, register 100)" in port.overheard.trouble(T0 + QUIET_NS + 2)


def test_another_masters_traffic_in_our_wait_does_not_hide_our_answer() -> None:
    port = waiting()
    assert port.feed(ASKED, T0 + 10 * MS) is None
    outcome = port.feed(ANSWER + OURS[:2], T0 + 20 * MS)
    assert outcome is None
    outcome = port.feed(OURS[2:], T0 + 25 * MS)
    assert outcome is not None
    assert outcome.fate is Fate.DATA
    assert port.overheard.trouble(T0 + 26 * MS).startswith("two masters on this line")


def test_a_device_that_answers_with_a_wrong_unit_is_no_second_master() -> None:
    port = waiting()
    for n in range(3):
        port.feed(frame(4, 3, 4, 1, 2, 3, 4), T0 + n * S + 10 * MS)
        assert port.expire(T0 + n * S + 500 * MS) is not None
        port.send(port.read(3, 3, 40000, 2, 300 * MS), T0 + (n + 1) * S)
    assert port.overheard.trouble(T0 + 4 * S) == ""
    assert port.counters.foreign == 3
    assert port.overheard.notes() == (
        "unit 3 was asked and unit 4 answered, 3 times; look for two devices with one unit number",
    )


def test_noise_is_no_second_master() -> None:
    port = waiting()
    for n in range(50):
        port.stray(bytes((n, 0x55, 0, 0xFF, n ^ 0x5A)) * 3, T0 + n * S)
    assert port.overheard.trouble(T0 + 50 * S) == ""
    assert port.counters.noise == 50


def test_a_repeated_answer_is_no_second_master() -> None:
    port = waiting()
    port.feed(OURS, T0 + 20 * MS)
    for n in range(5):
        port.stray(OURS, T0 + (30 + n) * MS)
    assert port.overheard.trouble(T0 + 40 * MS) == ""


@given(st.binary(max_size=4000))
def test_a_burst_is_looked_at_in_part_only(data: bytes) -> None:
    port = Port(LINE, False)
    port.stray(data * 20, T0)
    assert port.counters.requests + port.counters.foreign <= 512 // 5


def test_an_echo_that_stops_is_forgotten() -> None:
    port = Port(LINE, False, echo=True)
    request = port.read(3, 3, 40000, 2, 300 * MS)
    for n in range(2):
        sent = port.send(request, T0 + n * S)
        assert sent.reply_len == len(OURS) + (len(request.frame) if n == 0 else 0)
        outcome = port.feed(OURS, T0 + n * S + 20 * MS)
        assert outcome is not None
        assert outcome.fate is Fate.DATA


# --- the bus ----------------------------------------------------------------------------------------------------------
def overhear(wire: Wire, every_ns: int, for_ns: int) -> None:
    """Another master asks and is answered, over and over, while nobody of us has asked."""
    for n in range(for_ns // every_ns):
        wire.at(wire.now + n * every_ns, lambda: wire.event(Stray(ASKED + ANSWER, wire.now)))


def test_two_masters_stop_writes_until_a_minute_of_quiet_and_say_so() -> None:
    wire = running()
    overhear(wire, S, 10 * S)
    wire.run(10 * S)
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.OK
    assert status.line.startswith("two masters on this line")
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, 7))
    wire.order_now(compiled(wire, WriteClass.FLOOR, 300, 8))
    assert outcomes(wire) == [(7, "rejected"), (8, "rejected")]
    assert wire.results()[-1].detail == status.line
    assert wire.slaves[3].writes == []
    wire.run(58 * S)
    assert wire.statuses("inverter")[-1].line != ""
    wire.run(2 * S)
    assert wire.statuses("inverter")[-1].line == ""
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, 9))
    wire.run(S)
    assert outcomes(wire)[-1] == (9, "confirmed")


def test_two_masters_do_not_stop_a_release() -> None:
    wire = running()
    overhear(wire, S, 3 * S)
    wire.run(S)
    wire.order_now(compiled(wire, WriteClass.CLEAR, 0, 7))
    wire.run(S)
    assert outcomes(wire) == [(7, "confirmed")]


def test_a_write_that_waits_when_another_master_is_heard_is_not_sent() -> None:
    wire = running()
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, 7))
    wire.event(Stray(ASKED + ANSWER, wire.now))
    sent = len(wire.slaves[3].writes)
    wire.run(3 * S)
    assert outcomes(wire) == [(7, "rejected")]
    assert len(wire.slaves[3].writes) == sent


def test_statistics_tell_them_apart() -> None:
    wire = running()
    overhear(wire, 2 * S, 6 * S)
    wire.at(wire.now + S, partial(wire.event, Stray(b"\xff\0", wire.now)))
    wire.run(15 * S)
    stats: BusStats = wire.stats()[-1]
    assert (stats.requests, stats.foreign, stats.noise, stats.late) == (3, 3, 1, 0)


# --- late answers -----------------------------------------------------------------------------------------------------
def late(wire: Wire, seed: int, share: float) -> None:
    """Now and then an answer takes up to three times as long as its device is given."""
    rng = Random(seed)
    wire.maul = lambda request, reply: [(rng.randrange(250, 850) * MS if rng.random() < share else 0, reply)]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_answers_of_any_lateness_are_never_those_of_other_registers(seed: int) -> None:
    slave = Slave(2)
    slave.put(3, 0, 0, 0, 0, 0)
    slave.put(3, 100, 1111)
    slave.put(3, 400, 50_000)
    wire = home([replace(specs()[1], profile=parse(TWO_ALIKE, "x"))], [slave])
    wire.run(2 * S)
    late(wire, seed, 0.2)
    wire.run(60 * S)
    assert {reading.grid_w for reading in wire.meters()} <= {1111, None}
    assert {reading.frequency_mhz for reading in wire.meters()} <= {50_000, None}
    stats = wire.stats()[-1]
    assert stats.late > 3
    assert stats.timeouts > 3
    assert wire.statuses("meter")[-1].line == ""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_chain_of_models_read_with_late_answers_is_the_same_chain(seed: int) -> None:
    good = home(specs()[2:], [inverter()])
    good.run(3 * S)
    wire = Wire(Bus(BusSpec("rs485", 19_200), specs()[2:]), [inverter()])
    late(wire, seed, 0.1)
    wire.open()
    wire.run(60 * S)
    bindings = [s.binding for s in wire.statuses("inverter") if s.presence is Presence.OK]
    assert bindings
    assert all(binding == good.statuses("inverter")[-1].binding for binding in bindings)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_late_answer_is_no_proof_of_a_write(seed: int) -> None:
    """A device that acknowledges and keeps nothing is never confirmed, whatever comes late."""
    wire = running()
    slave = wire.slaves[3]
    order = compiled(wire, WriteClass.POWER, 1000, 1, window_ns=30 * S)
    slave.put = lambda function, address, *words: None  # type: ignore[method-assign]  # a slave that keeps nothing
    late(wire, seed, 0.2)
    for n in range(5):
        wire.order_now(replace(order, order_id=n, not_after_ns=wire.now + 30 * S))
        wire.run(10 * S)
    assert len(wire.results()) >= 4
    assert "confirmed" not in {word for _, word in outcomes(wire)}
