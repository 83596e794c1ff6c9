"""What may be taken for the answer to a Modbus request: the specification's rules, written without `drivers`.

The CRC is that of the simulated devices (`hil.devices.slave`), which share no code with the agent either.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.devices.slave import crc16

TCP_LENGTHS = range(3, 255)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `words`: of a write."""

    unit: int
    function: int
    address: int
    count: int
    words: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Data bytes of the answer to a read."""
        return 2 * self.count if self.function in (3, 4) else (self.count + 7) // 8

    @property
    def pdu(self) -> bytes:
        """As it goes out."""
        head = bytes((self.function,)) + self.address.to_bytes(2, "big")
        data = b"".join(word.to_bytes(2, "big") for word in self.words)
        if self.function == 6:
            return head + data
        body = head + self.count.to_bytes(2, "big")
        return body + bytes((len(data),)) + data if self.function == 16 else body

    def honest(self, data: bytes) -> bytes:
        """The PDU of a sound answer; `data` are the registers or coils of a read, `size` bytes."""
        if self.function == 16:
            return self.pdu[:5]
        return self.pdu if self.function == 6 else bytes((self.function, self.size)) + data

    def allows(self, pdu: bytes) -> bool:
        """Function, length and, of a write, address and range are those of the answer to this."""
        if self.function in (6, 16):
            return pdu == self.honest(b"")
        return len(pdu) == 2 + self.size and pdu[0] == self.function and pdu[1] == self.size


def rtu(unit: int, pdu: bytes) -> bytes:
    """A frame on a serial line."""
    body = bytes((unit,)) + pdu
    return body + crc16(body).to_bytes(2, "little")


def mbap(tid: int, unit: int, pdu: bytes, protocol: int = 0, length: int | None = None) -> bytes:
    """A frame on TCP."""
    size = len(pdu) + 1 if length is None else length
    return tid.to_bytes(2, "big") + protocol.to_bytes(2, "big") + size.to_bytes(2, "big") + bytes((unit,)) + pdu


class Stream:
    """What a TCP connection has carried, frame by frame, by the lengths that it states."""

    def __init__(self) -> None:
        self._data = b""
        self.broken = False

    @property
    def clean(self) -> bool:
        """Nothing is left of an unfinished frame."""
        return not self._data and not self.broken

    def take(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """The frames that these bytes complete: transaction, unit, PDU. `broken` when it is no Modbus any more."""
        self._data += data
        found = []
        while len(self._data) >= 6 and not self.broken:
            size = int.from_bytes(self._data[4:6], "big")
            if self._data[2:4] != b"\0\0" or size not in TCP_LENGTHS:
                self.broken = True
            elif len(self._data) < 6 + size:
                break
            else:
                frame, self._data = self._data[: 6 + size], self._data[6 + size :]
                found.append((int.from_bytes(frame[:2], "big"), frame[6], frame[7:]))
        return found
