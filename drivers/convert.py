"""From a battery target to the setpoint at the point that a device controls, and back. Pure.

Devices that are commanded at their AC terminals or at the grid connection move PV or load along with the battery, so
the setpoint depends on the latest readings. Signs are the project's: battery and AC + toward the house bus, grid +
import, load >= 0 consumption.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Live:
    """The latest of what a setpoint may depend on. None = not known. `remote_w` is in battery watts."""

    pv_w: int | None = None
    load_w: int | None = None
    ac_w: int | None = None
    battery_w: int | None = None
    remote_w: int | None = None
    remote_active: bool | None = None


def offset_w(convert: str, live: Live) -> int | str:
    """What must be added to the battery target (the grid: to its negative), or what is missing.

    pv: AC = battery + PV. measured: AC now - battery now, which covers loads behind the inverter and losses too; both
    must be of the same moment. grid: import = load - PV - battery.
    """
    if convert == "none":
        return 0
    if convert == "pv":
        return "PV power is not known" if live.pv_w is None else live.pv_w
    if convert == "measured":
        if live.ac_w is None or live.battery_w is None:
            return "the inverter's AC and battery power are not both known"
        return live.ac_w - live.battery_w
    if live.load_w is None or live.pv_w is None:
        return "load and PV power are not both known"
    return live.load_w - live.pv_w


def to_device(convert: str, battery_w: int, live: Live) -> int | str:
    """The setpoint at the control point for a battery power, or the sentence that says why there is none."""
    offset = offset_w(convert, live)
    if isinstance(offset, str):
        return offset
    return offset - battery_w if convert == "grid" else offset + battery_w


def to_battery(convert: str, device_w: int, live: Live) -> int | None:
    """The battery power that a setpoint at the control point means now. None if that is not known."""
    offset = offset_w(convert, live)
    if isinstance(offset, str):
        return None
    return offset - device_w if convert == "grid" else device_w - offset
