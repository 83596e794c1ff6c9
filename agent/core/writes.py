"""What to ask of the inverter this cycle, and what is known of what was asked before.

POWER: on change and as lease renewal, only with grid evidence. HEARTBEAT: the same, while the last POWER is read back.
CLEAR: until it is read back that no remote setpoint is active, in every grid state. FLOOR: only with grid evidence.
STOP: once power flows that must not, and then until what forbids it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.core import mirror
from agent.core.actuation import Loss
from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import WriteDone
from agent.core.params import Params, S
from agent.core.snapshot import Snapshot
from drivers.readings import GridState, InverterReading

ANSWER_NS = 5 * S  # a write without a result for this long counts as unanswered
CLEAR_RETRY_NS = 2 * S
FOREIGN_RETRY_NS = 60 * S  # a setpoint of another hand is cleared again this often
STOP_FLOW_W = 200
DRIFT_W = 50  # a setpoint at the AC terminals is renewed when PV moved the battery by more
PACE_SLACK_NS = S // 10  # a cycle may come this much early
BOOTING = frozenset({"off", "sleeping", "starting", "restarting", "updating"})  # states of an inverter that began anew
BEATS = 60_000  # a heartbeat counts up to this and begins again: it fits every register


AGAIN = {
    Loss.REBOOTED: "again: the inverter restarted",
    Loss.REVERTED: "again: the inverter ended it",
    Loss.OVERRIDDEN: "again: another hand took it",
}
TOOK = {
    Loss.REBOOTED: "the inverter restarted",
    Loss.REVERTED: "the inverter ended it by itself",
    Loss.OVERRIDDEN: "another hand",
}


@dataclass(frozen=True, slots=True)
class Hand:
    """What our hand on the inverter has done. `None` setpoint = released, as far as we asked."""

    setpoint_w: int | None = None
    command_id: str | None = None  # for which command the setpoint was asked
    asked_ns: int = 0
    pending: bool = False  # the last POWER has no result yet
    touched_ns: int = 0  # last time a POWER, CLEAR or STOP was asked or ended: older readings say nothing about them
    confirmed: bool = False  # the last POWER was read back
    confirmed_ns: int = 0
    held_ns: int | None = None  # first confirmation since the last release
    failures: int = 0
    outcome: str = ""
    zero_ns: int | None = None  # since when we hold zero for want of fitness
    maybe_active: bool = True  # a remote setpoint is or may be active
    clear_ns: int | None = None  # last CLEAR asked
    clear_pending: bool = False
    clear_failures: int = 0
    foreign_ns: int = 0
    floor_permille: int | None = None  # the reserve for which the last FLOOR was asked
    floor_extra: int = 0  # so much more than that was asked, permille
    floor_ns: int = 0
    floor_pending: bool = False
    floor_taken: bool = False  # the device took the last FLOOR, as it could
    floor_confirmed_ns: int | None = None
    floor_seen: int | None = None  # what the device made of it
    floor_failures: int = 0  # since the floor read as it should
    floor_tries: int = 0  # FLOORs after the first for this reserve, in a row
    stop_ns: int = 0
    stopped: bool = False  # our last order was STOP: it is renewed, and released when what forbade the power is gone
    stop_refused: bool = False  # the last STOP was not confirmed: what rules is at least released
    beats: int = 0
    beat_ns: int = 0  # last HEARTBEAT asked
    worn_until_ns: int = 0  # until then the day's writes that wear the inverter out are used up


class Wanted(NamedTuple):
    """What the cycle wants of the inverter."""

    mode: Mode
    given_w: int | None  # None = no setpoint of ours may be active
    command_id: str | None
    stop: bool  # a cell is beyond its own limits, or power goes astray: none may flow
    waiting: bool  # a setpoint from before a crash is about to be taken up: it is not released in between
    unheeded: bool  # the setpoint has been read back and is not followed: say it again
    contested: bool = False  # another hand took it time and again: it is not written over that once more


class Planned(NamedTuple):
    """The new memory, the writes, and what people should hear."""

    hand: Hand
    writes: tuple[Write, ...]
    loss: Loss | None  # a setpoint that was read back is gone
    floor: tuple[int, bool] | None  # the device's floor was found at this value; by another hand?
    notices: tuple[str, ...]


def heard(hand: Hand, done: WriteDone, now_ns: int) -> Hand:
    """One result. Only a confirmed POWER of the value last asked makes a lease."""
    good = done.outcome == "confirmed"
    if done.write_class == "power":
        return _power_heard(hand, done, good, now_ns)
    if done.write_class == "clear":
        return _clear_heard(hand, done, good, now_ns)
    if done.write_class == "floor":
        return mirror.heard(hand, done, now_ns)
    if done.write_class == "stop" and done.outcome != "superseded":
        return replace(hand, stop_refused=not good, touched_ns=now_ns)
    return hand


def abandon(hand: Hand, now_ns: int, device: str = "") -> tuple[Hand, tuple[Write, ...]]:
    """Release without looking at anything: for a core that cannot look any more. A STOP that holds is left to hold."""
    if hand.stopped and not hand.stop_refused:
        return hand, ()
    if not hand.maybe_active or (hand.clear_ns is not None and now_ns - hand.clear_ns < CLEAR_RETRY_NS):
        return hand, ()
    return _release(_let_go(hand), now_ns), (Write(Intent.CLEAR, 0, "internal error", device),)


def _power_heard(hand: Hand, done: WriteDone, good: bool, now_ns: int) -> Hand:
    if done.value != hand.setpoint_w or done.outcome == "superseded":
        return replace(hand, touched_ns=now_ns)
    hand = replace(hand, pending=False, confirmed=good, touched_ns=now_ns, outcome=done.outcome)
    if done.outcome == "worn":
        return replace(hand, worn_until_ns=done.free_ns)
    if not good:
        return replace(hand, failures=hand.failures + 1)
    held_ns = now_ns if hand.held_ns is None else hand.held_ns
    return replace(hand, confirmed_ns=now_ns, held_ns=held_ns, failures=0, clear_failures=0)


def _clear_heard(hand: Hand, done: WriteDone, good: bool, now_ns: int) -> Hand:
    hand = replace(hand, clear_pending=False, touched_ns=now_ns)
    if hand.setpoint_w is not None or done.outcome == "superseded":
        return hand
    if good:
        return replace(hand, clear_failures=0, maybe_active=False)
    return replace(hand, clear_failures=hand.clear_failures + 1, outcome=done.outcome)


def plan(hand: Hand, s: Snapshot, wanted: Wanted, params: Params) -> Planned:
    """One cycle's writes."""
    device = s.inverter_device
    if device is None or device.capability is None or device.presence != "ok":
        return Planned(hand, (), None, None, ())
    if s.inverter_age_ns > s.inverter_stale_ns and (hand.failures or hand.clear_failures):
        hand = replace(hand, failures=0, clear_failures=0)  # what a silent inverter does not confirm is not refused
    writes: list[Write] = []
    notices: list[str] = []
    loss: Loss | None = None
    connected = s.grid is GridState.CONNECTED
    heard = hand.setpoint_w is not None and hand.confirmed and not hand.pending  # the last write, as the cycle begins
    write: Write | None = None
    halting = wanted.stop and (hand.stopped or (s.battery_w is not None and abs(s.battery_w) > STOP_FLOW_W))
    if hand.stopped and not halting:
        hand = replace(hand, stopped=False, stop_refused=False)
    if halting:
        hand, write = _stop(hand, s, params)
        if write is None and hand.stop_refused:
            hand, write, _ = _clear(hand, s, False)
    elif wanted.given_w is not None and connected:
        before = hand
        hand, write, loss = _power(hand, s, wanted.given_w, wanted, params)
        if loss is not None:
            notices.append(_lost(before, s, loss, write is not None))
    elif not device.capability.control:
        hand = replace(hand, maybe_active=False)  # it is only read: nothing to release
    elif not wanted.waiting:
        hand, write, notice = _clear(hand, s, connected and wanted.mode is not Mode.LOCKOUT)
        if notice:
            notices.append(notice)
    if write is not None:
        writes.append(write)
    if heard and connected and hand.setpoint_w is not None:
        hand, write = _beat(hand, s, device.capability.heartbeat_s)
        if write is not None:
            writes.append(write)
    hand, write, found = mirror.plan(hand, s, wanted.mode, connected)
    if write is not None:
        writes.append(write)
    return Planned(hand, tuple(writes), loss, found, tuple(notices))


def may_relax(hand: Hand, now_ns: int, params: Params) -> bool:
    """A setpoint grows once a cycle, and only from one that was read back; results that wake cycles do not hurry it."""
    if hand.setpoint_w is None:
        return True
    return hand.confirmed and now_ns - hand.asked_ns >= params.timers.cycle_ns - PACE_SLACK_NS


def _power(
    hand: Hand, s: Snapshot, given_w: int, wanted: Wanted, params: Params
) -> tuple[Hand, Write | None, Loss | None]:
    now = s.now_ns
    if hand.pending and now - hand.asked_ns >= ANSWER_NS:
        hand = replace(hand, pending=False, confirmed=False, failures=hand.failures + 1, outcome="no answer")
    loss: Loss | None = None
    same = given_w == hand.setpoint_w
    if not same or wanted.command_id != hand.command_id:
        loss = Loss.OVERRIDDEN if not hand.pending and disputed(hand, s) else None
        why = "setpoint"
    elif hand.pending:
        return hand, None, None
    elif not hand.confirmed:
        why = "again: it was not confirmed"
    elif (loss := taken(hand, s, given_w)) is not None:
        if wanted.contested and loss is Loss.OVERRIDDEN:
            return hand, None, loss
        why = AGAIN[loss]
    elif _drifted(hand, s, given_w):
        why = "again: PV or load moved"
    elif wanted.unheeded:
        why = "again: it is not followed"
    elif now - hand.asked_ns >= params.timers.refresh_ns:
        why = "lease"
    else:
        return hand, None, None
    hand = replace(
        hand,
        setpoint_w=given_w,
        command_id=wanted.command_id,
        asked_ns=now,
        pending=True,
        confirmed=hand.confirmed and same,
        touched_ns=now,
        maybe_active=True,
        clear_ns=None,
        clear_pending=False,
    )
    return hand, Write(Intent.POWER, given_w, why, _name(s)), loss


def taken(hand: Hand, s: Snapshot, given_w: int) -> Loss | None:
    """A reading newer than the confirmation shows no setpoint, or another one: what took it. None = it is there, or on
    its way."""
    inverter, can = s.inverter, s.capability
    if inverter is None or hand.pending or not hand.confirmed:
        return None
    if inverter.at_ns <= hand.confirmed_ns or s.inverter_age_ns > s.inverter_stale_ns:
        return None
    if inverter.remote_active is None or can is None:
        return None
    if inverter.remote_active:
        other = inverter.remote_w is not None and abs(inverter.remote_w - given_w) > max(1, can.resolution_w)
        return Loss.OVERRIDDEN if other else None
    if inverter.status in BOOTING or (can.reversion_s > 0 and inverter.reversion_s == 0):
        return Loss.REBOOTED
    timed = inverter.reversion_s is not None and inverter.at_ns - hand.confirmed_ns < inverter.reversion_s * S
    return Loss.OVERRIDDEN if timed else Loss.REVERTED


def disputed(hand: Hand, s: Snapshot) -> bool:
    """The inverter itself says that it follows another hand, whether ours is on its way again or not."""
    if hand.setpoint_w is None:
        return False
    return taken(replace(hand, pending=False) if hand.pending else hand, s, hand.setpoint_w) is Loss.OVERRIDDEN


def _lost(hand: Hand, s: Snapshot, loss: Loss, again: bool) -> str:
    """What is seen of a setpoint that is gone, for people."""
    inverter = s.inverter
    found = (
        f"the setpoint of {hand.setpoint_w} W is gone {(s.now_ns - hand.confirmed_ns) // S} s after it was read back"
    )
    if inverter is not None and inverter.remote_active:
        found = f"the inverter has a setpoint of {inverter.remote_w} W, ours is {hand.setpoint_w} W"
    changed = ", ".join(inverter.foreign) if inverter is not None else ""
    then = "it is written again" if again else "it is released, as this was too often"
    return f"{found}: {TOOK[loss]}{' (changed: ' + changed + ')' if changed else ''}; {then}"


def _drifted(hand: Hand, s: Snapshot, given_w: int) -> bool:
    """The setpoint is not at the battery, and what it means there is no longer what was given."""
    inverter = s.inverter
    if inverter is None or inverter.remote_now_w is None or inverter.at_ns <= hand.confirmed_ns:
        return False
    if s.inverter_age_ns > s.inverter_stale_ns:
        return False
    return abs(inverter.remote_now_w - given_w) > DRIFT_W


def _clear(hand: Hand, s: Snapshot, watch: bool) -> tuple[Hand, Write | None, str | None]:
    """Ask for release until it is read back; then nothing, unless another hand commands while we `watch`."""
    now, inverter = s.now_ns, s.inverter
    forced = hand.pending  # a POWER may still be on its way: no reading of now can tell
    if hand.setpoint_w is not None or hand.pending:
        hand = _let_go(hand)
    if hand.clear_pending and hand.clear_ns is not None and now - hand.clear_ns >= ANSWER_NS:
        hand = replace(hand, clear_pending=False, clear_failures=hand.clear_failures + 1, touched_ns=now)
    fresh = inverter is not None and s.inverter_age_ns <= s.inverter_stale_ns
    telling = inverter if fresh and inverter is not None and inverter.at_ns > hand.touched_ns else None
    if not hand.maybe_active:
        return _foreign(hand, telling, s) if watch else (hand, None, None)
    if not forced:
        if hand.clear_pending or (hand.clear_ns is not None and now - hand.clear_ns < CLEAR_RETRY_NS):
            return hand, None, None
        if telling is not None and telling.remote_active is False and telling.remote_w is None:
            return replace(hand, maybe_active=False, clear_failures=0), None, None
        if not fresh and not hand.touched_ns:
            return hand, None, None  # nothing was read yet, and nothing was asked by us: look first
    return _release(hand, now), Write(Intent.CLEAR, 0, "release", _name(s)), None


def _foreign(hand: Hand, telling: InverterReading | None, s: Snapshot) -> tuple[Hand, Write | None, str | None]:
    """A setpoint is active that we did not ask for. A reading that contradicts itself is taken for the worse."""
    now = s.now_ns
    active = telling is not None and (telling.remote_active or telling.remote_w is not None)
    if not active or (hand.foreign_ns and now - hand.foreign_ns < FOREIGN_RETRY_NS):
        return hand, None, None
    hand = replace(_release(hand, now), foreign_ns=now, maybe_active=True)
    clear = Write(Intent.CLEAR, 0, "not ours", _name(s))
    return hand, clear, "another hand commands the inverter: its setpoint is cleared"


def _let_go(hand: Hand) -> Hand:
    return replace(hand, setpoint_w=None, command_id=None, pending=False, confirmed=False, held_ns=None, failures=0)


def _release(hand: Hand, now: int) -> Hand:
    return replace(hand, clear_ns=now, clear_pending=True, touched_ns=now)


def _beat(hand: Hand, s: Snapshot, every_s: int) -> tuple[Hand, Write | None]:
    """Tell the inverter that we live: only while a setpoint of ours rules whose last write was read back, so that it
    ends when this cycle, the line or the device's ear does."""
    due = s.now_ns - hand.beat_ns >= every_s * S - PACE_SLACK_NS
    if not every_s or not due:
        return hand, None
    hand = replace(hand, beats=hand.beats % BEATS + 1, beat_ns=s.now_ns)
    return hand, Write(Intent.HEARTBEAT, hand.beats, "the inverter listens for it", _name(s))


def _name(s: Snapshot) -> str:
    return s.inverter_device.name if s.inverter_device is not None else ""


def _stop(hand: Hand, s: Snapshot, params: Params) -> tuple[Hand, Write | None]:
    now = s.now_ns
    if hand.stop_ns and now - hand.stop_ns < params.timers.refresh_ns:
        return hand, None
    hand = replace(
        _let_go(hand),
        stop_ns=now,
        stopped=True,
        maybe_active=True,
        clear_ns=None,
        clear_pending=False,
        touched_ns=now,
    )
    return hand, Write(Intent.STOP, 0, "power flows that must not", _name(s))
