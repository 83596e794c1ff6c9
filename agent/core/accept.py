"""What is accepted of a new command, and when it acts: judged once, when it comes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core.book import MAX_RECORDS, Book, Cycle, called_off
from agent.core.command import TERMINAL, Command, CommandKind, CommandState
from agent.core.durable import CommandRecord, OptOut

NS_PER_MS = 1_000_000
MAX_REQUEST_W = 1_000_000  # nobody means a megawatt; less than that and beyond the permit is limited, not refused
HORIZON_MS = 7 * 86_400_000  # how far ahead an event may start
LONGEST_S = 7 * 86_400  # of a schedule or a price list
MAX_INTERVALS = 192
MAX_SHIFT_S = 3_600
MAX_PLANS = 4  # schedules, price lists, sessions that wait or run at once, of each
PLANS = (CommandKind.SCHEDULE, CommandKind.SESSION, CommandKind.PRICE)
ACCEPTED = (CommandKind.DISPATCH, *PLANS)


class Verdict(NamedTuple):
    """`sentence` is for people."""

    state: CommandState
    reason: str | None
    sentence: str


def judge(book: Book, c: Command, cycle: Cycle) -> Verdict:
    """Accept or refuse a new command."""
    now_ms = cycle.clock.wall_ms
    if c.kind not in ACCEPTED:
        return _not_here("kind", f"this home has no {c.kind.value}")
    if c.beyond is not None:
        return _not_here("mode", f"this home has no {c.beyond}")
    if called_off(book, c.id):
        return Verdict(CommandState.CANCELLED, "cancel", "it was cancelled before it came")
    wrong = _wrong(c, cycle)
    if wrong is not None:
        return Verdict(CommandState.REJECTED_INVALID, *wrong)
    if now_ms > c.exp_ms:
        sentence = f"it had to be accepted {(now_ms - c.exp_ms) // 1000} s ago"
        return Verdict(CommandState.REJECTED_LATE, "exp", sentence)
    moved_ms = shift_ms(book, c, now_ms)
    if c.start_ms is not None and c.start_ms + moved_ms + c.duration_s * 1000 <= now_ms:
        over_s = (now_ms - c.start_ms - moved_ms) // 1000 - c.duration_s
        return Verdict(CommandState.REJECTED_LATE, "over", f"it was over {over_s} s ago")
    return _now(book, c, cycle, moved_ms)


def _now(book: Book, c: Command, cycle: Cycle, moved_ms: int) -> Verdict:
    """What the home, the disk and people leave of a command that makes sense, and whose start was moved by so much."""
    if cycle.locked is not None:
        return _not_here(cycle.locked, "the agent accepts no dispatch now")
    if not cycle.disk_ok:
        return _not_here("disk", "the disk takes no records")
    waiting = [r for r in book.durable.commands if r.state not in TERMINAL]
    if len(waiting) >= MAX_RECORDS // 2:
        return _not_here("full", "too many commands wait already")
    if c.kind in PLANS and sum(r.command.kind is c.kind for r in waiting) >= MAX_PLANS:
        return _not_here("full", f"{MAX_PLANS} of kind {c.kind.value} wait or run already")
    out = book.durable.opted_out
    if out is not None and not _returns(out, c, cycle.clock.wall_ms, moved_ms):
        return Verdict(CommandState.NO_PARTICIPATION, "opt_out", f"{out.by} has opted out for all its time")
    return Verdict(CommandState.RECEIVED, None, said(c))


def _not_here(reason: str, sentence: str) -> Verdict:
    return Verdict(CommandState.REJECTED_NOT_APPLICABLE, reason, sentence)


def _returns(out: OptOut, c: Command, now_ms: int, moved_ms: int) -> bool:
    """The home takes part again before the command, as it was drawn, is over."""
    start_ms = now_ms if c.start_ms is None else c.start_ms + moved_ms
    return bool(out.until_ms) and out.until_ms < start_ms + c.duration_s * 1000


def _wrong(c: Command, cycle: Cycle) -> tuple[str, str] | None:
    """(reason, sentence) of what makes no sense, whatever the home."""
    p, now_ms = cycle.params, cycle.clock.wall_ms
    longest = p.dispatch_direct_max_s if c.start_ms is None else p.dispatch_event_max_s
    if c.kind in (CommandKind.SCHEDULE, CommandKind.PRICE):
        longest = LONGEST_S
        if not 0 < len(c.values) <= MAX_INTERVALS or c.duration_s != c.interval_s * len(c.values):
            return "intervals", f"{len(c.values)} intervals of {c.interval_s} s, 1 to {MAX_INTERVALS} are possible"
    if c.duration_s <= 0 or c.duration_s > longest:
        return "duration", f"{c.duration_s} s asked, 1 to {longest} s are possible"
    powers = c.values if c.kind is CommandKind.SCHEDULE else (c.power_w, c.lo_w, c.hi_w)
    most_w = max([abs(w) for w in powers if w is not None], default=0)
    if most_w > MAX_REQUEST_W:
        return "power", f"{most_w} W asked, {MAX_REQUEST_W} W is the most that can be meant"
    if c.kind is CommandKind.DISPATCH and not lanes(c):
        return "mode", "it asks for nothing: no power, no limit"
    if min(c.import_limit_w or 0, c.export_limit_w or 0) < 0:
        return "limit", "a limit below 0 W"
    if c.start_ms is None and (c.kind in PLANS or c.randomize_s):
        return "start", "it has no start"
    if c.start_ms is not None and c.start_ms > now_ms + HORIZON_MS:
        return "start", "it starts more than 7 days from now"
    if abs(c.randomize_s) > MAX_SHIFT_S:
        return "start", f"its start would move by up to {abs(c.randomize_s)} s, {MAX_SHIFT_S} s are possible"
    if c.kind is CommandKind.SESSION and not (c.lo_w <= c.hi_w and 0 <= c.seq_from <= c.seq_to):
        return "band", "its band or its block of numbers ends before it begins"
    return None


def said(c: Command) -> str:
    """What was accepted, for people."""
    if c.kind is CommandKind.SESSION:
        return f"setpoints of {c.lo_w} to {c.hi_w} W for {c.duration_s} s"
    if c.kind is not CommandKind.DISPATCH:
        return f"{c.kind.value} of {len(c.values)} intervals of {c.interval_s} s"
    parts = [f"{c.power_w} W"] if c.power_w is not None else []
    parts += [f"grid import at most {c.import_limit_w} W"] if c.import_limit_w is not None else []
    parts += [f"grid export at most {c.export_limit_w} W"] if c.export_limit_w is not None else []
    return f"{', '.join(parts)} for {c.duration_s} s"


# --- which modes, and when --------------------------------------------------------------------------------------------
POWER, IMPORTS, EXPORTS = "power", "imports", "exports"


def lanes(c: Command) -> tuple[str, ...]:
    """The modes that it takes. Of each there is one holder at a time (R3)."""
    if c.kind is CommandKind.SESSION:
        return (POWER,)
    if c.kind is not CommandKind.DISPATCH:
        return (c.kind.value,)
    asked = ((POWER, c.power_w), (IMPORTS, c.import_limit_w), (EXPORTS, c.export_limit_w))
    return tuple([lane for lane, value in asked if value is not None])


def shift_ms(book: Book, c: Command, now_ms: int) -> int:
    """How far the start moves: drawn once from the bits that came with the command (R7), never to before `now_ms`, when
    it is accepted. What joins onto an event of the same issuer that moves in the same way moves with it."""
    if not c.randomize_s or c.kind is not CommandKind.DISPATCH or c.start_ms is None:
        return 0
    lead_ms = max(0, c.start_ms - now_ms)
    for record in book.durable.commands:
        other = record.command
        same = (other.issuer, other.kind, other.randomize_s, other.randomize_both)
        if record.state in TERMINAL or other.start_ms is None or other.id == c.id:
            continue
        if same == (c.issuer, c.kind, c.randomize_s, c.randomize_both) and (
            other.start_ms + other.duration_s * 1000 == c.start_ms or c.start_ms + c.duration_s * 1000 == other.start_ms
        ):
            return max(record.shift_ms, -lead_ms)
    return drawn_ms(c.randomize_s, c.randomize_both, c.draw, lead_ms)


def drawn_ms(range_s: int, both: bool, draw: int, lead_ms: int = MAX_SHIFT_S * 1000) -> int:
    """0..R, or -R..R; R may be negative. Back by `lead_ms` at most: the draw is from what is left of the range, so that
    a fleet that is told late does not begin at once."""
    most = abs(range_s) * 1000
    back = min(most, lead_ms)
    if both:
        return draw % (back + most + 1) - back
    return draw % (most + 1) if range_s >= 0 else -(draw % (back + 1))


def record_of(c: Command, state: CommandState, reason: str | None, cycle: Cycle, moved_ms: int = 0) -> CommandRecord:
    """The record that begins the life of `c`."""
    start_ns = cycle.now_ns
    if c.start_ms is not None:
        start_ns += (c.start_ms + moved_ms - cycle.clock.wall_ms) * NS_PER_MS
    return CommandRecord(
        command=c,
        state=state,
        reason=reason,
        accepted_ms=cycle.clock.wall_ms,
        accepted_ns=cycle.now_ns,
        start_ns=start_ns,
        end_ns=start_ns + c.duration_s * 1000 * NS_PER_MS,
        kernel_boot=cycle.clock.kernel_boot,
        shift_ms=moved_ms,
    )


def joined(book: Book) -> Book:
    """What ends where another of the same issuer and primacy begins, which takes over all its modes, ends when that one
    really begins: no gap, no overlap (R8). Of any other two, precedence decides alone. Called when one came, moved or
    went."""
    waiting = [r for r in book.durable.commands if r.state not in TERMINAL and _joins(r)]
    if not waiting:
        return book
    starts: dict[tuple[str, int, int], list[CommandRecord]] = {}
    for record in waiting:
        c = record.command
        starts.setdefault((c.issuer, c.primacy, c.start_ms or 0), []).append(record)
    moved: dict[str, CommandRecord] = {}
    for record in waiting:
        c = record.command
        after = starts.get((c.issuer, c.primacy, (c.start_ms or 0) + c.duration_s * 1000), ())
        end_ns = min([r.start_ns for r in after if _follows(record, r)], default=own_end_ns(record))
        if end_ns != record.end_ns:
            moved[c.id] = replace(record, end_ns=end_ns)
    if not moved:
        return book
    commands = tuple([moved.get(r.command.id, r) for r in book.durable.commands])
    return replace(book, durable=replace(book.durable, commands=commands))


def own_end_ns(record: CommandRecord) -> int:
    """Where it ends if nothing joins on to it."""
    return record.start_ns + record.command.duration_s * 1000 * NS_PER_MS


def _follows(record: CommandRecord, after: CommandRecord) -> bool:
    """Whether `after` takes its place: a draw that moves it to before `record` makes it no successor."""
    comes = after.kernel_boot == record.kernel_boot and after.start_ns > record.start_ns
    return comes and set(lanes(record.command)) <= set(lanes(after.command))


def _joins(record: CommandRecord) -> bool:
    return record.command.kind is CommandKind.DISPATCH and record.command.start_ms is not None and not record.cancelled
