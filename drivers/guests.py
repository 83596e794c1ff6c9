"""What a person asks of a line beside its devices: reads alone, one at a time, when nothing else wants the line.

A guest waits until no poll is due and pauses after each transaction for as long as it took. On a line that is never
idle it goes ahead all the same after a while: that many transactions are what a busy line gives it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from drivers.dialects import DIALECTS
from drivers.events import Look, Looked
from drivers.port import READS, Fate, Outcome, Port, Request

MOST = 8  # that may wait at once
PATIENCE_NS = 400_000_000
RETRIES = 1  # of a garbled reply
DATA_AT = 2  # of a reply: function and length are in front


@dataclass(slots=True, eq=False)
class Guest:
    """One read on its way."""

    look: Look
    request: Request
    since_ns: int
    sent_ns: int = 0
    tries: int = 0


class Guests:
    """Those of one line."""

    def __init__(self, port: Port, dialects: frozenset[str], least_unit: int) -> None:
        """`dialects`: of the devices that are on the line; no other is spoken on it. `least_unit`: 1 where 0 is
        broadcast."""
        self._port, self._dialects, self._least_unit = port, dialects, least_unit
        self.waiting: deque[Guest] = deque()
        self.ready_ns = 0

    def add(self, look: Look, now_ns: int) -> Looked | None:
        """A new one; the answer at once if it cannot be asked."""
        request = self._request(look)
        if request is None or len(self.waiting) >= MOST:
            return Looked(look.conn, "lost")
        self.waiting.append(Guest(look, request, now_ns))
        return None

    def _request(self, look: Look) -> Request | None:
        if look.dialect:
            dialect = DIALECTS.get(look.dialect) if look.dialect in self._dialects else None
            if dialect is None or look.function not in dialect.functions or look.address + look.count > dialect.words:
                return None
            return self._port.ask(dialect, look.unit, look.function, look.address, look.count, look.response_ns)
        most = 125 if look.function in (3, 4) else 2000
        if look.function not in READS or not self._least_unit <= look.unit <= 255 or not 1 <= look.count <= most:
            return None
        return self._port.read(look.unit, look.function, look.address, look.count, look.response_ns)

    def next(self, now_ns: int, idle: bool) -> Guest | None:
        """The one that may be sent now."""
        guest = self.waiting[0]
        if not idle and now_ns - guest.since_ns < PATIENCE_NS:
            return None
        return guest

    @property
    def due_ns(self) -> int:
        """When the first of them may be sent; call only while somebody waits."""
        return max(self.ready_ns, self._port.held_until(self.waiting[0].request))

    def ended(self, guest: Guest, outcome: Outcome, now_ns: int) -> Looked | None:
        """How its transaction ended; None if it is asked once more."""
        self.ready_ns = now_ns + (now_ns - guest.sent_ns)
        guest.since_ns = now_ns
        if outcome.fate is Fate.GARBLED and guest.tries < RETRIES:
            guest.tries += 1
            return None
        if guest in self.waiting:
            self.waiting.remove(guest)
        return Looked(guest.look.conn, outcome.fate.value, outcome.data[DATA_AT:], outcome.code)

    def lost(self) -> list[Looked]:
        """The line is gone: everybody is told."""
        told = [Looked(guest.look.conn, "lost") for guest in self.waiting]
        self.waiting.clear()
        return told
