"""JK (Jikong) PB BMS: its registers by frame. A plain read of them loses half of all replies and a cold bus is silent.

A function 16 write of 0 to a trigger register, 0x1620 (status), 0x161E (settings) or 0x161C (about), is answered by a
frame of 300 bytes, 55 AA EB 90 in front, its type at 4 and the sum of all before it at 299, then a zero and the
acknowledgement of the write, then a zero. No address is in the frame: who sent it is known by the acknowledgement. The
trigger changes nothing; no other register is ever written.

Images, by the low byte of the trigger: 0x20 and 0x1E: register n is the 16-bit value at byte offset 2n of the BMS' own
map (0x1200 and 0x1000), longer values with the low word first. 0x1C: text in plain order.
"""

from __future__ import annotations

from drivers.dialect import Found, Kind

HEAD = b"\x55\xaa\xeb\x90"
FRAME = 300
ACK = 8
REPLY = 310
BODY = 6  # bytes before the map
TYPES = {0x1E: 1, 0x20: 2, 0x1C: 3}
ABOUT = 0x1C
PAGE = 0x16
WRITE = 0x10


class JkPb:
    """See the head of the module."""

    words = (FRAME - 1 - BODY) // 2
    functions = frozenset(TYPES)

    def request(self, unit: int, function: int) -> bytes:
        """The trigger of one frame."""
        body = bytes((unit, WRITE, PAGE, function, 0, 1, 2, 0, 0))
        return body + _crc(body)

    def reply_len(self, function: int) -> int:
        """Frame, zero, acknowledgement, zero."""
        return REPLY

    def scan(self, unit: int, function: int, buffer: bytes) -> Found | None:
        """See Dialect."""
        refused = bytes((unit, WRITE | 0x80))
        if len(buffer) >= 5 and buffer.startswith(refused) and buffer[3:5] == _crc(buffer[:3]):
            return Found(5, Kind.REFUSED, code=buffer[2])
        begin = buffer.find(HEAD)
        if begin > 0:
            return Found(begin, Kind.FOREIGN)
        if begin < 0 or len(buffer) < FRAME + ACK:
            return None
        place = FRAME if buffer[FRAME] == unit and buffer[FRAME + 1] == WRITE else FRAME + 1
        end = place + ACK
        if len(buffer) < end:
            return None
        ack = buffer[place:end]
        if sum(buffer[: FRAME - 1]) & 0xFF != buffer[FRAME - 1] or ack[6:] != _crc(ack[:6]):
            return Found(end, Kind.GARBLED)
        if ack[:6] != bytes((unit, WRITE, PAGE, function, 0, 1)) or buffer[4] != TYPES[function]:
            return Found(end, Kind.FOREIGN)
        body = buffer[BODY : BODY + 2 * self.words]
        if function != ABOUT:
            body = b"".join(body[n + 1 : n + 2] + body[n : n + 1] for n in range(0, len(body), 2))
        return Found(end, Kind.DATA, body)


def _crc(data: bytes) -> bytes:
    """Modbus' CRC, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")
