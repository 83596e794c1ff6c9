"""Vectors: registers or frames worked out by hand from a device's documents, and the reading that they must give.

A file of `vectors/telemetry/` is picked up by its presence. Its form is said in drivers/profiles/ADDING.md.
Nothing here uses the driver's codec, planner or dialects.
"""

from __future__ import annotations

import struct
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.events import Identity
from drivers.profile import load
from tests.drivers.wire import S, Slave, Wire, crc

VECTORS = Path(__file__).parent / "vectors" / "telemetry"


@dataclass(frozen=True)
class Case:
    """One device as found at one moment."""

    profile: str
    unit: int
    name: str
    registers: dict[int, dict[int, list[int]]]
    frames: dict[bytes, bytes]
    reading: dict[str, Any]
    identity: dict[str, str]
    refused: str  # what the sentence says when this must not be taken for the device
    device: dict[str, Any]  # further fields of DeviceSpec


def cases() -> list[Case]:
    """All of them."""
    return [case for path in sorted(VECTORS.glob("*.toml")) for case in read(path)]


def read(path: Path) -> list[Case]:
    """Those of one file."""
    raw = tomllib.loads(path.read_text("utf-8"))
    return [_case(raw, case) for case in raw["case"]]


def _case(raw: dict[str, Any], case: dict[str, Any]) -> Case:
    unit = case.get("unit", raw.get("unit", 1))
    tables = {
        int(function): {int(at, 0): _words(words) for at, words in table.items()}
        for function, table in case.get("registers", {}).items()
    }
    frames = {_bytes(frame["ask"]): _bytes(frame["answer"]) for frame in case.get("frame", [])}
    for frame in case.get("jk", []):
        frames.update(_jk(unit, frame["trigger"], frame["type"], frame["at"]))
    return Case(
        raw["profile"], unit, case["name"], tables, frames, case.get("reading", {}), case.get("identity", {}),
        case.get("refused", ""), case.get("device", {}),
    )  # fmt: skip


def _words(values: list[int | float | str]) -> list[int]:
    """Registers; a number with a point is an IEEE float, high word first, and a text is two characters a register."""
    words: list[int] = []
    for value in values:
        if isinstance(value, float):
            words += struct.unpack(">HH", struct.pack(">f", value))
        elif isinstance(value, str):
            text = value.encode() + b"\0" * (len(value) % 2)
            words += struct.unpack(f">{len(text) // 2}H", text)
        else:
            words.append(value & 0xFFFF)
    return words


def _bytes(frame: str) -> bytes:
    return f"{frame}\r".encode() if frame.startswith("~") else bytes.fromhex(frame)


def _jk(unit: int, trigger: int, kind: int, at: dict[str, str]) -> dict[bytes, bytes]:
    """A JK frame with these bytes at these offsets of its map, and its acknowledgement."""
    frame = bytearray(300)
    frame[:6] = bytes((0x55, 0xAA, 0xEB, 0x90, kind, 7))
    for offset, text in at.items():
        data = bytes.fromhex(text)
        frame[6 + int(offset, 0) : 6 + int(offset, 0) + len(data)] = data
    frame[299] = sum(frame[:299]) & 0xFF
    ask = bytes((unit, 0x10, 0x16, trigger, 0, 1, 2, 0, 0))
    ack = bytes((unit, 0x10, 0x16, trigger, 0, 1))
    return {ask + crc(ask): bytes(frame) + b"\0" + ack + crc(ack) + b"\0"}


def wire_of(case: Case, spec: DeviceSpec | None = None) -> Wire:
    """The device of a case on a line, open."""
    profile = load(case.profile)
    found = spec or DeviceSpec("x", profile.role, case.unit, profile, **case.device)
    slave = Slave(case.unit)
    for function, table in case.registers.items():
        for at, words in table.items():
            for n, word in enumerate(words):
                slave.regs[function, at + n] = word
    baud = 115200 if found.profile.baud > 19200 else found.profile.baud
    bus = Bus(BusSpec("line", baud, tcp=False), [found])
    wire = Wire(bus, [] if case.frames else [slave], baud)
    wire.frames = case.frames
    wire.open()
    wire.run(15 * S)
    return wire


def identity_of(case: Case) -> Identity:
    """Who it must say that it is; words that are not given are empty."""
    return Identity(*(case.identity.get(word, "") for word in ("maker", "model", "version", "serial")))
