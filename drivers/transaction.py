"""One request and how it ended: what the port, the bus and its devices hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.dialect import Dialect

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "accepted, not done yet",
    6: "busy",
    8: "memory parity error",
    10: "no gateway path",
    11: "gateway target does not answer",
}


class Fate(Enum):
    """How a transaction ended."""

    DATA = "data"
    EXCEPTION = "exception"
    GARBLED = "garbled"  # all bytes came and they are not a sound frame: worth an immediate retry
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data` is the reply PDU (function code first) of DATA; `code` that of an exception."""

    fate: Fate
    at_ns: int
    data: bytes = b""
    code: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One transaction, its bytes made once. `head` is how the only acceptable reply begins (RTU: unit first)."""

    unit: int
    function: int
    address: int
    payload: bytes
    frame: bytes
    head: bytes
    reply_len: int
    wire_ns: int  # first byte of the request to last of the reply, with t3.5 between and no turnaround
    response_ns: int
    gap_ns: int
    dialect: Dialect | None = None  # the reply is an image of which `count` registers from `first` are wanted
    first: int = 0
    count: int = 0
