"""A regulation session's setpoints: signed, short, in memory alone.

The session is one durable command; its setpoints follow each other within seconds and go to no disk. So no start of the
daemon can tell which of them it has heard before: a session ends with the process that accepted it, and its block of
numbers counts as used from acceptance on (agent.link.blocks). What is replayed after a restart finds no session.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core.book import Book, Cycle, Pace, find, live_of
from agent.core.command import TERMINAL, Command, CommandKind
from agent.core.durable import CommandRecord

SETPOINT_NS = 10_000_000_000  # a setpoint acts this long at most
NS_PER_MS = 1_000_000


def opened(book: Book, command: Command) -> Book:
    """A session was accepted: its setpoints may come."""
    return replace(book, paces=(*book.paces, Pace(command.id)))


def pace_of(book: Book, session: str) -> Pace | None:
    """What its setpoints say. None: it was not accepted by this process."""
    return next((pace for pace in book.paces if pace.session == session), None)


def setpoint(book: Book, c: Command, cycle: Cycle) -> Book:
    """One setpoint. It is not recorded and not answered; one that does not belong is dropped."""
    record, pace = find(book.durable, c.session or ""), pace_of(book, c.session or "")
    why = None if record is None or pace is None else _refusal(book, record, pace, c, cycle)
    if record is None or pace is None or c.power_w is None or why is not None:
        cycle.notices.append(f"setpoint {c.id} of session {c.session} ignored: {why or 'there is no such session'}")
        return book
    held_w = max(record.command.lo_w, min(record.command.hi_w, c.power_w))
    left_ns = min(SETPOINT_NS, c.duration_s * 1000 * NS_PER_MS, (c.exp_ms - cycle.clock.wall_ms) * NS_PER_MS)
    newer = replace(
        pace,
        power_w=held_w,
        until_ns=min(cycle.now_ns + left_ns, record.end_ns),
        newest=(c.created_ms, c.seq),
        heard=pace.heard + 1,
        clamped=pace.clamped + (held_w != c.power_w),
    )
    return replace(book, paces=tuple([newer if x.session == pace.session else x for x in book.paces]))


def _refusal(book: Book, record: CommandRecord, pace: Pace, c: Command, cycle: Cycle) -> str | None:
    session = record.command
    if session.kind is not CommandKind.SESSION or record.state in TERMINAL or session.issuer != c.issuer:
        return "there is no such session"
    if live_of(book, session.id).commit is not None:
        return "the session is not on the disk yet"
    if not session.seq_from <= c.seq <= session.seq_to:
        return "its number is not of the session's block"
    if not record.start_ns <= cycle.now_ns < record.end_ns:
        return "outside the session's time"
    if (c.created_ms, c.seq) <= pace.newest:
        return "a newer one came before"
    return "it came late" if cycle.clock.wall_ms >= c.exp_ms else None


def wish_w(book: Book, session: str, now_ns: int) -> int | None:
    """What its last setpoint asks for, W; None = there is none that still counts."""
    pace = pace_of(book, session)
    return pace.power_w if pace is not None and now_ns < pace.until_ns else None


def summary(book: Book, record: CommandRecord) -> str:
    """What became of its setpoints, for its last ack."""
    pace = pace_of(book, record.command.id)
    if pace is None:
        return ""
    return f"; {pace.heard} setpoints came, {pace.clamped} of them were brought into the band"
