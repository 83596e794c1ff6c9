"""When to come back after a connection ended, to which broker, and whether somebody else keeps taking it. Pure.

Full jitter: a pause is drawn between the floor and a ceiling that doubles with each try. It begins afresh only after a
connection that held. A broker ends the connection of a client whose id another one uses, and MQTT 3.1.1 does not say
why; several short ones in a row say that it may be so, and are no reason to hurry: two gateways with the same keys
would throw each other out for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

S = 1_000_000_000
FIRST_SPREAD = 8  # the first pause lies between the floor and this many floors
STEADY_NS = 10 * S  # a connection that lasted this long starts the pauses afresh,
HELD_NS = 60 * S  # or this long, when
SHORT = 3  # so many before it lasted less
BIRTH_SPREAD_NS = 5 * S  # a broker that restarts hears of all its homes again: not in the same moment
SINCE_MS = 60_000  # a time that was signed this long after our birth and is for another boot: that boot lives
TELL_NS = 3600 * S


class Comeback:
    """`random(n)`: n random bytes. Times are monotonic ns."""

    def __init__(self, floor_ns: int, cap_ns: int, brokers: int, random: Callable[[int], bytes]) -> None:
        self._floor_ns = floor_ns
        self._cap_ns = max(floor_ns, cap_ns)
        self._brokers = max(1, brokers)
        self._random = random
        self._tries = 0
        self._short = 0  # connections in a row that lasted less than HELD_NS
        self._times = 0  # that a signed time was for another boot
        self._told_ns: int | None = None
        self.broker = 0  # that the next try goes to

    def ended(self, lasted_ns: int | None, now_ns: int, taken: bool = False) -> int:
        """A connection ended that had lasted so long (None: it never stood); `taken`: by another client of our id, as
        the broker says. When to try again; `broker` is next."""
        if taken:
            self._short = max(self._short + 1, SHORT)
        elif lasted_ns is not None:
            self._short = self._short + 1 if lasted_ns < HELD_NS else 0
        if not taken and lasted_ns is not None and lasted_ns >= (HELD_NS if self._short > SHORT else STEADY_NS):
            self._tries = 0
        self.broker = (self.broker + 1) % self._brokers
        ceiling = min(self._cap_ns, self._floor_ns * FIRST_SPREAD << min(self._tries, 20))
        self._tries += 1
        return now_ns + self._floor_ns + self._draw(ceiling - self._floor_ns)

    def birth_ns(self, now_ns: int) -> int:
        """When to tell of ourselves on a connection that is not our first."""
        return now_ns + self._draw(BIRTH_SPREAD_NS)

    def other(self, iat_ms: int, born_ms: int) -> None:
        """A verified time for another boot, signed at `iat_ms`; we were born at `born_ms`. A late one says nothing."""
        self._times += iat_ms >= born_ms + SINCE_MS

    def suspicion(self, now_ns: int) -> Mapping[str, object] | None:
        """The event to tell, at most once an hour: another gateway seems to live under this home's name."""
        if self._short < SHORT and not self._times:
            return None
        if self._told_ns is not None and now_ns - self._told_ns < TELL_NS:
            return None
        self._told_ns = now_ns
        evidence = "other_boot" if self._times else "taken_over"
        self._times, times = 0, self._times
        return {"event": "two_boots", "evidence": evidence, "short_connections": self._short, "other_times": times}

    def _draw(self, span_ns: int) -> int:
        return max(0, span_ns) * int.from_bytes(self._random(4), "big") // (1 << 32)
