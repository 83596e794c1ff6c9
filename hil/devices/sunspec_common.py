"""What every simulated SunSpec device has: the marker, model 1 and the end of its chain. Written by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass


def text(value: str, registers: int) -> bytes:
    """A SunSpec string: ASCII, filled with NUL, cut where it is too long."""
    return value.encode("ascii").ljust(2 * registers, b"\0")[: 2 * registers]


@dataclass(frozen=True, slots=True)
class Common:
    """Who it says it is, and its Modbus unit."""

    maker: str
    model: str
    version: str
    serial: str
    unit: int

    def write(self, data: bytearray, end: int) -> None:
        """SunS and model 1 into the first 70 registers; the chain ends at register `end` of `data`."""
        body = text(self.maker, 16) + text(self.model, 16) + text("", 8) + text(self.version, 8) + text(self.serial, 16)
        data[0:4] = b"SunS"
        data[4:140] = struct.pack(">HH", 1, 66) + body + struct.pack(">HH", self.unit, 0x8000)
        struct.pack_into(">HH", data, 2 * end, 0xFFFF, 0)
