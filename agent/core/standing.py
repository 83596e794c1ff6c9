"""Which faults of the table stand now: every check is run, every hold is served.

A fault stays active until its clear condition is met, so that the mode follows the table alone. A check that cannot be
evaluated is a grave fault under its own id; all others are still looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.core.actuation import RESTART_NS
from agent.core.checks import World
from agent.core.decision import FaultValue, Mode
from agent.core.durable import Durable
from agent.core.fault import Clear, Fault, Severity
from agent.core.faults import BLIND, BY_ID, CRITICAL, FAULTS
from agent.core.modes import ZEROING
from agent.core.params import Params, S

REENTRY_NS = 3600 * S  # a fault that stayed away this long starts with its first hold again
STRIKES = 3  # entries of striking faults within REENTRY_NS
FORGIVEN = 3  # entries within REENTRY_NS after which the hold of every fault that stops power doubles
SILENCE = frozenset({"inverter_stale", "grid_unknown"})  # an inverter that says nothing, or nothing of the grid
LATCHED = "latched before this start"
CRITICAL_NS = 60 * S  # STOP is held so long after a cell has come back from beyond its limits
KEPT = 8  # entries remembered: enough doublings for the longest hold


@dataclass(frozen=True, slots=True)
class Memory:
    """One fault that is or was active."""

    id: str
    active: bool
    since_ns: int
    gone_ns: int | None  # since when the condition is gone; None = it is there
    cleared_ns: int
    entries: tuple[int, ...]
    sentence: str
    jitter_ns: int = 0
    broken: bool = False  # its check could not be evaluated


class Evaluated(NamedTuple):
    """This cycle's faults. `raised` and `cleared` are ids."""

    memory: tuple[Memory, ...]
    raised: tuple[str, ...]
    cleared: tuple[str, ...]
    latches: tuple[str, ...]


def evaluate(world: World, memory: tuple[Memory, ...], draw: int) -> Evaluated:
    """Run every check, serve the holds. Order of the table is kept."""
    now = world.snapshot.now_ns
    known = {m.id: m for m in memory}
    latches = world.durable.latches
    settled = world.settled
    out: list[Memory] = []
    raised: list[str] = []
    cleared: list[str] = []
    for row in FAULTS:
        old = known.get(row.id)
        was = old is not None and old.active
        broken = False
        if row.grace and not settled:
            sentence = None
        else:
            try:
                stays = row.stays if old is not None and was and not old.broken else None
                sentence = row.check(world) if stays is None else stays(world)
            except Exception as error:  # noqa: BLE001  # what was not looked at counts as a fault; the others go on
                sentence, broken = _unknown(row, error), True
        if sentence is None:
            if old is None and row.id not in latches:
                continue  # most rows, in most cycles
            if row.id in latches and not was:
                sentence = LATCHED
        if sentence is not None:
            new = _there(row, old, sentence, now, world.params, draw, broken and row.id not in latches)
        else:
            assert old is not None
            new = _gone(row, old, row.id in latches, now, world.params) if was else old
        if new.active and (old is None or not was or old.broken is not new.broken):
            raised.append(row.id)
        elif was and not new.active:
            cleared.append(row.id)
        came = not was or (old is not None and (old.gone_ns is not None or old.broken is not new.broken))
        if came and sentence is not None and row.clear is Clear.TECHNICIAN and not new.broken:
            latches = latches if row.id in latches else (*latches, row.id)  # be it in the cycle of a resume
        out.append(new)
    return Evaluated(tuple(out), tuple(raised), tuple(cleared), latches)


def _unknown(row: Fault, error: Exception) -> str:
    """The sentence of a check that could not be evaluated."""
    return f"its check failed, so nobody knows {row.what} ({type(error).__name__}: {error})"


def _there(row: Fault, old: Memory | None, sentence: str, now: int, p: Params, draw: int, broken: bool) -> Memory:
    """Its condition is there."""
    if old is not None and old.active:
        if old.gone_ns is None and old.sentence == sentence and old.broken is broken:
            return old
        return replace(old, gone_ns=None, sentence=sentence, broken=broken)
    entries = tuple(t for t in old.entries if now - t <= REENTRY_NS)[1 - KEPT :] if old is not None else ()
    jitter = draw % (p.timers.grid_jitter_ns + 1) if row.id == "grid_lost" else 0
    return Memory(row.id, True, now, None, 0, (*entries, now), sentence, jitter, broken)


def _gone(row: Fault, old: Memory, latched: bool, now: int, p: Params) -> Memory:
    """Its condition is gone, and it is still active: until its clear condition is met."""
    gone = old.gone_ns if old.gone_ns is not None else now
    if not latched and ((row.clear is Clear.TECHNICIAN and not old.broken) or now - gone >= hold_of(row, old, p)):
        return Memory(row.id, False, old.since_ns, gone, now, old.entries, old.sentence)
    if old.gone_ns is not None:
        return old
    return replace(old, gone_ns=gone)


def hold_of(row: Fault, memory: Memory, p: Params) -> int:
    """How long the condition must be gone, ns. What comes and goes is held longer each time, up to `recover_max_ns`:
    from the second entry within an hour where the row says so, from the fourth for all else that stops power."""
    hold = row.hold(p) + memory.jitter_ns if row.hold is not None else 0
    if memory.broken:
        hold = max(hold, p.timers.fault_clear_ns)
    again = len(memory.entries) - (1 if row.doubles else FORGIVEN)
    if again <= 0 or not Severity.DEGRADED <= severity(memory) <= Severity.FAULT:
        return hold
    return min(max(hold, p.timers.recover_max_ns), (hold or p.timers.recover_good_ns) << again)


def severity(memory: Memory) -> Severity:
    """The row's; FAULT where its check could not be evaluated, whatever it watches."""
    return Severity.FAULT if memory.broken else BY_ID[memory.id].severity


def remedy(memory: Memory) -> str:
    """The row's; of a check that could not be evaluated, what to do about a bug."""
    return BY_ID["internal_error" if memory.broken else memory.id].remedy


def latch(durable: Durable, checked: Evaluated, now_ns: int) -> Durable:
    """Latches, lockout and an outage into the durable part, where they survive a reboot."""
    outage = active(checked.memory, "grid_lost")
    if outage is not durable.outage:
        durable = replace(durable, outage=outage)
    if checked.latches != durable.latches:
        durable = replace(durable, latches=checked.latches)
    if durable.lockout is not None:
        return durable
    grave = [m.sentence for m in checked.memory if m.active and severity(m) is Severity.LOCKOUT]
    if grave:
        return replace(durable, lockout=grave[0])
    if checked.raised and strikes(checked.memory, now_ns) >= STRIKES:
        return replace(durable, lockout=f"{STRIKES} grave faults within an hour")
    return durable


def shown(memory: tuple[Memory, ...]) -> tuple[FaultValue, ...]:
    """The active faults, for people, in the order of the table."""
    return tuple(
        FaultValue(m.id, severity(m).name.lower(), m.sentence, remedy(m), m.since_ns, m.gone_ns is not None)
        for m in memory
        if m.active
    )


def active(memory: tuple[Memory, ...], fault_id: str) -> bool:
    """That fault is active, be it only by its hold."""
    return any(m.active and m.id == fault_id for m in memory)


def blind(memory: tuple[Memory, ...]) -> bool:
    """What the BMS says is lost, doubted or only just back: a fault of it is active, be it by its hold."""
    return any(m.active and m.id in BLIND for m in memory)


def mending(memory: tuple[Memory, ...]) -> bool:
    """Nothing keeps hands off, or only the hold of an inverter that was silent, or late to tell of the grid, and tells
    again. In the dwell after an outage, and while anything else stands, this is not so."""
    grave = [m for m in memory if m.active and severity(m) >= Severity.BACKUP]
    return all(m.id in SILENCE and m.gone_ns is not None and not m.broken for m in grave)


def back(memory: tuple[Memory, ...], now_ns: int) -> bool:
    """The inverter was silent lately, and may have restarted meanwhile."""
    return any(m.id in SILENCE and m.gone_ns is not None and now_ns - m.gone_ns < RESTART_NS for m in memory)


def resting(mode: Mode, memory: tuple[Memory, ...], timed: bool) -> bool:
    """Whether zero may be held for the reserve's sake though the mode does not act: while a reading is lost, on the way
    to act, and for the hold of an inverter that is back. `timed`: it would end that zero by itself, as far as read."""
    if mode in ZEROING:
        return True
    return timed and mode not in (Mode.INIT, Mode.LOCKOUT) and mending(memory)


def cause(memory: tuple[Memory, ...]) -> str:
    """The sentence of the worst active fault, and that it is held when its condition is gone; "" = no grave one."""
    grave = [m for m in memory if m.active and severity(m) >= Severity.DEGRADED]
    if not grave:
        return ""
    bad = max(grave, key=severity)
    return bad.sentence if bad.gone_ns is None else f"it recovers from this: {bad.sentence}"


def critical(memory: tuple[Memory, ...], now_ns: int) -> bool:
    """A cell is beyond its own limits, or was a moment ago, latch aside: what trembles is not let go each time."""
    return any(
        m.id in CRITICAL
        and m.active
        and not m.broken
        and m.sentence != LATCHED
        and (m.gone_ns is None or now_ns - m.gone_ns < CRITICAL_NS)
        for m in memory
    )


def strikes(memory: tuple[Memory, ...], now_ns: int) -> int:
    """Entries of striking faults within the last hour."""
    return sum(sum(1 for t in m.entries if now_ns - t <= REENTRY_NS) for m in memory if BY_ID[m.id].strikes)


def worst(memory: tuple[Memory, ...], curing: bool = False) -> int:
    """Severity of the worst active fault, 0 = none. `curing`: a cell needs its cure, so that those under which one goes
    on do not count."""
    return max((severity(m) for m in memory if m.active and not (curing and _cures(m))), default=0)


def _cures(memory: Memory) -> bool:
    return BY_ID[memory.id].cures and not memory.broken
