"""Temporary raises of the reserve, on top of the homeowner's own: a storm by its window, a remote raise of <= 72 h.

They never lower it: the reserve in force is the greatest of all. They survive a reboot. By a trusted clock they run
from start to end; while no clock can be trusted one is in force until all the time that was left to it has passed by
the monotonic clock, however often the gateway restarts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core.book import Cycle
from agent.core.decision import RaiseValue, Record
from agent.core.durable import Durable, Overlay
from agent.core.inputs import Clock, ClockTrust, EndRaise, Inputs, RaiseReserve
from agent.core.params import Params, S

STORM, REMOTE = "storm", "remote"
LONGEST_S = {STORM: 14 * 86_400, REMOTE: 72 * 3600}
AHEAD_S = 30 * 86_400  # a raise may begin so much later
DELAY_S = 900  # charging for one begins at random within so long
CHECKPOINT_S = 3600  # how much of its time a reboot on an untrusted clock can give back to it
MOST = 8


class Held(NamedTuple):
    """What raises do to the reserve now, permille; 0 = nothing. `storm`: up to here the battery is charged for it."""

    permille: int = 0
    remote: int = 0
    storm: int = 0
    shown: tuple[RaiseValue, ...] = ()


NONE = Held()


def settle(durable: Durable, i: Inputs, say: Cycle) -> tuple[Durable, Held]:
    """One cycle: the raises asked for and ended, those that are over, and what is left of them."""
    before = overlays = durable.overlays
    for event in i.events:
        if isinstance(event, RaiseReserve):
            overlays = _put(overlays, event, i, say)
        elif isinstance(event, EndRaise):
            overlays = _end(overlays, event, say)
    if not overlays and not before:
        return durable, NONE
    aged = [(o, _aged(o, i.clock, i.now_ns)) for o in overlays]
    for old, new in aged:
        if new is None:
            _tell(say, "raise_over", old, f"the reserve is no longer raised to {_percent(old.permille)}: {old.reason}")
    overlays = tuple([new for _, new in aged if new is not None])
    if overlays != before:
        durable = replace(durable, overlays=overlays)
    return durable, held(durable.overlays, i.clock, i.now_ns)


def held(overlays: tuple[Overlay, ...], clock: Clock, now_ns: int) -> Held:
    """What those that are in force do."""
    permille = remote = storm = 0
    shown = []
    for o in overlays:
        left_s = _left_s(o, clock, now_ns)
        on = _untrusted(clock) or not o.end_ms or o.start_ms <= clock.wall_ms
        if on:
            permille = max(permille, o.permille)
            remote = max(remote, o.permille if o.kind == REMOTE else 0)
            storm = max(storm, o.permille if o.kind == STORM and left_s <= o.length_s - o.delay_s else 0)
        shown.append(RaiseValue(o.id, o.kind, o.permille, o.owner, o.by, o.reason, o.start_ms, o.end_ms, left_s, on))
    return Held(permille, remote, storm, tuple(shown))


def refusal(event: RaiseReserve, overlays: tuple[Overlay, ...], clock: Clock, p: Params) -> str | None:
    """Why that raise is not taken, or None."""
    length_s = _length_s(event)
    if event.kind not in LONGEST_S:
        return f"there is no raise of kind {event.kind!r}"
    if not p.reserve_min_permille <= event.permille <= 1000:
        return f"a reserve of {_percent(event.permille)} is outside {_percent(p.reserve_min_permille)} to 100.0 %"
    if not 0 < length_s <= LONGEST_S[event.kind]:
        return f"a raise for {length_s} s is refused: it lasts 1 s to {LONGEST_S[event.kind] // 3600} h"
    if event.end_ms and not _untrusted(clock):
        if event.end_ms <= clock.wall_ms:
            return "that is over already"
        if event.start_ms - clock.wall_ms > AHEAD_S * 1000:
            return f"it would begin in more than {AHEAD_S // 86_400} days"
    old = next((o for o in overlays if o.id == event.id), None)
    if old is None:
        return f"{MOST} raises are in force or to come already" if len(overlays) >= MOST else None
    if event.owner != "homeowner" and not _covers(event, old, clock):
        return f"the raise to {_percent(old.permille)} is there already, and only the homeowner lowers or shortens it"
    return None


def _covers(event: RaiseReserve, old: Overlay, clock: Clock) -> bool:
    """It asks for no less than is there, from no later, to no earlier; without a clock nobody can tell."""
    if _untrusted(clock) or not old.end_ms:
        return False
    wall_ms = clock.wall_ms
    end_ms = event.end_ms or wall_ms + event.for_s * 1000
    begins = max(event.start_ms, wall_ms) <= max(old.start_ms, wall_ms)
    return event.permille >= old.permille and begins and end_ms >= old.end_ms


def _put(overlays: tuple[Overlay, ...], event: RaiseReserve, i: Inputs, say: Cycle) -> tuple[Overlay, ...]:
    why = refusal(event, overlays, i.clock, say.params)
    if why is not None:
        say.notices.append(f"a raise of the reserve by {event.by} is refused: {why}")
        return overlays
    length_s, wall_ms = _length_s(event), i.clock.wall_ms
    start_ms, end_ms = event.start_ms, event.end_ms
    if not end_ms and not _untrusted(i.clock):
        start_ms, end_ms = wall_ms, wall_ms + length_s * 1000
    left_s = length_s if _untrusted(i.clock) else _seconds(end_ms - wall_ms)
    new = Overlay(
        event.id,
        event.kind,
        event.permille,
        event.owner,
        event.by,
        event.reason,
        start_ms,
        end_ms,
        length_s,
        left_s,
        i.now_ns,
        i.clock.kernel_boot,
        min(i.draw % (DELAY_S + 1), length_s // 4),
    )
    _tell(say, "raise", new, f"{event.by} raises the reserve to {_percent(event.permille)} for a while: {event.reason}")
    return (*[o for o in overlays if o.id != event.id], new)


def _end(overlays: tuple[Overlay, ...], event: EndRaise, say: Cycle) -> tuple[Overlay, ...]:
    for o in overlays:
        if o.id == event.id:
            _tell(say, "raise_ended", o, f"{event.by} ends the raise of the reserve to {_percent(o.permille)}")
    return tuple([o for o in overlays if o.id != event.id])


def _aged(o: Overlay, clock: Clock, now_ns: int) -> Overlay | None:
    """The same a cycle later; None = it is over. The same object as long as there is nothing to store."""
    left_s = _left_s(o, clock, now_ns)
    if left_s <= 0:
        return None
    if not _untrusted(clock) and not o.end_ms:
        end_ms = clock.wall_ms + left_s * 1000
        o = replace(o, start_ms=end_ms - o.length_s * 1000, end_ms=end_ms)
    if o.kernel_boot == clock.kernel_boot and now_ns - o.mark_ns < CHECKPOINT_S * S:
        return o
    return replace(o, left_s=left_s, mark_ns=now_ns, kernel_boot=clock.kernel_boot)


def _left_s(o: Overlay, clock: Clock, now_ns: int) -> int:
    """Seconds until its end, rounded up: by its date where a clock can tell, else by what has passed since."""
    if o.end_ms and not _untrusted(clock):
        return _seconds(o.end_ms - clock.wall_ms)
    passed_ns = now_ns - o.mark_ns if o.kernel_boot == clock.kernel_boot else 0
    return o.left_s - max(0, passed_ns) // S


def _length_s(event: RaiseReserve) -> int:
    return _seconds(event.end_ms - event.start_ms) if event.end_ms else event.for_s


def _seconds(ms: int) -> int:
    return -(-ms // 1000)


def _untrusted(clock: Clock) -> bool:
    return clock.trust is ClockTrust.UNTRUSTED


def _percent(permille: int) -> str:
    return f"{permille // 10}.{permille % 10} %"


def _tell(say: Cycle, word: str, o: Overlay, sentence: str) -> None:
    body = {
        "event": word,
        "raise_id": o.id,
        "kind": o.kind,
        "reserve_permille": o.permille,
        "owner": o.owner,
        "by": o.by,
        "reason": o.reason,
        "start_ms": o.start_ms,
        "end_ms": o.end_ms,
    }
    say.records.append(Record("event", body))
    say.notices.append(sentence)
