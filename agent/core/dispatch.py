"""The life of a command: accept -> commit -> act -> ack.

A dispatch is accepted into the book, acts once the disk has it, and leaves the book as a terminal record that is kept
until its id may be forgotten. Cancel and stop act at once, whatever clock or disk; their commit and ack follow.
Deadlines are monotonic from acceptance, so a wall clock that jumps moves nothing.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core.acks import ack
from agent.core.book import (
    MAX_RECORDS,
    REMEMBER_MS,
    WAITING,
    Book,
    Cycle,
    Live,
    find,
    live_of,
    put,
    remember,
    with_record,
)
from agent.core.command import TERMINAL, Command, CommandKind, CommandState
from agent.core.decision import LimitValue
from agent.core.durable import CommandRecord
from agent.core.inputs import ClockTrust, CommandIn

NS_PER_MS = 1_000_000
MAX_REQUEST_W = 1_000_000  # nobody means a megawatt; less than that and beyond the permit is limited, not refused
HORIZON_MS = 7 * 86_400_000  # how far ahead an event may start
MAX_CANCELLED = 64


# --- coming in --------------------------------------------------------------------------------------------------------
def receive(book: Book, event: CommandIn, cycle: Cycle) -> Book:
    """One verified command. Its sequence number is remembered whatever becomes of it."""
    durable = remember(book.durable, event)
    book = replace(book, durable=durable)
    command = event.command
    known = find(durable, command.id)
    if known is not None:
        return _again(book, known, command, cycle)
    if command.kind is CommandKind.CANCEL:
        return _cancel(book, command, cycle)
    if command.kind is CommandKind.STOP:
        return _stop(book, command, cycle)
    if not cycle.fresh:
        cycle.notices.append(f"command {command.id} ignored: no signed time has come since this start")
        return book
    state, reason, sentence = _judge(book, command, cycle)
    record = _record(command, state, reason, cycle)
    cycle.records.append(ack(record, sentence))
    cycle.notices.append(f"command {command.id}: {state.value}: {sentence}")
    if state is CommandState.RECEIVED and command.start_ms is not None and record.start_ns > cycle.now_ns:
        record = replace(record, state=CommandState.SCHEDULED)
        cycle.records.append(ack(record, f"starts in {(record.start_ns - cycle.now_ns) // 1_000_000_000} s"))
    live = book.live if record.state in TERMINAL else (*book.live, Live(command.id, WAITING))
    return replace(book, durable=with_record(book.durable, record), live=live)


def _judge(book: Book, c: Command, cycle: Cycle) -> tuple[CommandState, str | None, str]:
    """Accept or refuse a new command: (state, reason, sentence)."""
    na, invalid, late = (
        CommandState.REJECTED_NOT_APPLICABLE,
        CommandState.REJECTED_INVALID,
        CommandState.REJECTED_LATE,
    )
    p, now_ms = cycle.params, cycle.clock.wall_ms
    longest = p.dispatch_direct_max_s if c.start_ms is None else p.dispatch_event_max_s
    if c.kind is not CommandKind.DISPATCH:
        return na, "kind", f"this home has no {c.kind.value}"
    if c.beyond is not None:
        return na, "mode", f"this home has no {c.beyond}"
    if any(i == c.id for i, _ in book.durable.cancelled):
        return CommandState.CANCELLED, "cancel", "it was cancelled before it came"
    if c.duration_s <= 0 or c.duration_s > longest:
        return invalid, "duration", f"{c.duration_s} s asked, 1 to {longest} s are possible"
    if abs(c.power_w) > MAX_REQUEST_W:
        return invalid, "power", f"{c.power_w} W asked, {MAX_REQUEST_W} W is the most that can be meant"
    if c.start_ms is not None and c.start_ms > now_ms + HORIZON_MS:
        return invalid, "start", "it starts more than 7 days from now"
    if now_ms > c.exp_ms:
        return late, "exp", f"it had to be accepted {(now_ms - c.exp_ms) // 1000} s ago"
    if c.start_ms is not None and c.start_ms + c.duration_s * 1000 <= now_ms:
        return late, "over", f"it was over {(now_ms - c.start_ms) // 1000 - c.duration_s} s ago"
    if cycle.locked is not None:
        return na, cycle.locked, "the agent accepts no dispatch now"
    if not cycle.disk_ok:
        return na, "disk", "the disk takes no records"
    if len([r for r in book.durable.commands if r.state not in TERMINAL]) >= MAX_RECORDS // 2:
        return na, "full", "too many commands wait already"
    return CommandState.RECEIVED, None, f"{c.power_w} W for {c.duration_s} s"


def _again(book: Book, known: CommandRecord, command: Command, cycle: Cycle) -> Book:
    """A known id: the stored ack for the same bytes, silence for others."""
    if known.command.digest != command.digest:
        cycle.notices.append(f"command {command.id} came again with other content: ignored")
        return book
    live = live_of(book, command.id)
    if live.repeated_ns is not None and cycle.now_ns - live.repeated_ns < cycle.params.timers.command_repeat_ack_ns:
        return book
    cycle.records.append(ack(known, "repeated: the command came again", energy_mwh=book.meters.total(known)))
    return put(book, replace(live, repeated_ns=cycle.now_ns))


def _cancel(book: Book, command: Command, cycle: Cycle) -> Book:
    target = command.target or ""
    known = find(book.durable, target)
    book = replace(book, durable=with_record(book.durable, _record(command, CommandState.COMPLETED, None, cycle)))
    cycle.records.append(ack(_record(command, CommandState.COMPLETED, None, cycle), f"cancel of {target}"))
    if known is None:
        until = max(command.exp_ms, cycle.clock.wall_ms) + REMEMBER_MS
        cancelled = (*book.durable.cancelled[1 - MAX_CANCELLED :], (target, until))
        cycle.notices.append(f"cancel of {target}, which is not known: remembered")
        return replace(book, durable=replace(book.durable, cancelled=cancelled))
    if known.state in TERMINAL:
        return book
    return end(book, known, CommandState.CANCELLED, "cancel", "cancelled by its issuer", cycle)


def _stop(book: Book, command: Command, cycle: Cycle) -> Book:
    done = _record(command, CommandState.COMPLETED, None, cycle)
    book = replace(book, durable=with_record(book.durable, done))
    cycle.records.append(ack(done, "stop"))
    return end_all(book, CommandState.CANCELLED, "stop", "stopped by a signed stop", cycle)


def lost(book: Book, commit_id: int, cycle: Cycle) -> Book:
    """The disk has it not: those commands never act."""
    waiting = {x.id for x in book.live if x.commit == commit_id}
    for record in [r for r in book.durable.commands if r.command.id in waiting]:
        state = CommandState.REJECTED_NOT_APPLICABLE
        book = end(book, record, state, "disk", "the disk did not take the record", cycle)
    return book


# --- time -------------------------------------------------------------------------------------------------------------
def due(book: Book, cycle: Cycle) -> tuple[Book, CommandRecord | None]:
    """End what is over, and name the command that acts now: lower primacy first, then the newest."""
    candidates: list[CommandRecord] = []
    for record in book.durable.commands:
        if record.state in TERMINAL:
            continue
        if record.kernel_boot != cycle.clock.kernel_boot:
            book, rebased = _rebase(book, record, cycle)
            if rebased is None:
                continue
            record = rebased
        if live_of(book, record.command.id).commit is not None:
            continue
        if cycle.now_ns >= record.end_ns:
            book = _over(book, record, cycle)
        elif record.start_ns <= cycle.now_ns:
            candidates.append(record)
    if not candidates:
        return book, None
    winner = min(candidates, key=lambda r: (r.command.primacy, -r.command.created_ms, -r.accepted_ns, r.command.id))
    for record in candidates:
        if record is not winner and (record.started or live_of(book, record.command.id).running):
            sentence = f"superseded by {winner.command.id}"
            book = end(book, record, CommandState.SUPERSEDED, "superseded", sentence, cycle)
    live = live_of(book, winner.command.id)
    return (book if live.running else put(book, replace(live, running=True))), winner


def _rebase(book: Book, record: CommandRecord, cycle: Cycle) -> tuple[Book, CommandRecord | None]:
    """After a reboot of the gateway: a direct setpoint has failed, an event resumes on a trusted clock."""
    start_ms = record.command.start_ms
    if start_ms is None:
        return end(book, record, CommandState.FAILED, "reboot", "the gateway was rebooted", cycle), None
    if cycle.clock.trust is ClockTrust.UNTRUSTED:
        return book, None
    start_ns = cycle.now_ns + (start_ms - cycle.clock.wall_ms) * NS_PER_MS
    moved = replace(
        record,
        kernel_boot=cycle.clock.kernel_boot,
        start_ns=start_ns,
        end_ns=start_ns + record.command.duration_s * 1000 * NS_PER_MS,
    )
    if moved.end_ns <= cycle.now_ns:
        return end(book, record, CommandState.FAILED, "reboot", "the gateway was off until its end", cycle), None
    return replace(book, durable=with_record(book.durable, moved)), moved


def _over(book: Book, record: CommandRecord, cycle: Cycle) -> Book:
    if record.started:
        return end(book, record, CommandState.COMPLETED, record.reason, "its time is over", cycle)
    live = live_of(book, record.command.id)
    if not live.running:
        return end(book, record, CommandState.SUPERSEDED, "superseded", "others ran all its time", cycle)
    reason = live.acked_reason or record.reason or "not_started"
    return end(book, record, CommandState.FAILED, reason, "its time is over and it could not begin", cycle)


def end(
    book: Book, record: CommandRecord, state: CommandState, reason: str | None, sentence: str, cycle: Cycle
) -> Book:
    """Close a command: one terminal ack with the energy that it moved."""
    energy = book.meters.total(record)
    closed = replace(record, state=state, reason=reason, delivered_mwh=energy)
    cycle.records.append(ack(closed, sentence, energy_mwh=energy))
    cycle.notices.append(f"command {record.command.id}: {state.value}: {sentence}")
    live = tuple(x for x in book.live if x.id != record.command.id)
    return Book(with_record(book.durable, closed), live, book.meters.without(record.command.id))


def end_all(book: Book, state: CommandState, reason: str, sentence: str, cycle: Cycle) -> Book:
    """Close every command that is not over."""
    for record in book.durable.commands:
        if record.state not in TERMINAL:
            book = end(book, record, state, reason, sentence, cycle)
    return book


# --- acting -----------------------------------------------------------------------------------------------------------
def begun(book: Book, command_id: str | None, given_w: int, cycle: Cycle) -> Book:
    """A setpoint for this command was read back: `started`, once in its life."""
    record = find(book.durable, command_id) if command_id is not None else None
    if record is None or record.started or record.state in TERMINAL:
        return book
    limited = record.state is CommandState.LIMITED
    record = replace(record, started=True, state=CommandState.LIMITED if limited else CommandState.STARTED)
    started = replace(record, state=CommandState.STARTED)
    cycle.records.append(ack(started, f"{given_w} W was written and read back", given_w=given_w))
    return replace(book, durable=with_record(book.durable, record))


def limit(book: Book, record: CommandRecord, given_w: int | None, bound: LimitValue | None, cycle: Cycle) -> Book:
    """Say `limited` when a clamp begins, when its reason changes and when it ends; not more often than allowed."""
    reason = bound.id if bound is not None else None
    live = live_of(book, record.command.id)
    if reason == live.acked_reason:
        return book
    if live.acked_ns is not None and cycle.now_ns - live.acked_ns < cycle.params.timers.command_repeat_ack_ns:
        return book
    current = find(book.durable, record.command.id) or record
    running = CommandState.STARTED if current.started else CommandState.RECEIVED
    changed = replace(current, state=CommandState.LIMITED if reason else running, reason=reason)
    said = replace(changed, state=CommandState.LIMITED)
    sentence = bound.sentence if bound is not None else "the limit has lifted"
    cycle.records.append(
        ack(
            said,
            sentence,
            given_w=given_w,
            limit_w=bound.cap_w if bound is not None else None,
            energy_mwh=book.meters.total(current),
        )
    )
    book = replace(book, durable=with_record(book.durable, changed))
    return put(book, replace(live, acked_reason=reason, acked_ns=cycle.now_ns))


def _record(c: Command, state: CommandState, reason: str | None, cycle: Cycle) -> CommandRecord:
    start_ns = cycle.now_ns
    if c.start_ms is not None:
        start_ns += (c.start_ms - cycle.clock.wall_ms) * NS_PER_MS
    return CommandRecord(
        command=c,
        state=state,
        reason=reason,
        accepted_ms=cycle.clock.wall_ms,
        accepted_ns=cycle.now_ns,
        start_ns=start_ns,
        end_ns=start_ns + c.duration_s * 1000 * NS_PER_MS,
        kernel_boot=cycle.clock.kernel_boot,
    )
