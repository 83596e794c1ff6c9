"""A Modbus slave without I/O: a request in, a reply out, for RTU and for TCP; written against the Modbus specification.

`Image` is a run of registers that encodes itself when read. `Slave` answers PDUs from images. `Slaves` puts them on a
bus, checks frames, and keeps the trace of every write that reached a device.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4

Encode = Callable[[bytearray], None]


def _tables() -> tuple[list[int], list[int]]:
    one = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        one.append(crc)
    two = []
    for word in range(65_536):
        crc = (word >> 8) ^ one[word & 255]
        two.append((crc >> 8) ^ one[crc & 255])
    return one, two


_ONE, _TWO = _tables()  # of a byte, and of two at once: half the steps in the loop that every simulated byte passes


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS (polynomial 0xA001 reflected, start 0xFFFF). A frame with its CRC appended gives 0."""
    crc = 0xFFFF
    pairs = len(data) >> 1
    for word in struct.unpack_from(f"<{pairs}H", data):
        crc = _TWO[crc ^ word]
    if len(data) & 1:
        crc = (crc >> 8) ^ _ONE[(crc ^ data[-1]) & 255]
    return crc


def seal(body: bytes) -> bytes:
    """The frame of `body` (unit and PDU): CRC appended, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class WrittenRegisters:
    """One write that reached a device. `exception` 0 = accepted. `kind`, `value`: what the device made of it."""

    at_ns: int
    unit: int
    function: int
    address: int
    words: tuple[int, ...]
    exception: int
    kind: str = "other"  # "power" (value: W), "clear", "floor" (value: permille), "other"
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A device's own account of a write. `exception` 0 = accepted."""

    exception: int
    kind: str = "other"
    value: int | None = None


class Image:
    """Registers `first` .. `first + count - 1`, big-endian; each part is encoded anew when read after a change.

    `parts`: (first register of the part, count, encoder). An encoder fills the bytes of the whole image.
    """

    __slots__ = ("_parts", "_seen", "count", "data", "first")

    def __init__(self, first: int, count: int, parts: Iterable[tuple[int, int, Encode]] = ()) -> None:
        self.first, self.count = first, count
        self.data = bytearray(2 * count)
        self._parts = [(start, start + length, encode) for start, length, encode in parts]
        self._seen = [-1] * len(self._parts)

    def read(self, address: int, count: int, revision: int) -> bytes | None:
        """Those registers as bytes; None = not all of them are here."""
        offset = address - self.first
        if offset < 0 or offset + count > self.count:
            return None
        last = address + count
        for i, (start, end, encode) in enumerate(self._parts):
            if start < last and address < end and self._seen[i] != revision:
                encode(self.data)
                self._seen[i] = revision
        return bytes(self.data[2 * offset : 2 * (offset + count)])


class World(Protocol):
    """What stands behind the registers: `hil.plant.home.Home`, or a still picture."""

    revision: int

    def advance_to(self, now_ns: int) -> None: ...

    def sync(self, now_ns: int) -> None: ...


Write = Callable[[int, tuple[int, ...], int], Written]  # (address, words, now_ns)


class Slave:
    """One unit. `tables`: function code (1-4) -> images; for 1 and 2 the bits are an image's bytes, LSB first."""

    def __init__(
        self,
        unit: int,
        world: World,
        tables: Mapping[int, Sequence[Image]],
        max_count: int = 125,
        write: Write | None = None,
        silent: Callable[[], bool] = lambda: False,
        turnaround_ns: int = 2_000_000,
    ) -> None:
        self.unit = unit
        self.world = world
        self.silent = silent  # it has no power, or sleeps
        self.muted = False  # it lives, and nobody hears it
        self.spoil: Callable[[int, int, bytes], bytes] | None = None  # changes what it says: hil.faults.registers
        self.turnaround_ns = turnaround_ns
        self.unheard = self.slept = self.stale = 0  # requests: muted, without power or asleep, answered of earlier
        self._tables = tables
        self._max_count = max_count
        self._write = write
        self._frozen_at: int | None = None

    def freeze(self, on: bool) -> None:
        """Go on answering with the registers of this moment (a stuck cache), or stop doing so."""
        self._frozen_at = self.world.revision if on else None
        if on:
            for images in self._tables.values():
                for image in images:
                    image.read(image.first, image.count, self.world.revision)

    def answer(self, pdu: bytes, now_ns: int, trace: list[WrittenRegisters]) -> bytes | None:
        """The reply PDU; None = silence."""
        self.world.advance_to(now_ns)
        if not pdu:
            return None
        if self.muted:
            self.unheard += 1
            return None
        if self.silent():
            self.slept += 1
            return None
        function = pdu[0]
        if function in (3, 4, 1, 2):
            reply = self._read(function, pdu)
            if self.spoil is not None and isinstance(reply, bytes):
                reply = self.spoil(function, (pdu[1] << 8) | pdu[2], reply)
        elif function in (6, 16) and self._write is not None:
            reply = self._written(function, pdu, now_ns, trace)
        else:
            reply = ILLEGAL_FUNCTION
        return reply if isinstance(reply, bytes) else bytes((function | 0x80, reply))

    def _read(self, function: int, pdu: bytes) -> bytes | int:
        images = self._tables.get(function)
        if images is None:
            return ILLEGAL_FUNCTION
        if len(pdu) != 5:
            return ILLEGAL_VALUE
        self.stale += self._revision() != self.world.revision
        address, count = (pdu[1] << 8) | pdu[2], (pdu[3] << 8) | pdu[4]
        if function < 3:
            return self._bits(function, images, address, count)
        if not 0 < count <= self._max_count:
            return ILLEGAL_VALUE
        for image in images:
            data = image.read(address, count, self._revision())
            if data is not None:
                return bytes((function, 2 * count)) + data
        return ILLEGAL_ADDRESS

    def _revision(self) -> int:
        return self.world.revision if self._frozen_at is None else self._frozen_at

    def _bits(self, function: int, images: Sequence[Image], address: int, count: int) -> bytes | int:
        if not 0 < count <= 2000:
            return ILLEGAL_VALUE
        for image in images:
            offset = address - image.first
            if offset >= 0 and offset + count <= 16 * image.count:
                image.read(image.first, image.count, self._revision())
                bits = (int.from_bytes(image.data, "little") >> offset) & ((1 << count) - 1)
                size = (count + 7) // 8
                return bytes((function, size)) + bits.to_bytes(size, "little")
        return ILLEGAL_ADDRESS

    def _written(self, function: int, pdu: bytes, now_ns: int, trace: list[WrittenRegisters]) -> bytes | int:
        if len(pdu) < 5:
            return ILLEGAL_VALUE
        address = (pdu[1] << 8) | pdu[2]
        if function == 6:
            words: tuple[int, ...] = ((pdu[3] << 8) | pdu[4],)
            good = len(pdu) == 5
        else:
            count = (pdu[3] << 8) | pdu[4]
            good = 0 < count <= 123 and len(pdu) == 6 + 2 * count and pdu[5] == 2 * count
            words = struct.unpack(f">{count}H", pdu[6:]) if good else ()
        if not good or self._write is None:
            return ILLEGAL_VALUE
        self.world.sync(now_ns)
        done = self._write(address, words, now_ns)
        self.world.revision += 1
        trace.append(
            WrittenRegisters(now_ns, self.unit, function, address, words, done.exception, done.kind, done.value)
        )
        return done.exception or pdu[:5]


class Slaves:
    """All units of one bus. `trace`: every write that reached one of them, in order."""

    def __init__(self, slaves: Iterable[Slave]) -> None:
        self.by_unit = {slave.unit: slave for slave in slaves}
        self.trace: list[WrittenRegisters] = []
        self.bad_frames = 0
        self.misplaced: dict[int, int] = {}  # by address: requests that another unit took

    def rtu(self, frame: bytes, now_ns: int) -> bytes | None:
        """One RTU frame; silence for another unit's, broken or broadcast ones (unit 0 is a unit if one is set up)."""
        if len(frame) < 4 or crc16(frame):
            self.bad_frames += 1
            return None
        slave = self.by_unit.get(frame[0])
        if slave is None:
            return None
        if slave.unit != frame[0]:
            self.misplaced[frame[0]] = self.misplaced.get(frame[0], 0) + 1
        reply = slave.answer(frame[1:-2], now_ns, self.trace)
        return None if reply is None else seal(frame[:1] + reply)

    def tcp(self, adu: bytes, now_ns: int) -> bytes | None:
        """One Modbus/TCP ADU (MBAP header and PDU); a unit that is silent or not there leaves it unanswered."""
        if len(adu) < 8 or adu[2:4] != b"\0\0" or int.from_bytes(adu[4:6], "big") != len(adu) - 6:
            self.bad_frames += 1
            return None
        slave = self.by_unit.get(adu[6])
        reply = None if slave is None else slave.answer(adu[7:], now_ns, self.trace)
        return None if reply is None else adu[:4] + (len(reply) + 1).to_bytes(2, "big") + adu[6:7] + reply


def request_length(buffer: bytes | bytearray) -> int:
    """Bytes that the RTU request at the start of `buffer` has; 0 = too little is there to say."""
    if len(buffer) < 2:
        return 0
    if buffer[1] in (15, 16):
        return 9 + buffer[6] if len(buffer) > 6 else 0
    return 8
