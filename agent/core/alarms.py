"""What a BMS alarm forbids, by the words of its id.

Profiles name alarms after what happened and end them in how bad it is: `_alarm` is a warning that the BMS answers with
its own current limits; `_protection`, `_latch` and `_fault` stop a direction. An id that says neither stops both.
"""

from __future__ import annotations

CHARGE_WORDS = ("over_voltage", "high_voltage")
DISCHARGE_WORDS = ("under_voltage", "low_voltage", "soc_low")
FATAL_WARNINGS = frozenset({"aerosol_alarm"})  # the fire detector's own word: never only a warning


def blocked(alarms: tuple[str, ...]) -> tuple[bool, bool]:
    """(no charging, no discharging) under these alarms."""
    charge = discharge = False
    for alarm in alarms:
        if alarm.endswith("_alarm") and alarm not in FATAL_WARNINGS:
            continue
        is_charge, is_discharge = _sides(alarm)
        charge = charge or is_charge
        discharge = discharge or is_discharge
    return charge, discharge


def _sides(alarm: str) -> tuple[bool, bool]:
    if alarm.endswith("_fault"):
        return True, True
    if alarm.startswith("charge_") or any(word in alarm for word in CHARGE_WORDS):
        return True, False
    if alarm.startswith("discharge_") or any(word in alarm for word in DISCHARGE_WORDS):
        return False, True
    return True, True
