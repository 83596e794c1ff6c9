"""A quote: what would be given, and why. It moves nothing and is not stored; its answer is one ack.

It is judged as the order that it asks about, and then put through the same choice and the same limits as that order
would be in this cycle, on a copy of the book: so what it says is what is then given, ramps apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core import arbiter, asked, due, oblige, report
from agent.core.accept import judge, record_of
from agent.core.acks import ack
from agent.core.arbiter import Proposal, Rank
from agent.core.book import Book, Cycle, remember, with_record
from agent.core.bounds import Evaluated
from agent.core.command import Command, CommandKind, CommandState
from agent.core.decision import LimitValue, Record, Side
from agent.core.inputs import CommandIn
from agent.core.params import Params, S
from agent.core.people import Override
from agent.core.snapshot import Snapshot
from agent.core.strategies import price

PER_MINUTE = 12
SHOWN = 8
OUTRANKED = LimitValue("superseded", Side.BOTH, 0, "another command holds the power, by primacy or time", "utility")


class Stand(NamedTuple):
    """How this cycle decided: the home's cure and its other wishes, the limits, and what rules the inverter."""

    cure: Proposal | None
    own: tuple[Proposal | None, ...]
    bounds: Evaluated
    worn: bool
    override: Override | None
    price: price.Choice
    ruling_w: int | None


def receive(book: Book, event: CommandIn, cycle: Cycle) -> Book:
    """Take it up: it is answered at the end of the cycle. Too many a minute are met with silence."""
    book = replace(book, durable=remember(book.durable, event))
    command = event.command
    recent = tuple([at for at in book.quoted_ns if cycle.now_ns - at < 60 * S])
    if not cycle.fresh or len(recent) >= PER_MINUTE:
        why = f"more than {PER_MINUTE} a minute" if cycle.fresh else "no signed time has come since this start"
        cycle.notices.append(f"quote {command.id} ignored: {why}")
        return book
    cycle.quotes = (*cycle.quotes, command)
    return replace(book, quoted_ns=(*recent, cycle.now_ns))


def answer(book: Book, now: Stand, s: Snapshot, cycle: Cycle) -> None:
    """One ack for each quote of this cycle."""
    for command in cycle.quotes:
        order = _order(command, cycle)
        verdict = judge(book, order, cycle)
        if verdict.state is not CommandState.RECEIVED:
            refused = record_of(command, verdict.state, verdict.reason, cycle)
            told = ack(refused, f"nothing: {verdict.sentence}", 0, None, 0)
            cycle.records.append(Record("ack", {**told.body, "bounds": []}))
        else:
            given = _given(book, _begun(order, cycle), now, s, cycle)
            cycle.records.append(_offer(command, given, now, s, cycle))


def _order(command: Command, cycle: Cycle) -> Command:
    """The dispatch that would ask for it: with its start; else a direct setpoint, or, for longer, an event from now."""
    direct = command.duration_s <= cycle.params.dispatch_direct_max_s
    start_ms = cycle.clock.wall_ms if command.start_ms is None and not direct else command.start_ms
    return replace(command, kind=CommandKind.DISPATCH, start_ms=start_ms)


def _begun(command: Command, cycle: Cycle) -> Command:
    """The same from now on: nobody knows how the home stands later. Of one that has begun, what is left."""
    if command.start_ms is None:
        return command
    gone_ms = max(0, cycle.clock.wall_ms - command.start_ms)
    left_s = -(-(command.duration_s * 1000 - gone_ms) // 1000)
    return replace(command, start_ms=cycle.clock.wall_ms, duration_s=left_s)


class _Given(NamedTuple):
    """`power_w` None: released. `limit`: why it is not what was asked; `mine`: the order itself has the power."""

    power_w: int | None
    limit: LimitValue | None
    mine: bool


def _given(book: Book, order: Command, now: Stand, s: Snapshot, cycle: Cycle) -> _Given:
    """What the arbiter would make of it."""
    aside = Cycle(cycle.now_ns, cycle.clock, cycle.params, cycle.disk_ok, cycle.fresh, cycle.locked)
    record = record_of(order, CommandState.RECEIVED, None, cycle)
    book, asks = due.due(replace(book, durable=with_record(book.durable, record)), aside)
    cure = now.cure
    if cure is not None:
        full = cure.rank is Rank.RESTORE and now.bounds.lo_w == 0 and oblige.full(s, cycle.params)
        cure = None if full or oblige.waived(cure, asks.watts, asks.watts, False) else cure
    own = arbiter.choose((cure, *now.own))
    asks = due.NOTHING if now.worn else asks
    wish, _ = asked.wishes(asks, own, now.override, now.price, now.ruling_w, s, cycle.params)
    power_w = _inside(wish, now.bounds, s)
    if wish.command_id != order.id:
        return _Given(power_w, _instead(book, wish, now), False)
    return _Given(power_w, wish.cut if power_w == wish.power_w else None, True)


def _instead(book: Book, wish: Proposal, now: Stand) -> LimitValue:
    """Why another wish has the power."""
    out = book.durable.opted_out
    if out is not None:
        sentence = f"{out.by} has opted out for a while; what is left of its time then is given"
        return LimitValue("opt_out", Side.BOTH, 0, sentence, "homeowner")
    if wish.rank < Rank.DISPATCH:
        return report.first(wish)
    return report.SPENT if now.worn else OUTRANKED


def _inside(wish: Proposal, bounds: Evaluated, s: Snapshot) -> int | None:
    """The wish once its ramp is over."""
    if wish.power_w is None:
        return None
    most_w = wish.within_w if wish.within_w is not None else 1 << 40
    held_w = max(bounds.lo_w, -most_w, min(bounds.hi_w, most_w, wish.power_w))
    step_w = max(1, s.capability.resolution_w) if s.capability is not None else 1
    return abs(held_w) // step_w * step_w * (1 if held_w >= 0 else -1)


def _offer(c: Command, given: _Given, now: Stand, s: Snapshot, cycle: Cycle) -> Record:
    asked_w = c.power_w or 0
    side = Side.CHARGE if asked_w < 0 else Side.DISCHARGE
    rows = sorted([v for v in now.bounds.values if v.side in (side, Side.BOTH)], key=lambda v: v.cap_w)
    narrowing = [v for v in rows if v.cap_w < abs(asked_w)]
    given_w = given.power_w or 0
    limit, energy_mwh, length_s = given.limit, 0, _begun(c, cycle).duration_s
    if not given.mine:
        sentence = f"nothing of {abs(asked_w)} W"
    else:
        limit = limit or (narrowing[0] if narrowing else None)
        asked_mwh = abs(given_w) * length_s * 1000 // 3600
        energy_mwh = min(asked_mwh, _room_mwh(s, cycle.params, side))
        sentence = f"{abs(given_w)} W of {abs(asked_w)} W"
        if energy_mwh < asked_mwh:
            lasts_s = energy_mwh * 3600 // (1000 * max(1, abs(given_w)))
            sentence += f" for {lasts_s} of {length_s} s, as the home stands now"
            limit = limit or next((v for v in rows if v.id == ("reserve" if asked_w > 0 else "soc_ceiling")), None)
        else:
            sentence += f" for {length_s} s, as the home stands now"
    ahead_ms = (c.start_ms or 0) - cycle.clock.wall_ms
    if ahead_ms > 0:
        sentence += f", and not as it will when that begins, in {-(-ahead_ms // 1000)} s"
    if limit is not None:
        sentence += f"; {limit.id}: {limit.sentence}"
    record = record_of(c, CommandState.COMPLETED, None if limit is None else limit.id, cycle)
    signed_mwh = energy_mwh if asked_w >= 0 else -energy_mwh
    told = ack(record, sentence, given.power_w, None if limit is None else limit.cap_w, signed_mwh)
    return Record("ack", {**told.body, "bounds": [_row(v) for v in narrowing[:SHOWN]]})


def _room_mwh(s: Snapshot, params: Params, side: Side) -> int:
    """Energy down to the reserve, or up to the ceiling; 0 where the state of charge is not known."""
    if s.soc_lo_mwh is None or s.soc_hi_mwh is None:
        return 0
    capacity_wh = params.site.capacity_wh
    if side is Side.DISCHARGE:
        floor = max(s.reserve_permille, params.soc_floor_permille)
        return max(0, s.soc_lo_mwh - floor * capacity_wh)
    return max(0, params.soc_ceiling_permille * capacity_wh - s.soc_hi_mwh)


def _row(value: LimitValue) -> dict[str, object]:
    return {
        "limit": value.id,
        "side": value.side.value,
        "cap_w": value.cap_w,
        "owner": value.owner,
        "sentence": value.sentence,
    }
