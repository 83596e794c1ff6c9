"""What a serial dialect that is not Modbus has to be for the port: a request made, a reply recognised. Pure.

A dialect turns each reply into an image of 16-bit registers, one image a command, so that profiles, planner and codec
work on it as on a Modbus device: `function` is the command, `at` the register of its image. What an image holds is
said at the head of each dialect's module. What a reply leaves out reads 0, or NOTHING where 0 would be a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

NOTHING = 0xFFFF


class Kind(Enum):
    """What stands at the front of the bytes received."""

    DATA = "data"
    REFUSED = "refused"
    GARBLED = "garbled"
    FOREIGN = "foreign"  # noise, or somebody else's frame: drop it and look on


@dataclass(frozen=True, slots=True)
class Found:
    """`used` bytes of the buffer are explained. `image`: registers of DATA; `code`: Modbus' exception of REFUSED."""

    used: int
    kind: Kind
    image: bytes = b""
    code: int = 0


class Dialect(Protocol):
    """One framing. Stateless."""

    @property
    def words(self) -> int:
        """Registers of an image: any part of it costs the same one transaction."""

    @property
    def functions(self) -> frozenset[int]:
        """The commands that it can read."""

    def request(self, unit: int, function: int) -> bytes:
        """The bytes that ask for that image."""

    def reply_len(self, function: int) -> int:
        """The length of a usual reply, for the pace of reading; a longer one is waited for all the same."""

    def scan(self, unit: int, function: int, buffer: bytes) -> Found | None:
        """What the buffer begins with; None = more of it must come. Never raises."""


def image_of(words: list[int], size: int) -> bytes:
    """Registers as bytes, zeros behind them up to `size` registers."""
    data = b"".join((word & 0xFFFF).to_bytes(2, "big") for word in words[:size])
    return data.ljust(2 * size, b"\0")
