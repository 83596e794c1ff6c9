"""What to ask of the inverter this cycle, and what is known of what was asked before.

POWER: on change and as lease renewal, only with grid evidence. CLEAR: until it is read back that no remote setpoint is
active, in every grid state. FLOOR: only with grid evidence. STOP: only while power flows into a critical battery.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import WriteDone
from agent.core.params import Params, S
from agent.core.snapshot import Snapshot
from drivers.readings import GridState

ANSWER_NS = 5 * S  # a write without a result for this long counts as unanswered
CLEAR_RETRY_NS = 2 * S
FOREIGN_RETRY_NS = 60 * S  # a setpoint of another hand is cleared again this often
FLOOR_RETRY_NS = 10 * S
FLOOR_RETRY_MAX_NS = 600 * S
FLOOR_STEP = 10  # permille: a floor may read back rounded up by less than this
STOP_FLOW_W = 200
PACE_SLACK_NS = S // 10  # a cycle may come this much early


@dataclass(frozen=True, slots=True)
class Hand:
    """What our hand on the inverter has done. `None` setpoint = released, as far as we asked."""

    setpoint_w: int | None = None
    command_id: str | None = None  # for which command the setpoint was asked
    asked_ns: int = 0
    pending: bool = False  # the last POWER has no result yet
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
    cleared_ns: int | None = None  # a CLEAR was confirmed
    foreign_ns: int = 0
    floor_permille: int | None = None  # last FLOOR asked
    floor_ns: int = 0
    floor_pending: bool = False
    floor_confirmed_ns: int | None = None
    floor_failures: int = 0
    stop_ns: int = 0


class Planned(NamedTuple):
    """The new memory, the writes, and what people should hear."""

    hand: Hand
    writes: tuple[Write, ...]
    rearmed: bool  # a setpoint that was read back is gone
    floor: tuple[int, bool] | None  # the device's floor was found at this value; by another hand?
    notices: tuple[str, ...]


def heard(hand: Hand, done: WriteDone, now_ns: int) -> Hand:
    """One result. Only a confirmed POWER of the value last asked makes a lease."""
    good = done.outcome == "confirmed"
    if done.write_class == "power":
        if done.value != hand.setpoint_w or done.outcome == "superseded":
            return hand
        if good:
            held_ns = hand.held_ns if hand.held_ns is not None else now_ns
            return replace(
                hand,
                pending=False,
                confirmed=True,
                confirmed_ns=now_ns,
                held_ns=held_ns,
                failures=0,
                outcome=done.outcome,
            )
        failures = hand.failures + 1
        return replace(hand, pending=False, confirmed=False, failures=failures, outcome=done.outcome)
    if done.write_class == "clear":
        if good and hand.setpoint_w is None:
            return replace(hand, clear_pending=False, clear_failures=0, maybe_active=False, cleared_ns=now_ns)
        failed = not good and done.outcome != "superseded"
        return replace(hand, clear_pending=False, clear_failures=hand.clear_failures + failed, outcome=done.outcome)
    if done.write_class == "floor":
        if good and done.value == hand.floor_permille:
            return replace(hand, floor_pending=False, floor_confirmed_ns=now_ns, floor_failures=0)
        return replace(hand, floor_pending=False, floor_failures=hand.floor_failures + (not good))
    return hand


def plan(
    hand: Hand,
    s: Snapshot,
    mode: Mode,
    given_w: int | None,
    command_id: str | None,
    critical: bool,
    waiting: bool,
    params: Params,
) -> Planned:
    """One cycle's writes. `given_w` None = no setpoint of ours may be active. `critical`: a cell is beyond its own
    limits. `waiting`: a setpoint from before a crash is about to be taken up, and is not released in between."""
    device = s.inverter_device
    if device is None or device.capability is None or device.presence != "ok":
        return Planned(hand, (), False, None, ())
    now = s.now_ns
    writes: list[Write] = []
    notices: list[str] = []
    rearmed = False
    connected = s.grid is GridState.CONNECTED
    stop = critical and s.battery_w is not None and abs(s.battery_w) > STOP_FLOW_W
    if stop:
        hand, write = _stop(hand, now, params)
    elif given_w is not None and connected:
        hand, write, rearmed = _power(hand, s, given_w, command_id, params)
    elif waiting:
        write = None
    else:
        hand, write, notice = _clear(hand, s, connected)
        if notice:
            notices.append(notice)
    if write is not None:
        writes.append(write)
    hand, write, found = _floor(hand, s, mode, connected)
    if write is not None:
        writes.append(write)
    return Planned(hand, tuple(writes), rearmed, found, tuple(notices))


def may_relax(hand: Hand, now_ns: int, params: Params) -> bool:
    """A setpoint grows once a cycle, and only from one that was read back; results that wake cycles do not hurry it."""
    if hand.setpoint_w is None:
        return True
    return hand.confirmed and now_ns - hand.asked_ns >= params.timers.cycle_ns - PACE_SLACK_NS


def _power(
    hand: Hand, s: Snapshot, given_w: int, command_id: str | None, params: Params
) -> tuple[Hand, Write | None, bool]:
    now = s.now_ns
    pending = hand.pending and now - hand.asked_ns < ANSWER_NS
    if hand.pending and not pending:
        hand = replace(hand, pending=False, confirmed=False, failures=hand.failures + 1, outcome="no answer")
    lost = False
    if given_w != hand.setpoint_w or command_id != hand.command_id:
        why = "setpoint"
    elif pending:
        return hand, None, False
    elif not hand.confirmed:
        why = "again: it was not confirmed"
    elif _gone(hand, s, given_w):
        why, lost = "again: the inverter lost it", True
    elif now - hand.asked_ns >= params.timers.refresh_ns:
        why = "lease"
    else:
        return hand, None, False
    hand = replace(
        hand,
        setpoint_w=given_w,
        command_id=command_id,
        asked_ns=now,
        pending=True,
        maybe_active=True,
        clear_ns=None,
        clear_pending=False,
        cleared_ns=None,
    )
    return hand, Write(Intent.POWER, given_w, why), lost


def _gone(hand: Hand, s: Snapshot, given_w: int) -> bool:
    """A reading newer than the confirmation shows no setpoint, or another one."""
    inverter = s.inverter
    if inverter is None or inverter.at_ns <= hand.confirmed_ns or s.inverter_age_ns > s.inverter_stale_ns:
        return False
    if inverter.remote_active is False:
        return True
    if inverter.remote_active is None or inverter.remote_w is None or s.capability is None:
        return False
    return abs(inverter.remote_w - given_w) > max(1, s.capability.resolution_w)


def _clear(hand: Hand, s: Snapshot, connected: bool) -> tuple[Hand, Write | None, str | None]:
    """Ask for release until it is read back; then nothing, unless another hand commands on grid."""
    now = s.now_ns
    notice = None
    if hand.setpoint_w is not None or hand.pending:
        hand = replace(hand, setpoint_w=None, command_id=None, pending=False, confirmed=False, held_ns=None, failures=0)
    since = max(hand.asked_ns, hand.clear_ns or 0)
    inverter = s.inverter
    newer = inverter is not None and inverter.at_ns > since and s.inverter_age_ns <= s.inverter_stale_ns
    if hand.maybe_active:
        if inverter is not None and newer and inverter.remote_active is False:
            return replace(hand, maybe_active=False, clear_pending=False, clear_failures=0), None, None
        waiting = ANSWER_NS if hand.clear_pending else CLEAR_RETRY_NS
        if hand.clear_ns is not None and now - hand.clear_ns < waiting:
            return hand, None, None
        if (
            hand.clear_ns is None
            and (inverter is None or s.inverter_age_ns > s.inverter_stale_ns)
            and not hand.asked_ns
        ):
            return hand, None, None  # nothing was read yet, and nothing was asked by us: look first
    else:
        if not connected or inverter is None or not newer or not inverter.remote_active:
            return hand, None, None
        if hand.cleared_ns is not None and inverter.at_ns <= hand.cleared_ns:
            return hand, None, None
        if now - hand.foreign_ns < FOREIGN_RETRY_NS and hand.foreign_ns:
            return hand, None, None
        hand = replace(hand, foreign_ns=now, maybe_active=True)
        notice = "another hand commands the inverter: its setpoint is cleared"
    return replace(hand, clear_ns=now, clear_pending=True), Write(Intent.CLEAR, 0, "release"), notice


def _floor(hand: Hand, s: Snapshot, mode: Mode, connected: bool) -> tuple[Hand, Write | None, tuple[int, bool] | None]:
    """Mirror the reserve into the inverter's own floor; see when another hand moved it."""
    inverter, capability = s.inverter, s.capability
    if not connected or mode is Mode.LOCKOUT or inverter is None or capability is None or not capability.floor:
        return hand, None, None
    if inverter.floor_permille is None or s.inverter_age_ns > s.inverter_stale_ns:
        return hand, None, None
    now = s.now_ns
    if hand.floor_pending:
        if now - hand.floor_ns < ANSWER_NS:
            return hand, None, None
        hand = replace(hand, floor_pending=False, floor_failures=hand.floor_failures + 1)
    differs = not 0 <= inverter.floor_permille - s.reserve_permille < FLOOR_STEP
    if not differs and hand.floor_permille in (None, s.reserve_permille):
        return hand, None, None
    if hand.floor_confirmed_ns is not None and inverter.at_ns <= hand.floor_confirmed_ns:
        return hand, None, None
    wanted_before = hand.floor_permille == s.reserve_permille
    foreign = wanted_before and hand.floor_confirmed_ns is not None
    found = (inverter.floor_permille, foreign) if foreign or not wanted_before else None
    wait = min(FLOOR_RETRY_MAX_NS, FLOOR_RETRY_NS << min(6, hand.floor_failures)) if hand.floor_ns else 0
    if wanted_before and now - hand.floor_ns < wait:
        return hand, None, None
    hand = replace(hand, floor_permille=s.reserve_permille, floor_ns=now, floor_pending=True, floor_confirmed_ns=None)
    return (
        hand,
        Write(Intent.FLOOR, s.reserve_permille, f"the device's floor is {inverter.floor_permille} permille"),
        found,
    )


def _stop(hand: Hand, now: int, params: Params) -> tuple[Hand, Write | None]:
    if hand.stop_ns and now - hand.stop_ns < params.timers.refresh_ns:
        return hand, None
    hand = replace(hand, stop_ns=now, setpoint_w=None, pending=False, confirmed=False, maybe_active=True, asked_ns=now)
    return hand, Write(Intent.STOP, 0, "power flows into or out of a critical battery")
