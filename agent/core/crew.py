"""Several inverters under one decision: a hand for each, and all of them as one hand for what looks at the home.

Each inverter has its own setpoint, lease, read-back, floor and release, planned by `agent.core.writes` as if it were
alone. Here a setpoint is split over them, and their order is kept: first what shrinks, then what grows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core import actuation, writes
from agent.core.actuation import Actuation, Loss
from agent.core.decision import Write
from agent.core.inputs import WriteDone
from agent.core.inverters import Unit
from agent.core.params import Params
from agent.core.share import Span, asked, read_back, resplit, safely
from agent.core.snapshot import Snapshot
from agent.core.writes import Hand, Planned, Wanted
from drivers.readings import GridState


class Member(NamedTuple):
    """One inverter. `span`: what it may be doing by our orders, those on their way or lost included."""

    name: str
    hand: Hand = Hand()
    actuation: Actuation = Actuation()
    span: Span = (0, 0)
    out: bool = False  # the home goes on without it


Crew = tuple[Member, ...]


class Manned(NamedTuple):
    """What one cycle's plan leaves: `planned.hand` is all hands as one."""

    crew: Crew
    planned: Planned


def muster(crew: Crew, s: Snapshot) -> Crew:
    """A member for every inverter, as it stands now. Of one that is out we hold nothing any more."""
    known = {member.name: member for member in crew}
    return tuple([_present(known.get(unit.device.name, Member(unit.device.name)), unit) for unit in s.units])


def _present(member: Member, unit: Unit) -> Member:
    if unit.out == member.out:
        return member
    if not unit.out:
        return member._replace(out=False)
    return member._replace(hand=Hand(), span=(0, 0), actuation=Actuation(), out=True)


def merged(crew: Crew, zero_ns: int | None = None) -> Hand:
    """All hands that count as one: sums of what is asked, the latest of times, the worst of everything else."""
    hands = [member.hand for member in crew if not member.out]
    holding = [hand for hand in hands if hand.setpoint_w is not None]
    held = [hand.held_ns for hand in holding if hand.held_ns is not None]
    active = [hand for hand in hands if hand.maybe_active]
    worst = max(hands, key=lambda hand: max(hand.failures, hand.clear_failures), default=Hand())
    return Hand(
        setpoint_w=sum(hand.setpoint_w or 0 for hand in holding) if holding else None,
        command_id=next((hand.command_id for hand in holding), None),
        asked_ns=max((hand.asked_ns for hand in hands), default=0),
        pending=any(hand.pending for hand in hands),
        touched_ns=max((hand.touched_ns for hand in hands), default=0),
        confirmed=bool(holding) and all(hand.confirmed for hand in holding),
        confirmed_ns=max((hand.confirmed_ns for hand in holding), default=0),
        held_ns=max(held) if held and len(held) == len(holding) else None,
        failures=worst.failures,
        outcome=worst.outcome,
        zero_ns=zero_ns,
        maybe_active=bool(active),
        clear_ns=max((hand.clear_ns for hand in active if hand.clear_ns is not None), default=None),
        stopped=any(hand.stopped for hand in active),
        clear_failures=worst.clear_failures,
        floor_failures=max((hand.floor_failures for hand in hands), default=0),
        worn_until_ns=max((hand.worn_until_ns for hand in hands), default=0),
        spent_until_ns=max((hand.spent_until_ns for hand in hands), default=0),
        short_until_ns=max((hand.short_until_ns for hand in hands), default=0),
    )


def heard(crew: Crew, done: WriteDone, now_ns: int) -> Crew:
    """One result, to the hand that asked for it."""
    return tuple([_heard(member, done, now_ns) if member.name == done.device else member for member in crew])


def _heard(member: Member, done: WriteDone, now_ns: int) -> Member:
    hand = writes.heard(member.hand, done, now_ns)
    span = member.span
    if done.outcome == "confirmed" and done.write_class in ("power", "clear", "stop"):
        span = read_back(done.value if done.write_class == "power" else 0, hand.setpoint_w)
    return member._replace(hand=hand, span=span)


def watch(
    crew: Crew, s: Snapshot, params: Params, dt_ns: int, home: Actuation, back: bool = False
) -> tuple[Crew, Actuation]:
    """Does each do what it was told? `home`: the worst of them, for the fault table. `back`: one was silent lately."""
    out: list[Member] = []
    for member, unit in zip(crew, s.units, strict=True):
        hand, reading = member.hand, unit.fresh
        commanded = hand.setpoint_w if not member.out else None
        if commanded is not None and not hand.confirmed:  # on its way: wait for it
            out.append(member)
            continue
        if commanded is not None and writes.disputed(hand, seen_by(s, unit)):
            out.append(member._replace(actuation=actuation.paused(member.actuation, commanded, s.now_ns)))
            continue
        measured = reading.battery_w if reading is not None else None
        can = unit.device.capability
        rated = max(can.rated_charge_w, can.rated_discharge_w) if can is not None else None
        at_ns = unit.reading.battery_at_ns if unit.reading is not None else 0
        ac_w = reading.ac_w if reading is not None else None
        excused = actuation.excuse(commanded, ac_w, rated or 0, s, params)
        excused = excused or back or actuation.restarting(member.actuation, reading, s.now_ns)
        seen = actuation.watch(
            member.actuation, params, s.now_ns, dt_ns, commanded, hand.confirmed_ns, measured, at_ns, rated, excused
        )
        out.append(member._replace(actuation=seen))
    if not out:
        return (), home
    seen_all = [member.actuation for member in out]
    worst = max(seen_all, key=lambda a: (actuation.deaf(a), max(a.off_nj, a.short_nj) * 1000 // a.patience_nj))
    lost = max(seen_all, key=lambda a: (actuation.lost(a, s.now_ns), len(a.rearms)))
    taken = max(seen_all, key=lambda a: (actuation.overridden(a, s.now_ns), len(a.overrides)))
    mirrored_ns = max(a.reversed_ns for a in seen_all)
    seen = replace(worst, reversed_ns=mirrored_ns, rearms=lost.rearms, overrides=taken.overrides, foreign=taken.foreign)
    return tuple(out), seen


def plan(before: Crew, crew: Crew, hand: Hand, s: Snapshot, wanted: Wanted, params: Params) -> Manned:
    """One cycle's writes to every inverter. `before`: the crew of the last cycle; `hand`: theirs as one."""
    targets = _targets(crew, s, wanted.given_w)
    known = {member.name: member for member in before}
    out: list[Member] = []
    orders: list[tuple[bool, Write]] = []
    notices: list[str] = []
    loss: Loss | None = None
    floor: tuple[int, bool] | None = None
    for member, unit, target in zip(crew, s.units, targets, strict=True):
        again = actuation.unheeded(known.get(member.name, member).actuation, member.actuation, params)
        mine = wanted._replace(
            given_w=target,
            unheeded=again,
            waiting=wanted.waiting and not unit.out,
            contested=actuation.contested(member.actuation, s.now_ns),
        )
        planned = writes.plan(member.hand, seen_by(s, unit), mine, params)
        seen = member.actuation
        if planned.loss is not None:
            points = unit.reading.foreign if unit.reading is not None else ()
            seen = actuation.rearm(seen, s.now_ns, planned.loss, tuple([f"{member.name} {p}" for p in points]))
        span = asked(member.span, planned.hand.setpoint_w or 0)
        out.append(member._replace(hand=planned.hand, actuation=seen, span=span))
        grows = span != member.span
        orders += [(grows, write) for write in planned.writes]
        notices += [f"{member.name}: {notice}" for notice in planned.notices]
        loss = loss or planned.loss
        if planned.floor is not None and floor is not None:  # one is told as an event, of the others this
            notices.append(f"{member.name}: its own floor was {planned.floor[0]} permille before we set it")
        if planned.floor is not None and (floor is None or not floor[1]):
            floor = planned.floor
    orders.sort(key=lambda one: one[0])  # of one cycle's orders, those that shrink go first
    manned = tuple(out)
    whole = Planned(merged(manned, hand.zero_ns), tuple(w for _, w in orders), loss, floor, tuple(notices))
    return Manned(manned, whole)


def shares(crew: Crew) -> tuple[tuple[str, int], ...]:
    """What each inverter is asked for now."""
    return tuple([(m.name, m.hand.setpoint_w) for m in crew if m.hand.setpoint_w is not None and not m.out])


def abandon(crew: Crew, now_ns: int) -> tuple[Crew, tuple[Write, ...]]:
    """Release all, without looking at anything."""
    out: list[Member] = []
    clears: tuple[Write, ...] = ()
    for member in crew:
        hand, mine = writes.abandon(member.hand, now_ns, member.name)
        out.append(member._replace(hand=hand))
        clears += mine
    return tuple(out), clears


def _targets(crew: Crew, s: Snapshot, given_w: int | None) -> list[int | None]:
    """What each is to do now. None = released, as all are that the home goes on without."""
    if given_w is None:
        return [None] * len(crew)
    live = [(member, unit) for member, unit in zip(crew, s.units, strict=True) if not unit.out]
    caps = [unit.charge_w if given_w < 0 else unit.discharge_w for _, unit in live]
    steps = [max(1, u.device.capability.resolution_w) if u.device.capability is not None else 1 for _, u in live]
    split = resplit(given_w, caps, steps, [member.hand.setpoint_w for member, _ in live])
    now = iter(safely(split, [member.span for member, _ in live]))
    return [None if unit.out else next(now) for unit in s.units]


def seen_by(s: Snapshot, unit: Unit) -> Snapshot:
    """The home as it is for one inverter: its own reading, rating and power; the evidence of the grid is of all."""
    fresh = unit.fresh
    own_w = fresh.battery_w if fresh is not None else None
    return replace(
        s,
        inverter=unit.reading,
        capability=unit.device.capability,
        inverter_device=unit.device,
        inverter_age_ns=unit.age_ns,
        inverter_stale_ns=unit.stale_ns,
        battery_w=own_w if own_w is not None else s.battery_w,
        grid=GridState.UNKNOWN if unit.out else s.grid,
        units=(),
    )
