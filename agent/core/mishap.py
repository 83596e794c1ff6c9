"""What a cycle that went wrong still owes: a person's stop and a signed stop or cancel count at once, and are stored.

Everything else that it heard waits for a cycle that works.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core import commits, dispatch, people
from agent.core.book import Book, Cycle
from agent.core.command import TERMINAL, CommandKind, CommandState
from agent.core.commits import Desk
from agent.core.decision import Commit
from agent.core.inputs import CommandIn, Event, LocalStop, OptsOut

ENDING = (CommandKind.CANCEL, CommandKind.STOP)


def stops(book: Book, heard: tuple[Event, ...], say: Cycle) -> tuple[Book, tuple[Event, ...]]:
    """The book after every stop that was heard, and what is left of the events: commands that came before the last
    signed stop or cancel are received in their order, so that none begins after it. One that cannot be received ends
    every command: nobody can say which one it meant."""
    signed = [n for n, e in enumerate(heard) if isinstance(e, CommandIn) and e.command.kind in ENDING]
    last = signed[-1] if signed else -1
    left: list[Event] = []
    for n, event in enumerate(heard):
        if isinstance(event, LocalStop):
            book = replace(book, durable=replace(book.durable, stopped_by=event.by))
        if isinstance(event, OptsOut):  # what it ends, the cycle that works will say
            out = people.in_force(book.durable.opted_out, event, say)
            book = replace(book, durable=replace(book.durable, opted_out=out))
        if n <= last and isinstance(event, CommandIn):
            book = _received(book, event, say)
        else:
            left.append(event)
    return book, tuple(left)


def _received(book: Book, event: CommandIn, say: Cycle) -> Book:
    try:
        return dispatch.receive(book, event, say)
    except Exception as error:  # noqa: BLE001  # a stop counts even where the book of commands is what is broken
        say.notices.append(f"command {event.command.id} cannot be received: {error!r}")
    if event.command.kind not in ENDING:
        return book
    over = [
        r if r.state in TERMINAL else replace(r, state=CommandState.CANCELLED, reason="stop")
        for r in book.durable.commands
    ]
    return replace(book, durable=replace(book.durable, commands=tuple(over)), live=())


def store(book: Book, desk: Desk, say: Cycle) -> tuple[Book, Desk, Commit | None]:
    """As after a good cycle; where that is what is broken, the next good one does it."""
    try:
        return commits.store(book, desk, say)
    except Exception:  # noqa: BLE001  # what broke the cycle may break this too; nothing is lost, it is kept
        return book, replace(desk, backlog=commits.keep((*desk.backlog, *say.records))), None
