"""Which commands hold what now. Of each mode (power, import, export, schedule, price) there is one holder at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core import dispatch, sessions
from agent.core.accept import NS_PER_MS, PLANS, POWER, joined, lanes
from agent.core.book import Book, Cycle, find, live_of, put, with_record
from agent.core.command import TERMINAL, CommandKind, CommandState
from agent.core.decision import LimitValue, Side
from agent.core.durable import CommandRecord, OptOut
from agent.core.inputs import Clock, ClockTrust
from agent.core.interval import OPT_OUT

LISTS = (CommandKind.SCHEDULE, CommandKind.PRICE)
# the home could not, though nothing was broken: not applicable, rather than failed (R15)
NOT_NOW = frozenset({"islanded", "grid_return", "reserve", "soc_floor", "soc_ceiling", "site_import", "site_export"})


class Asks(NamedTuple):
    """The holders. `power_w` is what that of power wants, W, `schedule_w` what the schedule does; None = nothing."""

    power: CommandRecord | None = None
    power_w: int | None = None
    imports: CommandRecord | None = None
    exports: CommandRecord | None = None
    schedule: CommandRecord | None = None
    schedule_w: int | None = None
    price: CommandRecord | None = None

    @property
    def watts(self) -> int | None:
        """What dispatch or schedule want."""
        return self.power_w if self.power_w is not None else self.schedule_w

    @property
    def holder(self) -> CommandRecord | None:
        """Whose the power of now is: dispatch, then schedule; a limit where neither wants any."""
        if self.power_w is not None:
            return self.power
        return self.schedule if self.schedule_w is not None else self.imports or self.exports

    @property
    def acting(self) -> bool:
        """Somebody wants power, or a limit on the grid."""
        return self.watts is not None or self.imports is not None or self.exports is not None


NOTHING = Asks()


def due(book: Book, cycle: Cycle) -> tuple[Book, Asks]:
    """End what is over, and name who holds what."""
    candidates: list[CommandRecord] = []
    early: list[CommandRecord] = []
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
        if record.command.kind is CommandKind.SESSION and sessions.pace_of(book, record.command.id) is None:
            sentence = "the agent was restarted, and cannot tell new setpoints from old ones: open another session"
            book = dispatch.end(book, record, CommandState.FAILED, "restart", sentence, cycle)
        elif cycle.now_ns >= record.end_ns:
            book = _over(book, record, cycle)
        elif record.start_ns <= cycle.now_ns:
            candidates.append(record)
        elif record.shift_ms > 0 and record.start_ns - record.shift_ms * NS_PER_MS <= cycle.now_ns:
            early.append(record)
    if not candidates:
        return book, NOTHING
    if book.durable.opted_out is not None:
        return _missed(book, book.durable.opted_out, candidates, cycle), NOTHING
    if early:
        book, now = _early(book, early, candidates, cycle)
        candidates += now
    return _holders(book, candidates, cycle)


def order(r: CommandRecord) -> tuple[int, int, int, str]:
    """Lower primacy first, then the newest (R3)."""
    return r.command.primacy, -r.command.created_ms, -r.accepted_ns, r.command.id


def unfollowed(book: Book, clock: Clock, now_ns: int) -> Asks:
    """What would be followed now if nobody had opted out."""
    waiting = {x.id for x in book.live if x.commit is not None}
    return _asks(
        book,
        _held(
            [
                r
                for r in book.durable.commands
                if r.state not in TERMINAL
                and r.kernel_boot == clock.kernel_boot
                and r.start_ns <= now_ns < r.end_ns
                and r.command.id not in waiting
            ]
        ),
        now_ns,
    )


def _holders(book: Book, candidates: list[CommandRecord], cycle: Cycle) -> tuple[Book, Asks]:
    held = _held(candidates)
    if len(candidates) > 1:
        book = _supersede(book, held, candidates, cycle)
    for record in held.values():
        live = live_of(book, record.command.id)
        if not live.running:
            book = put(book, replace(live, running=True))
    return book, _asks(book, held, cycle.now_ns)


def _held(candidates: list[CommandRecord]) -> dict[str, CommandRecord]:
    """Of each mode its holder."""
    held: dict[str, CommandRecord] = {}
    for record in candidates:
        for lane in lanes(record.command):
            best = held.get(lane)
            if best is None or order(record) < order(best):
                held[lane] = record
    if len(candidates) > 1:
        for lane in ("schedule", "price"):
            _newest_of_issuer(held, lane, candidates)
    return held


def _asks(book: Book, held: dict[str, CommandRecord], now_ns: int) -> Asks:
    power, schedule = held.get(POWER), held.get("schedule")
    return Asks(
        power,
        None if power is None else _power_w(book, power, now_ns),
        held.get("imports"),
        held.get("exports"),
        schedule,
        None if schedule is None else value_at(schedule, now_ns),
        held.get("price"),
    )


def _newest_of_issuer(held: dict[str, CommandRecord], lane: str, candidates: list[CommandRecord]) -> None:
    """A newer list of one issuer is in the place of the older from its start on, whatever their primacy."""
    best = held.get(lane)
    if best is None:
        return
    newest: dict[str, CommandRecord] = {}
    for r in candidates:
        if lane in lanes(r.command):
            other = newest.get(r.command.issuer)
            if other is None or (r.command.created_ms, r.command.id) > (other.command.created_ms, other.command.id):
                newest[r.command.issuer] = r
    held[lane] = min(newest.values(), key=order)


def _supersede(book: Book, held: dict[str, CommandRecord], candidates: list[CommandRecord], cycle: Cycle) -> Book:
    """Ended is what has begun and holds none of its modes any more, and a list that its issuer has replaced. What has
    not begun waits, and comes in if there is time left (R5)."""
    holding = {record.command.id for record in held.values()}
    for record in candidates:
        c = record.command
        if c.id in holding:
            continue
        begun = record.started or live_of(book, c.id).running
        replaced = c.kind in LISTS and any(
            o.command.kind is c.kind and o.command.issuer == c.issuer and o.command.created_ms > c.created_ms
            for o in candidates
        )
        if begun or replaced:
            by = held[lanes(c)[0]].command.id
            book = dispatch.end(book, record, CommandState.SUPERSEDED, "superseded", f"superseded by {by}", cycle)
    return book


def _power_w(book: Book, holder: CommandRecord, now_ns: int) -> int | None:
    if holder.command.kind is CommandKind.SESSION:
        return sessions.wish_w(book, holder.command.id, now_ns)
    return holder.command.power_w


def value_at(record: CommandRecord, now_ns: int) -> int | None:
    """The value of the interval that is now, of a schedule or a price list."""
    values = record.command.values
    index = (now_ns - record.start_ns) // (record.command.interval_s * 1000 * NS_PER_MS)
    return values[index] if 0 <= index < len(values) else None


def _early(
    book: Book, waiting: list[CommandRecord], candidates: list[CommandRecord], cycle: Cycle
) -> tuple[Book, list[CommandRecord]]:
    """What supersedes a running event starts at its own time, not at the drawn one: the fleet is spread already, unless
    the running event is inside the window of its own draw (R4)."""
    now = []
    for record in waiting:
        mine = set(lanes(record.command))
        for other in candidates:
            c = other.command
            if c.start_ms is None or mine.isdisjoint(lanes(c)) or order(other) < order(record):
                continue
            if c.start_ms + c.duration_s * 1000 == record.command.start_ms:
                continue  # it joins on, and supersedes nothing
            window_ns = max(0, c.randomize_s, abs(c.randomize_s) if c.randomize_both else 0) * 1000 * NS_PER_MS
            running = other.started or live_of(book, c.id).running
            if running and cycle.now_ns >= other.start_ns - other.shift_ms * NS_PER_MS + window_ns:
                late_ms = (cycle.now_ns - record.start_ns) // NS_PER_MS
                end_ns = cycle.now_ns + record.command.duration_s * 1000 * NS_PER_MS
                moved = replace(record, start_ns=cycle.now_ns, end_ns=end_ns, shift_ms=record.shift_ms + late_ms)
                book = joined(replace(book, durable=with_record(book.durable, moved)))
                now.append(find(book.durable, record.command.id) or moved)
                break
    return book, now


def _missed(book: Book, out: OptOut, candidates: list[CommandRecord], cycle: Cycle) -> Book:
    """Opted out: their time passes without them, and they are told so once."""
    bound = LimitValue(OPT_OUT, Side.BOTH, 0, f"{out.by} has opted out", out.role)
    for record in candidates:
        live = live_of(book, record.command.id)
        if not live.missed:
            book = put(book, replace(live, missed=True))
        book = dispatch.limit(book, record, None, bound, cycle)
    return book


def _rebase(book: Book, record: CommandRecord, cycle: Cycle) -> tuple[Book, CommandRecord | None]:
    """After a reboot of the gateway: a direct setpoint failed, what has a start resumes on a trusted clock (R10)."""
    start_ms = record.command.start_ms
    if start_ms is None:
        return dispatch.end(book, record, CommandState.FAILED, "reboot", "the gateway was rebooted", cycle), None
    if record.cancelled:
        sentence = "it was cancelled before the gateway was rebooted"
        return dispatch.end(book, record, CommandState.CANCELLED, "cancel", sentence, cycle), None
    if cycle.clock.trust is ClockTrust.UNTRUSTED:
        return book, None
    start_ns = cycle.now_ns + (start_ms + record.shift_ms - cycle.clock.wall_ms) * NS_PER_MS
    moved = replace(
        record,
        kernel_boot=cycle.clock.kernel_boot,
        start_ns=start_ns,
        end_ns=start_ns + record.command.duration_s * 1000 * NS_PER_MS,
    )
    if moved.end_ns <= cycle.now_ns:
        sentence = "the gateway was off until its end"
        return dispatch.end(book, record, CommandState.FAILED, "reboot", sentence, cycle), None
    book = joined(replace(book, durable=with_record(book.durable, moved)))
    return book, find(book.durable, record.command.id)


def _over(book: Book, record: CommandRecord, cycle: Cycle) -> Book:
    """Its time has passed: what became of it."""
    live, kind = live_of(book, record.command.id), record.command.kind
    if record.cancelled:
        return dispatch.end(book, record, CommandState.CANCELLED, "cancel", "cancelled by its issuer", cycle)
    if record.started:
        return dispatch.end(book, record, CommandState.COMPLETED, record.reason, "its time is over", cycle)
    if live.missed and not live.running:
        sentence = "the homeowner was opted out for all its time"
        return dispatch.end(book, record, CommandState.NO_PARTICIPATION, "opt_out", sentence, cycle)
    if not live.running:
        return dispatch.end(book, record, CommandState.SUPERSEDED, "superseded", "others ran all its time", cycle)
    reason = live.acked_reason or record.reason
    if kind in PLANS and reason is None:
        sentence = "its time is over, and it never asked for another power than the home's own"
        return dispatch.end(book, record, CommandState.COMPLETED, None, sentence, cycle)
    state = CommandState.REJECTED_NOT_APPLICABLE if reason in NOT_NOW else CommandState.FAILED
    return dispatch.end(book, record, state, reason or "not_started", "its time is over and it could not begin", cycle)
