"""JBD (LLT, Xiaoxiang) BMS: DD A5 command 00 checksum 77, answered DD command status length data checksum 77.

Images. 3 (basic): 0 voltage 10 mV, 1 current 10 mA, + = charge, 2 remaining 10 mAh, 3 nominal 10 mAh, 4 cycles,
5 date, 6-7 balancing, 8 protection bits, 9 version, 10 SoC %, 11 switches (bit 0 charge, bit 1 discharge), 12 cells,
13 sensors, 14-29 sensors in 0.1 K. 4 (cells): 0-31 in mV. 5: the name of the model. No address: one BMS a line.
It is never written to.
"""

from __future__ import annotations

from drivers.dialect import Found, Kind, image_of

WORDS = 32
BASIC, CELLS, NAME = 3, 4, 5
USUAL = {BASIC: 34, CELLS: 39, NAME: 27}
FRAME = 7  # bytes around the data
FIXED = 23  # bytes of a basic reply before its sensors
MOST_SENSORS = 16
ILLEGAL_FUNCTION, NOT_NOW = 1, 6


class Jbd:
    """See the head of the module."""

    words = WORDS
    functions = frozenset(USUAL)

    def request(self, unit: int, function: int) -> bytes:
        """A read of one command."""
        return b"\xdd\xa5" + bytes((function, 0)) + _checksum(bytes((function, 0))) + b"\x77"

    def reply_len(self, function: int) -> int:
        """Of 16 cells and two sensors."""
        return USUAL.get(function, FRAME)

    def scan(self, unit: int, function: int, buffer: bytes) -> Found | None:
        """See Dialect."""
        begin = buffer.find(bytes((0xDD, function)))
        if begin > 0:
            return Found(begin, Kind.FOREIGN)
        if begin < 0:
            return None
        if len(buffer) < 4 or len(buffer) < FRAME + buffer[3]:
            return None
        size = buffer[3]
        end = FRAME + size
        data = buffer[4 : 4 + size]
        if buffer[end - 1] != 0x77 or buffer[end - 3 : end - 1] != _checksum(buffer[2 : 4 + size]):
            return Found(end, Kind.GARBLED)
        if buffer[2] != 0:
            return Found(end, Kind.REFUSED, code=ILLEGAL_FUNCTION if buffer[2] == 0x80 else NOT_NOW)
        image = _image(function, data)
        return Found(end, Kind.GARBLED) if image is None else Found(end, Kind.DATA, image)


def _checksum(data: bytes) -> bytes:
    return (-sum(data) & 0xFFFF).to_bytes(2, "big")


def _image(function: int, data: bytes) -> bytes | None:
    if function == NAME:
        return data[: 2 * WORDS].ljust(2 * WORDS, b"\0")
    if function == CELLS:
        return None if len(data) % 2 or len(data) > 2 * WORDS else data.ljust(2 * WORDS, b"\0")
    if len(data) < FIXED or data[22] > MOST_SENSORS or len(data) < FIXED + 2 * data[22]:
        return None
    words = [int.from_bytes(data[n : n + 2], "big") for n in range(0, 18, 2)]
    words += data[18:23]
    words += [int.from_bytes(data[FIXED + 2 * n : FIXED + 2 * n + 2], "big") for n in range(data[22])]
    return image_of(words, WORDS)
