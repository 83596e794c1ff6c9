"""How an honest answer is spoiled: on the wire, by another device, by another master, by a broken gateway."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hil.fuzz.rules import Asked, mbap, rtu

PROTOCOLS = (0, 0, 0, 1, 0x0100, 0xFFFF)
LENGTHS = (None, None, 0, 1, 2, 3, 4, 5, 254, 255, 256, 0xFFFF)
Frame = Callable[[int, bytes], bytes]  # unit, PDU -> bytes of the line


def flip(rng: Random, data: bytes) -> bytes:
    """One to eight bits the other way round."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 9)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(rng: Random, data: bytes) -> bytes:
    """Some bytes are lost, in one place."""
    begin = rng.randrange(len(data))
    return data[:begin] + data[begin + rng.randrange(1, 5) :]


def grow(rng: Random, data: bytes) -> bytes:
    """Some bytes too many, in one place."""
    begin = rng.randrange(len(data) + 1)
    return data[:begin] + rng.randbytes(rng.randrange(1, 6)) + data[begin:]


def on_wire(rng: Random, data: bytes) -> bytes:
    """A frame as a bad line delivers it."""
    return rng.choice((flip, cut, grow))(rng, data)


def other_pdu(rng: Random, asked: Asked, pdu: bytes) -> bytes:
    """An answer to something else: another function, length or address, an exception, a random one."""
    kind = rng.randrange(6)
    if kind == 0:
        return bytes((pdu[0] ^ 1 << rng.randrange(7),)) + pdu[1:]
    if kind == 1:
        return Asked(asked.unit, rng.choice((3, 4)), 0, 1).honest(rng.randbytes(2))
    if kind == 2:
        return pdu[:1] + bytes((rng.randrange(256),)) + pdu[2:]
    if kind == 3:
        return pdu + rng.randbytes(2) if rng.random() < 0.5 else pdu[: rng.randrange(1, len(pdu) + 1)]
    if kind == 4:
        return bytes((rng.choice((asked.function, 1, 2, 3, 4, 6, 16)) | 0x80, rng.randrange(256)))
    return bytes((rng.randrange(256),)) + rng.randbytes(rng.randrange(1, 12))


def stranger(rng: Random, asked: Asked, frame: Frame) -> bytes:
    """Sound frames that are not the answer: of another unit, of another master, or our own words."""
    unit = rng.choice((0, asked.unit ^ 1, rng.randrange(256)))
    kind = rng.randrange(4)
    if kind == 0:
        return frame(unit, asked.honest(rng.randbytes(asked.size)))
    if kind == 1:
        return frame(unit, Asked(unit, 3, rng.randrange(0x10000), rng.randrange(1, 126)).pdu)
    if kind == 2:
        return frame(asked.unit, asked.pdu)
    other = Asked(unit, rng.randrange(1, 5), 0, rng.randrange(1, 20))
    return frame(unit, other.pdu) + frame(unit, other.honest(rng.randbytes(other.size)))


def serial(rng: Random, asked: Asked, pdu: bytes) -> bytes:
    """What a serial line brings instead of `pdu`."""
    kind = rng.randrange(10)
    good = rtu(asked.unit, pdu)
    if kind < 3:
        return on_wire(rng, good)
    if kind < 5:
        return rtu(asked.unit, other_pdu(rng, asked, pdu))
    if kind == 5:
        return stranger(rng, asked, rtu)
    if kind == 6:
        return stranger(rng, asked, rtu) + good
    if kind == 7:
        return stranger(rng, asked, rtu) + on_wire(rng, good)
    if kind == 8:
        return rng.randbytes(rng.randrange(1, 6)) + good + rng.randbytes(rng.randrange(3))
    return rng.randbytes(rng.randrange(40) if rng.random() < 0.99 else rng.randrange(5000))


def network(rng: Random, asked: Asked, pdu: bytes, tid: int) -> bytes:
    """What a TCP connection brings instead of `pdu`."""
    kind = rng.randrange(8)
    good = mbap(tid, asked.unit, pdu)
    if kind < 2:
        return flip(rng, good)
    if kind == 2:
        return mbap(tid ^ 1 << rng.randrange(16), asked.unit, pdu)
    if kind == 3:
        return mbap(tid, rng.randrange(256), pdu)
    if kind == 4:
        return mbap(tid, asked.unit, pdu, rng.choice(PROTOCOLS), rng.choice(LENGTHS))
    if kind == 5:
        return mbap(tid, asked.unit, other_pdu(rng, asked, pdu))
    if kind == 6:
        return mbap((tid - 1) % 0x10000, asked.unit, pdu) + mbap(tid, asked.unit, other_pdu(rng, asked, pdu)) + good
    return on_wire(rng, good) if rng.random() < 0.7 else rng.randbytes(rng.randrange(300))
