"""What a device said, in the units of the core: frozen, integer, with its age.

Power is positive when it flows toward the house bus: battery + = discharge, grid + = import,
PV + = production. `None` means "not known": never zero, never unlimited.
Every `*_at_ns` is the monotonic time at which the last byte of the sample arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GridState(StrEnum):
    """What the inverter says of its own connection to the utility."""

    CONNECTED = "connected"
    ISLANDED = "islanded"
    UNKNOWN = "unknown"


class DeviceRole(StrEnum):
    """What a device is in this home."""

    BATTERY = "battery"
    INVERTER = "inverter"
    METER = "meter"


@dataclass(frozen=True, slots=True)
class BatteryReading:
    """One pack as its BMS reports it. Currents + = discharge; limits are magnitudes >= 0."""

    device: str
    at_ns: int  # age of the oldest block that these fields came from
    soc_permille: int | None
    soc_quantum_permille: int  # the step in which the BMS reports SoC, >= 1
    soh_permille: int | None
    pack_mv: int | None
    pack_ma: int | None
    cell_max_mv: int | None
    cell_min_mv: int | None
    temp_max_dc: int | None
    temp_min_dc: int | None
    ccl_ma: int | None  # charge current limit; None = the BMS gave none = 0 A
    dcl_ma: int | None  # discharge current limit; None = 0 A
    charge_enabled: bool | None
    discharge_enabled: bool | None
    alarms: tuple[str, ...]  # ids of the profile's alarm map, sorted
    capacity_mah: int | None = None
    force_charge: bool | None = None  # the BMS asks to be charged now; None = it has no such flag


@dataclass(frozen=True, slots=True)
class InverterReading:
    """One inverter. `battery_w` is AC watts at the battery's own point (eta = 1)."""

    device: str
    at_ns: int  # age of the slowest block that these fields came from
    battery_w: int | None
    battery_at_ns: int
    pv_w: int | None
    ac_w: int | None  # whole inverter at its AC terminals, + toward the house bus
    grid_state: GridState
    grid_at_ns: int  # of the positive evidence in grid_state
    frequency_mhz: int | None
    soc_permille: int | None
    floor_permille: int | None  # its own on-grid floor; None = it has none or it did not read
    remote_w: int | None  # setpoint read back while remote control is active; None = released
    remote_active: bool | None  # None = not known
    reversion_s: int | None  # reversion time read back; 0 = never
    status: str  # a word of the profile's state map: "running", "standby", "fault", ...
    alarms: tuple[str, ...] = ()
    remote_now_w: int | None = None  # control point not the battery: what the active setpoint means for it just now
    foreign: tuple[str, ...] = ()  # points of our setpoint that read otherwise than when it was read back
    battery_was: tuple[tuple[int, int], ...] = ()  # (at_ns, W) of the samples before this one, oldest first


@dataclass(frozen=True, slots=True)
class MeterReading:
    """The meter at the grid connection, on the grid side of any transfer relay unless its config says otherwise."""

    device: str
    at_ns: int
    grid_w: int | None  # + = import
    phase_w: tuple[int | None, ...]
    phase_mv: tuple[int | None, ...]
    phase_ma: tuple[int | None, ...]
    frequency_mhz: int | None
    import_wh: int | None
    export_wh: int | None
    grid_was: tuple[tuple[int, int], ...] = ()  # (at_ns, W) of the samples before this one, oldest first
    newest_ns: int = 0  # of several meters as one, whose `at_ns` is the oldest's: when the newest was read


Reading = BatteryReading | InverterReading | MeterReading


@dataclass(frozen=True, slots=True)
class Capability:
    """What a device can be told and what it does when we fall silent (DESIGN 5)."""

    device: str
    signed_setpoint: bool
    unit: str  # "w" | "pct_of_wchamax" | "pct_of_rated" | "none"
    control_point: str  # "battery" | "inverter_ac" | "grid"
    reversion: str  # "device_s" | "device_min" | "implicit" | "unreliable" | "none"
    reversion_s: int  # what we write with each command; 0 = none
    reversion_verified: bool
    floor: bool  # has an on-grid SoC floor that we may write
    wearing: tuple[str, ...]  # points that wear out when written
    min_refresh_s: int
    read_back: bool
    pv_curtailment: bool
    rated_charge_w: int
    rated_discharge_w: int
    resolution_w: int  # smallest step of the setpoint, rounded up
    refresh_s: int  # how often its slow block is read, worst case
    stale_s: int  # age at which its reading counts as lost, <= 15
    granularity_s: int = 1  # steps of the reversion timer
    grid_evidence: bool = True  # it has a point that proves the grid is there; without one it is never commanded
    daily_writes: int = 0  # most writes of wearing registers in 24 h; 0 = it has none
    write_s: int = 1  # longest from an order to its last write, pauses included
    unconfirmed: tuple[str, ...] = ()  # what a commissioning check must confirm before it is used
    confirm: tuple[str, ...] = ()  # for each of `unconfirmed`, how a technician confirms it
    heartbeat_s: int = 0  # how often it wants to hear that we live while it is commanded; 0 = it has no such register
    control: str = ""  # id of the control that is used; "" = it is only read, and never needs a release
    why_not: tuple[str, ...] = ()  # of an inverter: why it takes no setpoint of ours; empty where signed_setpoint
