"""What the link may believe of the time: an interval that signed times narrow, and the kernel's clock inside it. Pure.

A signed `time` says: it was `wall_ms` at some moment between the first publication of this boot's nonce and its
arrival. So true time is at least `wall_ms` on arrival, and at most that plus the round trip: a broker that holds
messages back can make the interval wider, never wrong. Both ends run on by the monotonic clock and drift apart by its
worst error.
"""

from __future__ import annotations

from agent.core.inputs import Clock, ClockTrust

DRIFT_PPM = 200
_MS = 1_000_000


class LinkClock:
    """Monotonic ns in, UTC ms out."""

    def __init__(self) -> None:
        self._kernel: tuple[int, int] | None = None  # (wall ms, monotonic ns) of the latest sample
        self._trust = ClockTrust.UNTRUSTED
        self._lo: tuple[int, int] | None = None
        self._hi: tuple[int, int] | None = None

    @property
    def trust(self) -> ClockTrust:
        """How far the agent's clock may be believed, as the latest sample had it."""
        return self._trust

    @property
    def known(self) -> bool:
        """Whether `read` is good enough to judge `exp`."""
        return self._lo is not None or (self._kernel is not None and self._trust is not ClockTrust.UNTRUSTED)

    def kernel(self, clock: Clock, at_ns: int) -> None:
        """The agent's clock, as control has it."""
        self._kernel = (clock.wall_ms, at_ns)
        self._trust = clock.trust

    def signed(self, wall_ms: int, first_asked_ns: int, now_ns: int) -> None:
        """A verified `time` that echoes this boot's nonce, first published at `first_asked_ns`."""
        if self._lo is None or wall_ms > self._low(now_ns):
            self._lo = (wall_ms, now_ns)
        latest = wall_ms + (now_ns - first_asked_ns) // _MS
        if self._hi is None or latest < self._high(now_ns):
            self._hi = (latest, now_ns)

    def read(self, now_ns: int) -> int | None:
        """UTC ms, or None if nothing at all is known."""
        kernel = None if self._kernel is None else self._kernel[0] + (now_ns - self._kernel[1]) // _MS
        if self._lo is None:
            return kernel
        if kernel is None or self._trust is ClockTrust.UNTRUSTED:
            return self._low(now_ns)
        return max(self._low(now_ns), min(kernel, self._high(now_ns)))

    def least(self, now_ns: int) -> int | None:
        """UTC ms that it is at least, as far as anybody knows: by signed times, else by a kernel's clock that is
        believed; None if nobody does."""
        if self._lo is not None:
            return self._low(now_ns)
        return self.read(now_ns) if self.known else None

    def signed_ms(self, now_ns: int) -> int | None:
        """The least that signed times alone say it is now."""
        return None if self._lo is None else self._low(now_ns)

    def _low(self, now_ns: int) -> int:
        assert self._lo is not None
        elapsed = now_ns - self._lo[1]
        return self._lo[0] + (elapsed - elapsed * DRIFT_PPM // 1_000_000) // _MS

    def _high(self, now_ns: int) -> int:
        assert self._hi is not None
        elapsed = now_ns - self._hi[1]
        return self._hi[0] + (elapsed + elapsed * DRIFT_PPM // 1_000_000) // _MS
