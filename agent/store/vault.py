"""Database and floor file as one thing: numbering that never goes back, and a new beginning when the file is damaged.

Raises sqlite3.Error, OSError and CorruptError; `store` turns them into events.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path

from agent.core.durable import SIGNED_AFTER, Durable, from_json, to_json
from agent.core.inputs import Clock
from agent.mail import OutboxRow
from agent.store.chain import Head, head_of
from agent.store.database import LAST, Change, CorruptError, Database, is_corrupt, quarantine, salvage_last, was_damaged
from agent.store.floor import BLOCK, Floor, FloorFile, without_commands
from agent.store.ledger import KIND as SETTLEMENT
from agent.store.ledger import Ledger
from agent.store.salvage import Salvage, gaps, salvage


class Vault:
    """`durable` is what was last committed, or, before any commit, what the last boot left."""

    def __init__(self, path: Path, floor_path: Path, ledger_path: Path) -> None:
        self._path = path
        self._floor = FloorFile(floor_path)
        self._floor_path = floor_path
        self._db: Database | None = None
        self._text: str | None = None  # of the Durable that the database is known to hold
        self._next = 1
        self._reserved = 0
        self._floored: Durable | None = None  # that the floor file holds
        self._aside: Durable | None = None  # what the database did not take, and the floor file has
        self._unsure = False  # there was an outbox, and nothing tells how far it had come
        self._gaps: list[dict[str, object]] = []  # to be told to the aggregator before the next row
        self._salvage = Salvage()  # rows of a lost database that come again with the next row
        self._drop_from: int | None = None
        self.held: int | None = None  # rows from here on wait until the aggregator has said how far it had heard of us
        self._marked = False  # the database says so too
        self._damaged = False
        self.ledger = Ledger(ledger_path)
        self._known = False  # there was a store before this boot,
        self._lost = False  # and it is not there any more
        self._loaded = False
        self.batches = 0
        self.durable = Durable()
        self.notes: list[str] = []  # sentences for the log

    @property
    def open(self) -> bool:
        """Whether there is a database to write to."""
        return self._db is not None

    @property
    def last(self) -> int:
        """Highest sequence number in use."""
        return self._next - 1

    @property
    def sent(self) -> int:
        """Highest sequence number that can have gone out."""
        return self.last if self.held is None else self.held - 1

    @property
    def after_ms(self) -> int:
        """What was signed up to then is not taken any more, on the disk. 0: nothing of the kind."""
        return next((window.high for name, window in self.durable.windows if name == SIGNED_AFTER), 0)

    @property
    def floor_due(self) -> bool:
        """The floor file lags behind the Durable."""
        return without_commands(self.durable) != self._floored

    @property
    def owes(self) -> bool:
        """Rows below the next one are to come again with it: whoever asks for rows before would pass them over."""
        return bool(self._salvage.rows)

    # --- opening -----------------------------------------------------------------------------------------------------
    def load(self) -> None:
        """Open for the first time of this boot. After an exception `durable` is the floor's, or empty."""
        self._known = self._path.exists() or self._floor_path.exists()
        floor = self._floor.read()
        if floor is not None:
            self.durable = self._floored = floor.durable
            self._next = self._reserved = floor.reserved
            if floor.ahead:
                self._floored, self._aside = None, floor.durable
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._begin()

    def reopen(self) -> None:
        """After an error: open if need be, and prove with a real write that the disk takes one."""
        if self._db is None and self._loaded:
            self._open()
        elif self._db is None:
            self._begin()
        self.commit(Change(to_json(self.durable)))

    def _begin(self) -> None:
        """Open and take over what the last boot left; a new file begins above every number that was used."""
        salvaged = self._open()
        assert self._db is not None
        text, last = self._db.durable(), self._db.last()
        if text is not None:
            self._text, self.durable = text, from_json(text)
        if last:
            self._next = last + 1
        elif self._known and not self._unwritten(text, salvaged):
            self._next = max(self._next, salvaged + BLOCK)
            self._lost = text is None or self._next > 1 + BLOCK  # after a loss, only the Durable may have been written
        if self._lost:
            self._unsure = self._floored is None and salvaged == 0
            self._gaps, self._salvage = [_lost(self._next)], salvage(self.ledger.archive)
        if self._aside is not None:
            self._text, self.durable = None, self._aside
        if self._lost and not self.durable.account:
            self.durable = dataclasses.replace(self.durable, account=self._salvage.account)
        mark = self._db.held()
        self.held, self._marked = mark or self._next, mark is not None
        self._loaded = True

    def _unwritten(self, text: str | None, salvaged: int) -> bool:
        """Nothing was ever committed: the first start of all ended before its first row, and left an empty file."""
        nothing = text is None and salvaged == 0 and self._floored is None and self._aside is None
        return nothing and not was_damaged(self._path) and not self.ledger.archive.months()

    def _open(self) -> int:
        """Open, or quarantine and begin a new file; the highest number that a damaged one still showed."""
        salvaged = 0
        try:
            if self._damaged:
                raise CorruptError("SQLite found damage while it ran")
            self._db = _sound(self._path)
        except (sqlite3.Error, CorruptError) as error:
            if not is_corrupt(error):
                raise
            salvaged = salvage_last(self._path)
            moved = quarantine(self._path)
            self._damaged, self._drop_from, self._marked = False, None, False
            self._text, self._gaps, self._salvage = None, [_lost(self._next)], salvage(self.ledger.archive)
            self.notes.append(
                f"the store {self._path} was damaged ({error}) and is kept as {moved.name}; a new one is begun,"
                " and rows that the aggregator had not receipted are lost"
            )
            self._db = Database(self._path)
        self.batches = self._db.batches()
        return salvaged

    # --- writing -----------------------------------------------------------------------------------------------------
    def write(
        self, durable: Durable | None, new: list[tuple[str, bytes]], clock: Clock, mono_ms: int, forget: Change
    ) -> tuple[OutboxRow, ...]:
        """Number the rows (kind, payload) and commit them, with `durable` if it changed, and what `forget` says."""
        if self._unsure and new:
            before = self._next
            self._next = max(self._next, clock.wall_ms // 1000)  # fewer rows than seconds, ever
            self._unsure, self._gaps = False, [_lost(self._next)]
            self.held = self._next if self.held == before else self.held
        again: tuple[OutboxRow, ...] = ()
        if self._gaps and new:
            again = tuple(self._salvage.again(self.ledger.seal, self._next))
            gone = [part for gap in self._gaps for part in gaps(gap, [row.seq for row in again])]
            new = [*[("event", encode(gap)) for gap in gone], *new]
        stamp = (clock.boot, clock.wall_ms, mono_ms, str(clock.trust))
        if any(kind == SETTLEMENT for kind, _ in new):
            self._open_ledger()
            new = [*[(SETTLEMENT, encode(body)) for body in self.ledger.before()], *new]
        plain = tuple(OutboxRow(self._next + i, kind, *stamp, payload) for i, (kind, payload) in enumerate(new))
        rows, tokens, head = self.ledger.chained(plain)
        chain = head.text() if tokens else None
        mark = self.held if rows and not self._marked else None
        self.commit(
            dataclasses.replace(forget, durable=self._changed(durable), rows=rows, chain=chain, held=mark, anew=again)
        )
        self._marked = self._marked or mark is not None
        self.ledger.committed(rows, tokens, head)
        if new:
            self._gaps, self._salvage = [], Salvage()
        if durable is not None:
            self.durable = durable
            self._caught_up()
        return rows

    def anchor(self, last: int) -> int:
        """The aggregator's highest row of us is `last`: number what was held above it, if it is among those. By how
        much they are higher now; from here on rows may go out as they come."""
        held = self.held
        if held is None:
            return 0
        if last >= held:
            return self._put_back(held, last)
        if self._marked:
            self.commit(Change(held=0))
        self.held, self._marked = None, False
        return 0

    def _put_back(self, held: int, last: int) -> int:
        """This store is an image of before: what was written since is numbered, and chained, above what was lost."""
        assert self._db is not None
        self._open_ledger()
        top = max(last, self._next - 1) + 1
        first = self._db.after(held - 1, 1)
        below = LAST if self._drop_from is None else self._drop_from
        written = [row for row in self._db.settlement(held - 1) if row.seq < below]
        restored = self.ledger.put_back(held, written, last + 1 - held)
        shift = top + 1 - held
        rows: tuple[OutboxRow, ...] = ()
        tokens: list[bytes] = []
        head = self.ledger.head
        if first and first[0].seq < below:  # else nothing was written, and the next record of the chain says it
            says = dataclasses.replace(first[0], seq=top, kind=SETTLEMENT, payload=encode(restored.begins))
            moved = [dataclasses.replace(row, seq=row.seq + shift) for row in restored.rows]
            rows, tokens, head = self.ledger.chained([says, *moved], restored.base)
        chain = head.text() if tokens else None
        self.commit(Change(held=0, shift=(held, shift), anew=rows, chain=chain))
        self.held, self._marked = None, False
        self.ledger.went_back(restored)
        self.ledger.committed(rows, tokens, head)
        gap = {"event": "gap", "reason": "store_replaced", "first": held, "last": top - 1 if rows else top}
        self._gaps = [_lost(self._next) if self._gaps else gap]
        return shift

    def receipted(self, n: int, digest: str, token: bytes, wall_ms: int) -> str | None:
        """A signed receipt over the settlement chain; a sentence if it is not over ours."""
        self._open_ledger()
        return self.ledger.receipted(n, digest, token, wall_ms)

    def _open_ledger(self) -> None:
        if self.ledger.opened or self._db is None:
            return
        try:
            kept = head_of(self._db.chain())
        except ValueError as error:
            self.notes.append(str(error))
            kept = Head()
        try:
            self.ledger.open(kept, self._db.settlement, self._lost)
        except OSError as error:
            self.notes.append(f"the archive of settlement cannot be read ({error}): the chain goes on by the store's")

    def skip(self, used: int) -> None:
        """Numbers up to `used` belong to rows of another: the next one is above them, and the aggregator is told, of
        none that is ours: rows that it does not have yet come."""
        first, self._next = self._next, used + 1
        untold = self._gaps[-1] if self._gaps else {"last": None}
        if untold["last"] == first - 1:
            self._gaps[-1] = {**untold, "last": used}
        else:
            self._gaps.append({**_lost(self._next), "first": first})

    def keep_aside(self, durable: Durable) -> None:
        """What must not be forgotten while the database takes nothing; it counts for more than the database until that
        takes a `Durable` again."""
        self._aside = durable
        self.sync_floor()

    def _caught_up(self) -> None:
        if self._aside is not None:
            self._aside = None
            with contextlib.suppress(OSError):  # it is due still, then
                self.sync_floor()

    def commit(self, change: Change) -> None:
        """One transaction; numbers are reserved in the floor file before they are used."""
        if self._db is None:
            raise OSError("the store is not open")
        after = self._next + len(change.rows) + change.shift[1]
        if after > self._reserved:
            self._put_floor(after + BLOCK, self.durable)
        chain = change.chain
        if chain is None and self._drop_from is not None and self.ledger.opened:
            chain = self.ledger.head.text()  # what is dropped may have moved it
        archived = self.ledger.archived_seq
        self._db.commit(dataclasses.replace(change, drop_from=self._drop_from, chain=chain, archived=archived))
        self._drop_from = None
        self._text = change.durable or self._text
        self._next = after
        self.batches += sum(1 for row in change.rows if row.kind == "batch")
        if change.receipted_to or change.also or change.evict_to:
            self.batches = self._db.batches()

    def _changed(self, durable: Durable | None) -> str | None:
        """The JSON to write; None = the database has it."""
        if durable is None or (durable == self.durable and self._text is not None):
            return None
        text = to_json(durable)
        return None if text == self._text else text

    def evict(self, count: int) -> tuple[int, list[tuple[str, bytes]]]:
        """Where the oldest `count` telemetry rows end, and rows that tell of the gaps that they leave: none of these
        spans a row that is kept, for whoever believes it gives up all that it spans."""
        if not count:
            return 0, []
        assert self._db is not None
        found = self._db.oldest_batches(count)
        gap = {"event": "gap", "reason": "telemetry_limit", "kind": "batch"}
        gone = [("event", encode({**gap, "first": first, "last": last})) for first, last in found]
        return found[-1][1] if found else 0, gone

    def after(self, seq: int, limit: int, batches: bool | None = None, upto: int = LAST) -> list[OutboxRow]:
        """Rows above `seq`, up to `upto`, in order; `batches` as in the database."""
        return [] if self._db is None else self._db.after(seq, limit, batches, upto)

    def kept(self, seqs: Collection[int]) -> list[int]:
        """Those of them that are rows, in order."""
        return [] if self._db is None else self._db.kept(seqs)

    def first(self) -> int | None:
        """Lowest row that is kept."""
        return None if self._db is None else self._db.first()

    def stretches(self, first: int, last: int, most: int) -> list[tuple[int, int]]:
        """What is kept between those two."""
        return [] if self._db is None else self._db.stretches(first, last, most)

    def sync_floor(self) -> None:
        """Bring the floor file up to the Durable."""
        self._put_floor(self._reserved, self.durable)

    def _put_floor(self, reserved: int, durable: Durable) -> None:
        aside = self._aside
        self._floor.write(Floor(reserved, durable if aside is None else aside, aside is not None))
        self._reserved, self._floored = reserved, without_commands(durable) if aside is None else None

    # --- closing -----------------------------------------------------------------------------------------------------
    def abandon(self, damaged: bool) -> None:
        """After an error: let go of the connection. The failed transaction may lie in the WAL; `reopen` removes it."""
        if self._db is not None:
            self._db.abandon()
            self._db = None
        self._damaged = self._damaged or damaged
        if self._loaded:
            self._drop_from = self._next

    def close(self) -> None:
        """The clean end."""
        if self._db is not None:
            self._db.close()
            self._db = None


def encode(body: Mapping[str, object]) -> bytes:
    """A record's body as the outbox holds it: compact JSON."""
    return json.dumps(body, separators=(",", ":"), default=str).encode("utf-8")


def _sound(path: Path) -> Database:
    """The database, if the file is sound and its Durable readable."""
    db = Database(path)
    try:
        text = db.durable()
        if text is not None:
            from_json(text)
    except ValueError as error:
        db.abandon()
        raise CorruptError(str(error)) from error
    except BaseException:
        db.abandon()
        raise
    return db


def _lost(following: int) -> dict[str, object]:
    """Every row below `following` that the aggregator does not have will never come."""
    return {"event": "gap", "reason": "store_replaced", "first": None, "last": following - 1}
