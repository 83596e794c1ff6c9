"""Temporary raises of the reserve, on top of the homeowner's own: a storm by its window, a remote raise of <= 72 h.

They never lower it: the reserve in force is the greatest of all. They survive a reboot. The wall clock may be wrong, be
set, or be lied to, so a raise is counted by the monotonic clock as well. One that was asked for as a length ends by
that alone while this kernel runs. Any other begins by its date, stays begun, and is over when date and count agree, or
when a trusted clock has stood by the date for ten minutes. The aggregator's signed time alone is no such clock: it ends
none that the count has not ended, and keeps none from beginning that the count begins. While no clock can be trusted
one is in force until all the time that was left to it has passed, however often the gateway restarts. A reboot loses
what ran since the last checkpoint. A storm gets it back: it is the homeowner's, who can end it. A remote raise pays for
all that may have been lost, and ends where no disk counts it, so that it never is in force for more than 72 h of a
running gateway."""

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
CHECKPOINT_S = 600  # its time is stored this often: what of it a reboot on an untrusted clock can lose
STANDS_NS = 600 * S  # so long a trusted clock must say what the count does not
AGREE_MS = 60_000  # a date that is further from the count is set anew
MOST = 8
MOST_OF = {"operations": 4, "technician": 2}  # of them, so that the homeowner always finds room
BEFORE, DURING, AFTER = 0, 1, 2


class Said(NamedTuple):
    """Of one raise: what a trusted clock says of its window, and since when it has said so."""

    id: str
    part: int
    since_ns: int


class Held(NamedTuple):
    """What raises do to the reserve now, permille; 0 = nothing. `storm`: up to here the battery is charged for it."""

    permille: int = 0
    remote: int = 0
    storm: int = 0
    shown: tuple[RaiseValue, ...] = ()


NONE = Held()


def settle(
    durable: Durable, i: Inputs, say: Cycle, before: tuple[Said, ...] = ()
) -> tuple[Durable, Held, tuple[Said, ...]]:
    """One cycle: the raises asked for and ended, those that are over, and what is left of them. `before`: what the last
    cycle's clock said."""
    was = overlays = durable.overlays
    for event in i.events:
        if isinstance(event, RaiseReserve):
            overlays = _put(overlays, event, i, say)
        elif isinstance(event, EndRaise):
            overlays = _end(overlays, event, say)
    if not overlays and not was:
        return durable, NONE, ()
    told = tuple([_said(o, i.clock, i.now_ns, before) for o in overlays])
    left = []
    for o, said in zip(overlays, told, strict=True):
        new = None if _unrecorded(o, i) else _aged(o, i.clock, i.now_ns, said)
        if new is not None:
            left.append(new)
        else:
            _tell(say, "raise_over", o, f"the reserve is no longer raised to {_percent(o.permille)}: {o.reason}")
    overlays = tuple(left)
    if overlays != was:
        durable = replace(durable, overlays=overlays)
    return durable, held(durable.overlays, i.clock, i.now_ns), told


def held(overlays: tuple[Overlay, ...], clock: Clock, now_ns: int) -> Held:
    """What those that are in force do."""
    permille = remote = storm = 0
    shown = []
    for o in overlays:
        left_s = _left_s(o, clock, now_ns)
        if o.on:
            permille = max(permille, o.permille)
            remote = max(remote, o.permille if o.kind == REMOTE else 0)
            storm = max(storm, o.permille if o.kind == STORM and _awaited(o, clock, now_ns) else 0)
        shown.append(RaiseValue(o.id, o.kind, o.permille, o.owner, o.by, o.reason, o.start_ms, o.end_ms, left_s, o.on))
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
        return _crowded(event, overlays)
    if event.owner != "homeowner" and not _covers(event, old, clock):
        return f"the raise to {_percent(old.permille)} is there already, and only the homeowner lowers or shortens it"
    return None


def _crowded(event: RaiseReserve, overlays: tuple[Overlay, ...]) -> str | None:
    """There is no room for one more."""
    if len(overlays) >= MOST:
        return f"{MOST} raises are in force or to come already"
    most = MOST_OF.get(event.owner, MOST)
    if sum(1 for o in overlays if o.owner == event.owner) >= most:
        return f"{most} raises of the role {event.owner} are in force or to come already"
    return None


def _covers(event: RaiseReserve, old: Overlay, clock: Clock) -> bool:
    """It asks for no less than is there, from no later, to no earlier; without a clock nobody can tell."""
    if not clock.own or not old.end_ms or event.kind != old.kind:
        return False
    wall_ms = clock.wall_ms
    end_ms = event.end_ms or wall_ms + event.for_s * 1000
    begins = max(event.start_ms, wall_ms) <= (wall_ms if old.begun else max(old.start_ms, wall_ms))
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
    whole = not event.end_ms
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
        begun=whole,
        on=whole,
        whole=whole,
    )
    _tell(say, "raise", new, f"{event.by} raises the reserve to {_percent(event.permille)} for a while: {event.reason}")
    return (*[o for o in overlays if o.id != event.id], new)


def _end(overlays: tuple[Overlay, ...], event: EndRaise, say: Cycle) -> tuple[Overlay, ...]:
    for o in overlays:
        if o.id == event.id:
            _tell(say, "raise_ended", o, f"{event.by} ends the raise of the reserve to {_percent(o.permille)}")
    return tuple([o for o in overlays if o.id != event.id])


def _said(o: Overlay, clock: Clock, now_ns: int, before: tuple[Said, ...]) -> Said:
    """What the clock says of it now, and since when."""
    if _untrusted(clock):
        return Said(o.id, BEFORE, now_ns)
    part = BEFORE if clock.wall_ms < o.start_ms else DURING if clock.wall_ms < o.end_ms else AFTER
    return next((said for said in before if said[:2] == (o.id, part)), Said(o.id, part, now_ns))


def _aged(o: Overlay, clock: Clock, now_ns: int, said: Said) -> Overlay | None:
    """The same a cycle later; None = it is over. The same object as long as there is nothing to store."""
    here, trusted = o.kernel_boot == clock.kernel_boot, not _untrusted(clock)
    left_s, whole = _counted_s(o, clock, now_ns), o.whole and here
    dated = trusted and bool(o.end_ms) and not whole
    if _over(o, clock, now_ns, said, dated):
        return None
    stood = now_ns - said.since_ns >= STANDS_NS
    begun = o.begun or (dated and said.part != BEFORE and (left_s <= o.length_s or stood))
    begun = begun or (clock.signed and dated and left_s <= o.length_s)
    on = begun or not trusted or said.part == DURING
    start_ms, end_ms = o.start_ms, o.end_ms
    if trusted and not dated and abs(clock.wall_ms + left_s * 1000 - end_ms) > AGREE_MS:
        end_ms = clock.wall_ms + left_s * 1000
        start_ms = end_ms - o.length_s * 1000
    if o.kind == REMOTE and dated and said.part == DURING:  # what it paid for a restart, a clock gives back
        date_s = min(o.length_s, _seconds(o.end_ms - clock.wall_ms))
        left_s = date_s if date_s - left_s >= CHECKPOINT_S // 2 else left_s
    same = (begun, on, whole, end_ms) == (o.begun, o.on, o.whole, o.end_ms)
    same = same and left_s == _counted_s(o, clock, now_ns)
    if same and here and now_ns - o.mark_ns < CHECKPOINT_S * S:
        return o
    anew = begun and not o.begun and o.kind == STORM  # time without a clock is not of its window
    return replace(
        o,
        start_ms=start_ms,
        end_ms=end_ms,
        left_s=left_s,
        mark_ns=o.mark_ns + _passed_s(o, clock, now_ns) * S if here else now_ns,
        kernel_boot=clock.kernel_boot,
        begun=begun,
        on=on,
        ran_s=0 if anew else _ran_s(o, clock, now_ns),
        whole=whole,
    )


def _unrecorded(o: Overlay, i: Inputs) -> bool:
    """A remote one of which a reboot would make as much as there was: neither clock nor disk counts it."""
    counted = o.whole and o.kernel_boot == i.clock.kernel_boot
    return o.kind == REMOTE and not counted and not i.disk_ok and _untrusted(i.clock)


def _over(o: Overlay, clock: Clock, now_ns: int, said: Said, dated: bool) -> bool:
    """By count and date, by a date that a clock has stood by, or because it was in force for as long as any may be."""
    if _ran_s(o, clock, now_ns) >= LONGEST_S[o.kind] and (o.begun or o.kind == REMOTE):
        return True
    if dated and said.part != AFTER:
        return False
    return _counted_s(o, clock, now_ns) <= 0 or (dated and clock.own and now_ns - said.since_ns >= STANDS_NS)


def _passed_s(o: Overlay, clock: Clock, now_ns: int) -> int:
    """Whole seconds since it was stored, as far as anybody has counted; over a reboot, as many as there may have been
    for a remote one, none for a storm."""
    if o.kernel_boot == clock.kernel_boot:
        return max(0, now_ns - o.mark_ns) // S
    return CHECKPOINT_S if o.kind == REMOTE else 0


def _counted_s(o: Overlay, clock: Clock, now_ns: int) -> int:
    """Seconds until its end by the monotonic clock."""
    return o.left_s - _passed_s(o, clock, now_ns)


def _ran_s(o: Overlay, clock: Clock, now_ns: int) -> int:
    return o.ran_s + (_passed_s(o, clock, now_ns) if o.on else 0)


def _awaited(o: Overlay, clock: Clock, now_ns: int) -> bool:
    """The random delay of charging for it is over."""
    if o.begun:
        return _ran_s(o, clock, now_ns) >= o.delay_s
    return _left_s(o, clock, now_ns) <= o.length_s - o.delay_s


def _left_s(o: Overlay, clock: Clock, now_ns: int) -> int:
    """Seconds until its end, rounded up, for people: by its date where that decides, at least 1."""
    dated = bool(o.end_ms) and not o.whole and not _untrusted(clock)
    counted_s = _counted_s(o, clock, now_ns) if clock.signed or not dated else 1
    return max(1, counted_s, _seconds(o.end_ms - clock.wall_ms) if dated else 1)


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
