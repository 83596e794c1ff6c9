"""What the link may believe of the time: an interval that signed times narrow, and the gateway's own clock. Pure.

A signed `time` says: it was `wall_ms` at some moment between the first publication of its nonce and its arrival. So
true time is at least `wall_ms` on arrival, and at most that plus the round trip: a broker that holds messages back can
make the interval wider, never wrong. Both ends run on by the monotonic clock and drift apart by its worst error.

Which end judges what: where this gateway has a clock of its own (network time, or what it last said), that one judges
everything. Else `exp` is judged by the latest that it may be and `iat` by the least, so that neither a held back time
nor a held back message makes a late message timely; and not before a round trip was short. Two signed times that
cannot both be true, or one that the own clock denies, are not reconciled: the later word is not taken, and while own
clock and signed time are apart nothing that rests on the time is done.
"""

from __future__ import annotations

from agent.core.inputs import Clock, ClockTrust

DRIFT_PPM = 200
ROUND_MS = 30_000  # the widest interval that anything is judged by
APART_MS = 120_000  # clocks that disagree by more contradict each other
_MS = 1_000_000


class LinkClock:
    """Monotonic ns in, UTC ms out."""

    def __init__(self) -> None:
        self._kernel: tuple[int, int] | None = None  # (wall ms, monotonic ns) of the latest sample
        self._trust = ClockTrust.UNTRUSTED
        self._own = False
        self._synced_ns = 0  # when network time last kept our clock
        self._lo: tuple[int, int] | None = None
        self._hi: tuple[int, int] | None = None
        self._narrow = False
        self._apart = False

    @property
    def trust(self) -> ClockTrust:
        """How far the agent's clock may be believed, as the latest sample had it."""
        return self._trust

    @property
    def known(self) -> bool:
        """Whether `span` is good enough to judge by."""
        return not self._apart and (self._own or self._narrow)

    @property
    def apart(self) -> bool:
        """Our own clock and the signed time contradict each other."""
        return self._apart

    @property
    def settled(self) -> bool:
        """A signed time can only bear out or contradict what is known, not set it."""
        return self._own or self._narrow

    def kernel(self, clock: Clock, at_ns: int) -> None:
        """The agent's clock, as control has it. Where that rests on signed times alone it is no word of its own."""
        self._kernel = (clock.wall_ms, at_ns)
        self._trust = clock.trust
        self._own = clock.own
        if clock.trust is ClockTrust.SYNCED:
            self._synced_ns = at_ns
        self._compare(at_ns)

    def signed(self, wall_ms: int, asked_ns: int, now_ns: int) -> bool:
        """A verified `time` that echoes a nonce first published at `asked_ns`. False: it contradicts what is known, and
        is not taken. One that our own clock bears out takes the place of one that it does not."""
        latest = wall_ms + (now_ns - asked_ns) // _MS
        if self._own and self._denied(wall_ms, latest, now_ns):
            return False
        if self._lo is not None and self._own and self._denied(self._low(now_ns), self._high(now_ns), now_ns):
            self.forget()
        if self._lo is None:
            self._lo, self._hi = (wall_ms, now_ns), (latest, now_ns)
        else:
            low, high = self._low(now_ns), self._high(now_ns)
            if wall_ms > high + APART_MS or latest < low - APART_MS:
                return False
            if wall_ms > low:
                self._lo = (min(wall_ms, high), now_ns)
            if latest < high:
                self._hi = (max(latest, self._low(now_ns)), now_ns)
        self._narrow = self._narrow or self._width(now_ns) <= ROUND_MS
        self._compare(now_ns)
        return True

    def forget(self) -> None:
        """All that signed times said: whose word it was is not believed any more."""
        self._lo = self._hi = None
        self._narrow = self._apart = False

    def wide(self, now_ns: int) -> bool:
        """Signed times are all there is, and leave too much open: another round trip is due."""
        return not self._own and self._lo is not None and self._width(now_ns) > ROUND_MS

    def read(self, now_ns: int) -> int | None:
        """UTC ms as a best guess, to stamp and to warn by; None if nothing at all is known."""
        kernel = None if self._kernel is None else self._kernel[0] + (now_ns - self._kernel[1]) // _MS
        if self._lo is None:
            return kernel
        if kernel is None or not self._own:
            return self._low(now_ns)
        return max(self._low(now_ns), min(kernel, self._high(now_ns)))

    def span(self, now_ns: int) -> tuple[int, int] | None:
        """The least and the latest that it may be, UTC ms, to judge by; None: nobody knows well enough."""
        at_ms = self.read(now_ns)
        if not self.known or at_ms is None:
            return None
        return (at_ms, at_ms) if self._own else (self._low(now_ns), self._high(now_ns))

    def least(self, now_ns: int) -> int | None:
        """UTC ms that it is at least, as far as anybody knows; None if nobody does."""
        if self._own and not self._apart:
            return self.read(now_ns)
        if self._lo is None:
            return None
        return min(self._low(now_ns), self._ours(now_ns)) if self._own else self._low(now_ns)

    def least_by_both(self, now_ns: int) -> int | None:
        """UTC ms that it is at least by our own clock and by signed times; None if one is missing. By this even what
        ends dispatch may be called late: whoever puts one clock forward must not make a home deaf to it."""
        return min(self._low(now_ns), self._ours(now_ns)) if self._own and self._lo is not None else None

    def signed_ms(self, now_ns: int) -> int | None:
        """The least that signed times alone say it is now; None while a round trip has not been short."""
        return self._low(now_ns) if self._narrow else None

    def _compare(self, now_ns: int) -> None:
        known = self._own and self._lo is not None
        self._apart = known and self._denied(self._low(now_ns), self._high(now_ns), now_ns)

    def _denied(self, least_ms: int, latest_ms: int, now_ns: int) -> bool:
        """Whether our own clock lies outside of that, by more than what may be."""
        slack_ms = APART_MS + (now_ns - self._synced_ns) // _MS * DRIFT_PPM // 1_000_000
        return not least_ms - slack_ms <= self._ours(now_ns) <= latest_ms + slack_ms

    def _ours(self, now_ns: int) -> int:
        assert self._kernel is not None
        return self._kernel[0] + (now_ns - self._kernel[1]) // _MS

    def _width(self, now_ns: int) -> int:
        return self._high(now_ns) - self._low(now_ns)

    def _low(self, now_ns: int) -> int:
        assert self._lo is not None
        elapsed = now_ns - self._lo[1]
        return self._lo[0] + (elapsed - elapsed * DRIFT_PPM // 1_000_000) // _MS

    def _high(self, now_ns: int) -> int:
        assert self._hi is not None
        elapsed = now_ns - self._hi[1]
        return self._hi[0] + (elapsed + elapsed * DRIFT_PPM // 1_000_000) // _MS
