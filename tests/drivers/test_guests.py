"""What a person asks of a line beside its devices: reads alone, behind everything else."""

from __future__ import annotations

import pytest

from drivers.events import Look, Looked, Lost, Tell, Told
from tests.drivers.home import bms, home, inverter, meter
from tests.drivers.wire import MS, S, Slave, Wire


def answers(wire: Wire) -> list[Looked]:
    return [event for event in wire.emitted if isinstance(event, Looked)]


def look(unit: int, address: int = 0, count: int = 2, function: int = 3, **more: str) -> Look:
    return Look(7, unit, function, address, count, 150 * MS, **more)


def busy(more: list[Slave] | None = None) -> Wire:
    wire = home(slaves=[bms(), meter(), inverter(), *(more or [])])
    wire.run(5 * S)
    return wire


def stranger() -> Slave:
    slave = Slave(9)
    slave.put(3, 0, 0x1234, 0x5678)
    return slave


def test_a_unit_that_is_no_device_of_ours_is_read() -> None:
    wire = busy([stranger()])
    wire.event(look(9))
    wire.run(3 * S)
    assert answers(wire) == [Looked(7, "data", bytes.fromhex("12345678"))]


def test_silence_is_an_answer_and_no_fault_of_the_line() -> None:
    wire = busy()
    wire.event(look(99))
    wire.run(3 * S)
    assert [told.fate for told in answers(wire)] == ["timeout"]
    wire.event(Tell(8))
    told = [event for event in wire.emitted if isinstance(event, Told)][-1]
    assert (told.conn, told.stats.timeouts) == (8, 0)


def test_a_refusal_comes_with_its_exception() -> None:
    wire = busy([stranger()])
    wire.event(look(9, address=500))
    wire.run(3 * S)
    assert answers(wire) == [Looked(7, "exception", b"", 2)]


@pytest.mark.parametrize(
    "asked",
    [
        look(0),
        look(256),
        look(9, count=126),
        look(9, count=0),
        look(9, function=6),
        look(9, function=16),
        look(1, function=0x42, dialect="pace"),  # nobody here speaks it
        look(1, function=0x20, dialect="jk_pb"),
    ],
)
def test_what_is_no_read_of_one_unit_is_never_sent(asked: Look) -> None:
    wire = busy([stranger()])
    before = {data[:2] for _, data in wire.sent}
    wire.event(asked)
    wire.run(3 * S)
    assert [told.fate for told in answers(wire)] == ["lost"]
    assert {data[:2] for _, data in wire.sent} == before


def test_the_devices_go_on_while_a_person_asks() -> None:
    wire = busy()
    read = len(wire.batteries())
    for unit in range(100, 108):
        wire.event(look(unit))
    wire.run(10 * S)
    assert len(answers(wire)) == 8
    assert len(wire.batteries()) - read >= 8
    assert wire.violations == 0


def test_only_so_many_may_wait() -> None:
    wire = busy()
    for unit in range(100, 112):
        wire.event(look(unit))
    assert [told.fate for told in answers(wire)].count("lost") >= 3


def test_a_lost_line_tells_those_who_wait() -> None:
    wire = busy()
    wire.event(look(100))
    wire.event(look(101))
    wire.event(Lost("unplugged"))
    assert [told.fate for told in answers(wire)] == ["lost", "lost"]
    wire.event(look(102))
    assert [told.fate for told in answers(wire)] == ["lost"] * 3


def test_each_unit_is_counted_by_itself() -> None:
    wire = busy()
    wire.event(Tell(1))
    (told,) = [event for event in wire.emitted if isinstance(event, Told)]
    units = {unit.unit: unit for unit in told.stats.units}
    assert set(units) == {1, 2, 3}
    assert all(unit.answers == sum(unit.waits) > 0 for unit in units.values())
    assert told.stats.transactions == sum(u.answers + u.exceptions + u.crc_errors + u.timeouts for u in units.values())
