"""The one table of faults: what is checked, how bad it is, what clears it, what a person should do.

Severities are ordered and the worst wins. A check that cannot be evaluated is a fault itself (`internal_error`). Holds
are served here: a fault stays active until its clear condition is met, so that the mode follows the table alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import NamedTuple

from agent.core import checks
from agent.core.checks import World
from agent.core.decision import FaultValue
from agent.core.durable import Durable
from agent.core.params import Params, S

REENTRY_NS = 3600 * S  # a fault that stayed away this long starts with its first hold again
STRIKES = 3  # entries of striking faults within REENTRY_NS
CRITICAL = frozenset({"over_temperature", "over_voltage"})  # the only faults for which STOP is written


class Severity(IntEnum):
    """Worst wins."""

    WARN = 1
    DERATE = 2
    DEGRADED = 3
    BACKUP = 4
    FAULT = 5
    LOCKOUT = 6


class Clear(Enum):
    """What ends a fault."""

    AUTO = "auto"  # the condition is gone
    HOLD = "hold"  # it has been gone for the row's hold
    TECHNICIAN = "technician"  # a technician resumes, with BMS and inverter answering; survives reboot


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `check` gives the sentence while the condition is there, else None."""

    id: str
    severity: Severity
    clear: Clear
    check: Callable[[World], str | None]
    remedy: str
    hold: Callable[[Params], int] | None = None
    doubles: bool = False  # the hold doubles with each re-entry within an hour, up to recover_max_ns
    grace: bool = False  # not checked before first readings could come
    strikes: bool = False  # three entries an hour lock the agent out


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


def _recover(p: Params) -> int:
    return p.timers.recover_good_ns


def _settle(p: Params) -> int:
    return p.timers.fault_clear_ns


# --- the table --------------------------------------------------------------------------------------------------------
FAULTS: tuple[Fault, ...] = (
    Fault(
        "internal_error",
        Severity.FAULT,
        Clear.HOLD,
        lambda w: w.internal,
        "This is a bug: please report it with the lines of `batteryctl log`.",
        _settle,
        strikes=True,
    ),
    Fault(
        "identity_mismatch",
        Severity.FAULT,
        Clear.AUTO,
        checks.mismatch,
        "Compare with the commissioned serial number; connect the right device or run `batteryctl device adopt NAME`.",
    ),
    Fault(
        "bus_contention",
        Severity.FAULT,  # released at once: the zero that goes before in DEGRADED is not written on such a line
        Clear.AUTO,  # the bus itself waits for a minute of quiet
        checks.contention,
        "Find the other master (a logger, an app's stick, a second gateway) and give it a line of its own; nothing but "
        "a release is written until it was quiet for 60 s.",
    ),
    Fault(
        "over_temperature",
        Severity.LOCKOUT,
        Clear.TECHNICIAN,
        checks.over_temperature,
        "Keep away from the battery and switch it off at its breaker; then call the installer.",
    ),
    Fault(
        "over_voltage",
        Severity.LOCKOUT,
        Clear.TECHNICIAN,
        checks.over_voltage,
        "Switch the battery off at its breaker; then call the installer.",
    ),
    Fault(
        "actuation_reversed",
        Severity.FAULT,
        Clear.TECHNICIAN,
        checks.reversed,
        "Check the profile's sign and the battery's current sensor, then run `batteryctl resume`.",
    ),
    Fault(
        "inverter_stale",
        Severity.FAULT,
        Clear.HOLD,
        lambda w: checks.late(w.snapshot.oldest[1], w.snapshot.inverter_age_ns, w.snapshot.inverter_stale_ns),
        "Check the inverter's supply and the RS-485 line; `batteryctl device list` shows what answers.",
        _settle,
        grace=True,
    ),
    Fault(
        "inverter_fault",
        Severity.FAULT,
        Clear.HOLD,
        checks.inverter_fault,
        "Read the inverter's display and follow its manual.",
        _settle,
        strikes=True,
    ),
    Fault(
        "bms_protection",
        Severity.FAULT,
        Clear.HOLD,
        checks.protection,
        "Read the BMS' own display or app; the battery protects itself and decides when to return.",
        _settle,
    ),
    Fault(
        "deaf_inverter",
        Severity.FAULT,
        Clear.HOLD,
        checks.deaf,
        "Look for another controller or an app that commands the inverter; check that remote control is enabled.",
        _settle,
        strikes=True,
    ),
    Fault(
        "writes_refused",
        Severity.FAULT,
        Clear.HOLD,
        checks.writes,
        "Check that the inverter allows remote control over Modbus; `batteryctl log -f` shows each refusal.",
        _settle,
        strikes=True,
    ),
    Fault(
        "writes_worn",
        Severity.FAULT,  # released at once: a setpoint that cannot be changed may not stay
        Clear.AUTO,
        checks.worn,
        "Ask for fewer setpoints and changes of direction a day; releases have a part of the budget of their own.",
    ),
    Fault(
        "reversion_off",
        Severity.FAULT,
        Clear.HOLD,
        checks.no_reversion,
        "Update the inverter's firmware or use a profile whose reversion timer works.",
        _settle,
        strikes=True,
    ),
    Fault(
        "crash_loop",
        Severity.FAULT,
        Clear.AUTO,
        checks.crash_loop,
        "Read `batteryctl log`; `batteryctl resume` or half an hour without a crash ends it.",
    ),
    Fault(
        "grid_lost",
        Severity.BACKUP,
        Clear.HOLD,
        checks.grid_lost,
        "None: the house runs on the battery until the grid is back.",
        lambda p: p.timers.grid_dwell_ns,
    ),
    Fault(
        "grid_unknown",
        Severity.BACKUP,
        Clear.AUTO,
        checks.grid_unknown,
        "If this stays, check that the inverter's grid state is read: `batteryctl device list`.",
        grace=True,
    ),
    Fault(
        "battery_stale",
        Severity.DEGRADED,
        Clear.HOLD,
        lambda w: checks.late(w.snapshot.oldest[0], w.snapshot.battery_age_ns, w.snapshot.battery_stale_ns),
        "Check the BMS' cable and address; `batteryctl device list` shows what answers.",
        _recover,
        doubles=True,
        grace=True,
    ),
    Fault(
        "battery_frozen",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.frozen,
        "Restart the BMS or the gateway that reads it; compare with the BMS' own display.",
        _settle,
        doubles=True,
    ),
    Fault(
        "bms_asleep",
        Severity.DEGRADED,
        Clear.AUTO,
        checks.asleep,
        "Let the inverter wake the BMS, or press the battery's button; we never charge it blind.",
        grace=True,
    ),
    Fault(
        "reading_implausible",
        Severity.FAULT,
        Clear.HOLD,
        checks.implausible,
        "Compare with the BMS' own display; check the profile's scales: `batteryctl device check NAME`.",
        _settle,
        strikes=True,
    ),
    Fault(
        "current_wrong",
        Severity.FAULT,
        Clear.TECHNICIAN,
        checks.current_wrong,
        "Check signs and scales of the BMS' and the inverter's profile, then run `batteryctl resume`.",
    ),
    Fault(
        "meter_wrong",
        Severity.DEGRADED,
        Clear.TECHNICIAN,
        checks.meter_wrong,
        "Check the direction and the place of each current clamp, then run `batteryctl resume`.",
    ),
    Fault(
        "meter_stuck",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.meter_stuck,
        "Check the meter's current clamps and its supply; compare with its own display.",
        _settle,
        doubles=True,
    ),
    Fault(
        "soc_unknown",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.soc_unknown,
        "Check the BMS' profile and firmware with `batteryctl device list`.",
        _recover,
        doubles=True,
        grace=True,
    ),
    Fault(
        "meter_stale",
        Severity.DEGRADED,
        Clear.HOLD,
        lambda w: checks.late(w.snapshot.oldest[2], w.snapshot.meter_age_ns, w.snapshot.meter_stale_ns),
        "Check the meter's cable and address; `batteryctl device list` shows what answers.",
        _recover,
        doubles=True,
        grace=True,
    ),
    Fault(
        "setpoint_lost",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.setpoint_lost,
        "Look for reboots of the inverter and for another controller on it.",
        _recover,
        doubles=True,
    ),
    Fault(
        "inverter_out",
        Severity.DERATE,
        Clear.HOLD,
        checks.inverter_out,
        "Check that inverter's supply and its line; the home goes on with the others meanwhile.",
        _settle,
    ),
    Fault(
        "soc_doubted",
        Severity.WARN,
        Clear.AUTO,
        checks.soc_doubted,
        "A full charge lets the BMS calibrate itself; until then the cautious end of the interval counts.",
    ),
    Fault("bms_alarm", Severity.DERATE, Clear.HOLD, checks.alarm, "Read the BMS' own display or app.", _settle),
    Fault(
        "floor_changed",
        Severity.WARN,
        Clear.TECHNICIAN,
        checks.floor_alarm,
        "Find out who changed it (installer app, vendor cloud), then run `batteryctl resume`.",
    ),
    Fault(
        "floor_refused",
        Severity.WARN,
        Clear.HOLD,
        checks.floor_refused,
        "Set the inverter's minimum SoC by hand to the reserve; check its access rights.",
        _settle,
    ),
    Fault(
        "reserve_unreadable", Severity.WARN, Clear.AUTO, checks.reserve, "Set it again: `batteryctl reserve PERCENT`."
    ),
    Fault(
        "disk",
        Severity.WARN,
        Clear.AUTO,
        checks.disk,
        "Free space or replace the card; `batteryctl log` names the cause.",
    ),
    Fault("clock_untrusted", Severity.WARN, Clear.AUTO, checks.clock, "Give the gateway a network time source."),
    Fault(
        "lockout",
        Severity.LOCKOUT,
        Clear.AUTO,
        lambda w: w.durable.lockout,
        "Find and mend the cause, then run `batteryctl resume`.",
    ),
)
BY_ID = {row.id: row for row in FAULTS}


# --- evaluation -------------------------------------------------------------------------------------------------------
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
    out: list[Memory] = []
    raised: list[str] = []
    cleared: list[str] = []
    for row in FAULTS:
        sentence = None if row.grace and not world.settled else row.check(world)
        old = known.get(row.id)
        was = old is not None and old.active
        if sentence is None and row.id in latches and not was:
            sentence = "latched before this start"
        if sentence is not None:
            new = _there(row, old, sentence, now, world.params, draw)
        elif old is not None:
            new = _gone(row, old, row.id in latches, now, world.params) if was else old
        else:
            continue
        if new.active and not was:
            raised.append(row.id)
            if row.clear is Clear.TECHNICIAN and row.id not in latches:
                latches = (*latches, row.id)
        elif was and not new.active:
            cleared.append(row.id)
        out.append(new)
    return Evaluated(tuple(out), tuple(raised), tuple(cleared), latches)


def _there(row: Fault, old: Memory | None, sentence: str, now: int, p: Params, draw: int) -> Memory:
    """Its condition is there."""
    if old is not None and old.active:
        if old.gone_ns is None and old.sentence == sentence:
            return old
        return Memory(row.id, True, old.since_ns, None, old.cleared_ns, old.entries, sentence, old.jitter_ns)
    entries = tuple(t for t in old.entries if now - t <= REENTRY_NS)[-7:] if old is not None else ()
    jitter = draw % (p.timers.grid_jitter_ns + 1) if row.id == "grid_lost" else 0
    return Memory(row.id, True, now, None, 0, (*entries, now), sentence, jitter)


def _gone(row: Fault, old: Memory, latched: bool, now: int, p: Params) -> Memory:
    """Its condition is gone, and it is still active: until its clear condition is met."""
    gone = old.gone_ns if old.gone_ns is not None else now
    over = not latched if row.clear is Clear.TECHNICIAN else now - gone >= hold_of(row, old, p)
    if over:
        return Memory(row.id, False, old.since_ns, gone, now, old.entries, old.sentence)
    if old.gone_ns is not None:
        return old
    return Memory(row.id, True, old.since_ns, gone, 0, old.entries, old.sentence, old.jitter_ns)


def hold_of(row: Fault, memory: Memory, p: Params) -> int:
    """How long the condition must be gone, ns."""
    if row.hold is None:
        return 0
    hold = row.hold(p) + memory.jitter_ns
    if row.doubles:
        hold = min(max(hold, p.timers.recover_max_ns), hold << max(0, len(memory.entries) - 1))
    return hold


def latch(durable: Durable, checked: Evaluated, now_ns: int) -> Durable:
    """Latches and lockout into the durable part, where they survive a reboot."""
    if checked.latches != durable.latches:
        durable = replace(durable, latches=checked.latches)
    if durable.lockout is not None or not checked.raised:
        return durable
    grave = [m.sentence for m in checked.memory if m.active and BY_ID[m.id].severity is Severity.LOCKOUT]
    if grave:
        return replace(durable, lockout=grave[0])
    if strikes(checked.memory, now_ns) >= STRIKES:
        return replace(durable, lockout=f"{STRIKES} grave faults within an hour")
    return durable


def shown(memory: tuple[Memory, ...]) -> tuple[FaultValue, ...]:
    """The active faults, for people, in the order of the table."""
    return tuple(
        FaultValue(m.id, BY_ID[m.id].severity.name.lower(), m.sentence, BY_ID[m.id].remedy, m.since_ns)
        for m in memory
        if m.active
    )


def active(memory: tuple[Memory, ...], fault_id: str) -> bool:
    """That fault is active, be it only by its hold."""
    return any(m.active and m.id == fault_id for m in memory)


def cause(memory: tuple[Memory, ...]) -> str:
    """The sentence of the worst active fault, and that it is held when its condition is gone; "" = no grave one."""
    grave = [m for m in memory if m.active and BY_ID[m.id].severity >= Severity.DEGRADED]
    if not grave:
        return ""
    bad = max(grave, key=lambda m: BY_ID[m.id].severity)
    return bad.sentence if bad.gone_ns is None else f"it recovers from this: {bad.sentence}"


def critical(memory: tuple[Memory, ...]) -> bool:
    """A cell is beyond its own limits now, hold and latch aside."""
    return any(m.active and m.gone_ns is None and m.id in CRITICAL for m in memory)


def strikes(memory: tuple[Memory, ...], now_ns: int) -> int:
    """Entries of striking faults within the last hour."""
    return sum(sum(1 for t in m.entries if now_ns - t <= REENTRY_NS) for m in memory if BY_ID[m.id].strikes)


def worst(memory: tuple[Memory, ...]) -> int:
    """Severity of the worst active fault, 0 = none."""
    return max((BY_ID[m.id].severity for m in memory if m.active), default=0)
