"""People at home: who opts out, and who holds the battery at a power for a while. Opting out ends what others ask for,
never a limit or a cure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core import dispatch
from agent.core.acks import ack
from agent.core.arbiter import Proposal, Rank
from agent.core.book import Book, Cycle, live_of, put, with_record
from agent.core.command import TERMINAL, CommandKind, CommandState
from agent.core.decision import Record
from agent.core.durable import OptOut
from agent.core.inputs import OptsOut, Overrides
from agent.core.interval import OPT_OUT
from agent.core.params import S

LASTING = (CommandKind.SCHEDULE, CommandKind.PRICE)
MS = S // 1000
MAX_OVERRIDE_S = 4 * 3600


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody at home holds the battery at a power. It ends by itself, and with the process."""

    power_w: int
    until_ns: int
    by: str


def override(event: Overrides, cycle: Cycle) -> Override | None:
    """What `batteryctl override` asks for; None = it is over."""
    if event.power_w is None or event.for_s <= 0:
        said(cycle, {"event": "override_over", "by": event.by})
        return None
    for_s = min(event.for_s, MAX_OVERRIDE_S)
    said(cycle, {"event": "override", "by": event.by, "power_w": event.power_w, "for_s": for_s})
    return Override(event.power_w, cycle.now_ns + for_s * S, event.by)


def lasting(held: Override | None, cycle: Cycle) -> Override | None:
    """The same as long as its time runs."""
    if held is None or cycle.now_ns < held.until_ns:
        return held
    said(cycle, {"event": "override_over", "by": held.by})
    return None


def propose(held: Override | None, now_ns: int) -> Proposal | None:
    """As a wish: before any dispatch, inside the permit."""
    if held is None:
        return None
    left_s = max(0, held.until_ns - now_ns) // S
    because = f"{held.by} holds {held.power_w} W for {left_s // 60} min {left_s % 60} s more"
    return Proposal(Rank.TECHNICIAN, "override", held.power_w, because=because)


def said(cycle: Cycle, body: dict[str, object]) -> None:
    """One event for the outbox, and a line of the log."""
    cycle.records.append(Record("event", body))
    cycle.notices.append(f"{body['event']}: {body['by']}".replace("_", " "))


# --- opting out (R14) -------------------------------------------------------------------------------------------------
def opt_out(book: Book, event: OptsOut, cycle: Cycle) -> Book:
    """At once, whatever clock or disk. What began has its partial end; what is over before they come back, or has no
    other time, never begins."""
    out = in_force(book.durable.opted_out, event, cycle)
    left_ns = _left_ns(out, cycle)
    until_ns = 0 if left_ns is None else cycle.now_ns + left_ns
    said(cycle, {"event": "opt_out", "by": event.by, "until_ms": out.until_ms})
    book = replace(book, durable=replace(book.durable, opted_out=out))
    sentence = f"{out.by} has opted out"
    for record in book.durable.commands:
        if record.state in TERMINAL:
            continue
        begun = record.started or live_of(book, record.command.id).running
        if until_ns and record.end_ns > until_ns and (not begun or record.command.kind in LASTING):
            continue  # it waits, and has time left when they are back; once its time has come it is told so (`due`)
        state = CommandState.PARTIAL_OPT_OUT if begun else CommandState.OPTED_OUT
        book = dispatch.end(book, record, state, OPT_OUT, sentence, cycle)
    return book


def in_force(held: OptOut | None, event: OptsOut, cycle: Cycle) -> OptOut:
    """The opt-out that holds from now on. One that came from afar takes nothing from the one that is there: neither
    its end, nor that only the homeowner ends the homeowner's."""
    wall_ms, boot = cycle.clock.wall_ms, cycle.clock.kernel_boot
    until_ms = wall_ms + event.for_s * 1000 if event.for_s else 0
    until_ns = cycle.now_ns + event.for_s * S if event.for_s else 0
    new = OptOut(event.by, event.role, wall_ms, until_ms, until_ns, boot)
    if held is None or not event.longer:
        return new
    left_ns = _left_ns(held, cycle)
    if left_ns is not None and (not event.for_s or event.for_s * S > left_ns):
        return new
    if held.role == event.role:
        return held
    return replace(held, by=event.by, role=event.role)


def _left_ns(out: OptOut, cycle: Cycle) -> int | None:
    """How much of it is left, at most; None: it has no end. By the monotonic clock; after a reboot by a clock of our
    own, or as if this kernel, which came after it, had run since its beginning."""
    if not out.until_ms:
        return None
    if out.kernel_boot == cycle.clock.kernel_boot:
        return out.until_ns - cycle.now_ns
    left_ns = (out.until_ms - out.since_ms) * MS - cycle.now_ns
    return min(left_ns, (out.until_ms - cycle.clock.wall_ms) * MS) if cycle.clock.own else left_ns


def opt_in(book: Book, by: str, cycle: Cycle) -> Book:
    """Taking part again: what waits is told of it."""
    if book.durable.opted_out is None:
        return book
    said(cycle, {"event": "opt_in", "by": by})
    for record in book.durable.commands:
        if record.state in TERMINAL:
            continue
        live = live_of(book, record.command.id)
        state = CommandState.PARTIAL_OPT_IN if live.missed or live.running else CommandState.OPTED_IN
        if record.reason == OPT_OUT:
            record = replace(
                record, state=CommandState.STARTED if record.started else CommandState.RECEIVED, reason=None
            )
            book = replace(book, durable=with_record(book.durable, record))
        cycle.records.append(ack(replace(record, state=state), f"{by} takes part again"))
        told = None if live.acked_reason == OPT_OUT else live.acked_reason
        book = put(book, replace(live, missed=False, acked_reason=told))
    return replace(book, durable=replace(book.durable, opted_out=None))


def returned(book: Book, cycle: Cycle) -> Book:
    """An opt-out that was for a while ends by itself: by the monotonic clock; after a reboot by a clock of our own, or
    when this kernel, which came after it, has run for all of its length."""
    out = book.durable.opted_out
    left_ns = None if out is None else _left_ns(out, cycle)
    return opt_in(book, out.by, cycle) if out is not None and left_ns is not None and left_ns <= 0 else book
