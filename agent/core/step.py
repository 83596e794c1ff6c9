"""One cycle of the agent, pure: (params, state, inputs) -> (state, outputs). Only here are the parts called in order.

events -> snapshot -> commands -> faults -> mode -> permit -> memory -> wishes -> clamp and ramp -> writes -> records.
`step` is total: whatever happens inside, it returns an output that moves no power.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core import arbiter, commits, dispatch, faults, hold, modes, oblige, permit, writes
from agent.core.actuation import Actuation, rearm, watch
from agent.core.command import TERMINAL, CommandState
from agent.core.commits import Desk
from agent.core.decision import Commit, Decision, FaultValue, Intent, LimitValue, Mode, Outputs, Record, Side, Write
from agent.core.dispatch import Book, Cycle
from agent.core.durable import Durable
from agent.core.faults import BY_ID, Evaluated, Memory, Severity, World
from agent.core.inputs import (
    Clock,
    CommandIn,
    CommitFailed,
    Committed,
    FreshTime,
    Inputs,
    LocalResume,
    LocalStop,
    WriteDone,
)
from agent.core.limits import PLAIN
from agent.core.params import Params, S
from agent.core.setpoint import shape
from agent.core.snapshot import Snapshot, Trace, reserve_of, take
from agent.core.state import State
from agent.core.strategies import dispatch as dispatching
from agent.core.strategies import self_consumption
from drivers.readings import GridState

INIT_NS = 10 * S  # first readings have this long to come
MAX_RAMP_CYCLES = 2  # a longer gap does not make a longer step
STARTS_KEPT = 16
CHECKPOINT_NS = 300 * S  # a running command's energy is stored this often at least


def initial(params: Params, durable: Durable, clock: Clock, now_ns: int) -> State:
    """The first state of this start of the daemon: nothing is known, nothing may act, this start is counted."""
    recent = () if durable.clean_stop else durable.starts_ms[1 - STARTS_KEPT :]
    counted = replace(durable, starts_ms=(*recent, clock.wall_ms), clean_stop=False)
    live = tuple(
        dispatch.Live(r.command.id, running=r.started, acked_reason=r.reason)
        for r in durable.commands
        if r.state not in TERMINAL
    )
    body = {"event": "start", "boot": clock.boot, "after_clean_stop": durable.clean_stop}
    desk = Desk(stored=None, backlog=(Record("event", body),))
    return State(now_ns, now_ns, Mode.INIT, Book(counted, live), desk, Trace(now_ns))


def final(state: State) -> Durable:
    """What to store at a clean stop: the next start is not counted as one after a crash."""
    return replace(dispatch.settled(state.book).durable, clean_stop=True)


def step(params: Params, state: State, inputs: Inputs) -> tuple[State, Outputs]:
    """One cycle. Never raises; an error of its own becomes the fault `internal_error`, which moves no power."""
    try:
        return _step(params, state, inputs)
    except Exception as error:  # noqa: BLE001  # step is total: a bug here must still release the inverter
        return _broken(params, state, inputs, f"{type(error).__name__}: {error}")


def _step(p: Params, state: State, i: Inputs) -> tuple[State, Outputs]:
    now = i.now_ns
    dt = max(0, now - state.now_ns)
    say = Cycle(now, i.clock, p, i.disk_ok, state.fresh, _locked(state))
    s, trace = take(p, i, state.trace)
    state = _events(state, i, s, say)
    hand, actuation = state.hand, _watched(state, s, p, dt)
    book = _metered(state.book, hand, s, dt)
    settled = state.mode is not Mode.INIT
    world = World(s, i, p, book.durable, actuation, hand, settled, state.boot_ns, state.resumed, state.internal)
    checked = faults.evaluate(world, state.faults, i.draw)
    book = _latched(book, checked, now)
    cure = oblige.cure(s, p, state.cure)
    book, due = dispatch.due(book, say)
    resuming = _resumable(book, i.clock)
    mode = modes.following(state.mode, _signs(state, s, checked, resuming, due is not None, cure is not None))
    if mode is Mode.LOCKOUT and due is not None:
        book, due = dispatch.end_all(book, CommandState.FAILED, "lockout", "the agent is locked out", say), None

    returning = s.grid is GridState.CONNECTED and any(m.active and m.id == "grid_lost" for m in checked.memory)
    facts = permit.gather(s, mode in modes.ACTING, returning)
    caps = permit.caps(PLAIN, facts, p)
    holds = state.holds
    if settled and s.battery_age_ns <= s.battery_stale_ns:
        caps, holds = hold.narrow(caps, holds, facts, p, now, dt)
    lo, hi = permit.fold(PLAIN, caps)
    limits = permit.values(facts, p, caps)

    wish = arbiter.choose((cure, dispatching.propose(due), self_consumption.propose()))
    shaped = _shape(wish, lo, hi, caps, limits, state, s, p)
    hand, given = _fit(hand, mode, now, shaped.given_w, p)
    critical = any(m.active and m.gone_ns is None and m.id in faults.CRITICAL for m in checked.memory)
    waiting = resuming and mode in modes.PASSING
    planned = writes.plan(hand, s, mode, given, wish.command_id, critical, waiting, p)
    given = given if planned.hand.setpoint_w == given else None
    if planned.rearmed:
        actuation = rearm(actuation, now)
    if due is not None and wish.command_id is not None and mode not in modes.PASSING:
        book = dispatch.limit(book, due, given, shaped.binding if shaped.limited else None, say)
    book = _floored(book, planned.floor, s, say)
    say.notices.extend(planned.notices)
    _tell(state, mode, checked, say)
    decision = Decision(
        now,
        mode,
        wish.source,
        wish.power_w,
        given,
        lo,
        hi,
        shaped.binding,
        limits,
        tuple(_fault_value(m) for m in checked.memory if m.active),
        s.reserve_permille,
        _permille(s.soc_lo_mwh, p),
        _permille(s.soc_hi_mwh, p),
        s.grid.value,
        s.load_w,
        wish.command_id,
        -(-s.stated_ns // S),
    )
    book, desk, commit = _stored(book, state.desk, say)
    after = State(
        boot_ns=state.boot_ns,
        now_ns=now,
        mode=mode,
        book=book,
        desk=desk,
        trace=trace,
        hand=planned.hand,
        actuation=actuation,
        faults=checked.memory,
        holds=holds,
        fresh=state.fresh,
        resumed=state.resumed,
        ramped_w=shaped.ramped_w if given is not None else None,
        cure=wish.source.removeprefix("cure:") if wish.source.startswith("cure:") else None,
    )
    wake_ns = now if mode in modes.PASSING and mode is not state.mode else _wake(book, now)
    return after, Outputs(decision, planned.writes, commit, tuple(say.notices), wake_ns)


def _watched(state: State, s: Snapshot, p: Params, dt: int) -> Actuation:
    """The inverter's obedience to the setpoint that was read back."""
    hand = state.hand
    commanded = hand.setpoint_w if hand.confirmed else None
    measured_at = s.inverter.battery_at_ns if s.inverter is not None else 0
    return watch(state.actuation, p, s.now_ns, dt, commanded, hand.confirmed_ns, s.battery_w, measured_at)


# --- events -----------------------------------------------------------------------------------------------------------
def _locked(state: State) -> str | None:
    """Why no dispatch is accepted now, as an ack's reason."""
    if state.book.durable.lockout is not None:
        return "lockout"
    if state.book.durable.stopped_by is not None:
        return "local_stop"
    return "crash_loop" if any(m.active and m.id == "crash_loop" for m in state.faults) else None


def _events(state: State, i: Inputs, s: Snapshot, say: Cycle) -> State:
    """Everything that happened since the last cycle, in its order."""
    for event in i.events:
        match event:
            case CommandIn():
                state = replace(state, book=dispatch.receive(state.book, event, say))
            case WriteDone():
                state = _written(state, event, say)
            case Committed(commit_id):
                desk = commits.answered(state.desk, commit_id, True, i.now_ns)
                state = replace(state, desk=desk, book=dispatch.committed(state.book, commit_id))
            case CommitFailed(commit_id, reason):
                say.notices.append(f"the disk did not take a record: {reason}")
                desk = commits.answered(state.desk, commit_id, False, i.now_ns)
                state = replace(state, desk=desk, book=dispatch.lost(state.book, commit_id, say))
            case FreshTime():
                say.fresh = True
                state = replace(state, fresh=True)
            case LocalStop(by):
                state = _local_stop(state, by, say)
            case LocalResume(by):
                state = _local_resume(state, by, s, say)
    return state


def _written(state: State, done: WriteDone, say: Cycle) -> State:
    hand = writes.heard(state.hand, done, say.now_ns)
    book = state.book
    if done.outcome == "confirmed":
        if done.write_class == "power" and hand.confirmed and hand.setpoint_w == done.value:
            book = dispatch.begun(book, hand.command_id, done.value, say)
    elif done.outcome != "superseded":
        say.notices.append(f"{done.write_class} {done.value} to {done.device}: {done.outcome}")
    return replace(state, hand=hand, book=book)


def _local_stop(state: State, by: str, say: Cycle) -> State:
    say.locked = "local_stop"
    say.records.append(Record("event", {"event": "local_stop", "by": by}))
    book = dispatch.end_all(state.book, CommandState.OPTED_OUT, "local_stop", f"stopped on site by {by}", say)
    return replace(state, book=replace(book, durable=replace(book.durable, stopped_by=by)))


def _local_resume(state: State, by: str, s: Snapshot, say: Cycle) -> State:
    """Ends a local stop; ends latches and lockout too, when BMS and inverter answer and their causes are gone."""
    durable = replace(state.book.durable, stopped_by=None)
    answering = s.battery_age_ns <= s.battery_stale_ns and s.inverter_age_ns <= s.inverter_stale_ns
    there = [
        m.id
        for m in state.faults
        if m.active and m.gone_ns is None and m.id in durable.latches and m.id != "floor_changed"
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
    return replace(state, book=replace(state.book, durable=durable), faults=memory, resumed=True)


# --- faults and mode --------------------------------------------------------------------------------------------------
def _metered(book: Book, hand: writes.Hand, s: Snapshot, dt: int) -> Book:
    """Energy of the command whose setpoint was read back."""
    if hand.command_id is None or hand.setpoint_w is None or not hand.confirmed or s.battery_w is None or not dt:
        return book
    return replace(book, meters=book.meters.add(hand.command_id, s.battery_w * dt))


def _latched(book: Book, checked: Evaluated, now: int) -> Book:
    """Latches and lockout into the durable part, where they survive a reboot."""
    durable = book.durable
    if checked.latches != durable.latches:
        durable = replace(durable, latches=checked.latches)
    if durable.lockout is None:
        grave = [m.sentence for m in checked.memory if m.active and BY_ID[m.id].severity is Severity.LOCKOUT]
        if grave:
            durable = replace(durable, lockout=grave[0])
        elif checked.raised and faults.strikes(checked.memory, now) >= faults.STRIKES:
            durable = replace(durable, lockout=f"{faults.STRIKES} grave faults within an hour")
    return book if durable is book.durable else replace(book, durable=durable)


def _signs(state: State, s: Snapshot, checked: Evaluated, resuming: bool, due: bool, curing: bool) -> modes.Signs:
    return modes.Signs(
        worst=faults.worst(checked.memory),
        first_readings=s.battery_age_ns <= s.battery_stale_ns
        and s.inverter_age_ns <= s.inverter_stale_ns
        and s.meter_age_ns <= s.meter_stale_ns,
        grace_over=s.now_ns - state.boot_ns >= INIT_NS,
        tested=resuming or not state.hand.maybe_active,
        stopped=state.book.durable.stopped_by is not None,
        dispatched=due,
        curing=curing,
    )


def _resumable(book: Book, clock: Clock) -> bool:
    """A command that acted before a crash of this process is taken up: its setpoint is not released in between."""
    return any(
        r.started and r.state not in TERMINAL and r.kernel_boot == clock.kernel_boot for r in book.durable.commands
    )


def _fault_value(m: Memory) -> FaultValue:
    row = BY_ID[m.id]
    return FaultValue(m.id, row.severity.name.lower(), m.sentence, row.remedy, m.since_ns)


def _tell(state: State, mode: Mode, checked: Evaluated, say: Cycle) -> None:
    """Events and notices of what changed."""
    if mode is not state.mode:
        say.notices.append(f"{state.mode.value} -> {mode.value}")
    for fault_id in checked.raised + checked.cleared:
        row = BY_ID[fault_id]
        sentence = next(m.sentence for m in checked.memory if m.id == fault_id)
        raised = fault_id in checked.raised
        body = {
            "event": "fault_raised" if raised else "fault_cleared",
            "fault": fault_id,
            "severity": row.severity.name.lower(),
            "sentence": sentence,
        }
        say.records.append(Record("event", body))
        say.notices.append(f"fault {fault_id}: {sentence}. {row.remedy}" if raised else f"fault {fault_id} is over")


# --- the setpoint -----------------------------------------------------------------------------------------------------
class Shaped(NamedTuple):
    """A wish after permit and ramp. `limited`: a limit, not the ramp, made it differ."""

    given_w: int | None
    ramped_w: int | None
    limited: bool
    binding: LimitValue | None


def _shape(
    wish: arbiter.Proposal,
    lo: int,
    hi: int,
    caps: list[int],
    limits: tuple[LimitValue, ...],
    state: State,
    s: Snapshot,
    p: Params,
) -> Shaped:
    if wish.power_w is None:
        return Shaped(None, None, False, None)
    step_w = s.capability.resolution_w if s.capability is not None else 1
    since = s.now_ns - state.hand.asked_ns if state.ramped_w is not None else p.timers.cycle_ns
    ramp_ns = min(since, MAX_RAMP_CYCLES * p.timers.cycle_ns) if writes.may_relax(state.hand, s.now_ns, p) else 0
    made = shape(wish.power_w, lo, hi, state.ramped_w, s.battery_w, wish.ramp, ramp_ns, step_w, p)
    side = Side.CHARGE if wish.power_w < 0 else Side.DISCHARGE
    if made.clamped or not all(caps[k] for k in permit.BOTH):
        return Shaped(made.given_w, made.ramped_w, True, limits[permit.binding(caps, p, side is Side.CHARGE)])
    if made.ramping:
        sentence = f"on its way to {wish.power_w} W, by the {wish.ramp.value} ramp"
        return Shaped(
            made.given_w, made.ramped_w, False, LimitValue("ramp", side, abs(made.ramped_w), sentence, "agent")
        )
    return Shaped(made.given_w, made.ramped_w, False, None)


def _fit(hand: writes.Hand, mode: Mode, now: int, given_w: int | None, p: Params) -> tuple[writes.Hand, int | None]:
    """What the mode leaves of a setpoint: all, zero for a while and then release, or release."""
    if mode in modes.ACTING:
        return (hand if hand.zero_ns is None else replace(hand, zero_ns=None)), given_w
    if mode in modes.ZEROING and hand.setpoint_w is not None:
        if hand.zero_ns is None:
            return replace(hand, zero_ns=now), 0
        return hand, 0 if now - hand.zero_ns < p.timers.release_delay_ns else None
    return hand, None


# --- records ----------------------------------------------------------------------------------------------------------
def _floored(book: Book, found: tuple[int, bool] | None, s: Snapshot, say: Cycle) -> Book:
    """The device's own floor was not the reserve: say so; alarm when another hand moved it."""
    if found is None:
        return book
    floor, foreign = found
    say.records.append(
        Record(
            "event",
            {"event": "floor", "found_permille": floor, "reserve_permille": s.reserve_permille, "foreign": foreign},
        )
    )
    who = "by another hand" if foreign else "before we set it"
    say.notices.append(f"the inverter's own floor was {floor} permille {who}: set to {s.reserve_permille}")
    return replace(book, durable=replace(book.durable, floor_alarm=True)) if foreign else book


def _stored(book: Book, desk: Desk, say: Cycle) -> tuple[Book, Desk, Commit | None]:
    """One transaction if something changed that must survive."""
    checkpoint = book.meters.energy and say.now_ns - desk.asked_ns >= CHECKPOINT_NS
    if not say.records and not desk.backlog and book.durable is desk.stored and not checkpoint:
        return book, desk, None
    book = dispatch.settled(book)
    durable = dispatch.prune(book.durable, say.clock)
    if durable is not book.durable:
        book = replace(book, durable=durable)
    desk, commit = commits.propose(desk, durable, tuple(say.records), say.disk_ok, say.now_ns)
    return (dispatch.committing(book, commit.id) if commit is not None else book), desk, commit


def _permille(mwh: int | None, p: Params) -> int | None:
    return mwh // p.site.capacity_wh if mwh is not None and p.site.capacity_wh > 0 else None


def _wake(book: Book, now: int) -> int | None:
    """When a command begins or ends next."""
    times = [t for r in book.durable.commands if r.state not in TERMINAL for t in (r.start_ns, r.end_ns) if t > now]
    return min(times, default=None)


# --- when the core itself fails ---------------------------------------------------------------------------------------
def _broken(p: Params, state: State, i: Inputs, what: str) -> tuple[State, Outputs]:
    """Move no power, release, say what happened. Events of this cycle are lost: nothing acts on them."""
    hand = state.hand
    clear: tuple[Write, ...] = ()
    if hand.maybe_active and (hand.clear_ns is None or i.now_ns - hand.clear_ns >= writes.CLEAR_RETRY_NS):
        hand = replace(hand, setpoint_w=None, pending=False, confirmed=False, clear_ns=i.now_ns, clear_pending=True)
        clear = (Write(Intent.CLEAR, 0, "internal error"),)
    row = BY_ID["internal_error"]
    decision = Decision(
        at_ns=i.now_ns,
        mode=Mode.FAULT,
        source="none",
        asked_w=None,
        given_w=None,
        lo_w=0,
        hi_w=0,
        binding=None,
        limits=(),
        faults=(FaultValue(row.id, row.severity.name.lower(), what, row.remedy, i.now_ns),),
        reserve_permille=reserve_of(p, i),
        soc_lo_permille=None,
        soc_hi_permille=None,
        grid=GridState.UNKNOWN.value,
        load_w=None,
        command_id=None,
        stated_end_s=-(-(p.timers.stale_battery_ns + p.timers.cycle_ns + p.timers.write_ns) // S)
        + p.timers.reversion_s,
    )
    after = replace(state, now_ns=i.now_ns, mode=Mode.FAULT, hand=hand, internal=what, ramped_w=None)
    return after, Outputs(decision, clear, None, (f"internal error: {what}",))
