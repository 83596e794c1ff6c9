"""A realistic home as a View: the demo's battery, meter and inverter in a dispatch that the reserve holds back."""

from __future__ import annotations

import dataclasses

from agent.core.decision import Decision, FaultValue, LimitValue, Mode, Side
from agent.core.inputs import Clock, ClockTrust
from agent.local.installed import Installed, LineFacts
from agent.mail import DiskState, Line, LinkState, View
from agent.runtime.part import Now
from drivers.binding import DeviceSpec
from drivers.events import BusStats, DeviceStatus, Identity, Presence
from drivers.profile import load
from drivers.readings import BatteryReading, Capability, DeviceRole, GridState, InverterReading, MeterReading

S = 1_000_000_000
NOW = Now(mono_ns=10_000 * S, wall_ms=1_792_332_202_000)
COMMAND = "3f2a91c0d4e5f60718293a4b5c6d7e8f"

RESERVE = LimitValue(
    "reserve",
    Side.DISCHARGE,
    3200,
    "SoC 31.2 % is 1.2 % above the reserve of 30.0 %, power tapers to 0 W there",
    "homeowner",
)
LIMITS = (
    LimitValue("nameplate_discharge", Side.DISCHARGE, 11400, "the inverter is rated 11400 W", "site"),
    LimitValue("nameplate_charge", Side.CHARGE, 11400, "the inverter is rated 11400 W", "site"),
    LimitValue("dcl", Side.DISCHARGE, 7800, "the BMS allows 150.0 A at 52.0 V", "bms"),
    LimitValue("ccl", Side.CHARGE, 6240, "the BMS allows 120.0 A at 52.0 V", "bms"),
    LimitValue("import_limit", Side.CHARGE, 8760, "import 1240 W of 10000 W", "site"),
    LimitValue("temperature", Side.BOTH, 11400, "cells 18.1..21.4 C, full power from 10 to 40 C", "agent"),
    RESERVE,
)

DECISION = Decision(
    at_ns=NOW.mono_ns - 200_000_000,
    mode=Mode.DISPATCHED,
    source=f"dispatch:{COMMAND}",
    asked_w=5000,
    given_w=3200,
    lo_w=-6240,
    hi_w=3200,
    binding=RESERVE,
    limits=LIMITS,
    faults=(),
    reserve_permille=300,
    soc_lo_permille=311,
    soc_hi_permille=313,
    grid="connected",
    load_w=6240,
    command_id=COMMAND,
    stated_end_s=67,
)

PACK = BatteryReading(
    device="pack",
    at_ns=NOW.mono_ns - 700_000_000,
    soc_permille=312,
    soc_quantum_permille=1,
    soh_permille=985,
    pack_mv=52_040,
    pack_ma=61_500,
    cell_max_mv=3261,
    cell_min_mv=3249,
    temp_max_dc=214,
    temp_min_dc=181,
    ccl_ma=120_000,
    dcl_ma=150_000,
    charge_enabled=True,
    discharge_enabled=True,
    alarms=(),
)
INVERTER = InverterReading(
    device="hybrid",
    at_ns=NOW.mono_ns - 500_000_000,
    battery_w=3200,
    battery_at_ns=NOW.mono_ns - 150_000_000,
    pv_w=1800,
    ac_w=5000,
    grid_state=GridState.CONNECTED,
    grid_at_ns=NOW.mono_ns - 150_000_000,
    frequency_mhz=59_982,
    soc_permille=312,
    floor_permille=300,
    remote_w=3200,
    remote_active=True,
    reversion_s=60,
    status="running",
)
METER = MeterReading(
    device="grid",
    at_ns=NOW.mono_ns - 120_000_000,
    grid_w=1240,
    phase_w=(1240,),
    phase_mv=(240_100,),
    phase_ma=(5200,),
    frequency_mhz=59_980,
    import_wh=1_234_500,
    export_wh=88_000,
)
CAPABILITY = Capability(
    device="hybrid",
    signed_setpoint=True,
    unit="pct_of_wchamax",
    control_point="battery",
    reversion="device_s",
    reversion_s=60,
    reversion_verified=True,
    floor=True,
    wearing=(),
    min_refresh_s=1,
    read_back=True,
    pv_curtailment=False,
    rated_charge_w=11400,
    rated_discharge_w=11400,
    resolution_w=2,
    refresh_s=1,
    stale_s=5,
    control="model_124",
)
DEVICES = (
    DeviceStatus("pack", DeviceRole.BATTERY, Presence.OK, 0, "", Identity("Seplos", "V3", "1.4", "SP0012345")),
    DeviceStatus("grid", DeviceRole.METER, Presence.OK, 0, "", Identity("Eastron", "SDM630", "", "20119876")),
    DeviceStatus(
        "hybrid",
        DeviceRole.INVERTER,
        Presence.OK,
        0,
        "",
        Identity("Simulated", "Hybrid 11.4", "2.1", "H-77"),
        CAPABILITY,
    ),
)
SPECS = (
    DeviceSpec("pack", DeviceRole.BATTERY, 1, load("seplos_v3")),
    DeviceSpec("grid", DeviceRole.METER, 2, load("eastron_sdm630")),
    DeviceSpec("hybrid", DeviceRole.INVERTER, 3, load("sunspec_hybrid")),
)
INSTALLED = Installed(
    {spec.name: spec for spec in SPECS},
    {spec.name: "rs485" for spec in SPECS},
    {"rs485": LineFacts("rs485", "/dev/ttyUSB0", None, 19200, "N", 1)},
)
LINK = LinkState(True, "localhost:8883", True, 12, 0, {"bad_signature": 2, "replay": 1})
HOME = View(
    at_ns=NOW.mono_ns - 200_000_000,
    clock=Clock(NOW.wall_ms, ClockTrust.SYNCED, "kernel", "b007"),
    decision=DECISION,
    batteries=(PACK,),
    inverters=(INVERTER,),
    meters=(METER,),
    devices=DEVICES,
    buses=(BusStats("rs485", 48_211, 3, 1, 0, 0, 4),),
    reserve_permille=300,
    reserve_source="file",
    link=LINK,
    disk=DiskState(True, ""),
    command={
        "command_id": COMMAND,
        "state": "limited",
        "reason": "reserve",
        "asked_w": 5000,
        "given_w": 3200,
        "ends_in_s": 590,
        "energy_wh": 411.6,
    },
    stopped_by=None,
    started_ns=NOW.mono_ns - 7_384 * S,
)


def home(**changes: object) -> View:
    """The home with some fields of the View changed."""
    return dataclasses.replace(HOME, **changes)  # type: ignore[arg-type]  # a wrong field raises TypeError


def decided(**changes: object) -> View:
    """The home with some fields of its Decision changed."""
    return home(decision=dataclasses.replace(DECISION, **changes))  # type: ignore[arg-type]  # as above


def idle() -> View:
    """Nothing asked, nothing wrong: released to the inverter's own mode."""
    return home(
        decision=dataclasses.replace(
            DECISION,
            mode=Mode.LOCAL,
            source="self_consumption",
            asked_w=None,
            given_w=None,
            binding=None,
            command_id=None,
        ),
        command=None,
    )


def troubled() -> View:
    """A BMS that fell silent, an inverter that was swapped, no link, a stop, no certain SoC."""
    sentence = "no good reading of the battery for more than 5.0 s"
    fault = FaultValue("battery_stale", "degraded", sentence, "Check the BMS' cable.", NOW.mono_ns - 7 * S)
    silent = "unit 1 does not answer; check its power, wiring, unit number and baud rate"
    swapped = "serial H-78 answers, H-77 was commissioned: reads only"
    return home(
        decision=dataclasses.replace(
            DECISION,
            mode=Mode.DEGRADED,
            asked_w=None,
            given_w=0,
            source="none",
            binding=None,
            limits=(LimitValue("stale_battery", Side.BOTH, 0, "the battery's reading is 12.0 s old", "bms"), *LIMITS),
            lo_w=0,
            hi_w=0,
            soc_lo_permille=None,
            soc_hi_permille=None,
            faults=(fault,),
            command_id=None,
        ),
        batteries=(dataclasses.replace(PACK, at_ns=NOW.mono_ns - 12 * S),),
        devices=(
            dataclasses.replace(DEVICES[0], presence=Presence.SILENT, detail=silent),
            DEVICES[1],
            dataclasses.replace(DEVICES[2], presence=Presence.MISMATCH, detail=swapped),
        ),
        link=LinkState(False, "connection refused by localhost:8883", False, None, 3, {}),
        stopped_by="anna (technician)",
        command=None,
    )


def line(number: int, level: str = "info") -> Line:
    return Line(NOW.wall_ms - 60_000 + number * 1000, level, f"line {number}")
