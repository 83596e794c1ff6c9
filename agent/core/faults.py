"""The one table of faults: what is checked, how bad it is, what clears it, what a person should do.

Severities are ordered and the worst wins. The ids are the codes on the wire and in docs/faults.md; `standing` runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

from agent.core import checks
from agent.core.checks import World
from agent.core.params import Params

CRITICAL = frozenset({"over_temperature", "over_voltage"})  # the only faults for which STOP is written
BLIND = frozenset({"battery_stale", "battery_frozen", "bms_asleep", "soc_unknown"})  # under these no SoC counts


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

    id: str  # for ever: it is the code on the wire
    severity: Severity
    clear: Clear
    check: Callable[[World], str | None]
    remedy: str
    hold: Callable[[Params], int] | None = None
    doubles: bool = False  # the hold doubles with each re-entry within an hour, up to recover_max_ns
    grace: bool = False  # not checked before first readings could come
    strikes: bool = False  # three entries an hour lock the agent out
    what: str = ""  # what is looked at, for people


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
        what="that the agent's own cycle ran to its end",
    ),
    Fault(
        "identity_mismatch",
        Severity.FAULT,
        Clear.AUTO,
        checks.mismatch,
        "Compare with the commissioned serial number; connect the right device or run `batteryctl device adopt NAME`.",
        what="that each device is the one that was commissioned, by its serial number or model",
    ),
    Fault(
        "bus_contention",
        Severity.FAULT,  # released at once: the zero that goes before in DEGRADED is not written on such a line
        Clear.AUTO,  # the bus itself waits for a minute of quiet
        checks.contention,
        "Find the other master (a logger, an app's stick, a second gateway) and give it a line of its own; nothing but "
        "a release is written until it was quiet for 60 s.",
        what="that nobody else asks on our RS-485 lines",
    ),
    Fault(
        "over_temperature",
        Severity.LOCKOUT,
        Clear.TECHNICIAN,
        checks.over_temperature,
        "Keep away from the battery and switch it off at its breaker; then call the installer.",
        what="the hottest cell against the temperature at which it may take damage",
    ),
    Fault(
        "over_voltage",
        Severity.LOCKOUT,
        Clear.TECHNICIAN,
        checks.over_voltage,
        "Switch the battery off at its breaker; then call the installer.",
        what="the highest cell against the voltage at which it may take damage",
    ),
    Fault(
        "actuation_reversed",
        Severity.FAULT,
        Clear.TECHNICIAN,
        checks.reversed,
        "Check the profile's sign and the battery's current sensor, then run `batteryctl resume`.",
        what="that measured power has the direction of the setpoint",
    ),
    Fault(
        "inverter_stale",
        Severity.FAULT,
        Clear.HOLD,
        lambda w: checks.late(w.snapshot.oldest[1], w.snapshot.inverter_age_ns, w.snapshot.inverter_stale_ns),
        "Check the inverter's supply and the RS-485 line; `batteryctl device list` shows what answers.",
        _settle,
        grace=True,
        what="the age of the inverter's last good reading",
    ),
    Fault(
        "inverter_fault",
        Severity.FAULT,
        Clear.HOLD,
        checks.inverter_fault,
        "Read the inverter's display and follow its manual.",
        _settle,
        strikes=True,
        what="the inverter's own report of its state",
    ),
    Fault(
        "bms_protection",
        Severity.FAULT,
        Clear.HOLD,
        checks.protection,
        "Read the BMS' own display or app; the battery protects itself and decides when to return.",
        _settle,
        what="the BMS' protection bits that block both directions",
    ),
    Fault(
        "deaf_inverter",
        Severity.FAULT,
        Clear.HOLD,
        checks.deaf,
        "Look for another controller or an app that commands the inverter; check that remote control is enabled.",
        _settle,
        strikes=True,
        what="measured power against the setpoint that was read back, and the time it is away from it",
    ),
    Fault(
        "writes_refused",
        Severity.FAULT,
        Clear.HOLD,
        checks.writes,
        "Check that the inverter allows remote control over Modbus; `batteryctl log -f` shows each refusal.",
        _settle,
        strikes=True,
        what="that writes are confirmed by being read back",
    ),
    Fault(
        "writes_worn",
        Severity.FAULT,  # released at once: a setpoint that cannot be changed may not stay
        Clear.AUTO,
        checks.worn,
        "Ask for fewer setpoints and changes of direction a day; releases have a part of the budget of their own.",
        what="how many writes of registers that wear out are left today",
    ),
    Fault(
        "reversion_off",
        Severity.FAULT,
        Clear.HOLD,
        checks.no_reversion,
        "Update the inverter's firmware or use a profile whose reversion timer works.",
        _settle,
        strikes=True,
        what="that our setpoint would end by itself: the inverter's reversion time while one is active",
    ),
    Fault(
        "self_test",
        Severity.FAULT,
        Clear.HOLD,
        checks.self_test,
        "Restart the agent; if it comes back, replace the gateway.",
        _settle,
        what="the safety parameters against their second copy, and the clock against network time",
    ),
    Fault(
        "crash_loop",
        Severity.FAULT,
        Clear.AUTO,
        checks.crash_loop,
        "Read `batteryctl log`; `batteryctl resume` or half an hour without a crash ends it.",
        what="how often the daemon was started within a short time without a clean stop",
    ),
    Fault(
        "grid_lost",
        Severity.BACKUP,
        Clear.HOLD,
        checks.grid_lost,
        "None: the house runs on the battery until the grid is back.",
        lambda p: p.timers.grid_dwell_ns,
        what="the inverter's grid state, and voltage and frequency on the grid's side",
    ),
    Fault(
        "grid_unknown",
        Severity.BACKUP,
        Clear.AUTO,
        checks.grid_unknown,
        "If this stays, check that the inverter's grid state is read: `batteryctl device list`.",
        grace=True,
        what="that there is fresh positive evidence of the grid",
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
        what="the age of the BMS' last good reading",
    ),
    Fault(
        "battery_frozen",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.frozen,
        "Restart the BMS or the gateway that reads it; compare with the BMS' own display.",
        _settle,
        doubles=True,
        what="that the BMS' values move while power flows",
    ),
    Fault(
        "bms_asleep",
        Severity.DEGRADED,
        Clear.AUTO,
        checks.asleep,
        "Let the inverter wake the BMS, or press the battery's button; we never charge it blind.",
        grace=True,
        what="that the BMS answers at all while the inverter does",
    ),
    Fault(
        "reading_implausible",
        Severity.FAULT,
        Clear.HOLD,
        checks.implausible,
        "Compare with the BMS' own display; check the profile's scales: `batteryctl device check NAME`.",
        _settle,
        strikes=True,
        what="each reading against physics: P = V x I, pack voltage against the cells, scale factors that change",
    ),
    Fault(
        "current_wrong",
        Severity.FAULT,
        Clear.TECHNICIAN,
        checks.current_wrong,
        "Check signs and scales of the BMS' and the inverter's profile, then run `batteryctl resume`.",
        what="the BMS' current against the power that the inverter measures: sign and size",
    ),
    Fault(
        "meter_wrong",
        Severity.DEGRADED,
        Clear.TECHNICIAN,
        checks.meter_wrong,
        "Check the direction and the place of each current clamp, then run `batteryctl resume`.",
        what="that the meter answers a step of the battery's power with the same step, the right way round",
    ),
    Fault(
        "meter_stuck",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.meter_stuck,
        "Check the meter's current clamps and its supply; compare with its own display.",
        _settle,
        doubles=True,
        what="that the meter's values move while the battery's power does",
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
        what="that the BMS gives a plausible state of charge",
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
        what="the age of the meter's last good reading",
    ),
    Fault(
        "setpoint_lost",
        Severity.DEGRADED,
        Clear.HOLD,
        checks.setpoint_lost,
        "Look for reboots of the inverter and for another controller on it.",
        _recover,
        doubles=True,
        what="how often within an hour the inverter lost our setpoint and it had to be written again",
    ),
    Fault(
        "inverter_out",
        Severity.DERATE,
        Clear.HOLD,
        checks.inverter_out,
        "Check that inverter's supply and its line; the home goes on with the others meanwhile.",
        _settle,
        what="each of several inverters, by itself",
    ),
    Fault(
        "soc_doubted",
        Severity.WARN,
        Clear.AUTO,
        checks.soc_doubted,
        "A full charge lets the BMS calibrate itself; until then the cautious end of the interval counts.",
        what="the state of charge against cell voltage and the charge that was counted",
    ),
    Fault(
        "bms_alarm",
        Severity.DERATE,
        Clear.HOLD,
        checks.alarm,
        "Read the BMS' own display or app.",
        _settle,
        what="the BMS' alarm bits; those that block one direction limit that direction",
    ),
    Fault(
        "floor_changed",
        Severity.WARN,
        Clear.TECHNICIAN,
        checks.floor_alarm,
        "Find out who changed it (installer app, vendor cloud), then run `batteryctl resume`.",
        what="the inverter's own SoC floor against what we wrote last",
    ),
    Fault(
        "floor_refused",
        Severity.WARN,
        Clear.HOLD,
        checks.floor_refused,
        "Set the inverter's minimum SoC by hand to the reserve; check its access rights.",
        _settle,
        what="that the inverter takes its SoC floor",
    ),
    Fault(
        "reserve_unguarded",
        Severity.WARN,
        Clear.AUTO,
        checks.unguarded,
        "Set the inverter's minimum SoC by hand to the reserve; after `batteryctl stop`, run `batteryctl resume`.",
        grace=True,
        what="that somebody keeps the reserve: the inverter's own SoC floor, or we with a setpoint that ends by itself",
    ),
    Fault(
        "reserve_unreadable",
        Severity.WARN,
        Clear.AUTO,
        checks.reserve,
        "Set it again: `batteryctl reserve PERCENT`.",
        what="the file with the homeowner's reserve",
    ),
    Fault(
        "changed_on_disk",
        Severity.WARN,
        Clear.AUTO,
        checks.changed_on_disk,
        "If it was meant, restart the agent to use it; if not, install the package anew and look at the card.",
        what="configuration, profiles and program on the disk against those that run: at the start and daily",
    ),
    Fault(
        "disk",
        Severity.WARN,
        Clear.AUTO,
        checks.disk,
        "Free space or replace the card; `batteryctl log` names the cause.",
        what="that the disk takes records",
    ),
    Fault(
        "clock_untrusted",
        Severity.WARN,
        Clear.AUTO,
        checks.clock,
        "Give the gateway a network time source.",
        what="the wall clock: network time, or a signed time from the aggregator",
    ),
    Fault(
        "lockout",
        Severity.LOCKOUT,
        Clear.AUTO,
        lambda w: w.durable.lockout,
        "Find and mend the cause, then run `batteryctl resume`.",
        what="a lockout that is on record; it survives a restart",
    ),
)
BY_ID = {row.id: row for row in FAULTS}
