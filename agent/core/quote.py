"""A quote: what would be given, and why. It moves nothing and is not stored; its answer is one ack."""

from __future__ import annotations

from dataclasses import replace

from agent.core.accept import record_of
from agent.core.acks import ack
from agent.core.book import Book, Cycle, remember
from agent.core.bounds import Evaluated
from agent.core.command import Command, CommandState
from agent.core.decision import LimitValue, Record, Side
from agent.core.inputs import CommandIn
from agent.core.params import Params, S
from agent.core.snapshot import Snapshot

PER_MINUTE = 12
SHOWN = 8
OUT = "opt_out"


def receive(book: Book, event: CommandIn, bounds: Evaluated | None, s: Snapshot, cycle: Cycle) -> Book:
    """Answer, as the home stands now. Too many a minute are met with silence."""
    book = replace(book, durable=remember(book.durable, event))
    command = event.command
    recent = tuple([at for at in book.quoted_ns if cycle.now_ns - at < 60 * S])
    if not cycle.fresh or len(recent) >= PER_MINUTE:
        why = f"more than {PER_MINUTE} a minute" if cycle.fresh else "no signed time has come since this start"
        cycle.notices.append(f"quote {command.id} ignored: {why}")
        return book
    book = replace(book, quoted_ns=(*recent, cycle.now_ns))
    if cycle.clock.wall_ms > command.exp_ms:
        record = record_of(command, CommandState.REJECTED_LATE, "exp", cycle)
        cycle.records.append(ack(record, "it had to be answered before"))
    elif command.power_w is None or command.duration_s <= 0 or bounds is None:
        record = record_of(command, CommandState.REJECTED_NOT_APPLICABLE, "state", cycle)
        cycle.records.append(ack(record, "nothing is known of the home yet"))
    else:
        cycle.records.append(_answer(book, command, command.power_w, bounds, s, cycle))
    return book


def _answer(book: Book, c: Command, asked_w: int, bounds: Evaluated, s: Snapshot, cycle: Cycle) -> Record:
    side = Side.CHARGE if asked_w < 0 else Side.DISCHARGE
    given_w = max(bounds.lo_w, min(bounds.hi_w, asked_w))
    rows = sorted([v for v in bounds.values if v.side in (side, Side.BOTH)], key=lambda v: v.cap_w)
    narrowing = [v for v in rows if v.cap_w < abs(asked_w)]
    first = narrowing[0] if narrowing else None
    room_mwh = _room_mwh(s, cycle.params, side)
    asked_mwh = abs(given_w) * c.duration_s * 1000 // 3600
    energy_mwh = min(asked_mwh, room_mwh)
    sentence = f"{abs(given_w)} W of {abs(asked_w)} W"
    if energy_mwh < asked_mwh:
        lasts_s = energy_mwh * 3600 // (1000 * max(1, abs(given_w)))
        sentence += f" for {lasts_s} of {c.duration_s} s, as the home stands now"
        first = first or next((v for v in rows if v.id == ("reserve" if asked_w > 0 else "soc_ceiling")), None)
    else:
        sentence += f" for {c.duration_s} s, as the home stands now"
    if first is not None:
        sentence += f"; {first.id}: {first.sentence}"
    limit = first
    out = book.durable.opted_out or book.durable.stopped_by
    if out is not None or cycle.locked is not None:
        who = cycle.locked if book.durable.opted_out is None else OUT
        sentence = f"nothing, the home takes no part now; otherwise {sentence}"
        limit = LimitValue(who or OUT, Side.BOTH, 0, sentence, "homeowner")
        given_w = energy_mwh = 0
    record = record_of(c, CommandState.COMPLETED, None if limit is None else limit.id, cycle)
    signed_mwh = energy_mwh if asked_w >= 0 else -energy_mwh
    told = ack(record, sentence, given_w, None if limit is None else limit.cap_w, signed_mwh)
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
