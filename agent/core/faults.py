"""The one table of faults: what is checked, how bad it is, what clears it, what a person should do.

Severities are ordered and the worst wins. A check that cannot be evaluated is a fault itself (`internal_error`). Holds
are served here: a fault stays active until its clear condition is met, so that the mode follows the table alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from agent.core.actuation import Actuation
from agent.core.alarms import blocked
from agent.core.durable import Durable
from agent.core.inputs import ClockTrust, Inputs
from agent.core.limits import NEVER_NS, tenths
from agent.core.params import Params, S
from agent.core.snapshot import Snapshot
from agent.core.writes import Hand
from drivers.readings import GridState

CRITICAL_DC = 600  # 60 °C: five above where the tables leave nothing
CRITICAL = frozenset({"over_temperature", "over_voltage"})  # the only faults for which STOP is written
CRITICAL_MV = 3650  # the cells' own maximum
WRITE_FAILURES = 3
FLOOR_FAILURES = 3
REARMS = 5  # an hour
CRASH_REST_NS = 1800 * S
REENTRY_NS = 3600 * S  # a fault that stayed away this long starts with its first hold again
STRIKES = 3  # entries of striking faults within REENTRY_NS
REVERSED_NS = 5 * S


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


class World(NamedTuple):
    """What checks may look at."""

    snapshot: Snapshot
    inputs: Inputs
    params: Params
    durable: Durable
    actuation: Actuation
    hand: Hand
    settled: bool  # the grace for first readings is over
    boot_ns: int
    resumed: bool  # a technician has resumed since this boot
    internal: str | None


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


# --- checks -----------------------------------------------------------------------------------------------------------
def _late(who: str, age_ns: int, stale_ns: int) -> str | None:
    if age_ns <= stale_ns:
        return None
    if age_ns >= NEVER_NS:
        return f"the {who} was not read yet"
    return f"no good reading of the {who} for more than {tenths(stale_ns // 100_000_000, 's')}"


def _asleep(w: World) -> str | None:
    device = w.snapshot.battery_device
    if device is None or device.presence != "silent" or w.snapshot.inverter_age_ns > w.snapshot.inverter_stale_ns:
        return None
    return f"{device.name} does not answer while the inverter does: the BMS may be asleep"


def _soc_unknown(w: World) -> str | None:
    if w.snapshot.battery_age_ns > w.snapshot.battery_stale_ns or w.snapshot.soc_lo_mwh is not None:
        return None
    return "the BMS answers but gives no plausible state of charge"


def _alarm(w: World) -> str | None:
    if w.snapshot.pack is None or not w.snapshot.pack.alarms:
        return None
    return "BMS: " + ", ".join(w.snapshot.pack.alarms)


def _protection(w: World) -> str | None:
    pack = w.snapshot.pack
    if pack is None or not pack.alarms or blocked(pack.alarms) != (True, True):
        return None
    return "BMS protection: " + ", ".join(a for a in pack.alarms if any(blocked((a,))))


def _over_temperature(w: World) -> str | None:
    pack = w.snapshot.pack
    if pack is None or pack.temp_max_dc is None or pack.temp_max_dc < CRITICAL_DC:
        return None
    return f"a cell is at {tenths(pack.temp_max_dc, '°C')}, critical is {tenths(CRITICAL_DC, '°C')}"


def _over_voltage(w: World) -> str | None:
    pack = w.snapshot.pack
    if pack is None or pack.cell_max_mv is None or pack.cell_max_mv < CRITICAL_MV:
        return None
    return f"a cell is at {pack.cell_max_mv} mV, critical is {CRITICAL_MV} mV"


def _inverter_fault(w: World) -> str | None:
    inverter = w.snapshot.inverter
    if inverter is None or inverter.status != "fault":
        return None
    return "the inverter reports a fault" + (": " + ", ".join(inverter.alarms) if inverter.alarms else "")


def _mismatch(w: World) -> str | None:
    return f"{w.snapshot.mismatch} is not the device that was commissioned" if w.snapshot.mismatch else None


def _deaf(w: World) -> str | None:
    if w.actuation.off_ns < w.params.timers.actuation_ns:
        return None
    return f"measured power is {w.actuation.off_by_w:+d} W away from the setpoint that was read back"


def _reversed(w: World) -> str | None:
    if w.actuation.reversed_ns < REVERSED_NS:
        return None
    return "the battery does the opposite of its setpoint: a sign is wrong"


def _setpoint_lost(w: World) -> str | None:
    if len(w.actuation.rearms) <= REARMS:
        return None
    return f"the inverter lost our setpoint {len(w.actuation.rearms)} times within an hour"


def _writes(w: World) -> str | None:
    failures = max(w.hand.failures, w.hand.clear_failures)
    if failures < WRITE_FAILURES:
        return None
    return f"{failures} writes in a row were not confirmed (last: {w.hand.outcome})"


def _no_reversion(w: World) -> str | None:
    inverter = w.snapshot.inverter
    if inverter is None or w.hand.held_ns is None or inverter.at_ns <= w.hand.held_ns:
        return None
    if not inverter.remote_active or inverter.reversion_s != 0:
        return None
    return "a setpoint is active and the inverter's reversion time reads 0: it would never end"


def _floor_alarm(w: World) -> str | None:
    return "the inverter's own SoC floor was changed by another hand" if w.durable.floor_alarm else None


def _floor_refused(w: World) -> str | None:
    if w.hand.floor_failures < FLOOR_FAILURES:
        return None
    return f"the inverter did not take its SoC floor in {w.hand.floor_failures} tries"


def _reserve(w: World) -> str | None:
    source = w.inputs.reserve.source
    return None if source == "file" else f"the reserve's file is {source}: 100 % is kept"


def _disk(w: World) -> str | None:
    return None if w.inputs.disk_ok else "the disk takes no records: no new dispatch is accepted"


def _clock(w: World) -> str | None:
    return "the wall clock is not trusted" if w.inputs.clock.trust is ClockTrust.UNTRUSTED else None


def _crash_loop(w: World) -> str | None:
    if w.resumed or w.snapshot.now_ns - w.boot_ns >= CRASH_REST_NS:
        return None
    starts = w.durable.starts_ms
    if len(starts) < w.params.crash_loop_starts:
        return None
    if starts[-1] - starts[-w.params.crash_loop_starts] > w.params.crash_loop_window_s * 1000:
        return None
    return f"{w.params.crash_loop_starts} starts within {w.params.crash_loop_window_s} s"


def _grid_lost(w: World) -> str | None:
    return w.snapshot.grid_why if w.snapshot.grid_lost else None


def _grid_unknown(w: World) -> str | None:
    return None if w.snapshot.grid is GridState.CONNECTED else w.snapshot.grid_why


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
        "This is a bug: run `batteryctl bundle` and send the file.",
        _settle,
        strikes=True,
    ),
    Fault(
        "identity_mismatch",
        Severity.FAULT,
        Clear.AUTO,
        _mismatch,
        "Compare with the commissioned serial number; connect the right device or run `batteryctl adopt`.",
    ),
    Fault(
        "over_temperature",
        Severity.LOCKOUT,
        Clear.TECHNICIAN,
        _over_temperature,
        "Keep away from the battery and switch it off at its breaker; then call the installer.",
    ),
    Fault(
        "over_voltage",
        Severity.LOCKOUT,
        Clear.TECHNICIAN,
        _over_voltage,
        "Switch the battery off at its breaker; then call the installer.",
    ),
    Fault(
        "actuation_reversed",
        Severity.FAULT,
        Clear.TECHNICIAN,
        _reversed,
        "Check the profile's sign and the battery's current sensor, run `batteryctl pulse`, then `batteryctl resume`.",
    ),
    Fault(
        "inverter_stale",
        Severity.FAULT,
        Clear.HOLD,
        lambda w: _late("inverter", w.snapshot.inverter_age_ns, w.snapshot.inverter_stale_ns),
        "Check the inverter's supply and the RS-485 line with `batteryctl bus`.",
        _settle,
        grace=True,
    ),
    Fault(
        "inverter_fault",
        Severity.FAULT,
        Clear.HOLD,
        _inverter_fault,
        "Read the inverter's display and follow its manual.",
        _settle,
        strikes=True,
    ),
    Fault(
        "bms_protection",
        Severity.FAULT,
        Clear.HOLD,
        _protection,
        "Read the BMS' own display or app; the battery protects itself and decides when to return.",
        _settle,
    ),
    Fault(
        "deaf_inverter",
        Severity.FAULT,
        Clear.HOLD,
        _deaf,
        "Look for another controller or an app that commands the inverter; check that remote control is enabled.",
        _settle,
        strikes=True,
    ),
    Fault(
        "writes_refused",
        Severity.FAULT,
        Clear.HOLD,
        _writes,
        "Check that the inverter allows remote control over Modbus; `batteryctl log -f` shows each refusal.",
        _settle,
        strikes=True,
    ),
    Fault(
        "reversion_off",
        Severity.FAULT,
        Clear.HOLD,
        _no_reversion,
        "Update the inverter's firmware or use a profile whose reversion timer works.",
        _settle,
        strikes=True,
    ),
    Fault(
        "crash_loop",
        Severity.FAULT,
        Clear.AUTO,
        _crash_loop,
        "Read `batteryctl log`; `batteryctl resume` or half an hour without a crash ends it.",
    ),
    Fault(
        "grid_lost",
        Severity.BACKUP,
        Clear.HOLD,
        _grid_lost,
        "None: the house runs on the battery until the grid is back.",
        lambda p: p.timers.grid_dwell_ns,
    ),
    Fault(
        "grid_unknown",
        Severity.BACKUP,
        Clear.AUTO,
        _grid_unknown,
        "If this stays, check that the inverter's grid state is read: `batteryctl device list`.",
        grace=True,
    ),
    Fault(
        "battery_stale",
        Severity.DEGRADED,
        Clear.HOLD,
        lambda w: _late("battery", w.snapshot.battery_age_ns, w.snapshot.battery_stale_ns),
        "Check the BMS' cable and address with `batteryctl bus`.",
        _recover,
        doubles=True,
        grace=True,
    ),
    Fault(
        "bms_asleep",
        Severity.DEGRADED,
        Clear.AUTO,
        _asleep,
        "Let the inverter wake the BMS, or press the battery's button; we never charge it blind.",
        grace=True,
    ),
    Fault(
        "soc_unknown",
        Severity.DEGRADED,
        Clear.HOLD,
        _soc_unknown,
        "Check the BMS' profile and firmware with `batteryctl device list`.",
        _recover,
        doubles=True,
        grace=True,
    ),
    Fault(
        "meter_stale",
        Severity.DEGRADED,
        Clear.HOLD,
        lambda w: _late("meter", w.snapshot.meter_age_ns, w.snapshot.meter_stale_ns),
        "Check the meter's cable and address with `batteryctl bus`.",
        _recover,
        doubles=True,
        grace=True,
    ),
    Fault(
        "setpoint_lost",
        Severity.DEGRADED,
        Clear.HOLD,
        _setpoint_lost,
        "Look for reboots of the inverter and for another controller on it.",
        _recover,
        doubles=True,
    ),
    Fault("bms_alarm", Severity.DERATE, Clear.HOLD, _alarm, "Read the BMS' own display or app.", _settle),
    Fault(
        "floor_changed",
        Severity.WARN,
        Clear.TECHNICIAN,
        _floor_alarm,
        "Find out who changed it (installer app, vendor cloud), then run `batteryctl resume`.",
    ),
    Fault(
        "floor_refused",
        Severity.WARN,
        Clear.HOLD,
        _floor_refused,
        "Set the inverter's minimum SoC by hand to the reserve; check its access rights.",
        _settle,
    ),
    Fault("reserve_unreadable", Severity.WARN, Clear.AUTO, _reserve, "Set it again: `batteryctl reserve PERCENT`."),
    Fault(
        "disk", Severity.WARN, Clear.AUTO, _disk, "Free space or replace the card; `batteryctl doctor` names the cause."
    ),
    Fault("clock_untrusted", Severity.WARN, Clear.AUTO, _clock, "Give the gateway a network time source."),
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
        if sentence is None and old is None and row.id not in latches:
            continue
        if sentence is None and row.id in latches and (old is None or not old.active):
            sentence = "latched before this start"
        new = _next(row, old, sentence, row.id in latches, now, world.params, draw)
        if new is not old:
            was = old is not None and old.active
            if new.active and not was:
                raised.append(row.id)
                if row.clear is Clear.TECHNICIAN and row.id not in latches:
                    latches = (*latches, row.id)
            elif was and not new.active:
                cleared.append(row.id)
        out.append(new)
    return Evaluated(tuple(out), tuple(raised), tuple(cleared), latches)


def _next(
    row: Fault, old: Memory | None, sentence: str | None, latched: bool, now: int, p: Params, draw: int
) -> Memory:
    if sentence is not None:
        if old is not None and old.active:
            if old.gone_ns is None and old.sentence == sentence:
                return old
            return Memory(row.id, True, old.since_ns, None, old.cleared_ns, old.entries, sentence, old.jitter_ns)
        entries = tuple(t for t in old.entries if now - t <= REENTRY_NS)[-7:] if old else ()
        jitter = draw % (p.timers.grid_jitter_ns + 1) if row.id == "grid_lost" else 0
        return Memory(row.id, True, now, None, 0, (*entries, now), sentence, jitter)
    if old is None:  # latched, and its sentence was given above
        raise AssertionError(row.id)
    if not old.active:
        return old
    gone = old.gone_ns if old.gone_ns is not None else now
    over = not latched if row.clear is Clear.TECHNICIAN else now - gone >= hold_of(row, old, p)
    if over:
        return Memory(row.id, False, old.since_ns, gone, now, old.entries, old.sentence)
    if old.gone_ns is not None:
        return old
    return Memory(row.id, True, old.since_ns, gone, 0, old.entries, old.sentence, old.jitter_ns)


def hold_of(row: Fault, memory: Memory, p: Params) -> int:
    """How long the condition must be gone, ns."""
    if row.clear is Clear.AUTO or row.hold is None:
        return 0
    hold = row.hold(p) + memory.jitter_ns
    if row.doubles:
        hold = min(max(hold, p.timers.recover_max_ns), hold << max(0, len(memory.entries) - 1))
    return hold


def strikes(memory: tuple[Memory, ...], now_ns: int) -> int:
    """Entries of striking faults within the last hour."""
    return sum(sum(1 for t in m.entries if now_ns - t <= REENTRY_NS) for m in memory if BY_ID[m.id].strikes)


def worst(memory: tuple[Memory, ...]) -> int:
    """Severity of the worst active fault, 0 = none."""
    return max((BY_ID[m.id].severity for m in memory if m.active), default=0)
