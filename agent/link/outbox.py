"""Which row of the store is published when. Pure: rows, PUBACKs and receipts in; publications and loads out.

A row leaves the store only by the aggregator's signed receipt. Acks, events and settlement go first, also those that an
earlier start left: the store is read in two streams, in order within each. Telemetry of the past is paced: two at a
time, and after each as long a pause as its way took, so that what is said now finds room on the line. What has a PUBACK
but no receipt goes out again after a growing pause, or soon when a receipt skips it: the store is read again from
there, so that memory stays bounded however long an outage.

Rows from `held` on wait until the aggregator has said how far the numbers of this home had come: those of a disk that
was put back to an older image would else be numbers that it has seen already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.mail import OutboxRow

IN_FLIGHT = 20  # paho queues 150 ms and more behind an uncapped publisher
BULK_IN_FLIGHT = 2  # telemetry: what a live record may have to wait for
PACE_NS = 50_000_000  # between two rows of telemetry: a week in ten minutes, and most of a small processor left
PACE_MAX_NS = 5_000_000_000
UNRECEIPTED = 256  # telemetry stops this many rows ahead of the receipts
URGENT_MAX = 512
LOAD_ROWS = 16  # of telemetry at a time
URGENT_ROWS = 64  # smaller ones: each look at the store wakes another thread
GAP_NS = 2_000_000_000  # a row that a receipt skips goes out again this long after its PUBACK: it may only be late


@dataclass(frozen=True, slots=True)
class Load:
    """Ask the store for up to `limit` rows after `after`: of telemetry, or of all that is not."""

    after: int
    limit: int
    batches: bool


@dataclass(slots=True)
class _Stream:
    """Rows of one urgency. Every one up to `cursor` was taken from the store; `rows` wait to be published."""

    most: int
    load: int  # rows of one look at the store
    cursor: int = 0
    rows: dict[int, OutboxRow] = field(default_factory=dict)


class Outbox:
    """One connection after the other; `seq` is the publication's token."""

    def __init__(self, resend_ns: int, resend_cap_ns: int) -> None:
        self._resend_ns = self._pause_ns = resend_ns
        self._resend_cap_ns = resend_cap_ns
        self._up = False
        self._urgent = _Stream(URGENT_MAX, URGENT_ROWS)
        self._bulk = _Stream(2 * LOAD_ROWS, LOAD_ROWS)
        self._flying: dict[int, tuple[OutboxRow, int]] = {}  # and since when
        self._sent: dict[int, int] = {}  # has a PUBACK, waits for its receipt: seq -> since when
        self._sent_bulk: set[int] = set()
        self._pace_ns = 0
        self._first: int | None = None  # lowest seq that the store still had at start
        self._held: int | None = 0  # rows from here on wait; 0 = until the store has said from where
        self._last = 0  # highest seq of the store
        self._loading: tuple[_Stream, int] | None = None  # the Load that is under way, and its `after`
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
        back = {seq: row for seq, (row, _) in self._flying.items() if row.kind != "batch"}
        self._urgent.rows = dict(sorted((back | self._urgent.rows).items()))
        lost = [seq for seq, (row, _) in self._flying.items() if row.kind == "batch"]
        self._flying.clear()
        self._drop_bulk(lost)

    def stored(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that have just come to the disk."""
        for row in rows:
            if row.seq <= self._last:
                continue
            before, self._last = self._last, row.seq
            if self._held is not None or not self._asked:
                continue
            for stream in (self._urgent, self._bulk):
                level = stream.cursor == before and (self._loading is None or self._loading[0] is not stream)
                mine = stream is self._stream_of(row)
                if mine and not self._keep(stream, row, level):
                    continue  # the cursor comes to it
                if level:
                    stream.cursor = row.seq

    def _keep(self, stream: _Stream, row: OutboxRow, level: bool) -> bool:
        """Take a row of now without a look at the store, where there is room."""
        if len(stream.rows) >= stream.most or (stream is self._bulk and not (level and self._up)):
            return False
        stream.rows[row.seq] = row
        return True

    def backlog(
        self, rows: tuple[OutboxRow, ...], last: int, first: int | None = None, held: int | None = None
    ) -> None:
        """The store's answer to a Load."""
        loading, self._loading = self._loading, None
        self._last = max(self._last, last)
        self._held = held
        if self._first is None:
            self._first = first or (rows[0].seq if rows else last + 1)
        if loading is None or loading[0].cursor < loading[1]:
            return  # rewound since: it is asked again from further back
        stream = loading[0]
        for row in rows:
            if row.seq > self._top:
                break
            if not self._take_in(row):
                return
            stream.cursor = max(stream.cursor, row.seq)
        if len(rows) < stream.load or rows[-1].seq > self._top:
            stream.cursor = max(stream.cursor, min(last, self._top))
        if not self._up:
            self._drop_bulk([])

    def anchored(self, shift: int, last: int) -> None:
        """Rows that were held have their numbers, `shift` above those that were told, and go out."""
        if self._first is not None and self._held is not None and self._first >= self._held > 0:
            self._first += shift
        self._held = None
        self._last = max(self._last, last)

    def acked(self, seq: int, now_ns: int) -> None:
        """PUBACK."""
        row, since_ns = self._flying.pop(seq, (None, 0))
        if row is None:
            return
        self._sent[seq] = now_ns
        if row.kind == "batch":
            self._sent_bulk.add(seq)
            self._pace_ns = max(self._pace_ns, now_ns + min(now_ns - since_ns, PACE_MAX_NS))

    def receipted(self, upto: int, also: Iterable[int]) -> None:
        """The aggregator has these. One for more rows than there are is none of ours."""
        if upto > self._last:
            return
        gone = set(also)
        before = self.unsent
        for stream in (self._urgent, self._bulk):
            stream.rows = {seq: row for seq, row in stream.rows.items() if seq > upto and seq not in gone}
            stream.cursor = max(stream.cursor, min(upto, self._top))
        self._sent = {seq: at for seq, at in self._sent.items() if seq > upto and seq not in gone}
        self._sent_bulk.intersection_update(self._sent)
        self._flying = {seq: row for seq, row in self._flying.items() if seq > upto and seq not in gone}
        if self.unsent < before:
            self._pause_ns = self._resend_ns
        self._notice_gaps(max((seq for seq in gone if seq <= self._last), default=0))

    # --- what to do --------------------------------------------------------------------------------------------------
    def due(self, now_ns: int) -> tuple[list[OutboxRow], Load | None]:
        """Rows to publish now, and what to ask the store for."""
        if self._up:
            self._expire(now_ns)
        rows = list(self._take(now_ns)) if self._up else []
        return rows, self._load()

    @property
    def wake_ns(self) -> int | None:
        """When `due` has something new to say by time alone."""
        if not self._up:
            return None
        times = [min(self._sent.values()) + self._pause_ns] if self._sent else []
        if self._bulk.rows and self._room:
            times.append(self._pace_ns)
        return min(times, default=None)

    @property
    def unsent(self) -> int:
        """Rows that wait for a receipt; those not yet taken from the store are counted by their numbers."""
        held = [*self._urgent.rows, *self._flying, *self._sent, *self._bulk.rows]
        ahead = sum(1 for seq in held if seq > self._bulk.cursor)
        return len(held) + max(0, self._last - self._bulk.cursor - ahead)

    @property
    def idle(self) -> bool:
        """Nothing is on its way and nothing more can be sent without the store."""
        return not (self._flying or self._urgent.rows or self._bulk.rows)

    @property
    def span(self) -> tuple[int | None, int]:
        """Lowest seq that may still come from before this boot (None: not known yet), and the highest so far."""
        return self._first, self._last

    @property
    def holds(self) -> bool:
        """Whether rows of this start still wait for the aggregator's word."""
        return self._held is not None

    # --- inside ------------------------------------------------------------------------------------------------------
    def _load(self) -> Load | None:
        if self._loading is not None:
            return None
        for stream in (self._urgent, self._bulk):
            room = self._up and len(stream.rows) < stream.load // 2 and (stream is self._urgent or self._room)
            if not self._asked or (room and stream.cursor < self._top):
                self._asked = True
                self._loading = (stream, stream.cursor)
                return Load(stream.cursor, stream.load, stream is self._bulk)
        return None

    def _take(self, now_ns: int) -> Iterable[OutboxRow]:
        for seq in sorted(self._urgent.rows):
            if len(self._flying) >= IN_FLIGHT:
                return
            row = self._urgent.rows.pop(seq)
            self._flying[seq] = (row, now_ns)
            yield row
        if self._bulk.rows and self._room and now_ns >= self._pace_ns:
            row = self._bulk.rows.pop(min(self._bulk.rows))
            self._flying[row.seq] = (row, now_ns)
            self._pace_ns = now_ns + PACE_NS
            yield row

    @property
    def _top(self) -> int:
        """Highest seq that may go out."""
        return self._last if self._held is None else min(self._last, self._held - 1)

    @property
    def _room(self) -> bool:
        """Whether another row of telemetry may be on its way."""
        bulk = sum(1 for row, _ in self._flying.values() if row.kind == "batch")
        full = len(self._sent_bulk) + bulk >= UNRECEIPTED
        return bulk < BULK_IN_FLIGHT and len(self._flying) < IN_FLIGHT and not full

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
        bulk = [seq for seq in late if seq in self._sent_bulk]
        self._sent_bulk.difference_update(bulk)
        self._drop_bulk(bulk)
        _rewind(self._urgent, [seq for seq in late if seq not in set(bulk)])

    def _drop_bulk(self, lost: list[int]) -> None:
        """Waiting telemetry is read again, in order with what was lost."""
        _rewind(self._bulk, [*lost, *self._bulk.rows])
        self._bulk.rows.clear()

    def _notice_gaps(self, newest: int) -> None:
        """The aggregator has `newest`, not what the broker took before it, as when we came back from an outage before
        it was: those rows do not wait for the pause."""
        for seq, at_ns in self._sent.items():
            if seq < newest:
                self._sent[seq] = min(at_ns, at_ns - self._pause_ns + GAP_NS)

    def _stream_of(self, row: OutboxRow) -> _Stream:
        return self._bulk if row.kind == "batch" else self._urgent

    def _take_in(self, row: OutboxRow) -> bool:
        """Put a row of the store in its queue; False if there is no room for it now."""
        seq, stream = row.seq, self._stream_of(row)
        if seq <= stream.cursor or seq in self._flying or seq in self._sent or seq in stream.rows:
            return True
        if len(stream.rows) >= stream.most:
            return False
        stream.rows[seq] = row
        return True


def _rewind(stream: _Stream, lost: list[int]) -> None:
    if lost:
        stream.cursor = min(stream.cursor, min(lost) - 1)
