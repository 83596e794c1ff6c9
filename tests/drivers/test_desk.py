"""Orders among polls: who goes first, who wins a slot, how an order ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.events import (
    Execute,
    Identity,
    Presence,
    WriteClass,
    WriteOutcome,
)
from drivers.readings import InverterReading
from tests.drivers.home import STORAGE, home, inverter, specs
from tests.drivers.ordering import compiled, outcomes, running
from tests.drivers.wire import MS, S, Wire

MODE, FLOOR, RATES, TIME = STORAGE + 5, STORAGE + 7, STORAGE + 12, STORAGE + 15


def test_an_order_ends_confirmed_with_the_time_of_its_first_byte() -> None:
    wire = running()
    wire.order_now(compiled(wire, WriteClass.POWER, -5000))
    ordered_at = wire.now
    wire.run(S)
    (result,) = wire.results()
    assert result.outcome is WriteOutcome.CONFIRMED
    write = next(at for at, data in wire.sent if data[1] == 16)
    assert result.sent_ns == write
    assert result.done_ns - result.sent_ns < 100 * MS
    assert [address for address, _ in wire.slaves[3].writes] == [TIME, RATES, MODE]
    told = next(n for n, e in enumerate(wire.emitted) if e is result)
    shown = next(e for e in wire.emitted[told:] if isinstance(e, InverterReading))
    assert shown.remote_active  # the next reading already has it
    assert shown.remote_w == -4999  # 43.85 % of 11400 W: what the register holds
    assert shown.battery_at_ns >= ordered_at - 1250 * MS  # as old as its scale factor, which is read once a second


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_an_order_waits_for_the_transaction_in_flight_and_no_other(after_ms: int) -> None:
    wire = running()
    wire.run(after_ms * MS)
    wire.order_now(compiled(wire, WriteClass.POWER, 1000))
    before = len(wire.sent)
    ordered_at = wire.now
    wire.run(S)
    first = wire.sent[before] if wire.results()[0].sent_ns != ordered_at else wire.sent[before - 1]
    assert first[1][1] == 16  # no poll slipped in between
    longest = 75 * MS  # 50 registers at 19200 baud
    assert wire.results()[0].sent_ns - ordered_at < longest
    assert wire.violations == 0


def test_stop_overtakes_a_power_that_is_half_sent() -> None:
    wire = running()
    wire.order_now(compiled(wire, WriteClass.POWER, 5000, 1))
    wire.run(20 * MS)
    wire.order_now(compiled(wire, WriteClass.STOP, 0, 2))
    wire.run(S)
    assert outcomes(wire) == [(1, "superseded"), (2, "confirmed")]
    assert wire.results()[0].sent_ns > 0
    assert wire.slaves[3].regs[3, RATES] == 0


@pytest.mark.parametrize("late", [True, False])
def test_a_newer_power_ends_one_that_is_tried_again_after_its_time_and_no_other(late: bool) -> None:
    wire = running()
    lost = iter((False, True, True))  # the second write is answered the third time

    def maul(request: bytes, reply: bytes) -> list[tuple[int, bytes]]:
        return [] if request[0] == 3 and request[1] == 16 and next(lost, False) else [(0, reply)]

    wire.maul = maul
    wire.order_now(replace(compiled(wire, WriteClass.POWER, 5000, 1), not_after_ns=wire.now + (0 if late else 5 * S)))
    wire.run(100 * MS)
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, 2, window_ns=5 * S))
    wire.run(5 * S)
    assert outcomes(wire) == [(1, "superseded" if late else "confirmed"), (2, "confirmed")]
    assert wire.results()[0].sent_ns > 0
    assert wire.slaves[3].regs[3, RATES] == 877


def in_flight(wire: Wire) -> None:
    """Run on until a poll has just gone out, so that orders must wait in their slots."""
    sent = len(wire.sent)
    while len(wire.sent) == sent:
        wire.run(1 * MS)


def test_the_latest_power_wins_its_slot() -> None:
    wire = running()
    in_flight(wire)
    for number, watts in ((1, 1000), (2, 2000), (3, 3000)):
        wire.order_now(compiled(wire, WriteClass.POWER, watts, number))
    wire.run(S)
    assert outcomes(wire) == [(1, "superseded"), (2, "superseded"), (3, "confirmed")]
    assert wire.results()[0].sent_ns == 0
    assert wire.slaves[3].regs[3, RATES] == 2631


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (WriteClass.POWER, WriteClass.STOP, [(1, "superseded"), (2, "confirmed")]),
        (WriteClass.POWER, WriteClass.CLEAR, [(1, "superseded"), (2, "confirmed")]),
        (WriteClass.CLEAR, WriteClass.STOP, [(1, "superseded"), (2, "confirmed")]),
        (WriteClass.STOP, WriteClass.CLEAR, [(1, "confirmed"), (2, "confirmed")]),
        (WriteClass.FLOOR, WriteClass.POWER, [(2, "confirmed"), (1, "confirmed")]),
        (WriteClass.POWER, WriteClass.FLOOR, [(1, "confirmed"), (2, "confirmed")]),
    ],
)
def test_slots_and_precedence(first: WriteClass, second: WriteClass, expected: list[tuple[int, str]]) -> None:
    wire = running()
    in_flight(wire)
    wire.order_now(compiled(wire, first, 300, 1))
    wire.order_now(compiled(wire, second, 300, 2))
    wire.run(S)
    assert outcomes(wire) == expected


def test_an_order_that_cannot_go_in_time_is_late_and_never_sent() -> None:
    wire = running()
    in_flight(wire)
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, 1, window_ns=-1))
    wire.run(S)
    assert outcomes(wire) == [(1, "late")]
    assert wire.slaves[3].writes == []


def test_a_refused_write_ends_the_order_with_its_reason() -> None:
    wire = running()
    wire.slaves[3].refuse[16, RATES] = 3
    wire.order_now(compiled(wire, WriteClass.POWER, 1000))
    wire.run(S)
    (result,) = wire.results()
    assert result.outcome is WriteOutcome.REJECTED
    assert result.detail == f"the device refused the write of register {RATES}: illegal value"
    assert [address for address, _ in wire.slaves[3].writes] == [TIME]  # the mode was not switched


def test_a_busy_device_is_asked_again() -> None:
    wire = running()
    wire.slaves[3].refuse[16, TIME] = 6
    wire.order_now(compiled(wire, WriteClass.POWER, 1000))
    wire.run(50 * MS)
    del wire.slaves[3].refuse[16, TIME]
    wire.run(S)
    assert outcomes(wire) == [(1, "confirmed")]


def test_acknowledged_but_not_applied_is_a_mismatch() -> None:
    wire = running()
    slave = wire.slaves[3]
    slave.put = lambda function, address, *words: None  # type: ignore[method-assign]  # a slave that keeps nothing
    wire.order_now(compiled(wire, WriteClass.POWER, 1000))
    wire.run(S)
    (result,) = wire.results()
    assert result.outcome is WriteOutcome.MISMATCH
    assert result.detail == f"register {MODE} reads 0, 3 was written"


def test_a_write_without_answer_is_repeated_twice_and_then_silent() -> None:
    wire = running()
    wire.slaves[3].alive = False
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, window_ns=5 * S))
    wire.run(3 * S)
    assert outcomes(wire) == [(1, "silent")]
    assert sum(data[1] == 16 for _, data in wire.sent) <= 3


def test_a_device_that_falls_silent_under_an_order_ends_it() -> None:
    wire = running()
    wire.slaves[3].alive = False
    while wire.bus._port.counters.timeouts < 2:
        wire.run(5 * MS)
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, window_ns=5 * S))
    wire.run(3 * S)
    assert outcomes(wire) == [(1, "silent")]
    assert sum(data[1] == 16 for _, data in wire.sent) == 1  # its third timeout: no more unidentified


def test_nothing_is_written_between_silence_and_the_next_identification() -> None:
    wire = running()
    slave = wire.slaves[3]
    slave.alive = False
    wire.run(3 * S)
    sequence = compiled(wire, WriteClass.POWER, 1000, window_ns=30 * S)
    wire.order_now(sequence)
    slave.alive = True
    wire.run(20 * S)
    assert outcomes(wire) == [(1, "confirmed")]
    back = next(s.at_ns for s in wire.statuses("inverter")[::-1] if s.presence is Presence.OK)
    assert wire.results()[0].sent_ns >= back


def test_an_order_compiled_for_other_registers_is_not_sent() -> None:
    wire = running()
    slave = wire.slaves[3]
    slave.alive = False
    wire.run(3 * S)
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, window_ns=30 * S))
    slave.put(3, STORAGE + 2, 5700)  # comes back with another rating
    slave.alive = True
    wire.run(20 * S)
    assert outcomes(wire) == [(1, "superseded")]
    assert slave.writes == []


def test_a_device_that_is_not_the_commissioned_one_is_not_written_to() -> None:
    wire = running()
    sequence = compiled(wire, WriteClass.POWER, 1000)
    devices = [replace(spec, pinned=replace(spec_identity(wire), serial="other")) for spec in specs()[2:]]
    other = home(devices, [inverter()])
    other.run(2 * S)
    other.order_now(sequence)
    other.run(S)
    assert outcomes(other) == [(1, "rejected")]
    assert other.slaves[3].writes == []


def spec_identity(wire: Wire) -> Identity:
    identity = wire.statuses("inverter")[-1].identity
    assert identity is not None
    return identity


def test_a_lost_line_ends_what_was_under_way_and_lets_the_waiting_grow_late() -> None:
    wire = running()
    wire.order_now(compiled(wire, WriteClass.POWER, 1000, 1))
    wire.run(20 * MS)
    wire.order_now(compiled(wire, WriteClass.FLOOR, 300, 2))
    wire.lose("unplugged")
    wire.run(3 * S)
    assert outcomes(wire) == [(1, "silent"), (2, "late")]


def test_orders_for_nobody_are_rejected() -> None:
    wire = running()
    wire.order_now(replace(compiled(wire, WriteClass.POWER, 1000), device="nobody"))
    assert outcomes(wire) == [(1, "rejected")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(WriteClass)), st.integers(0, 300)), max_size=12), st.integers(0, 3))
def test_every_order_has_exactly_one_end(script: list[tuple[WriteClass, int]], fault: int) -> None:
    wire = running()
    sequence = compiled(wire, WriteClass.POWER, 1000, window_ns=2 * S)
    faults = {1: 3, 2: 7}
    count = iter(range(10**6))
    if fault in faults:  # every third or seventh reply is lost or spoiled
        wire.maul = lambda request, reply: [] if next(count) % faults[fault] == 0 else [(0, reply)]
    elif fault == 3:
        wire.maul = lambda request, reply: [(0, reply if next(count) % 4 else reply[:-1] + b"\0")]
    for number, (write_class, pause_ms) in enumerate(script):
        wire.event(Execute(replace(sequence, order_id=number, write_class=write_class, not_after_ns=wire.now + 2 * S)))
        wire.run(pause_ms * MS)
    wire.run(20 * S)
    assert sorted(result.order_id for result in wire.results()) == list(range(len(script)))
    assert wire.violations == 0
