"""One cycle of the agent, pure: (params, state, inputs) -> (state, outputs). Only here are the parts called in order.

events -> snapshot -> commands -> faults -> mode -> permit -> memory -> wishes -> clamp and ramp -> writes -> records.
`step` is total: whatever happens inside, it returns an output that moves no power.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from agent.core import (
    accounts,
    arbiter,
    asked,
    astray,
    beneath,
    bounds,
    commits,
    crew,
    dispatch,
    due,
    events,
    modes,
    oblige,
    overlay,
    permit,
    quote,
    readback,
    report,
    setpoint,
    standing,
    throughput,
    trim,
    writes,
)
from agent.core.actuation import Actuation, Loss, contested, excuse, paused, rearm, restarting, short, unheeded, watch
from agent.core.arbiter import Proposal, Rank
from agent.core.astray import Astray
from agent.core.book import Book, Cycle, Live, metered, resumable, settled, unhushed, wake
from agent.core.broken import broken
from agent.core.checks import World, floor_is_ignored
from agent.core.command import TERMINAL, CommandState
from agent.core.commits import Desk
from agent.core.decision import Decision, Mode, Outputs, Record
from agent.core.due import Asks
from agent.core.durable import Durable
from agent.core.inputs import (
    Clock,
    Inputs,
)
from agent.core.now import Now
from agent.core.params import Params, S
from agent.core.snapshot import Snapshot, Trace, take
from agent.core.state import State
from agent.core.strategies import default, price, self_consumption, storm
from agent.core.writes import Hand, Planned, Wanted
from drivers.readings import GridState

INIT_NS = 10 * S  # first readings have this long to come
STARTS_KEPT = 16
FOLLOWING = frozenset(
    {Rank.SITE, Rank.RESTORE, Rank.STORM, Rank.SELF_CONSUMPTION}
)  # wishes that are made from what the meter says
CELL_CURES = {"cure:cell_low": 1, "cure:cell_high": 2}  # as agent.core.caps.Facts has them
UNFIT = {
    Mode.INIT: "first readings are awaited",
    Mode.SELF_TEST: "the inverter's release, its timer and its floor are awaited",
    Mode.STANDBY: "it acts after `batteryctl resume`, or with the next cycle",
}


def initial(params: Params, durable: Durable, clock: Clock, now_ns: int) -> State:
    """The first state of this start of the daemon: nothing is known, nothing may act, this start is counted. That the
    gateway itself was off is taken for an outage: one supply may have brought back both."""
    recent = () if durable.clean_stop else durable.starts_ms[1 - STARTS_KEPT :]
    counted = replace(
        durable,
        starts_ms=(*recent, clock.wall_ms),
        clean_stop=False,
        outage=durable.outage or durable.kernel_boot not in ("", clock.kernel_boot),
        kernel_boot=clock.kernel_boot,
    )
    live = tuple(
        Live(r.command.id, running=r.started, acked_reason=r.reason)
        for r in durable.commands
        if r.state not in TERMINAL
    )
    body = {"event": "start", "boot": clock.boot, "after_clean_stop": durable.clean_stop}
    desk = Desk(stored=None, backlog=(Record("event", body),))
    ledger, spent = accounts.begin(durable.account, durable.commands), throughput.begin(durable)
    return State(now_ns, now_ns, Mode.INIT, Book(counted, live), desk, Trace(now_ns), spent=spent, ledger=ledger)


def final(state: State) -> Durable:
    """What to store at a clean stop: the next start is not counted as one after a crash."""
    durable = throughput.exact(unhushed(settled(state.book)).durable, state.spent)
    return replace(durable, clean_stop=True, account=accounts.text(state.ledger, state.book))


def step(params: Params, state: State, inputs: Inputs) -> tuple[State, Outputs]:
    """One cycle. Never raises; an error of its own becomes the fault `internal_error`, which moves no power."""
    if state.unheard:
        inputs = replace(inputs, events=(*state.unheard, *inputs.events))
    try:
        return _step(params, state, inputs)
    except Exception as error:  # noqa: BLE001  # step is total: a bug here must still release the inverter
        return broken(params, state, inputs, f"{type(error).__name__}: {error}")


class Judged(NamedTuple):
    """What is the matter, before anything is decided."""

    book: Book
    actuation: Actuation
    checked: standing.Evaluated
    cure: Proposal | None
    asks: Asks
    worn: bool  # dispatch's part of the day's wearing writes is used: what is due is not followed
    waiting: bool  # a setpoint from before a crash is about to be taken up
    mode: Mode
    crew: crew.Crew = ()
    obliged: oblige.Obliged = oblige.NOTHING
    spent: throughput.Spent = throughput.Spent(0, 0)
    astray: Astray | None = None
    beneath: beneath.Beneath = beneath.NOTHING
    testing_ns: int = 0
    unread: str | None = None
    needed: Proposal | None = None  # the cure, also where a dispatch that does the same goes on in its place

    @property
    def curing(self) -> bool:
        """The cure is more than filling up."""
        return self.cure is not None and self.cure.rank is not Rank.RESTORE


def _planned(
    state: State, judged: Judged, hand: Hand, s: Snapshot, wanted: Wanted, p: Params
) -> tuple[Planned, crew.Crew]:
    if not s.units:
        return writes.plan(hand, s, wanted, p), ()
    manned = crew.plan(state.crew, judged.crew, hand, s, wanted, p)
    return manned.planned, manned.crew


class Chosen(NamedTuple):
    """What this cycle gives, and why."""

    left: bounds.Evaluated
    shown: bounds.Evaluated
    wish: Proposal
    answer: setpoint.Answer
    given_w: int | None
    planned: Planned
    crew: crew.Crew
    trim: trim.Trim
    price: price.Choice
    own: tuple[Proposal | None, ...]  # the home's own wishes but the cure


def _step(p: Params, state: State, i: Inputs) -> tuple[State, Outputs]:
    dt = max(0, i.now_ns - state.now_ns)
    say = Cycle(i.now_ns, i.clock, p, i.disk_ok, state.fresh, events.locked(state))
    durable, held, dates = overlay.settle(state.book.durable, i, say, state.dates)
    if durable is not state.book.durable:
        state = replace(state, book=replace(state.book, durable=durable))
    s, trace = take(p, i, state.trace, held)
    p = s.params
    if s.units:
        manned = crew.muster(state.crew, s)
        state = replace(state, crew=manned, hand=crew.merged(manned, state.hand.zero_ns))
    told = state.trace
    state = events.happen(state, i, s, say)
    if state.trace is not told:  # a technician resumed: signs are judged anew from here
        trace = replace(trace, sanity=trace.sanity.forgiven(), end=trace.end._replace(resumed_ns=s.now_ns))
    judged = _judge(p, state, i, s, say, dt)
    chosen = _choose(p, state, s, judged, held, dt)
    if chosen.wish.power_w is not None and (chosen.wish.rank in FOLLOWING or chosen.wish.cut is not None):
        trace = replace(trace, sanity=trace.sanity.following())
    book = _told(state, s, judged, chosen, say)
    if say.quotes:
        others = state.override, state.price, state.hand.setpoint_w
        quote.answer(book, quote.Stand(judged.needed, chosen.own, chosen.shown, judged.worn, *others), s, say)
    report.self_test(state.looked_ns, i.looked, say)
    room = (chosen.shown.lo_w, chosen.shown.hi_w)
    asks = judged.asks if book.durable.opted_out is None else due.unfollowed(book, i.clock, s.now_ns)
    now = Now(i, s, book, asks.holder, judged.mode, judged.checked.memory, room, say, asks.watts or 0)
    ledger = accounts.follow(accounts.heard(state.ledger, i, say), now)
    say.account = partial(accounts.text, ledger)
    book, desk, commit = commits.store(book, state.desk, say)
    after = _after(state, s, judged, chosen, book, desk, trace, dates, i.looked.at_ns, ledger)
    moving = judged.mode in modes.PASSING and judged.mode is not state.mode
    wake_ns = s.now_ns if moving else wake(book, s.now_ns)
    decision = _decision(s, p, judged, chosen)
    if held.shown:
        decision = replace(decision, raises=held.shown)
    if chosen.crew:
        out = tuple([m.name for m in chosen.crew if m.out])
        decision = replace(decision, shares=crew.shares(chosen.crew), out=out)
    return after, Outputs(decision, chosen.planned.writes, commit, tuple(say.notices), wake_ns)


def _choose(p: Params, state: State, s: Snapshot, judged: Judged, held: overlay.Held, dt: int) -> Chosen:
    """Permit, wishes, clamp and ramp, writes."""
    left = _bound(p, state, s, judged, dt)
    shown = bounds.raised(left, held.shown, s.reserve_permille)
    risk, keep, waiting = _guarded(p, state, s, judged)
    own = self_consumption.propose(s, p, state.hand, left.lo_w, left.hi_w, risk)
    if p.default.version and judged.book.durable.opted_out is None:
        own = default.propose(own, s, p, state.hand.setpoint_w)
    stored = storm.propose(s, p, state.cure, state.hand.setpoint_w)
    full = left.lo_w == 0 and oblige.full(s, p)
    cure = judged.cure if not full or judged.curing else None
    others = (None if full else stored, own)
    wish, choice = arbiter.choose((cure, *others)), price.NOTHING
    if state.override is not None or judged.asks is not due.NOTHING:
        asks = due.NOTHING if judged.worn else judged.asks
        wish, choice = asked.wishes(asks, wish, state.override, state.price, state.hand.setpoint_w, s, p)
    answer = setpoint.answer(wish, shown, state.ramped_w, state.hand, s, p)
    even = trim.follow(state.trim, s, p, state.hand, dt) if judged.mode in modes.ACTING else trim.NOTHING
    given, hand = setpoint.fit(answer.given_w, judged.mode, state.hand, s.now_ns, p, keep)
    if even.charge_w and s.capability is not None:
        given = trim.trimmed(given, even.charge_w, left.lo_w, s.capability.resolution_w)
    wanted = Wanted(
        judged.mode,
        given,
        None if keep and judged.mode not in modes.ZEROING else wish.command_id,
        standing.critical(judged.checked.memory, s.now_ns) or astray.halts(judged.astray, s.now_ns),
        waiting,
        unheeded(state.actuation, judged.actuation, p),
        contested(judged.actuation, s.now_ns),
    )
    planned, manned = _planned(state, judged, hand, s, wanted, p)
    if manned and given is not None:
        given = planned.hand.setpoint_w
    given = given if planned.hand.setpoint_w == given else None
    return Chosen(left, shown, wish, answer, given, planned, manned, even, choice, others)


def _after(
    state: State,
    s: Snapshot,
    judged: Judged,
    chosen: Chosen,
    book: Book,
    desk: Desk,
    trace: Trace,
    dates: tuple[overlay.Said, ...],
    looked_ns: int,
    ledger: accounts.Ledger,
) -> State:
    loss, wish = chosen.planned.loss, chosen.wish
    return State(
        boot_ns=state.boot_ns,
        now_ns=s.now_ns,
        mode=judged.mode,
        book=book,
        desk=desk,
        trace=trace,
        hand=chosen.planned.hand,
        crew=chosen.crew,
        actuation=_rearmed(judged.actuation, s, loss) if loss is not None else judged.actuation,
        astray=judged.astray,
        beneath=judged.beneath,
        trim=chosen.trim,
        testing_ns=judged.testing_ns,
        unread=judged.unread,
        faults=judged.checked.memory,
        bounds=chosen.left,
        fresh=state.fresh,
        resumed=state.resumed,
        ramped_w=chosen.answer.ramped_w if chosen.given_w is not None else None,
        cure=wish.source if wish.rank <= Rank.STORM else None,
        obliged=judged.obliged,
        spent=judged.spent,
        dates=dates,
        looked_ns=looked_ns,
        override=state.override,
        price=chosen.price,
        ledger=ledger,
    )


def _guarded(p: Params, state: State, s: Snapshot, judged: Judged) -> tuple[bool, bool, bool]:
    """Where no floor of the inverter's keeps the reserve: whether it is at risk, whether zero is held for it in a mode
    that does not act, and whether what rules the inverter is let be meanwhile: our zero, or one from before a crash."""
    mode, memory = judged.mode, judged.checked.memory
    rests = mode not in modes.ACTING and standing.resting(mode, memory, readback.timed(s))
    blind = rests and standing.blind(memory)
    durable = judged.book.durable
    floorless = floor_is_ignored(durable) or s.sanity.doubt.sentence() is not None  # its floor goes by the same SoC
    if durable.stopped_by is not None or not self_consumption.at_risk(s, p, state.hand, judged.crew, blind, floorless):
        return False, False, judged.waiting
    held = state.hand.setpoint_w == 0 if mode is Mode.STANDBY else mode is Mode.INIT and readback.zero(s)
    return True, rests, judged.waiting or held


def _rearmed(actuation: Actuation, s: Snapshot, loss: Loss) -> Actuation:
    return rearm(actuation, s.now_ns, loss, s.inverter.foreign if s.inverter is not None else ())


def _judge(p: Params, state: State, i: Inputs, s: Snapshot, say: Cycle, dt: int) -> Judged:
    hand = state.hand
    measured_at = s.inverter.battery_at_ns if s.inverter is not None else 0
    commanded = hand.setpoint_w
    back = standing.back(state.faults, s.now_ns)
    if s.units:
        manned, actuation = crew.watch(state.crew, s, p, dt, state.actuation, back)
    elif commanded is not None and not hand.confirmed:  # on its way: wait for it
        manned, actuation = (), state.actuation
    elif commanded is not None and writes.disputed(hand, s):
        manned, actuation = (), paused(state.actuation, commanded, s.now_ns)
    else:
        manned = ()
        ac_w = s.inverter.ac_w if s.inverter is not None else None
        excused = excuse(commanded, ac_w, p.site.nameplate_discharge_w, s, p)
        excused = excused or back or restarting(state.actuation, s.inverter, s.now_ns)
        actuation = watch(
            state.actuation, p, s.now_ns, dt, commanded, hand.confirmed_ns, s.battery_w, measured_at, None, excused
        )
    book = metered(state.book, hand.command_id if hand.held_ns is not None else None, s.battery_w, dt)
    readings = state.mode is not Mode.INIT
    lost = astray.follow(state.astray, s, p, hand)
    below = beneath.follow(state.beneath, s, p, hand, dt)
    testing_ns, awaited, unread = _tested(state, s)
    told = (state.boot_ns, state.resumed, state.internal, lost, unread, manned, state.mode, below)
    world = World(s, i, p, book.durable, actuation, hand, readings, *told)
    checked = standing.evaluate(world, state.faults, i.draw)
    durable = standing.latch(book.durable, checked, s.now_ns)
    if durable is not book.durable:
        book = replace(book, durable=durable)
    book, asks = due.due(book, say)
    followed = due.NOTHING if hand.spent_until_ns > s.now_ns else asks
    cure, obliged = oblige.cure(s, p, state.obliged, i.draw, hand.setpoint_w)
    needed, stopped = cure, durable.stopped_by is not None
    if cure is not None and oblige.waived(cure, followed.watts, hand.setpoint_w, stopped):
        cure = None
    spent = throughput.count(state.spent, i.clock, s, dt)
    book = _counted(book, spent, p)
    resuming = resumable(book, i.clock)
    signs = modes.Signs(
        worst=standing.worst(checked.memory, cure is not None and cure.source in CELL_CURES),
        first_readings=s.battery_age_ns <= s.battery_stale_ns
        and s.inverter_age_ns <= s.inverter_stale_ns
        and s.meter_age_ns <= s.meter_stale_ns,
        grace_over=s.now_ns - state.boot_ns >= INIT_NS,
        tested=(resuming or not hand.maybe_active or (hand.setpoint_w == 0 and hand.confirmed)) and not awaited,
        stopped=stopped,
        dispatched=followed.acting,
        curing=cure is not None,
    )
    mode = modes.following(state.mode, signs)
    if mode is Mode.LOCKOUT and asks is not due.NOTHING:
        sentence = f"the agent is locked out: {durable.lockout}"
        book, asks = dispatch.end_all(book, CommandState.FAILED, "lockout", sentence, say), due.NOTHING
    waiting = resuming and mode in modes.PASSING
    rest = (waiting, mode, manned, obliged, spent, lost, below, testing_ns, unread, needed)
    return Judged(book, actuation, checked, cure, asks, followed is not asks, *rest)


def _tested(state: State, s: Snapshot) -> tuple[int, bool, str | None]:
    """Since when the self-test runs, whether it still waits for the inverter's own guards, and what it waited for in
    vain; that is looked at until it is there."""
    if state.mode is not Mode.SELF_TEST:
        return s.now_ns, False, readback.missing(s) if state.unread is not None else None
    found = readback.missing(s)
    over = s.now_ns - state.testing_ns >= readback.TEST_NS
    return state.testing_ns, found is not None and not over, found if over else None


def _counted(book: Book, spent: throughput.Spent, p: Params) -> Book:
    durable = throughput.kept(book.durable, spent, p.site.capacity_wh)
    return book if durable is book.durable else replace(book, durable=durable)


def _bound(p: Params, state: State, s: Snapshot, judged: Judged, dt: int) -> bounds.Evaluated:
    """Permit and memory. Memory rests while there is nothing to learn from: at the start, and under a silent BMS."""
    returning = s.grid is GridState.CONNECTED and standing.active(judged.checked.memory, "grid_lost")
    cell = 0 if judged.cure is None else CELL_CURES.get(judged.cure.source, 0)
    facts = permit.gather(s, judged.mode in modes.ACTING, returning, judged.spent.mwh, cell)
    if p.own is not None and oblige.unbound(
        s,
        p,
        judged.cure if judged.curing or not oblige.full(s, p) else None,
        judged.asks is due.NOTHING and state.override is None,
    ):
        p = p.own
        facts = facts._replace(utility_charge_w=p.site.utility_charge_w, utility_discharge_w=p.site.utility_discharge_w)
    remember = state.mode is not Mode.INIT and s.battery_age_ns <= s.battery_stale_ns
    left = bounds.evaluate(facts, p, state.bounds, remember, s.now_ns, dt)
    if judged.mode in modes.ACTING:
        return left
    cause = standing.cause(judged.checked.memory) or UNFIT.get(judged.mode, "")
    return bounds.explained(left, f"the agent is in {judged.mode.value}: {cause}")


def _told(state: State, s: Snapshot, judged: Judged, chosen: Chosen, say: Cycle) -> Book:
    """Acks, events and notices of this cycle; and the book that knows what was told."""
    book, planned = judged.book, chosen.planned
    if judged.asks is not due.NOTHING and judged.mode not in modes.PASSING:
        quiet = judged.mode not in modes.ACTING, judged.worn, short(judged.actuation)
        book = asked.answers(book, judged.asks, (chosen.wish, chosen.answer, chosen.given_w), quiet, s, say)
    if planned.floor is not None:
        found, foreign = planned.floor
        report.floor(found, foreign, s.reserve_permille, say)
        if foreign:
            book = replace(book, durable=replace(book.durable, floor_alarm=True))
    say.notices.extend(planned.notices)
    report.mode(state.mode, judged.mode, say)
    report.faults(judged.checked, say)
    return book


def _decision(s: Snapshot, p: Params, judged: Judged, chosen: Chosen) -> Decision:
    wish, answer, given, left = chosen.wish, chosen.answer, chosen.given_w, chosen.shown
    return Decision(
        at_ns=s.now_ns,
        mode=judged.mode,
        source=wish.source,
        asked_w=wish.power_w if wish.meant_w is None else wish.meant_w,
        given_w=given,
        lo_w=left.lo_w,
        hi_w=left.hi_w,
        binding=answer.binding,
        limits=left.values,
        faults=standing.shown(judged.checked.memory),
        reserve_permille=s.reserve_permille,
        soc_lo_permille=_permille(s.soc_lo_mwh, p),
        soc_hi_permille=_permille(s.soc_hi_mwh, p),
        grid=s.grid.value,
        load_w=s.load_w,
        command_id=wish.command_id,
        stated_end_s=-(-s.stated_ns // S),
        because=wish.because,
        capacity_wh=p.site.capacity_wh,
        bounds=left,
    )


def _permille(mwh: int | None, p: Params) -> int | None:
    return mwh // p.site.capacity_wh if mwh is not None and p.site.capacity_wh > 0 else None
