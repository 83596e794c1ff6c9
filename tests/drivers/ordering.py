"""The demo's bus with orders on it: begun, compiled, ended; and a meter whose two reads look alike."""

from __future__ import annotations

from drivers.binding import Binding
from drivers.events import (
    WriteClass,
    WriteSequence,
)
from drivers.writer import compile_write
from tests.drivers.home import home
from tests.drivers.wire import S, Wire

TWO_ALIKE = """
schema = 1
id = "x"
title = "X"
role = "meter"
[line]
links = ["rtu"]
response_ms = 300
[identify]
kind = "registers"
text = { maker = { text = "X" }, model = { text = "Y" }, version = { text = "" }, serial = { at = 0, count = 4 } }
[timing]
refresh_s = 1
stale_s = 5
[blocks]
main = { every_ms = 500, ages = true }
[[point]]
name = "grid_w"
block = "main"
at = 100
type = "i16"
[[point]]
name = "frequency_mhz"
block = "main"
at = 400
type = "u16"
"""


def running(seconds: int = 2) -> Wire:
    wire = home()
    wire.run(seconds * S)
    return wire


def compiled(wire: Wire, write_class: WriteClass, value: int = 0, number: int = 1, window_ns: int = S) -> WriteSequence:
    binding = next(s.binding for s in reversed(wire.statuses("inverter")) if s.binding is not None)
    assert isinstance(binding, Binding)
    sequence = compile_write(binding, write_class, value, number, wire.now + window_ns)
    assert isinstance(sequence, WriteSequence), sequence
    return sequence


def outcomes(wire: Wire) -> list[tuple[int, str]]:
    return [(result.order_id, str(result.outcome)) for result in wire.results()]
