"""A still picture of a BMS that does not speak Modbus: requests in, frames out, written from the protocols' documents.

Nothing of drivers' dialects is used. The registers are those of `hil.devices.still.picture`; here they become the bytes
that such a BMS sends.
"""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Mapping

from hil.devices.slave import seal
from hil.devices.still import file_of, picture

Images = Mapping[int, Mapping[int, int]]
CELLS, SENSORS = 16, 4


class StillDialect:
    """One pack at `unit`. `take` is fed what the line has received."""

    def __init__(self, profile: str, unit: int) -> None:
        """ValueError if the profile is Modbus."""
        data = tomllib.loads(file_of(profile).read_text(encoding="utf-8"))
        self.unit = unit
        self._images: Images = picture(data)
        makers = {"jk_pb": self._jk, "jbd": self._jbd, "pace": self._ascii, "pylontech": self._ascii}
        dialect = data["line"].get("dialect", "")
        if dialect not in makers:
            raise ValueError(f"{profile!r} is Modbus")
        self._answer = makers[dialect]

    def take(self, buffer: bytes) -> tuple[int, bytes]:
        """(bytes of the buffer that are done with, the reply to the request among them or b"")."""
        return self._answer(buffer)

    def _word(self, function: int, at: int) -> int:
        return self._images.get(function, {}).get(at, 0)

    def _text(self, function: int, at: int, size: int) -> bytes:
        words = (self._word(function, at + n) for n in range((size + 1) // 2))
        return b"".join(word.to_bytes(2, "big") for word in words)[:size]

    def _jk(self, buffer: bytes) -> tuple[int, bytes]:
        if len(buffer) < 11:
            return 0, b""
        ask = buffer[:11]
        if ask[:3] != bytes((self.unit, 0x10, 0x16)) or seal(ask[:9]) != ask or ask[3] not in (0x1C, 0x1E, 0x20):
            return 1, b""
        function = ask[3]
        frame = bytearray(b"\x55\xaa\xeb\x90" + bytes(({0x1E: 1, 0x20: 2, 0x1C: 3}[function], 0)) + bytes(294))
        layout = ">H" if function == 0x1C else "<H"
        for n in range(146):
            struct.pack_into(layout, frame, 6 + 2 * n, self._word(function, n))
        frame[299] = sum(frame[:299]) & 0xFF
        return 11, bytes(frame) + b"\0" + seal(ask[:6]) + b"\0"

    def _jbd(self, buffer: bytes) -> tuple[int, bytes]:
        if len(buffer) < 7:
            return 0, b""
        if buffer[:2] != b"\xdd\xa5" or buffer[6] != 0x77:
            return 1, b""
        command = buffer[2]
        if command == 3:
            words = [self._word(3, n) for n in range(9)]
            body = struct.pack(">9H", *words) + bytes((0x20, self._word(3, 10), self._word(3, 11), CELLS, SENSORS))
            body += struct.pack(f">{SENSORS}H", *(self._word(3, 14 + n) for n in range(SENSORS)))
        elif command == 4:
            body = struct.pack(f">{CELLS}H", *(self._word(4, n) for n in range(CELLS)))
        else:
            body = self._text(5, 0, 20)
        inner = bytes((0 if command in (3, 4, 5) else 0x80, len(body))) + body
        return 7, bytes((0xDD, command)) + inner + (-sum(inner) & 0xFFFF).to_bytes(2, "big") + b"\x77"

    def _ascii(self, buffer: bytes) -> tuple[int, bytes]:
        end = buffer.find(b"\r")
        if end < 0:
            return 0, b""
        frame = buffer[buffer.rfind(b"~", 0, end) + 1 : end]
        try:
            good = int(frame[-4:], 16) == -sum(frame[:-4]) & 0xFFFF and int(frame[2:4], 16) == self.unit
            command, version = int(frame[6:8], 16), frame[:2].decode()
        except ValueError:
            return end + 1, b""
        if not good:
            return end + 1, b""
        body = self._info(command)
        code, info = (4, "") if body is None else (0, body.hex().upper())
        size = len(info)
        length = (-(size % 16 + size // 16 % 16 + size // 256) % 16) << 12 | size
        text = f"{version}{self.unit:02X}46{code:02X}{length:04X}{info}"
        return end + 1, f"~{text}{-sum(text.encode()) & 0xFFFF:04X}\r".encode()

    def _info(self, command: int) -> bytes | None:
        def word(at: int) -> int:
            return self._word(command, at)

        if command == 0x42:
            full = word(6) << 16 | word(7)
            body = bytes((0, self.unit, CELLS)) + struct.pack(f">{CELLS}H", *(word(10 + n) for n in range(CELLS)))
            body += bytes((SENSORS,)) + struct.pack(f">{SENSORS}H", *(word(42 + n) for n in range(SENSORS)))
            return body + struct.pack(">3HB3H", word(2), word(3), full * word(9) // 1000, 3, full, 1, full)
        if command == 0x44:
            states = bytes(word(7 + n) for n in range(9))
            return bytes((0, self.unit, CELLS)) + bytes(CELLS) + bytes((SENSORS,)) + bytes(SENSORS + 3) + states
        if command == 0x61:
            body = struct.pack(">2HB2H2B", word(0), word(1), word(2), 1, 1, word(5), word(5))
            return body + struct.pack(">9H", *(word(n) for n in range(7, 16)))
        if command == 0x63:
            return struct.pack(">4HB", *(word(n) for n in range(5)))
        if command == 0x93:
            return bytes((self.unit,)) + self._text(command, 0, 16)
        return (
            self._text(command, 0, {0x51: 32, 0xC1: 20, 0xC2: 40}[command]) if command in (0x51, 0xC1, 0xC2) else None
        )
