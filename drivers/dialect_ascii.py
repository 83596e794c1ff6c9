"""The ASCII protocol of Pylontech, PACE and their many relatives: "~", fields in hexadecimal digits, checksum, CR.

VER ADR CID1 CID2 LENGTH INFO CHKSUM: the reply has a return code in CID2's place, LENGTH carries a checksum of its own
in its first digit, CHKSUM is the negated sum of all characters before it. Two variants: Pylontech asks with version 20
and counts current in 0.1 A and capacity in mAh; PACE with 25, 10 mA and 10 mAh. The images do not rescale.

Images. 0x42 (values of a pack): 0 cells, 1 sensors, 2 current, + = charge, 3 voltage mV, 4-5 remaining, 6-7 full,
8 cycles, 9 SoC in permille = remaining / full, rounded down, 10-41 cells in mV, 42-57 sensors in 0.1 K.
0x44 (states of a pack): 0 cells, 1 sensors, 2 worst of the cells, 3 of the sensors (bit 0 low, 1 high, 2 other),
4 charge current, 5 voltage, 6 discharge current (the same codes as they come), 7.. the status bytes.
0x61 (values of the whole battery): 0 voltage mV, 1 current, 2 SoC %, 3-4 cycles, 5 SoH %, 6 lowest SoH, 7 highest cell
in mV, 8 where, 9 lowest, 10 where, 11 mean, 12 highest, 14 lowest temperature in 0.1 K.
0x63 (limits of the whole battery): 0-1 voltages mV, 2 charge, 3 discharge current limit, 4 status.
0x51, 0x93, 0xC1, 0xC2: text. Nothing is ever written.
"""

from __future__ import annotations

from drivers.dialect import NOTHING, Found, Kind, image_of

WORDS = 64
VALUES, STATES, SYSTEM, LIMITS, MAKER, SERIAL, VERSION, PACE_SERIAL = 0x42, 0x44, 0x61, 0x63, 0x51, 0x93, 0xC1, 0xC2
USUAL = {VALUES: 140, STATES: 94, SYSTEM: 116, LIMITS: 36, MAKER: 82, SERIAL: 52, VERSION: 58, PACE_SERIAL: 98}
OF_A_PACK = frozenset((VALUES, STATES, SYSTEM, LIMITS, SERIAL))  # these say whose in INFO
LITHIUM = 0x46
FRAME = 18  # characters around INFO
MOST_CELLS, MOST_SENSORS = 32, 16
CODES = {0x02: 6, 0x03: 6, 0x04: 1, 0x05: 3, 0x06: 3, 0x90: 2}  # return code -> the Modbus exception that means it
DEVICE_FAILURE = 4
LOW, HIGH, OTHER = 1, 2, 4
DIGITS = frozenset(b"0123456789ABCDEFabcdef")


class Ascii:
    """One variant of it. `version`: what requests carry."""

    words = WORDS
    functions = frozenset(USUAL)

    def __init__(self, version: int) -> None:
        self._version = version

    def request(self, unit: int, function: int) -> bytes:
        """A command to one pack."""
        info = f"{unit:02X}" if function in OF_A_PACK else ""
        body = f"{self._version:02X}{unit:02X}{LITHIUM:02X}{function:02X}{_length(len(info)):04X}{info}"
        return f"~{body}{_checksum(body.encode()):04X}\r".encode()

    def reply_len(self, function: int) -> int:
        """Of 16 cells and six sensors."""
        return USUAL.get(function, FRAME)

    def scan(self, unit: int, function: int, buffer: bytes) -> Found | None:
        """See Dialect."""
        end = buffer.find(b"\r")
        begin = buffer.rfind(b"~", 0, end if end >= 0 else len(buffer))
        if begin > 0:
            return Found(begin, Kind.FOREIGN)
        if end < 0:
            return None
        if begin < 0:
            return Found(end + 1, Kind.FOREIGN)
        frame, used = buffer[1:end], end + 1
        if frame == self.request(unit, function)[1:-1]:
            return Found(used, Kind.FOREIGN)  # the line hears itself
        head = _head(frame)
        if head is None:
            return Found(used, Kind.GARBLED)
        if head[1] != unit or head[2] != LITHIUM:
            return Found(used, Kind.FOREIGN)
        if head[3]:
            return Found(used, Kind.REFUSED, code=CODES.get(head[3], DEVICE_FAILURE))
        image = _IMAGES[function](bytes.fromhex(frame[12:-4].decode()))
        return Found(used, Kind.GARBLED) if image is None else Found(used, Kind.DATA, image)


def _length(size: int) -> int:
    """LENGTH: the number of INFO's characters under the negated sum of its three digits."""
    return (-(size + (size >> 4) + (size >> 8)) & 0xF) << 12 | size


def _checksum(body: bytes) -> int:
    return -sum(body) & 0xFFFF


def _head(frame: bytes) -> tuple[int, int, int, int] | None:
    """Version, address, CID1, return code of a sound frame."""
    if len(frame) < FRAME - 2 or len(frame) % 2 or not DIGITS.issuperset(frame):
        return None
    if int(frame[-4:], 16) != _checksum(frame[:-4]) or int(frame[8:12], 16) != _length(len(frame) - FRAME + 2):
        return None
    return int(frame[:2], 16), int(frame[2:4], 16), int(frame[4:6], 16), int(frame[6:8], 16)


class _Reader:
    """Bytes of INFO, one after the other. Behind the end there is nothing: `ended` tells."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data, self._at = data, at

    def take(self, size: int) -> int:
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")

    @property
    def ended(self) -> bool:
        return self._at > len(self._data)

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def _values(data: bytes) -> bytes | None:
    read = _Reader(data, 2)  # an information flag, and whose values these are
    cells = [read.take(2) for _ in range(min(read.take(1), MOST_CELLS + 1))]
    sensors = [read.take(2) for _ in range(min(read.take(1), MOST_SENSORS + 1))]
    current, voltage, remaining, more, full, cycles = (read.take(size) for size in (2, 2, 2, 1, 2, 2))
    if read.ended or len(cells) > MOST_CELLS or len(sensors) > MOST_SENSORS:
        return None
    if more >= 4 and read.left >= 6:  # packs over 65 Ah say 65535 above and the truth here
        remaining, full = read.take(3), read.take(3)
    soc = NOTHING if full == 0 or remaining > full else remaining * 1000 // full
    words = [len(cells), len(sensors), current, voltage]
    words += [remaining >> 16, remaining, full >> 16, full, cycles, soc]
    words += cells + [0] * (MOST_CELLS - len(cells)) + sensors
    return image_of(words, WORDS)


def _worst(states: list[int]) -> int:
    worst = 0
    for state in states:
        worst |= {0: 0, 1: LOW, 2: HIGH}.get(state, OTHER)
    return worst


def _states(data: bytes) -> bytes | None:
    read = _Reader(data, 2)
    cells = [read.take(1) for _ in range(min(read.take(1), MOST_CELLS + 1))]
    sensors = [read.take(1) for _ in range(min(read.take(1), MOST_SENSORS + 1))]
    currents = [read.take(1) for _ in range(3)]
    if read.ended or read.left < 5 or len(cells) > MOST_CELLS or len(sensors) > MOST_SENSORS:
        return None
    status = [read.take(1) for _ in range(read.left)]
    return image_of([len(cells), len(sensors), _worst(cells), _worst(sensors), *currents, *status], WORDS)


def _system(data: bytes) -> bytes | None:
    read = _Reader(data)
    words = [read.take(size) for size in (2, 2, 1, 2, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2)]
    return None if read.ended else image_of(words, WORDS)


def _limits(data: bytes) -> bytes | None:
    """With or without the address in front."""
    if len(data) not in (9, 10):
        return None
    read = _Reader(data, len(data) - 9)
    return image_of([read.take(size) for size in (2, 2, 2, 2, 1)], WORDS)


def _text(data: bytes) -> bytes | None:
    return data[: 2 * WORDS].ljust(2 * WORDS, b"\0")


def _serial(data: bytes) -> bytes | None:
    return _text(data[1:])  # behind the address


_IMAGES = {
    VALUES: _values,
    STATES: _states,
    SYSTEM: _system,
    LIMITS: _limits,
    MAKER: _text,
    SERIAL: _serial,
    VERSION: _text,
    PACE_SERIAL: _text,
}
