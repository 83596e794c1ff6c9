"""The device's own heartbeat: a counter that stands still says that nobody is at home behind the registers."""

from __future__ import annotations

STILL_NS = 5_000_000_000  # SunSpec 715 advances it every second


class Pulse:
    """Of one device."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._moved_ns = 0

    def heard_ns(self, beat: int | None, at_ns: int) -> int:
        """How old what it says counts: `at_ns` while the counter moves, else when it last did. None: it has none."""
        if beat is None:
            return at_ns
        if beat != self._last:
            self._last, self._moved_ns = beat, at_ns
        return at_ns if at_ns - self._moved_ns <= STILL_NS else self._moved_ns
