"""Names of the points that another hand changed: a setpoint of three registers, read in two polls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from drivers.binding import BoundGroup, BoundPut
from drivers.codec import RawType, WordOrder
from drivers.events import ReadBack, RegisterWrite, WriteClass, WriteSequence
from drivers.foreign import Foreign


def put(address: int, name: str) -> BoundPut:
    return BoundPut(address, RawType.U16, WordOrder.BIG, 1, "w", 0, None, None, name=name)  # type: ignore[arg-type]


def bound() -> Any:
    control = SimpleNamespace(
        arm=(BoundGroup(6, (put(100, "StorCtl_Mod"),)),),
        power=(BoundGroup(16, (put(101, "OutWRte"), put(102, "InWRte"))),),
        proof=((3, BoundGroup(3, (put(110, "Ena"),), unit=9)),),
    )
    return SimpleNamespace(control=control)


def order(write_class: WriteClass = WriteClass.POWER) -> WriteSequence:
    backs = (ReadBack(100, (3, None, 40)), ReadBack(110, (1,), unit=9), ReadBack(120, (7,)))
    return WriteSequence(1, "inverter", write_class, 0, (RegisterWrite(100, (3, 0, 40)),), backs, 0)


def poll(foreign: Foreign, start: int, *words: int, unit: int = 3, function: int = 3, dialect: Any = None) -> None:
    data = bytes([unit, function]) + b"".join(word.to_bytes(2, "big") for word in words)
    request: Any = SimpleNamespace(unit=unit, function=function, address=start, dialect=dialect)
    foreign.read(request, data)


def ours() -> Foreign:
    foreign = Foreign(3)
    foreign.confirmed(order(), bound())
    return foreign


def test_what_reads_as_written_is_nobody_elses() -> None:
    foreign = ours()
    poll(foreign, 98, 0, 0, 3, 5, 40, 0)  # of 101 nothing is expected
    assert foreign.names == ()


def test_what_differs_is_named_by_point_until_it_reads_as_written_again() -> None:
    foreign = ours()
    poll(foreign, 98, 0, 0, 0, 5, 41)
    assert list(foreign.names) == ["StorCtl_Mod", "InWRte"]
    poll(foreign, 102, 40)
    assert list(foreign.names) == ["StorCtl_Mod"]
    poll(foreign, 110, 0, unit=9)
    poll(foreign, 120, 8)
    assert list(foreign.names) == ["StorCtl_Mod", "register 120", "Ena"]


def test_other_units_functions_and_protocols_say_nothing() -> None:
    foreign = ours()
    poll(foreign, 100, 0, 0, 0, unit=4)
    poll(foreign, 100, 0, 0, 0, function=4)
    poll(foreign, 100, 0, 0, 0, dialect=object())
    assert foreign.names == ()


def test_while_an_order_is_under_way_nothing_is_ours() -> None:
    foreign = ours()
    poll(foreign, 100, 0)
    foreign.asked(WriteClass.HEARTBEAT)
    assert list(foreign.names) == ["StorCtl_Mod"]
    for write_class in (WriteClass.POWER, WriteClass.CLEAR, WriteClass.STOP):
        foreign = ours()
        poll(foreign, 100, 0)
        foreign.asked(write_class)
        assert foreign.names == ()
        poll(foreign, 100, 9)
        assert foreign.names == ()


def test_only_a_setpoint_makes_registers_ours() -> None:
    foreign = Foreign(3)
    foreign.confirmed(order(WriteClass.CLEAR), bound())
    foreign.confirmed(order(), None)
    nothing: Any = SimpleNamespace(control=None)
    foreign.confirmed(order(), nothing)
    poll(foreign, 100, 0)
    assert foreign.names == ()
