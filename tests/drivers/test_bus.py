"""The bus and its line: retries, late and garbled replies, statistics, frames, connecting anew."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.bus import Bus, BusSpec
from drivers.events import (
    Adopt,
    DeviceStatus,
    Emit,
    Execute,
    Lost,
    Opened,
    Presence,
    Received,
    RegisterWrite,
    Reopen,
    Wake,
    WakeAt,
    WriteClass,
    WriteSequence,
)
from drivers.profile import parse
from tests.drivers.home import home, specs
from tests.drivers.ordering import TWO_ALIKE, compiled, running
from tests.drivers.wire import MS, S, Slave, crc


def test_a_garbled_reply_is_asked_again_at_once() -> None:
    wire = running()
    hits = iter([True])

    def maul(request: bytes, reply: bytes) -> list[tuple[int, bytes]]:
        return [(0, reply[:-1] + bytes((reply[-1] ^ 1,)))] if next(hits, False) else [(0, reply)]

    wire.maul = maul
    sent = len(wire.sent)
    wire.run(300 * MS)
    first, second = wire.sent[sent], wire.sent[sent + 1]
    assert first[1] == second[1]
    assert second[0] - first[0] < 60 * MS
    assert wire.violations == 0


def test_a_line_that_garbles_everything_is_survived() -> None:
    wire = running()
    wire.maul = lambda request, reply: [(0, bytes(b ^ 0x55 for b in reply))]
    wire.run(3 * S)
    wire.maul = lambda request, reply: [(0, reply)]
    wire.emitted.clear()
    wire.run(15 * S)
    assert wire.inverters()
    assert wire.meters()
    assert wire.batteries()


def test_a_late_reply_is_never_taken_for_that_of_another_register() -> None:
    slave = Slave(2)
    slave.put(3, 0, 0, 0, 0, 0)
    slave.put(3, 100, 1111)
    slave.put(3, 400, 50_000)
    wire = home([replace(specs()[1], profile=parse(TWO_ALIKE, "x"))], [slave])
    wire.run(2 * S)
    count = iter(range(10**6))
    wire.maul = lambda request, reply: [(310 * MS if next(count) % 5 == 0 else 0, reply)]
    wire.run(20 * S)
    assert wire.bus._port.counters.timeouts > 3
    assert wire.stats()[-1].late > 3
    assert wire.stats()[-1].foreign == 0
    assert wire.statuses("meter")[-1].line == ""  # a slow device is no second master
    assert "answers came after their time" in wire.stats()[-1].notes[0]
    assert {reading.grid_w for reading in wire.meters()} == {1111}
    assert {reading.frequency_mhz for reading in wire.meters()} == {50_000}


def test_statistics_come_every_ten_seconds() -> None:
    wire = home()
    wire.maul = lambda request, reply: [(0, reply[:-1] + b"\0")] if request[0] == 1 else [(0, reply)]
    wire.run(25 * S)
    first, second = wire.stats()
    assert second.transactions > first.transactions > 100
    assert second.crc_errors > 0
    assert second.retries > 0
    assert second.bus == "rs485"


def test_the_same_seed_of_events_gives_the_same_bytes() -> None:
    def trace() -> list[tuple[int, bytes]]:
        wire = running()
        wire.order_now(compiled(wire, WriteClass.POWER, 1000))
        wire.run(3 * S)
        return wire.sent

    assert trace() == trace()


EVENTS = st.one_of(
    st.builds(Opened),
    st.builds(Lost, st.just("x")),
    st.builds(Wake),
    st.builds(Received, st.binary(max_size=60), st.just(0)),
    st.builds(
        Execute,
        st.builds(
            WriteSequence,
            st.just(1),
            st.sampled_from(["inverter", "meter", "nobody"]),
            st.sampled_from(list(WriteClass)),
            st.just(0),
            st.just((RegisterWrite(100, (1,)),)),
            st.just(()),
            st.integers(0, 20 * S),
        ),
    ),
    st.builds(Adopt, st.sampled_from(["bms", "inverter", "nobody"])),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 500)), max_size=60))
def test_a_bus_never_raises_and_always_says_when_to_wake_it(script: list[tuple[object, int]]) -> None:
    bus = Bus(BusSpec("x"), specs())
    now = S
    for event, step_ms in script:
        now += step_ms * MS
        if isinstance(event, Received):
            event = Received(event.data, now)
        wake = bus.handle(event, now)[-1]  # type: ignore[arg-type]  # the strategy makes bus events only
        assert isinstance(wake, WakeAt)
        wake = bus.handle(Wake(), now)[-1]
        assert isinstance(wake, WakeAt)
        assert wake.at_ns > now  # else virtual time would stand still


def test_frames_are_those_of_the_specification() -> None:
    wire = running()
    assert all(crc(data[:-2]) == data[-2:] for _, data in wire.sent)
    assert {data[0] for _, data in wire.sent} == {1, 2, 3}


def test_a_tcp_bus_reconnects_when_the_other_end_is_silent() -> None:
    bus = Bus(BusSpec("tcp", tcp=True), specs()[2:])
    effects = bus.handle(Opened(), S)
    for n in range(60):
        effects += bus.handle(Wake(), S + n * 500 * MS)
        if any(isinstance(effect, Reopen) for effect in effects):
            break
    told = [effect.event for effect in effects if isinstance(effect, Emit)]
    assert any(isinstance(event, DeviceStatus) and event.presence is Presence.ABSENT for event in told)
