"""MQTT as it comes from a broker, with each publication that is too long cut on the way. Sans-IO.

MQTT 3.1.1 cannot tell a broker what is too long for us, and what is not acknowledged comes again at every connection of
a kept session. So it is heard as a shorter one, which is acknowledged and counted as too long, and the rest of its
bytes is dropped as it comes. Only the framing is read; what is not understood passes as it is.
"""

from __future__ import annotations

from typing import NamedTuple

PUBLISH = 0x30
QOS = 0x06
ALIVE = b"\xd0\x00"  # PINGRESP
_ALL = 1 << 62


class _Packet(NamedTuple):
    """Where its body begins; how much of that passes, and is then dropped."""

    body: int
    passes: int
    dropped: int


class Shortener:
    """Of one connection. A PUBLISH of more than `most` bytes after its fixed header keeps topic, packet id, flags and
    the first `keep` bytes of its payload. Between two calls it holds 6 bytes at most."""

    def __init__(self, most: int, keep: int) -> None:
        self._most, self._keep = most, keep
        self._begun = b""  # of a packet whose length is not known yet
        self._passes = 0  # bytes to where the next packet begins, or what is dropped
        self._drop = 0

    def feed(self, data: bytes) -> bytes:
        """What is to be read instead of `data`: `data` itself if nothing of it is too long; empty if more has to come.

        A PINGRESP stands for bytes that were all dropped: the broker, which is alive, can send none in between.
        """
        if self._begun:
            data, self._begun = self._begun + data, b""
        size, at, since = len(data), self._passes, 0
        pieces: list[bytes] = []
        dropped = False
        while at < size:
            if self._drop:
                pieces.append(data[since:at])
                since = min(at + self._drop, size)
                self._drop -= since - at
                at, dropped = since, True
            elif at + 1 < size and data[at + 1] < 128:
                at += 2 + data[at + 1]  # nearly all of them: PUBACKs
            elif (packet := self._measure(data, at)) is None:
                pieces.append(data[since:at])
                self._begun = data[at:]
                since = at = size
            else:
                if packet.dropped:
                    pieces += (data[since : at + 1], _length(packet.passes))
                    since, self._drop = packet.body, packet.dropped
                at = packet.body + packet.passes
        self._passes = at - size
        if not pieces:
            return data
        pieces.append(data[since:])
        return b"".join(pieces) or (ALIVE if dropped else b"")

    def _measure(self, data: bytes, at: int) -> _Packet | None:
        """The packet that begins there; None if more has to come before that can be told."""
        length, body = 0, at + 1
        for shift in (0, 7, 14, 21):
            if body == len(data):
                return None
            length |= (data[body] & 127) << shift
            body += 1
            if data[body - 1] < 128:
                break
        else:
            return _Packet(body, _ALL, 0)  # no MQTT any more: whoever reads it ends the connection
        if length <= self._most or data[at] & 0xF0 != PUBLISH:
            return _Packet(body, length, 0)
        if len(data) < body + 2:
            return None
        named = 2 + int.from_bytes(data[body : body + 2], "big") + (2 if data[at] & QOS else 0)
        passes = min(named + self._keep, length)
        return _Packet(body, passes, length - passes)


def _length(number: int) -> bytes:
    """As MQTT writes it: 7 bits a byte, the least first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
