"""What must not be forgotten of a device over a crash: how much its registers were worn, and what its owner had set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """Registers as they read before we took control. `unit` None = the device's own."""

    unit: int | None
    address: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one device. `spent`: (monotonic ns, wearing writes) of the last 24 h; `ahead`: how many more may have been
    made since this was stored; `owner`: what a release writes back, empty = nothing of ours is in its place."""

    spent: tuple[tuple[int, int], ...] = ()
    ahead: int = 0
    owner: tuple[Kept, ...] = ()
