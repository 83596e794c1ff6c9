"""When the disk is asked, and what happens to records that it did not take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core.book import Book, Cycle, committing, pruned, settled, unhushed
from agent.core.decision import Commit, Record
from agent.core.durable import Durable
from agent.core.params import S

RETRY_NS = 5 * S
CHECKPOINT_NS = 300 * S
MAX_BACKLOG = 256
_TIMES = ("from_ms", "t0_ms", "at_ms", "received_ms", "trigger_ms")  # of a record's begin, whatever it is


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A commit that was asked for and not answered; its records go into the next one if it fails."""

    id: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies before the store."""

    stored: Durable | None  # as last handed over; None = it must be handed over again
    next_id: int = 1
    outstanding: tuple[Outstanding, ...] = ()
    backlog: tuple[Record, ...] = ()
    failed_ns: int | None = None
    asked_ns: int = 0
    took: bool = False  # the disk has taken a commit of this start


def answered(desk: Desk, commit_id: int, ok: bool, now_ns: int) -> Desk:
    """The store's word on one commit. Records of a failed one wait for the next, the oldest first."""
    rest = tuple(o for o in desk.outstanding if o.id != commit_id)
    if ok:
        return replace(desk, outstanding=rest, failed_ns=None, took=True)
    back = tuple(r for o in desk.outstanding if o.id == commit_id for r in o.records)
    return replace(desk, outstanding=rest, backlog=keep((*back, *desk.backlog)), stored=None, failed_ns=now_ns)


def propose(
    desk: Desk, durable: Durable, records: tuple[Record, ...], disk_ok: bool, now_ns: int
) -> tuple[Desk, Commit | None]:
    """One transaction if there is anything to store and the disk is fit; else what is to be stored waits."""
    waiting = keep((*desk.backlog, *records)) if records else desk.backlog
    if not waiting and durable is desk.stored:
        return desk, None
    rested = desk.failed_ns is None or now_ns - desk.failed_ns >= RETRY_NS
    if not disk_ok or not rested or (not waiting and durable == desk.stored):
        return (desk if waiting is desk.backlog else replace(desk, backlog=waiting)), None
    commit = Commit(desk.next_id, durable, waiting)
    outstanding = (*desk.outstanding, Outstanding(commit.id, waiting))
    return Desk(durable, commit.id + 1, outstanding, (), desk.failed_ns, now_ns, desk.took), commit


def store(book: Book, desk: Desk, say: Cycle) -> tuple[Book, Desk, Commit | None]:
    """One transaction if something changed that must survive; a running command's energy from time to time."""
    accounts = say.account
    checkpoint = (book.meters.energy or book.hushed) and say.now_ns - desk.asked_ns >= CHECKPOINT_NS
    if not say.records and not desk.backlog and book.durable is desk.stored and not checkpoint:
        return book, desk, None
    book = pruned(unhushed(settled(book)), say.clock, say.now_ns)
    if accounts is not None and (say.records or desk.backlog or checkpoint or not _same(book.durable, desk.stored)):
        book = replace(book, durable=replace(book.durable, account=accounts(book)))
    desk, commit = propose(desk, book.durable, tuple(say.records), say.disk_ok, say.now_ns)
    return (committing(book, commit.id) if commit is not None else book), desk, commit


def _same(durable: Durable, stored: Durable | None) -> bool:
    return stored is not None and replace(durable, account=stored.account) == stored


def keep(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The newest of too many; acks and settlement outlive events. Settlement that goes leaves a record of its loss."""
    over = len(records) - MAX_BACKLOG
    if over <= 0:
        return records
    kept: list[Record] = []
    for record in records:
        if over > 0 and record.kind == "event":
            over -= 1
            continue
        kept.append(record)
    gone = [r for r in kept[: 1 - MAX_BACKLOG] if r.kind == "settlement"] if len(kept) > MAX_BACKLOG else []
    return (_lost(gone), *kept[1 - MAX_BACKLOG :]) if gone else tuple(kept[-MAX_BACKLOG:])


def _lost(gone: list[Record]) -> Record:
    """One for all of them; what was lost before is among them, as its record."""
    counts = [r.body.get("records", 1) for r in gone]
    count = sum([n for n in counts if isinstance(n, int)])
    times = [at for r in gone for name in _TIMES if isinstance(at := r.body.get(name), int)]
    what = f"the disk took nothing for too long: {count} records of settlement were dropped"
    body = {"record": "lost", "what": what, "from_ms": min(times, default=0), "records": count}
    return Record("settlement", body)
