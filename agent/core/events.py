"""What happened since the last cycle, applied in its order before anything is decided."""

from __future__ import annotations

from dataclasses import replace

from agent.core import commits, crew, dispatch, people, quote, writes
from agent.core.beneath import NOTHING
from agent.core.book import Book, Cycle, committed
from agent.core.command import CommandKind, CommandState
from agent.core.decision import Record
from agent.core.faults import BY_ID
from agent.core.inputs import (
    CommandIn,
    CommitFailed,
    Committed,
    Consent,
    EndRaise,
    FreshTime,
    Inputs,
    LocalStop,
    OptsIn,
    OptsOut,
    Outdated,
    Overrides,
    PutBack,
    RaiseReserve,
    WriteDone,
)
from agent.core.snapshot import Snapshot
from agent.core.state import State

UNSURE = "the disk failed since the start: what was stopped or locked out just before it may not be on record"
# judged anew after a resume, whatever they say now
ANEW = frozenset({"floor_changed", "floor_ignored", "meter_wrong", "current_wrong"})


def locked(state: State) -> str | None:
    """Why no dispatch is accepted now, as an ack's reason."""
    if state.book.durable.lockout is not None:
        return "lockout"
    if state.book.durable.stopped_by is not None:
        return "local_stop"
    return "crash_loop" if any(m.active and m.id == "crash_loop" for m in state.faults) else None


def happen(state: State, i: Inputs, s: Snapshot, say: Cycle) -> State:
    """Everything that happened since the last cycle, in its order."""
    for event in i.events:
        match event:
            case CommandIn() | OptsOut() | OptsIn() | Outdated():
                state = replace(state, book=_told(state.book, event, say))
            case WriteDone():
                state = _written(state, event, say)
            case Committed(commit_id):
                desk = commits.answered(state.desk, commit_id, True, i.now_ns)
                state = replace(state, desk=desk, book=committed(state.book, commit_id))
            case CommitFailed(commit_id, reason):
                say.notices.append(f"the disk did not take a record: {reason}")
                desk = commits.answered(state.desk, commit_id, False, i.now_ns)
                book = dispatch.lost(state.book, commit_id, say)
                if not desk.took:
                    book = dispatch.end_all(book, CommandState.FAILED, "disk", UNSURE, say)
                state = replace(state, desk=desk, book=book)
            case FreshTime():
                say.fresh = True
                state = replace(state, fresh=True)
            case LocalStop(by):
                state = _local_stop(state, by, say)
            case Overrides():
                state = replace(state, override=people.override(event, say))
            case RaiseReserve() | EndRaise() | Consent() | PutBack():
                pass  # settled before anything was looked at
            case _:
                state = _local_resume(state, event.by, s, say)
    if state.override is not None:
        state = replace(state, override=people.lasting(state.override, say))
    if state.book.durable.opted_out is not None:
        state = replace(state, book=people.returned(state.book, say))
    return _opted_out(state, say)


def _told(book: Book, event: CommandIn | OptsOut | OptsIn | Outdated, say: Cycle) -> Book:
    if isinstance(event, OptsOut):
        return people.opt_out(book, event, say)
    if isinstance(event, OptsIn):
        return people.opt_in(book, event.by, say)
    if isinstance(event, Outdated):
        return dispatch.outdated(book, event.signed_ms, say)
    if event.command.kind is CommandKind.QUOTE:
        return quote.receive(book, event, say)
    return dispatch.receive(book, event, say)


def _written(state: State, done: WriteDone, say: Cycle) -> State:
    manned, value = state.crew, done.value
    if manned:
        manned = crew.heard(manned, done, say.now_ns)
        hand = crew.merged(manned, state.hand.zero_ns)
        value = hand.setpoint_w if hand.setpoint_w is not None else value
    else:
        hand = writes.heard(state.hand, done, say.now_ns)
    book = state.book
    if done.outcome == "confirmed":
        if done.write_class == "power" and hand.confirmed and hand.setpoint_w == value:
            book = dispatch.begun(book, hand.command_id, value, say)
    elif done.outcome != "superseded":
        say.notices.append(f"{done.write_class} {done.value} to {done.device}: {done.outcome}")
    return replace(state, hand=hand, crew=manned, book=book)


def _local_stop(state: State, by: str, say: Cycle) -> State:
    say.locked = "local_stop"
    say.records.append(Record("event", {"event": "local_stop", "by": by}))
    book = dispatch.end_all(state.book, CommandState.OPTED_OUT, "local_stop", f"stopped on site by {by}", say)
    book = replace(book, durable=replace(book.durable, stopped_by=by))
    return replace(state, book=book, override=None)


def _opted_out(state: State, say: Cycle) -> State:
    """A stop that only a cycle that went wrong has heard stands, but has ended nothing yet."""
    by = state.book.durable.stopped_by
    if by is None:
        return state
    book = dispatch.end_all(state.book, CommandState.OPTED_OUT, "local_stop", f"stopped on site by {by}", say)
    return replace(state, book=book) if book is not state.book else state


def _local_resume(state: State, by: str, s: Snapshot, say: Cycle) -> State:
    """Ends a local stop; ends latches and lockout too, when BMS and inverter answer and their causes are gone."""
    state = _opted_out(state, say)
    durable = replace(state.book.durable, stopped_by=None)
    answering = s.battery_age_ns <= s.battery_stale_ns and s.inverter_age_ns <= s.inverter_stale_ns
    there = [
        m.id for m in state.faults if m.active and m.gone_ns is None and m.id in durable.latches and m.id not in ANEW
    ]
    say.records.append(Record("event", {"event": "local_resume", "by": by}))
    memory = state.faults
    if not answering:
        say.notices.append("latched faults stay: battery and inverter must answer first")
    elif there:
        say.notices.append("latched faults stay while their cause is there: " + ", ".join(there))
    else:
        durable = replace(durable, latches=(), lockout=None, floor_alarm=False)
        memory = tuple(replace(m, entries=()) if BY_ID[m.id].strikes else m for m in memory)
    say.locked = "lockout" if durable.lockout is not None else None
    trace = replace(state.trace, sanity=state.trace.sanity.forgiven())
    book = replace(state.book, durable=durable)
    return replace(state, book=book, faults=memory, resumed=True, trace=trace, beneath=NOTHING)
