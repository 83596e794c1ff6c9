"""Which row of the store is published when. Pure: rows, PUBACKs and receipts in; publications and loads out.

A row leaves the store only by the aggregator's signed receipt. Rows go out in order, at most `IN_FLIGHT` without a
PUBACK; acks, events and settlement of now overtake the telemetry of the past. What has a PUBACK but no receipt goes out
again after a growing pause, or soon when a receipt skips it: the store is read again from there, so that memory stays
bounded however long an outage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from agent.mail import OutboxRow

IN_FLIGHT = 20  # paho queues 150 ms and more behind an uncapped publisher
BULK_IN_FLIGHT = 8  # telemetry leaves room for acks
UNRECEIPTED = 256  # telemetry stops this many rows ahead of the receipts
URGENT_MAX = 512
LOAD_ROWS = 16
GAP_NS = 2_000_000_000  # a row that a receipt skips goes out again this long after its PUBACK: it may only be late


@dataclass(frozen=True, slots=True)
class Load:
    """Ask the store for up to `limit` rows after `after`."""

    after: int
    limit: int


class Outbox:
    """One connection after the other; `seq` is the publication's token."""

    def __init__(self, resend_ns: int, resend_cap_ns: int) -> None:
        self._resend_ns = self._pause_ns = resend_ns
        self._resend_cap_ns = resend_cap_ns
        self._up = False
        self._urgent: dict[int, OutboxRow] = {}
        self._bulk: deque[OutboxRow] = deque()
        self._flying: dict[int, OutboxRow] = {}
        self._sent: dict[int, int] = {}  # has a PUBACK, waits for its receipt: seq -> since when
        self._first: int | None = None  # lowest seq that the store still had at start
        self._cursor = 0  # every row up to here was taken from the store
        self._last = 0  # highest seq of the store
        self._loading: int | None = None  # the `after` of the Load that is under way
        self._asked = False  # the store was asked at least once

    # --- what happens ------------------------------------------------------------------------------------------------
    def connected(self) -> None:
        """A new connection: what was on its way goes out again, and what the old broker had may have died with it."""
        self._up = True
        if self._pause_ns == self._resend_ns:  # not on every connection of a line that flaps without receipts
            self._again(list(self._sent))

    def disconnected(self) -> None:
        """The connection is gone, and with it every PUBACK that was still to come."""
        self._up = False
        back = {seq: row for seq, row in self._flying.items() if row.kind != "batch"}
        self._urgent = dict(sorted((back | self._urgent).items()))
        lost = [row.seq for row in self._flying.values() if row.kind == "batch"] + [row.seq for row in self._bulk]
        self._flying.clear()
        self._bulk.clear()
        self._rewind(lost)

    def stored(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that have just come to the disk."""
        for row in rows:
            if row.seq <= self._last:
                continue
            level = self._asked and self._loading is None and self._cursor == self._last
            self._last = row.seq
            if row.kind != "batch" and len(self._urgent) < URGENT_MAX:
                self._urgent[row.seq] = row
            elif level and self._up:
                self._bulk.append(row)
            else:
                continue  # the cursor comes to it
            if level:
                self._cursor = row.seq

    def backlog(self, rows: tuple[OutboxRow, ...], last: int) -> None:
        """The store's answer to a Load."""
        asked, self._loading = self._loading, None
        self._last = max(self._last, last)
        if self._first is None:
            self._first = rows[0].seq if rows else last + 1
        if asked is None or self._cursor < asked:
            return  # rewound since: it is asked again from further back
        for row in rows:
            if not self._take_in(row):
                return
            self._cursor = max(self._cursor, row.seq)
        if len(rows) < LOAD_ROWS:
            self._cursor = max(self._cursor, last)
        if not self._up:
            self._rewind([row.seq for row in self._bulk])
            self._bulk.clear()

    def acked(self, seq: int, now_ns: int) -> None:
        """PUBACK."""
        if self._flying.pop(seq, None) is not None:
            self._sent[seq] = now_ns

    def receipted(self, upto: int, also: Iterable[int]) -> None:
        """The aggregator has these."""
        gone = set(also)
        before = self.unsent
        self._urgent = {seq: row for seq, row in self._urgent.items() if seq > upto and seq not in gone}
        self._bulk = deque(row for row in self._bulk if row.seq > upto and row.seq not in gone)
        self._sent = {seq: at for seq, at in self._sent.items() if seq > upto and seq not in gone}
        self._flying = {seq: row for seq, row in self._flying.items() if seq > upto and seq not in gone}
        self._cursor = max(self._cursor, min(upto, self._last))
        if self.unsent < before:
            self._pause_ns = self._resend_ns
        self._notice_gaps(max(gone, default=0))

    # --- what to do --------------------------------------------------------------------------------------------------
    def due(self, now_ns: int) -> tuple[list[OutboxRow], Load | None]:
        """Rows to publish now, and what to ask the store for."""
        if self._up:
            self._expire(now_ns)
        rows = list(self._take()) if self._up else []
        want = not self._asked or (self._up and len(self._bulk) < LOAD_ROWS // 2 and self._cursor < self._last)
        if not want or self._loading is not None or self._full():
            return rows, None
        self._asked = True
        self._loading = self._cursor
        return rows, Load(self._cursor, LOAD_ROWS)

    @property
    def wake_ns(self) -> int | None:
        """When `due` has something new to say by time alone."""
        return min(self._sent.values()) + self._pause_ns if self._up and self._sent else None

    @property
    def unsent(self) -> int:
        """Rows that wait for a receipt; those not yet taken from the store are counted by their numbers."""
        held = [*self._urgent, *self._flying, *self._sent, *(row.seq for row in self._bulk)]
        ahead = sum(1 for seq in held if seq > self._cursor)
        return len(held) + max(0, self._last - self._cursor - ahead)

    @property
    def idle(self) -> bool:
        """Nothing is on its way and nothing more can be sent without the store."""
        return not (self._flying or self._urgent or self._bulk)

    @property
    def span(self) -> tuple[int | None, int]:
        """Lowest seq that may still come from before this boot (None: not known yet), and the highest so far."""
        return self._first, self._last

    # --- inside ------------------------------------------------------------------------------------------------------
    def _take(self) -> Iterable[OutboxRow]:
        for seq in sorted(self._urgent):
            if len(self._flying) >= IN_FLIGHT:
                return
            self._flying[seq] = self._urgent.pop(seq)
            yield self._flying[seq]
        bulk = sum(1 for row in self._flying.values() if row.kind == "batch")
        while self._bulk and bulk < BULK_IN_FLIGHT and len(self._flying) < IN_FLIGHT and not self._full():
            row = self._bulk.popleft()
            self._flying[row.seq] = row
            bulk += 1
            yield row

    def _full(self) -> bool:
        return len(self._sent) + len(self._flying) >= UNRECEIPTED

    def _expire(self, now_ns: int) -> None:
        if not self._sent or min(self._sent.values()) + self._pause_ns > now_ns:
            return
        self._again([seq for seq, at in self._sent.items() if at + self._pause_ns <= now_ns])

    def _again(self, late: list[int]) -> None:
        if not late:
            return
        for seq in late:
            del self._sent[seq]
        self._pause_ns = min(self._pause_ns * 2, self._resend_cap_ns)
        self._rewind([*late, *(row.seq for row in self._bulk)])
        self._bulk.clear()

    def _notice_gaps(self, newest: int) -> None:
        """The aggregator has `newest`, not what the broker took before it, as when we came back from an outage before
        it was: those rows do not wait for the pause."""
        for seq, at_ns in self._sent.items():
            if seq < newest:
                self._sent[seq] = min(at_ns, at_ns - self._pause_ns + GAP_NS)

    def _rewind(self, lost: list[int]) -> None:
        if lost:
            self._cursor = min(self._cursor, min(lost) - 1)

    def _take_in(self, row: OutboxRow) -> bool:
        """Put a row of the store in its queue; False if there is no room for it now."""
        seq = row.seq
        known = seq in self._flying or seq in self._sent or seq in self._urgent
        if seq <= self._cursor or known or any(waiting.seq == seq for waiting in self._bulk):
            return True
        if row.kind == "batch":
            self._bulk.append(row)
        elif len(self._urgent) < URGENT_MAX:
            self._urgent[seq] = row
        else:
            return False
        return True
