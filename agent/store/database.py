"""The one SQLite file: `Durable` and the outbox. Raises sqlite3.Error and OSError; `store` turns them into events.

WAL and synchronous=FULL: what was committed survives a power cut. Pages of 512 bytes: a commit of one small row then
writes 14 kB less than with 4096, and bytes are what wears out an SD card.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from agent.mail import OutboxRow
from agent.store.slots import sync_directory

PAGE = 512
CHECKPOINT_PAGES = 8000  # 4 MB of WAL
QUARANTINED_KEPT = 2
_SIDE_FILES = ("", "-wal", "-shm")
_COLUMNS = "seq, kind, boot, wall_ms, mono_ms, clock, payload"
_PRAGMAS = (
    f"PRAGMA page_size = {PAGE}",
    "PRAGMA locking_mode = EXCLUSIVE",  # one process, no shared memory file
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    "PRAGMA cache_size = -512",
    "PRAGMA temp_store = MEMORY",
)
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY, json TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, boot TEXT NOT NULL,
    wall_ms INTEGER NOT NULL, mono_ms INTEGER NOT NULL, clock TEXT NOT NULL, payload BLOB NOT NULL)""",
)
VERSION = 1
LAST = (1 << 63) - 1
_DURABLE, CHAIN, _HELD = 1, 2, 3  # ids in `state`
_GONE = "DELETE FROM outbox WHERE seq < ? AND (kind != 'settlement' OR seq <= ?) AND"
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class CorruptError(Exception):
    """The file is not a sound database of ours."""


def is_corrupt(error: Exception) -> bool:
    """Whether the file itself is damaged, rather than the disk full, read-only or failing."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, CorruptError) or (code is not None and code & 0xFF in _CORRUPT)


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction does. `durable` None: unchanged."""

    durable: str | None = None
    rows: tuple[OutboxRow, ...] = ()
    receipted_to: int = 0  # forget rows up to here,
    also: tuple[int, ...] = ()  # and these
    evict_to: int = 0  # forget telemetry up to here
    chain: str | None = None  # where the settlement chain stands; None: unchanged
    archived: int = 0  # settlement rows above it stay, whatever was receipted
    drop_from: int | None = None  # rows from here on were never confirmed to anyone: remove them first
    held: int | None = None  # rows from here on may not go out yet; 0: all may; None: unchanged
    shift: tuple[int, int] = (0, 0)  # rows from the first on get numbers higher by the second, at least their count
    anew: tuple[OutboxRow, ...] = ()  # then these take the place of those of their numbers


class Database:
    """One connection. `check`: read the whole file once."""

    def __init__(self, path: Path, check: bool = True) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.1)
        try:
            self._open(check)
        except BaseException:
            self._db.close()
            raise

    def _open(self, check: bool) -> None:
        for pragma in _PRAGMAS:
            self._db.execute(pragma)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise CorruptError(f"the file is of version {version}, this program writes version {VERSION}")
        if check:
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise CorruptError(str(found))
        if version == 0:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def durable(self) -> str | None:
        """The JSON of `Durable`, if one was ever committed."""
        return self._state(_DURABLE)

    def chain(self) -> str | None:
        """Where the settlement chain stands, as it was last committed."""
        return self._state(CHAIN)

    def _state(self, row_id: int) -> str | None:
        row = self._db.execute("SELECT json FROM state WHERE id = ?", (row_id,)).fetchone()
        return None if row is None else str(row[0])

    def settlement(self, after: int) -> list[OutboxRow]:
        """Settlement rows above `after`, in order."""
        query = f"SELECT {_COLUMNS} FROM outbox WHERE seq > ? AND kind = 'settlement' ORDER BY seq"
        return [OutboxRow(*row) for row in self._db.execute(query, (after,))]

    def last(self) -> int:
        """Highest sequence number; 0 = none. The newest row is never deleted, so this never goes back."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM outbox").fetchone()[0])

    def kept(self, seqs: Collection[int]) -> list[int]:
        """Those of them that are rows, in order; some hundreds at most."""
        query = f"SELECT seq FROM outbox WHERE seq IN ({', '.join('?' * len(seqs))}) ORDER BY seq"
        return [int(row[0]) for row in self._db.execute(query, tuple(seqs))]

    def first(self) -> int | None:
        """Lowest sequence number; None = no rows."""
        found = self._db.execute("SELECT min(seq) FROM outbox").fetchone()[0]
        return None if found is None else int(found)

    def held(self) -> int | None:
        """Rows from here on were never sent; None = no such mark."""
        row = self._db.execute("SELECT json FROM state WHERE id = ?", (_HELD,)).fetchone()
        return None if row is None else int(row[0])

    def batches(self) -> int:
        """How many telemetry rows there are."""
        return int(self._db.execute("SELECT count(*) FROM outbox WHERE kind = 'batch'").fetchone()[0])

    def oldest_batches(self, count: int) -> list[tuple[int, int]]:
        """The `count` oldest telemetry rows, as first and last of each stretch in which no other row is kept."""
        found: list[tuple[int, int]] = []
        joined = False
        oldest = "(SELECT min(seq) FROM outbox WHERE kind = 'batch')"
        for seq, kind in self._db.execute(f"SELECT seq, kind FROM outbox WHERE seq >= {oldest} ORDER BY seq"):
            if kind != "batch":
                joined = False
                continue
            if not count:
                break
            found.append((found.pop()[0] if joined else seq, seq))
            joined, count = True, count - 1
        return found

    def after(self, seq: int, limit: int, batches: bool | None = None, upto: int = LAST) -> list[OutboxRow]:
        """Rows above `seq`, up to `upto`, in order. `batches`: telemetry only, or all but that; None: all."""
        kind = "" if batches is None else f" AND kind {'=' if batches else '!='} 'batch'"
        query = f"SELECT {_COLUMNS} FROM outbox WHERE seq > ? AND seq <= ?{kind} ORDER BY seq LIMIT ?"
        return [OutboxRow(*row) for row in self._db.execute(query, (seq, upto, limit))]

    def stretches(self, first: int, last: int, most: int) -> list[tuple[int, int]]:
        """First and last of the first `most` unbroken stretches of rows between those two."""
        found: list[tuple[int, int]] = []
        for (seq,) in self._db.execute("SELECT seq FROM outbox WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last)):
            if found and found[-1][1] + 1 == seq:
                found[-1] = (found[-1][0], seq)
            elif len(found) < most:
                found.append((seq, seq))
            else:
                break
        return found

    def commit(self, change: Change) -> None:
        """One transaction: all of it, durably, or an exception and none of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._apply(change)
            self._db.execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    def _apply(self, change: Change) -> None:
        run = self._db.execute
        if change.evict_to:  # first: its pages are those of what comes, where the disk has no others
            run("DELETE FROM outbox WHERE kind = 'batch' AND seq <= ?", (change.evict_to,))
        if change.drop_from is not None:
            run("DELETE FROM outbox WHERE seq >= ?", (change.drop_from,))
        if change.shift[1]:
            run("UPDATE outbox SET seq = seq + ? WHERE seq >= ?", (change.shift[1], change.shift[0]))
        if change.held is not None:
            run("DELETE FROM state WHERE id = ?", (_HELD,))
        if change.held:
            run("INSERT INTO state (id, json) VALUES (?, ?)", (_HELD, str(change.held)))
        if change.durable is not None:
            run("INSERT OR REPLACE INTO state (id, json) VALUES (?, ?)", (_DURABLE, change.durable))
        if change.chain is not None:
            run("INSERT OR REPLACE INTO state (id, json) VALUES (?, ?)", (CHAIN, change.chain))
        for way, rows in (("REPLACE", change.anew), ("INSERT", change.rows)):
            for r in rows:
                values = (r.seq, r.kind, r.boot, r.wall_ms, r.mono_ms, r.clock, r.payload)
                run(f"{way} INTO outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        if change.receipted_to or change.also:
            newest = self.last()
            run(f"{_GONE} seq <= ?", (newest, change.archived, change.receipted_to))
            for seq in change.also:
                run(f"{_GONE} seq = ?", (newest, change.archived, seq))

    def close(self) -> None:
        """Fold the WAL into the file as far as the disk allows, and close."""
        with contextlib.suppress(sqlite3.Error):  # what was committed stays in the WAL and is found again
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def abandon(self) -> None:
        """Close without another write, after an error."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # the error that led here is the one that tells
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def salvage_last(path: Path) -> int:
    """Highest sequence number that a damaged file still shows; 0 if none."""
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    try:
        return int(db.execute("SELECT coalesce(max(seq), 0) FROM outbox").fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError):
        return 0
    finally:
        db.close()


def was_damaged(path: Path) -> list[Path]:
    """Databases that were moved out of the way, the oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]"), key=lambda p: int(p.name.rpartition("-")[2]))


def quarantine(path: Path) -> Path:
    """Move a damaged database, with its side files, out of the way; the newest two such are kept."""
    old = was_damaged(path)
    number = int(old[-1].name.rpartition("-")[2]) + 1 if old else 1
    target = path.with_name(f"{path.name}.damaged-{number}")
    for side in _SIDE_FILES:
        if Path(f"{path}{side}").exists():
            Path(f"{path}{side}").rename(f"{target}{side}")
    for gone in old[: max(0, len(old) - QUARANTINED_KEPT + 1)]:
        for side in _SIDE_FILES:
            Path(f"{gone}{side}").unlink(missing_ok=True)
    sync_directory(path.parent)
    return target
