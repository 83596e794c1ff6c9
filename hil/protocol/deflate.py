"""Raw DEFLATE that is the same bytes on every machine: one block of fixed codes (RFC 1951, 3.2.6), runs as matches.

zlib's own output depends on its version, and golden vectors must not.
"""

from __future__ import annotations

RUN = 258  # longest match


def pack(data: bytes) -> bytes:
    """`data`, deflated."""
    bits: list[int] = [1, 1, 0]  # last block, fixed codes
    at = 0
    while at < len(data):
        _literal(bits, data[at])
        at += 1
        while data[at : at + RUN] == data[at - 1 : at] * RUN:
            _code(bits, 0xC0 + 285 - 280, 8)
            _code(bits, 0, 5)  # distance 1
            at += RUN
    _code(bits, 0, 7)  # end of block
    bits += [0] * (-len(bits) % 8)
    return bytes(sum(bit << i for i, bit in enumerate(bits[n : n + 8])) for n in range(0, len(bits), 8))


def _literal(bits: list[int], byte: int) -> None:
    if byte < 144:
        _code(bits, 0x30 + byte, 8)
    else:
        _code(bits, 0x190 + byte - 144, 9)


def _code(bits: list[int], code: int, length: int) -> None:
    """Huffman codes go in with their highest bit first."""
    bits.extend(code >> i & 1 for i in reversed(range(length)))
