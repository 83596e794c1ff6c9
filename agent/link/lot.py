"""What looks like the end of dispatch and found no room among the signatures of its moment: a second look, by lot.

Whoever sends forgeries under a public `kid` just as fast as its signatures are checked leaves no room for the genuine
one, however seldom it comes. So those that were too many are kept for a moment, and of all of them some are drawn: each
has the same chance, whoever came first. Sans-IO; memory and work are bounded by LOOKS in SLOT_NS.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Generic, TypeVar

SLOT_NS = 20_000_000
LOOKS = 6  # of each slot: 300 signatures a second beyond those that have room at once
_ENDS = re.compile(rb'"(?:stop|cancel|opt_out)"')
T = TypeVar("T")


def ends(token: bytes) -> bool:
    """Whether its payload, unproven and not parsed, looks like a stop, a cancel or an opt-out."""
    part = token.split(b".", 2)[1]
    try:
        return _ENDS.search(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))) is not None
    except binascii.Error:
        return False


class Lot(Generic[T]):
    """`random(n)`: n random bytes."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._held: list[T] = []
        self._came = 0
        self.due_ns: int | None = None  # when it is drawn; None: nothing waits

    def keep(self, one: T, now_ns: int) -> bool:
        """It waits for the draw. False: one had to go for it, or it had to go."""
        if self.due_ns is None:
            self.due_ns, self._came = now_ns + SLOT_NS, 0
        self._came += 1
        if len(self._held) < LOOKS:
            self._held.append(one)
            return True
        place = int.from_bytes(self._random(4), "big") % self._came
        if place < LOOKS:
            self._held[place] = one
        return False

    def drawn(self, now_ns: int) -> list[T]:
        """Those that are looked at now."""
        if self.due_ns is None or now_ns < self.due_ns:
            return []
        drawn, self._held, self.due_ns = self._held, [], None
        return drawn
