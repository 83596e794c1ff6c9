"""The book of commands: the durable records, and what is known of each only while this process runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from agent.core import unseen
from agent.core.command import TERMINAL, Command
from agent.core.decision import Record
from agent.core.durable import CommandRecord, Durable
from agent.core.inputs import Clock, ClockTrust, CommandIn
from agent.core.params import Params
from agent.core.settlement import Meters
from agent.core.unseen import Unseen

REMEMBER_MS = 3_600_000  # ids are remembered this long after nothing about them may be accepted
MAX_RECORDS = 256
WAITING = -1  # `commit` of a command whose commit has not been given an id yet


@dataclass(frozen=True, slots=True)
class Live:
    """What is known of a command only while this process runs."""

    id: str
    commit: int | None = None  # the commit that accepts it; None = on the disk
    running: bool = False  # it has been the one to act
    acked_reason: str | None = None  # reason of the last `limited`
    acked_ns: int | None = None
    repeated_ns: int | None = None
    missed: bool = False  # its time has come, and the home is opted out


@dataclass(frozen=True, slots=True)
class Pace:
    """The setpoints of one session, in memory alone: none of them is on the disk, so none is taken up after a restart.
    `power_w` is the last one inside the band, until `until_ns`."""

    session: str
    power_w: int = 0
    until_ns: int = 0
    newest: tuple[int, int] = (-1, -1)  # (signed at, number) of the last one
    heard: int = 0
    clamped: int = 0  # of these, outside the band


@dataclass(frozen=True, slots=True)
class Book:
    """Commands as they stand: the durable part, and the live part of those that are not over."""

    durable: Durable
    live: tuple[Live, ...] = ()
    meters: Meters = field(default_factory=Meters)
    paces: tuple[Pace, ...] = ()  # of the sessions that this process has accepted
    quoted_ns: tuple[int, ...] = ()  # when the last quotes were answered
    hushed: tuple[Unseen, ...] = ()  # called off beyond the budget of its key: to the disk with the next commit
    remembered: unseen.Since = ()  # of what was called off before it came, and is on the disk
    refused_ns: int = -(1 << 62)  # the budget of acks of rejected commands is as full as now is ahead of this


class Cycle:
    """What one cycle says about commands; thrown away at its end."""

    __slots__ = ("account", "clock", "disk_ok", "fresh", "locked", "notices", "now_ns", "params", "quotes", "records")

    def __init__(
        self, now_ns: int, clock: Clock, params: Params, disk_ok: bool, fresh: bool, locked: str | None
    ) -> None:
        self.now_ns = now_ns
        self.clock = clock
        self.params = params
        self.disk_ok = disk_ok
        self.fresh = fresh
        self.locked = locked
        self.records: list[Record] = []
        self.notices: list[str] = []
        self.quotes: tuple[Command, ...] = ()  # to be answered once it is known what is given
        self.account: Callable[[Book], str] | None = None  # the text of the accounts, when it is to be stored


def committing(book: Book, commit_id: int) -> Book:
    """What waited for a commit waits for this one."""
    if not any(x.commit == WAITING for x in book.live):
        return book
    return replace(book, live=tuple(replace(x, commit=commit_id) if x.commit == WAITING else x for x in book.live))


def committed(book: Book, commit_id: int) -> Book:
    """The disk has it: those commands may act."""
    if not any(x.commit == commit_id for x in book.live):
        return book
    return replace(book, live=tuple(replace(x, commit=None) if x.commit == commit_id else x for x in book.live))


def settled(book: Book) -> Book:
    """The energy measured so far, written into the durable records."""
    if not book.meters.energy:
        return book
    commands = tuple(book.meters.told(r) if book.meters.has(r.command.id) else r for r in book.durable.commands)
    return replace(book, durable=replace(book.durable, commands=commands), meters=book.meters.folded())


def pruned(book: Book, clock: Clock, now_ns: int) -> Book:
    """Without finished commands of which nothing can be accepted any more, by a trusted clock, and what was called off
    so long ago; and never too many."""
    durable = book.durable
    trusted = clock.trust is not ClockTrust.UNTRUSTED
    horizon = clock.wall_ms - REMEMBER_MS
    finished = [r for r in durable.commands if r.state in TERMINAL]
    forget = {r.command.id for r in finished if trusted and _until(r) <= horizon}
    forget |= {r.command.id for r in finished[: max(0, len(durable.commands) - MAX_RECORDS)]}
    cancelled, known = durable.cancelled, unseen.since(book.remembered, durable.cancelled, now_ns)
    if clock.own and cancelled:
        cancelled = unseen.lasting(cancelled, known, clock.wall_ms, now_ns)
    if known is not book.remembered:
        book = replace(book, remembered=known)
    if not forget and len(cancelled) == len(durable.cancelled):
        return book
    commands = tuple(r for r in durable.commands if r.command.id not in forget)
    live = tuple(x for x in book.live if x.id not in forget)
    return replace(book, durable=replace(durable, commands=commands, cancelled=cancelled), live=live)


def called_off(book: Book, command_id: str) -> bool:
    """Whether it was cancelled before it came."""
    return any(i == command_id for i, _, _ in (*book.durable.cancelled, *book.hushed))


def unhushed(book: Book) -> Book:
    """What was called off without a word, among what is remembered."""
    if not book.hushed:
        return book
    cancelled = functools.reduce(unseen.plus, book.hushed, book.durable.cancelled)
    return replace(book, durable=replace(book.durable, cancelled=cancelled), hushed=())


def aside(book: Book) -> tuple[Durable, Durable]:
    """What is kept where the database takes nothing, and the same without what only counts energy: that changes when
    something ended, stopped or latched. A command that no disk has acknowledged is in neither: it never acts."""
    unheld = {x.id for x in book.live if x.commit is not None}
    kept = [r for r in book.durable.commands if r.command.id not in unheld]
    plain = [replace(r, delivered_mwh=0, both_mwh=0) for r in kept]
    plainly = replace(book.durable, commands=tuple(plain), day_mwh=0, account="")
    return replace(book.durable, commands=tuple(kept)), plainly


def metered(book: Book, command_id: str | None, power_w: int | None, dt_ns: int) -> Book:
    """That power, + discharge, for that long, on the command's account."""
    if command_id is None or power_w is None or not dt_ns:
        return book
    return replace(book, meters=book.meters.add(command_id, power_w * dt_ns))


def resumable(book: Book, clock: Clock) -> bool:
    """A command that acted before a crash of this process is taken up: its setpoint is not released in between."""
    return book.durable.opted_out is None and any(
        r.started and r.state not in TERMINAL and r.kernel_boot == clock.kernel_boot for r in book.durable.commands
    )


def wake(book: Book, now_ns: int) -> int | None:
    """When a command begins or ends next."""
    times = [t for r in book.durable.commands if r.state not in TERMINAL for t in (r.start_ns, r.end_ns) if t > now_ns]
    if book.paces:
        times += [pace.until_ns for pace in book.paces if pace.until_ns > now_ns]
    return min(times, default=None)


def _until(record: CommandRecord) -> int:
    command = record.command
    return max(command.exp_ms, (command.start_ms or record.accepted_ms) + record.shift_ms + command.duration_s * 1000)


def remember(durable: Durable, event: CommandIn) -> Durable:
    """The replay windows that came with a command."""
    if not event.windows:
        return durable
    windows = dict(durable.windows)
    windows.update(event.windows)
    return replace(durable, windows=tuple(sorted(windows.items())))


def find(durable: Durable, command_id: str) -> CommandRecord | None:
    """The record of that id, if there is one."""
    for record in durable.commands:
        if record.command.id == command_id:
            return record
    return None


def with_record(durable: Durable, record: CommandRecord) -> Durable:
    """The record put in place of the one of the same id, or at the end."""
    commands = durable.commands
    for i, old in enumerate(commands):
        if old.command.id == record.command.id:
            return replace(durable, commands=(*commands[:i], record, *commands[i + 1 :]))
    return replace(durable, commands=(*commands, record))


def live_of(book: Book, command_id: str) -> Live:
    """The live part of a command; of one from before this start it says: on the disk, nothing told yet."""
    for live in book.live:
        if live.id == command_id:
            return live
    return Live(command_id)


def put(book: Book, live: Live) -> Book:
    """The live part put in place of the one of the same id, or at the end."""
    for i, old in enumerate(book.live):
        if old.id == live.id:
            return replace(book, live=(*book.live[:i], live, *book.live[i + 1 :]))
    return replace(book, live=(*book.live, live))
