"""Why a message moves nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """`reason` is a word of the counters. `repeat_of`: the same command came again, its ack may be sent again.
    `other_ms`: it is a verified time for another boot, signed then."""

    reason: str
    detail: str
    repeat_of: str | None = None
    other_ms: int | None = None
