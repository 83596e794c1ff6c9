"""Part "store": everything that must survive a crash, one transaction each. Never raises for what a disk can do.

A disk that is full, read-only or damaged costs commits, never protection: CommitFailed and DiskState say so, and the
store keeps trying until a write goes through again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from agent import mail
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.inputs import CommitFailed, Committed, PutBack, Reserve
from agent.resend import STRETCHES, answer
from agent.runtime import part
from agent.runtime.part import Effect, Log, Now, Post, WakeAt
from agent.store.config import StoreConfig
from agent.store.database import Change, CorruptError, is_corrupt
from agent.store.documents import DocumentsFile
from agent.store.ledger import Seal
from agent.store.memories import Memories
from agent.store.missed import NOTHING
from agent.store.pins import Pins
from agent.store.receipts import MOST_AHEAD, Receipts
from agent.store.reserve import ReserveFile
from agent.store.trust import TrustFile
from agent.store.vault import Vault, encode
from drivers.events import Remembered

S = 1_000_000_000
FLOOR_NS = S // 5  # the floor file follows after this pause, off the way of commands
RETRY_NS, RETRY_MAX_NS = 2 * S, 60 * S
_KEEPS = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})  # errors that leave the connection sound
_ERRORS = (sqlite3.Error, OSError, CorruptError)


class Store:
    """`load` and `reserve` before the start; then `handle`, from one thread."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._reserve = ReserveFile(config.reserve_path)
        self._pins = Pins(config.pins_path)
        self._trust = TrustFile(config.trust_path)
        self._documents = DocumentsFile(config.documents_path)
        self._memories = Memories(config.memories_path, config.kernel_boot)
        self._vault = Vault(config.path, config.floor_path, config.ledger_path)
        self._receipts = Receipts(config)
        self._asked: dict[bool, mail.LoadBacklog] = {}  # of the backlog, and of a resend
        self._anchor: mail.Anchor | None = None
        self._bad: str | None = None  # the sentence, while the disk does not take writes
        self._full = False  # because it is full
        self._missed = NOTHING  # blocks of telemetry that it did not take
        self._told: mail.DiskState | None = None
        self._pause_ns = RETRY_NS
        self._retry_ns: int | None = None
        self._floor_ns: int | None = None
        self._closed = False

    def sign(self, seal: Seal, versions: Mapping[str, object]) -> None:
        """From now on settlement records are kept as `seal` signs them, and say the `versions` of what made them."""
        self._vault.ledger.seal, self._vault.ledger.versions = seal, versions

    def load(self) -> Durable:
        """What the last boot left. A disk that does not answer, or lies, gives the second copy or an empty Durable."""
        try:
            self._vault.load()
        except _ERRORS as error:
            self._lose(error)
        return self._vault.durable

    @property
    def held(self) -> int | None:
        """Rows from here on cannot have gone out before this start; None: nobody knows."""
        return self._vault.held

    def reserve(self) -> Reserve:
        """The homeowner's reserve; its file is mended if half of it was damaged."""
        self._reserve.heal()
        return self._reserve.read()

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Every event of this part; anything unknown is ignored."""
        out: list[Effect] = []
        match event:
            case mail.CommitRequest():
                self._commit(event, now, out)
            case mail.AppendBatch():
                self._append(event, now, out)
            case mail.Receipted():
                self._receipt(event, now, out)
            case mail.LoadBacklog():
                self._asked[event.upto is not None] = event
            case mail.Anchor():
                self._anchor = event
            case mail.Append() | mail.Resend():
                self._own(event, now, out)
            case part.Stop():
                self._stop(now, out)
            case part.Start() | part.Wake():
                self._wake(now)
            case _:
                self._small(event, now, out)
        if self._anchor is not None and self._vault.open and self._vault.after_ms >= self._anchor.after_ms:
            self._try(lambda: self._settle(out), now)
        if self._asked and self._vault.open and not self._vault.owes:
            self._try(lambda: self._backlog(now, out), now, wrote=False)
        self._tell(now, out)
        return out

    def _small(self, event: object, now: Now, out: list[Effect]) -> None:
        """What has a file of its own beside the database."""
        match event:
            case mail.WriteReserve():
                error = self._reserve.write(event.permille, event.by)
                out.append(Post("control", mail.ReserveStored(self._reserve.read().permille, error)))
            case mail.WritePins():
                error = self._pins.write(event.pins, event.serials)
                if error is not None:
                    out.append(Log("warning", error))
            case mail.KeepAside():
                self._keep_aside(event, out)
            case mail.WriteMemory():
                self._remember(event, out)
            case mail.WriteTrust() | mail.WriteDocuments():
                self._keep(event, now, out)

    def _keep(self, event: mail.WriteTrust | mail.WriteDocuments, now: Now, out: list[Effect]) -> None:
        if isinstance(event, mail.WriteTrust):
            self._keep_trust(event, now, out)
        else:
            self._keep_documents(event, now, out)

    def _remember(self, request: mail.WriteMemory, out: list[Effect]) -> None:
        what = request.what
        error = self._memories.write(what.device, what.memory)
        if error is not None:
            out.append(Log("warning", error))
        else:
            out.append(Post(f"bus:{request.bus}", Remembered(what.device, what.number)))

    def _receipt(self, receipt: mail.Receipted, now: Now, out: list[Effect]) -> None:
        out += self._receipts.hear(receipt, self._vault, now)
        if receipt.also:
            self._try(lambda: self._receipts.note(receipt.also, self._vault), now, wrote=False)
        if receipt.checkpoint is not None:
            self._try(lambda: self._countersigned(receipt, now, out), now, wrote=False)
            self._say_eras(out)

    def _countersigned(self, receipt: mail.Receipted, now: Now, out: list[Effect]) -> None:
        out += self._receipts.countersigned(receipt, self._vault, now)

    def _settle(self, out: list[Effect]) -> None:
        """Number what was written since the start above what the aggregator has, and let it go out."""
        assert self._anchor is not None
        held, told = self._vault.held, self._anchor.last or 0
        shift = self._vault.anchor(told) if told <= self._vault.last + MOST_AHEAD else self._vault.anchor(0)
        self._anchor = None
        if shift:
            text = f"was put back to an older image: the aggregator has rows up to {told}, and it ended below {held}"
            out.append(Log("error", f"{self._config.path} {text}; what was written since goes on above them"))
        self._say_eras(out)
        out.append(Post("link", mail.Anchored(held or 0, shift, self._vault.last, self._vault.first())))

    def _say_eras(self, out: list[Effect]) -> None:
        ledger = self._vault.ledger
        if ledger.eras:
            out.append(Post("control", PutBack(ledger.eras)))
            ledger.eras = 0

    def _own(self, request: mail.Append | mail.Resend, now: Now, out: list[Effect]) -> None:
        """Rows of the link's own; of a resend those that answer it."""

        def write() -> None:
            records, coming, upto = self._answered(request)
            new = [(record.kind, encode(record.body)) for record in records]
            rows = self._vault.write(None, new, request.clock, request.mono_ms, Change())
            out.append(Post("link", mail.Stored(rows)))
            if isinstance(request, mail.Resend) and coming:
                self._receipts.keep(now)
                out.append(Post("link", mail.Resending(request.command, request.first, upto)))

        self._try(write, now)

    def _answered(self, request: mail.Append | mail.Resend) -> tuple[tuple[Record, ...], int, int]:
        if isinstance(request, mail.Append):
            return request.records, 0, 0
        kept = self._vault.stretches(request.first, request.last, STRETCHES + 1)
        asked = (request.command, request.first, request.last)
        return answer(*asked, self._vault.last, kept, request.clock.wall_ms)

    def _keep_trust(self, request: mail.WriteTrust, now: Now, out: list[Effect]) -> None:
        """The record first: what is kept without one is a consent that nobody can show."""
        event = request.event
        if event is not None:

            def write() -> None:
                new = [("event", encode(event))]
                rows = self._vault.write(None, new, request.clock, request.mono_ms, Change())
                out.append(Post("link", mail.Stored(rows)))

            if not self._try(write, now):
                out.append(Post("link", mail.TrustStored(self._bad or "the store is closed")))
                return
        out.append(Post("link", mail.TrustStored(self._trust.write(request.state))))

    def _keep_documents(self, request: mail.WriteDocuments, now: Now, out: list[Effect]) -> None:
        """The record first: a rollback that nobody is told of would leave the operator with a wrong belief."""
        new = [("event", encode(event)) for event in request.events]

        def write() -> None:
            rows = self._vault.write(None, new, request.clock, request.mono_ms, Change())
            out.append(Post("link", mail.Stored(rows)))

        error = None if not new or self._try(write, now) else self._bad or "the store is closed"
        out.append(Post("control", mail.DocumentsStored(error or self._documents.write(request.state))))

    def _keep_aside(self, request: mail.KeepAside, out: list[Effect]) -> None:
        try:
            self._vault.keep_aside(request.durable)
        except OSError as error:
            text = "a restart would forget what was stopped, cancelled or locked out since the disk failed"
            out.append(Log("error", f"{self._config.floor_path} takes nothing either ({error}): {text}"))

    # --- transactions ------------------------------------------------------------------------------------------------
    def _commit(self, request: mail.CommitRequest, now: Now, out: list[Effect]) -> None:
        new = [(record.kind, encode(record.body)) for record in request.records]

        def write(room: int) -> None:
            evict, gone = self._vault.evict(room)
            rows = self._vault.write(
                request.durable, [*gone, *new], request.clock, request.mono_ms, Change(evict_to=evict)
            )
            out.append(Post("control", Committed(request.id)))
            self._say_eras(out)
            if rows:
                out.append(Post("link", mail.Stored(rows)))

        if not self._with_room(write, 0, now):
            out.append(Post("control", CommitFailed(request.id, self._bad or "the store is closed")))
        elif self._floor_ns is None and self._vault.floor_due:
            self._floor_ns = now.mono_ns + FLOOR_NS

    def _append(self, batch: mail.AppendBatch, now: Now, out: list[Effect]) -> None:
        def write(room: int) -> None:
            evict, gone = self._vault.evict(room)
            new = [("batch", batch.payload), *gone, *self._missed.told()]
            forget = self._receipts.forget(now, evict)
            rows = self._vault.write(None, new, batch.clock, batch.mono_ms, forget)
            self._receipts.forgot(forget, now)
            out.append(Post("link", mail.Stored(rows)))

        full = self._vault.batches >= self._config.telemetry_rows
        took = self._with_room(write, self._chunk if full else 0, now)
        self._missed = NOTHING if took else self._missed.plus(batch)

    @property
    def _chunk(self) -> int:
        """Telemetry gives way in pieces of so many rows."""
        return max(1, self._config.telemetry_rows // 64)

    def _with_room(self, write: Callable[[int], None], room: int, now: Now) -> bool:
        """Do it; where the disk is full, so many of the oldest rows of telemetry give way to it as it needs."""
        while not self._try(partial(write, room), now):
            if not self._full or room >= self._vault.batches:
                return False
            room = min(max(2 * room, self._chunk), self._vault.batches)
        return True

    def _backlog(self, now: Now, out: list[Effect]) -> None:
        """Answer the link's questions; one that comes while there is no database waits for it."""
        for again in sorted(self._asked):
            ask = self._asked[again]
            rows = (
                self._vault.after(ask.after, ask.limit, upto=ask.upto)
                if ask.upto is not None
                else self._receipts.missing(ask, self._vault)
            )
            if again:
                self._receipts.keep(now)
            vault = self._vault
            del self._asked[again]
            out.append(Post("link", mail.Backlog(tuple(rows), vault.last, vault.first(), vault.held, again)))

    # --- the disk ----------------------------------------------------------------------------------------------------
    def _try(self, work: Callable[[], None], now: Now, wrote: bool = True) -> bool:
        """Do it; an error of the disk becomes our state, until it was written to. Without a database only `reopen`
        helps."""
        if self._closed or not (self._vault.open or work == self._vault.reopen):
            return False
        try:
            work()
        except _ERRORS as error:
            self._lose(error)
            if self._retry_ns is None:
                self._retry_ns = now.mono_ns + self._pause_ns
            return False
        if wrote and self._vault.open:
            self._bad, self._full, self._retry_ns, self._pause_ns = None, False, None, RETRY_NS
        return True

    def _lose(self, error: Exception) -> None:
        self._bad = _sentence(error, self._config.path)
        code = getattr(error, "sqlite_errorcode", None)
        self._full = code is not None and code & 0xFF == sqlite3.SQLITE_FULL
        if code is None or code & 0xFF not in _KEEPS:
            self._vault.abandon(damaged=is_corrupt(error))

    def _wake(self, now: Now) -> None:
        if self._bad is not None and (self._retry_ns is None or now.mono_ns >= self._retry_ns):
            self._retry_ns = None
            self._pause_ns = min(self._pause_ns * 2, RETRY_MAX_NS)
            self._try(self._vault.reopen, now)
        if self._floor_ns is not None and now.mono_ns >= self._floor_ns:
            self._floor_ns = None
            self._try(self._vault.sync_floor, now)

    def _tell(self, now: Now, out: list[Effect]) -> None:
        for notes in (self._vault.notes, self._vault.ledger.notes):
            out.extend(Log("error", note) for note in notes)
            notes.clear()
        state = mail.DiskState(self._bad is None, self._bad or "the store takes writes")
        if state != self._told and not self._closed:
            if self._told is not None or self._bad is not None:
                out.append(Log("info" if state.ok else "error", f"store: {state.detail}"))
            self._told = state
            out.append(Post("control", state))
        wakes = [at for at in (self._retry_ns, self._floor_ns) if at is not None]
        if wakes and not self._closed:
            out.append(WakeAt(min(wakes)))

    def _stop(self, now: Now, out: list[Effect]) -> None:
        """Delete what was receipted, bring the floor up to date, close."""
        if not self._closed and self._bad is None:
            self._try(lambda: self._vault.commit(self._receipts.forget(now, at_once=True)), now)
            self._try(self._vault.sync_floor, now)
        self._vault.close()
        self._closed = True
        out.append(Post("runtime", part.Stopped("store")))


def _sentence(error: Exception, path: Path) -> str:
    """What was seen, and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return f"the disk of {path} is full; new dispatch is refused until there is space"
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return f"{path} cannot be written ({error}); is the disk mounted read-only, or the directory another user's?"
    if is_corrupt(error):
        return f"{path} is damaged ({error}); a new store is begun"
    return f"{path}: the disk refuses ({error}); new dispatch is refused until it answers again"
