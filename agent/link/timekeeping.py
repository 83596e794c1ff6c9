"""Asking for the time and taking the answers: whose word it is, when another round trip is due, what contradicts."""

from __future__ import annotations

from collections.abc import Container, Mapping

from agent.link.clock import LinkClock
from agent.link.inbound import Inbound
from agent.link.messages import Time
from agent.link.presence import Presence
from agent.link.timing import SKEW_MS
from agent.runtime.part import Now

S = 1_000_000_000
TELL_NS = 3600 * S  # clocks that contradict each other are told of at most this often


class Timekeeper:
    """`clock`: what is known. `fresh`: a signed time has echoed a nonce of this boot, and was good enough."""

    def __init__(self, presence: Presence, inbound: Inbound, first: int | None) -> None:
        self.clock = LinkClock()
        self.fresh = False
        self._presence = presence
        self._inbound = inbound
        self._first = first  # lowest row that cannot have gone out before this start
        self._outdated = False
        self._kid = ""  # whose word the signed time is
        self._told_ns: int | None = None

    def heard(self, time: Time, now_ns: int) -> bool:
        """A signed time that echoes our nonce. False: it contradicts what is known."""
        asked_ns = now_ns if self._presence.asked_ns is None else self._presence.asked_ns
        if not self.clock.signed(time.wall_ms, asked_ns, now_ns):
            return False
        self._kid = self._inbound.time_kid
        if self.clock.wide(now_ns):
            self._ask()
        return True

    def after_ms(self, time: Time) -> int:
        """The aggregator has rows that this home does not remember: what was signed up to now may have acted, and have
        been ended, in the life that is lost. Whoever signs commands may be ahead of whoever signs the time. 0: it
        remembers all, or cannot tell yet."""
        if self._first is None or time.last is None or time.last < self._first:
            return 0
        self._outdated = True
        return time.wall_ms + SKEW_MS

    def late_ms(self, now_ns: int) -> int:
        """The same, where only the store could tell. 0: it is known."""
        known, self._outdated = self._outdated, True
        now_ms = self.clock.read(now_ns)
        return 0 if known or now_ms is None else now_ms + SKEW_MS

    def look(self, now_ns: int) -> None:
        """Once a second or so: what has drifted far is asked for again."""
        if self.clock.wide(now_ns) and self._presence.overdue(now_ns):
            self._ask()

    def retrusted(self, kids: Container[str]) -> None:
        """These are the keys from now on: the word of one that is gone is not believed."""
        if self._kid and self._kid not in kids:
            self._kid = ""
            self.clock.forget()
            self._ask()

    def contradiction(self, now: Now, signed_ms: int | None = None) -> Mapping[str, object] | None:
        """The event to tell, if it is time: either our clock is wrong, or whoever signs the time is."""
        if self._told_ns is not None and now.mono_ns - self._told_ns < TELL_NS:
            return None
        self._told_ns = now.mono_ns
        said_ms = self.clock.signed_ms(now.mono_ns) if signed_ms is None else signed_ms
        return {"event": "clock_conflict", "signed_ms": said_ms, "gateway_ms": now.wall_ms}

    def _ask(self) -> None:
        self._inbound.asking(self._presence.renew())
