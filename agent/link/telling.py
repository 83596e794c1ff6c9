"""What control hears of the link: its state on every change, counters at most once a second, a line of log a minute.

A flood of refused messages costs a counter each, and no more.
"""

from __future__ import annotations

from agent import mail
from agent.link import upward
from agent.link.clock import LinkClock
from agent.runtime.part import Effect, Log, Now, Post

S = 1_000_000_000
TELL_NS = S  # counters are told at most this often
LOG_NS = 60 * S


class Telling:
    """`counters`: messages refused since the start, by reason."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self._logged_ns: dict[str, int] = {}
        self._told: mail.LinkState | None = None
        self._told_ns = 0
        self._offset_ms: int | None = None
        self._signed: tuple[int, int] | None = None  # as control has it

    def refused(self, reason: str, detail: str, now: Now, out: list[Effect]) -> None:
        """One more of that kind."""
        self.counters[reason] = self.counters.get(reason, 0) + 1
        logged_ns = self._logged_ns.get(reason)
        if logged_ns is None or now.mono_ns - logged_ns >= LOG_NS:
            self._logged_ns[reason] = now.mono_ns
            count = self.counters[reason]
            out.append(Log("warning", f"link: message refused, {reason}: {detail} ({count} since start)"))

    def tell(self, up: bool, detail: str, fresh: bool, unsent: int, clock: LinkClock, now: Now) -> list[Effect]:
        """LinkState on every change; counters and the number of unsent rows at most once a second."""
        if clock.signed_ms(now.mono_ns) is not None:
            self._compare(clock.read(now.mono_ns) or 0, clock.apart, now)
        told = self._told
        rare = (up, detail, fresh, self._offset_ms)
        known = None if told is None else (told.up, told.detail, told.fresh, told.wall_offset_ms)
        if told is not None and rare == known and self._signed == told.signed:
            changed = unsent != told.unsent or self.counters != told.counters
            if not changed or now.mono_ns < self._told_ns + TELL_NS:
                return []
        self._told_ns = now.mono_ns
        self._told = mail.LinkState(*rare, unsent, dict(self.counters), self._signed)
        return [Post("control", self._told)]

    @property
    def wake_ns(self) -> int | None:
        """When there will be something to tell by time alone."""
        if self._told is None or self._told.counters != self.counters:
            return self._told_ns + TELL_NS
        return None

    @property
    def next_ns(self) -> int:
        """No earlier than that is anything told of counters."""
        return self._told_ns + TELL_NS

    def _compare(self, wall_ms: int, apart: bool, now: Now) -> None:
        """It is `wall_ms` now by signed times: how far our wall clock is off, and what control counts on from: never
        from a time that our own clock contradicts."""
        offset = wall_ms - now.wall_ms
        if self._offset_ms is None or abs(offset - self._offset_ms) > upward.MAX_DT_ERROR_MS:
            self._offset_ms = offset
        if apart:
            return
        if self._signed is not None:
            counted_ms = self._signed[0] + (now.mono_ns - self._signed[1]) // 1_000_000
            if abs(wall_ms - counted_ms) <= upward.MAX_DT_ERROR_MS:
                return
        self._signed = (wall_ms, now.mono_ns)
