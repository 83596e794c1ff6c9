"""The life of a command: accept -> commit -> act -> ack.

What is accepted goes into the book, acts once the disk has it, and leaves the book as a terminal record that is kept
until its id may be forgotten. Cancel and stop act at once, whatever clock or disk; their commit and ack follow.
Deadlines are monotonic from acceptance, so a wall clock that jumps moves nothing. Rules R1 to R16: docs/lifecycle.md.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core import sessions, unseen
from agent.core.accept import NS_PER_MS, drawn_ms, joined, judge, record_of, shift_ms
from agent.core.acks import ack
from agent.core.book import (
    WAITING,
    Book,
    Cycle,
    Live,
    called_off,
    find,
    live_of,
    put,
    remember,
    with_record,
)
from agent.core.command import TERMINAL, Command, CommandKind, CommandState
from agent.core.decision import LimitValue
from agent.core.durable import SIGNED_AFTER, CommandRecord, Window
from agent.core.inputs import CommandIn

REJECTED_NS, REJECTED_AT_ONCE = 86_400 * 1_000_000_000 // 1000, 200  # acks of rejected commands: 1,000 a day
SESSION_ACK_NS = 60 * 1_000_000_000  # limits of a session are told this often at most: its setpoints come every second


# --- coming in --------------------------------------------------------------------------------------------------------
def receive(book: Book, event: CommandIn, cycle: Cycle) -> Book:
    """One verified command. Its sequence number is remembered whatever becomes of it."""
    durable = remember(book.durable, event)
    if durable is not book.durable:
        book = replace(book, durable=durable)
    command = event.command
    known = find(durable, command.id)
    if known is not None:
        return _again(book, known, command, cycle)
    if command.kind is CommandKind.CANCEL:
        return _cancel(book, event, cycle)
    if command.kind is CommandKind.STOP:
        return _stop(book, event, cycle)
    if not cycle.fresh:
        cycle.notices.append(f"command {command.id} ignored: no signed time has come since this start")
        return book
    if command.session is not None:
        return sessions.setpoint(book, command, cycle)
    return _new(book, command, cycle)


def _new(book: Book, command: Command, cycle: Cycle) -> Book:
    state, reason, sentence = judge(book, command, cycle)
    record = record_of(command, state, reason, cycle, shift_ms(book, command, cycle.clock.wall_ms))
    if state in TERMINAL:
        spent_ns = max(book.refused_ns, cycle.now_ns - REJECTED_AT_ONCE * REJECTED_NS) + REJECTED_NS
        if spent_ns > cycle.now_ns:  # remembered, and not told: a row that nobody receipts stays on the disk
            cycle.notices.append(f"command {command.id}: {state.value}, one of too many to tell: {sentence}")
            return replace(book, durable=with_record(book.durable, _stripped(record)))
        book = replace(book, refused_ns=spent_ns)
    if state is CommandState.REJECTED_LATE and reason == "over":  # R9
        cycle.records.append(ack(replace(record, state=CommandState.RECEIVED, reason=None), "received"))
    cycle.records.append(ack(record, sentence))
    cycle.notices.append(f"command {command.id}: {state.value}: {sentence}")
    if state is CommandState.RECEIVED and command.start_ms is not None and record.start_ns > cycle.now_ns:
        record = replace(record, state=CommandState.SCHEDULED)
        cycle.records.append(ack(record, f"starts in {(record.start_ns - cycle.now_ns) // 1_000_000_000} s"))
    if record.state in TERMINAL:
        return replace(book, durable=with_record(book.durable, _stripped(record)))
    book = replace(book, durable=with_record(book.durable, record), live=(*book.live, Live(command.id, WAITING)))
    if command.kind is CommandKind.SESSION:
        return sessions.opened(book, command)
    return joined(book) if command.start_ms is not None else book


def _stripped(record: CommandRecord) -> CommandRecord:
    """What is over needs its id and digest, not its intervals."""
    if not record.command.values:
        return record
    return replace(record, command=replace(record.command, values=(), exports=()))


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


def _cancel(book: Book, event: CommandIn, cycle: Cycle) -> Book:
    command = event.command
    target = command.target or ""
    known = find(book.durable, target)
    if known is None:
        return _unseen(book, event, target, cycle)
    changes = known.state not in TERMINAL
    book = _done(book, event, changes, f"cancel of {target}", cycle)
    if not changes:
        return book
    left_ms = drawn_ms(command.randomize_s, False, command.draw)
    if left_ms > 0 and (known.started or live_of(book, target).running):
        return _run_out(book, known, left_ms, cycle)
    return end(book, known, CommandState.CANCELLED, "cancel", "cancelled by its issuer", cycle)


def _unseen(book: Book, event: CommandIn, target: str, cycle: Cycle) -> Book:
    """The cancel of an id that has not come: remembered, for as long as it could still come, whatever the clock says:
    it may be ahead. `quiet`: it goes to the disk with what goes there anyway."""
    new = not called_off(book, target)
    book = _done(book, event, new, f"cancel of {target}", cycle)
    if not new:
        return book
    entry = (target, event.command.created_ms + unseen.LIFE_MS, event.key)
    if event.quiet:
        return replace(book, hushed=unseen.plus(book.hushed, entry))
    cycle.notices.append(f"cancel of {target}, which is not known: remembered")
    return replace(book, durable=replace(book.durable, cancelled=unseen.plus(book.durable.cancelled, entry)))


def _done(book: Book, event: CommandIn, changes: bool, sentence: str, cycle: Cycle) -> Book:
    """The ack of a cancel or stop; its record, if it changes anything: else it would cost the disk, and say nothing."""
    if event.quiet:
        return book
    done = record_of(event.command, CommandState.COMPLETED, None, cycle)
    cycle.records.append(ack(done, sentence))
    return replace(book, durable=with_record(book.durable, done)) if changes else book


def _run_out(book: Book, known: CommandRecord, left_ms: int, cycle: Cycle) -> Book:
    """Its issuer wants no step of the whole fleet: it ends at the drawn moment, or at its own end before that (R6)."""
    end_ns = min(known.end_ns, cycle.now_ns + left_ms * NS_PER_MS)
    cycle.notices.append(f"command {known.command.id}: cancelled, it ends within {left_ms // 1000 + 1} s")
    return replace(book, durable=with_record(book.durable, replace(known, end_ns=end_ns, cancelled=True)))


def _stop(book: Book, event: CommandIn, cycle: Cycle) -> Book:
    changes = any(record.state not in TERMINAL for record in book.durable.commands)
    book = _done(book, event, changes, "stop", cycle)
    return end_all(book, CommandState.CANCELLED, "stop", "stopped by a signed stop", cycle)


def lost(book: Book, commit_id: int, cycle: Cycle) -> Book:
    """The disk has it not: those commands never act."""
    waiting = {x.id for x in book.live if x.commit == commit_id}
    for record in [r for r in book.durable.commands if r.command.id in waiting]:
        state = CommandState.REJECTED_NOT_APPLICABLE
        book = end(book, record, state, "disk", "the disk did not take the record", cycle)
    return book


# --- ending -----------------------------------------------------------------------------------------------------------
def end(
    book: Book, record: CommandRecord, state: CommandState, reason: str | None, sentence: str, cycle: Cycle
) -> Book:
    """Close a command: one terminal ack with the energy that it moved."""
    closed = replace(book.meters.told(record), state=state, reason=reason)
    if record.command.kind is CommandKind.SESSION:
        sentence += sessions.summary(book, record)
    cycle.records.append(ack(closed, sentence))
    cycle.notices.append(f"command {record.command.id}: {state.value}: {sentence}")
    live = tuple(x for x in book.live if x.id != record.command.id)
    paces = tuple(x for x in book.paces if x.session != record.command.id)
    durable = with_record(book.durable, _stripped(closed))
    book = replace(book, durable=durable, live=live, meters=book.meters.without(record.command.id), paces=paces)
    return joined(book) if record.command.start_ms is not None else book


def end_all(book: Book, state: CommandState, reason: str, sentence: str, cycle: Cycle) -> Book:
    """Close every command that is not over."""
    for record in book.durable.commands:
        if record.state not in TERMINAL:
            book = end(book, record, state, reason, sentence, cycle)
    return book


def outdated(book: Book, signed_ms: int, cycle: Cycle) -> Book:
    """The state is of an older day: nobody here knows what was ended since, so all of it ends, and stays ended."""
    sentence = "the disk was put back to an older state, which does not tell whether this was ended since"
    book = end_all(book, CommandState.FAILED, "store_replaced", sentence, cycle)
    windows = dict(book.durable.windows) | {SIGNED_AFTER: Window(signed_ms, 0)}
    return replace(book, durable=replace(book.durable, windows=tuple(sorted(windows.items()))))


# --- acting -----------------------------------------------------------------------------------------------------------
def begun(book: Book, command_id: str | None, given_w: int, cycle: Cycle) -> Book:
    """A setpoint for this command was read back: `started`, once in its life."""
    record = find(book.durable, command_id) if command_id is not None else None
    return book if record is None else _started(book, record, given_w, f"{given_w} W was written and read back", cycle)


def in_force(book: Book, record: CommandRecord, sentence: str, cycle: Cycle) -> Book:
    """A limit on the grid is kept from here on, whether or not that takes a setpoint: `started`."""
    current = find(book.durable, record.command.id)
    return book if current is None else _started(book, current, None, sentence, cycle)


def _started(book: Book, record: CommandRecord, given_w: int | None, sentence: str, cycle: Cycle) -> Book:
    if record.started or record.state in TERMINAL:
        return book
    limited = record.state is CommandState.LIMITED
    record = replace(record, started=True, state=CommandState.LIMITED if limited else CommandState.STARTED)
    started = replace(record, state=CommandState.STARTED)
    cycle.records.append(ack(started, sentence, given_w=given_w))
    return replace(book, durable=with_record(book.durable, record))


def limit(book: Book, record: CommandRecord, given_w: int | None, bound: LimitValue | None, cycle: Cycle) -> Book:
    """Say `limited` when a clamp begins, when its reason changes and when it ends; not more often than allowed."""
    reason = bound.id if bound is not None else None
    live = live_of(book, record.command.id)
    if reason == live.acked_reason:
        return book
    session = record.command.kind is CommandKind.SESSION
    pause_ns = SESSION_ACK_NS if session else cycle.params.timers.command_repeat_ack_ns
    if live.acked_ns is not None and cycle.now_ns - live.acked_ns < pause_ns:
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
