"""Readings -> one Snapshot: ages, plausibility, grid evidence, SoC as an interval, the house's load.

What is missing or absurd becomes "not known", never zero-as-fine and never unlimited. The SoC interval: `lo` is what
the BMS said less one quantum, less the energy that was measured to leave since that number last moved; `hi` the same
upward. The inverter's SoC is believed only where it makes the interval wider. Energy is exact: watt x ns, and 1
permille of SoC = `capacity_wh` milliwatt-hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.core.inputs import Device, Inputs
from agent.core.limits import NEVER_NS
from agent.core.params import Params, S
from drivers.readings import BatteryReading, Capability, DeviceRole, GridState, InverterReading, MeterReading

NJ_PER_MWH = 3_600_000_000  # 1 mWh = 3.6 J, and 1 W x 1 ns = 1 nJ
STALE_MAX_NS = 15 * S  # a device may declare itself slower than the defaults, up to this
DEAD_MV = 60_000  # half of 120 V: below it on every phase, the grid side is dead
DEAD_BELOW_MHZ, DEAD_ABOVE_MHZ = 45_000, 65_000
INVERTER_SOC_STEP = 10  # permille by which the inverter's SoC may differ from the BMS' through rounding alone
WORST_OF = 3  # meter samples
EARLY_NS = 1 * S  # a reading stamped later than this cycle by more than this is not believed


class Pack(NamedTuple):
    """All packs as one: each field is the worst of them. None = not known."""

    at_ns: int
    soc_min: int | None
    soc_max: int | None
    quantum: int
    mv: int
    power_w: int | None
    cell_max_mv: int | None
    cell_min_mv: int | None
    temp_max_dc: int | None
    temp_min_dc: int | None
    ccl_ma: int
    dcl_ma: int
    charge_on: bool
    discharge_on: bool
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """What the next snapshot must remember of this one."""

    at_ns: int
    soc: tuple[int, int] | None = None  # as last reported: (least, most) of the packs
    drained_nj: int = 0
    charged_nj: int = 0
    nets: tuple[int, ...] = ()  # last house loads without the battery, W
    net_at_ns: int = -1
    was_connected: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One instant of the home. Ages in ns, NEVER_NS = never read."""

    now_ns: int
    pack: Pack | None
    inverter: InverterReading | None
    meter: MeterReading | None
    capability: Capability | None
    battery_device: Device | None
    inverter_device: Device | None
    battery_age_ns: int
    inverter_age_ns: int
    meter_age_ns: int
    battery_stale_ns: int
    inverter_stale_ns: int
    meter_stale_ns: int
    devices_ok: bool
    mismatch: str | None  # name of a device that is not the commissioned one
    grid: GridState
    grid_lost: bool  # evidence that the grid was away, not merely that a reading is late
    grid_why: str
    soc_lo_mwh: int | None
    soc_hi_mwh: int | None
    battery_w: int | None
    load_w: int | None
    net_hi_w: int | None
    net_lo_w: int | None
    reserve_permille: int
    horizon_ns: int  # T_h: staleness + loop + write + reversion
    stated_ns: int  # promise 3, for the slowest of the devices


def take(params: Params, inputs: Inputs, trace: Trace) -> tuple[Snapshot, Trace]:
    """Freeze one cycle's readings. Total: any reading of the declared types gives a Snapshot."""
    now = inputs.now_ns
    batteries, inverters, meters, ok, mismatch = _devices(inputs)
    pack = _pack([r for r in inputs.batteries if r.device in batteries], len(batteries), params)
    inverter = next((r for r in inputs.inverters if r.device in inverters), None)
    meter = next((r for r in inputs.meters if r.device in meters), None)
    inverter_device = next(iter(inverters.values()), None)
    capability = inverter_device.capability if inverter_device else None
    timers = params.timers
    battery_stale = _stale(timers.stale_battery_ns, batteries)
    inverter_stale = _stale(timers.stale_inverter_ns, inverters)
    meter_stale = _stale(timers.stale_meter_ns, meters)
    battery_age = _age(now, pack.at_ns if pack else None)
    inverter_age = _age(now, inverter.at_ns if inverter else None)
    meter_age = _age(now, meter.at_ns if meter else None)

    battery_w = _battery_w(now, inverter, inverter_stale, pack, battery_age <= battery_stale)
    live_meter = meter if meter_age <= meter_stale else None
    usable = inverter if inverter_device is not None and inverter_device.presence == "ok" else None
    grid, lost, why = _grid(now, usable, live_meter, params, trace.was_connected)
    trace, net, load = _house(trace, live_meter, inverter, battery_w)
    trace, soc = _soc(now, trace, params, pack, battery_age <= battery_stale, inverter, inverter_age <= inverter_stale)
    if grid is GridState.CONNECTED and not trace.was_connected:
        trace = Trace(now, trace.soc, trace.drained_nj, trace.charged_nj, trace.nets, trace.net_at_ns, True)
    reversion_ns = max(timers.reversion_s, capability.reversion_s if capability else 0) * S
    ends = timers.cycle_ns + timers.write_ns + reversion_ns
    return (
        Snapshot(
            now_ns=now,
            pack=pack,
            inverter=inverter,
            meter=meter,
            capability=capability,
            battery_device=next(iter(batteries.values()), None),
            inverter_device=inverter_device,
            battery_age_ns=battery_age,
            inverter_age_ns=inverter_age,
            meter_age_ns=meter_age,
            battery_stale_ns=battery_stale,
            inverter_stale_ns=inverter_stale,
            meter_stale_ns=meter_stale,
            devices_ok=ok,
            mismatch=mismatch,
            grid=grid,
            grid_lost=lost,
            grid_why=why,
            soc_lo_mwh=soc[0] if soc else None,
            soc_hi_mwh=soc[1] if soc else None,
            battery_w=battery_w,
            load_w=load,
            net_hi_w=net[1] if net else None,
            net_lo_w=net[0] if net else None,
            reserve_permille=reserve_of(params, inputs),
            horizon_ns=battery_stale + ends,
            stated_ns=max(battery_stale, inverter_stale, meter_stale) + ends,
        ),
        trace,
    )


def reserve_of(params: Params, inputs: Inputs) -> int:
    """The reserve in force, permille: the homeowner's, never below the least allowed; all of it if not readable."""
    if inputs.reserve.source != "file":
        return 1000
    return min(1000, max(params.reserve_min_permille, inputs.reserve.permille))


def _devices(
    inputs: Inputs,
) -> tuple[dict[str, Device], dict[str, Device], dict[str, Device], bool, str | None]:
    """Devices by role; whether each role is there and every device is what it should be; who is not."""
    roles: dict[DeviceRole, dict[str, Device]] = {r: {} for r in DeviceRole}
    ok = True
    mismatch = None
    for device in inputs.devices:
        roles[device.role][device.name] = device
        if device.presence != "ok":
            ok = False
            if device.presence == "mismatch":
                mismatch = device.name
    batteries, inverters, meters = roles[DeviceRole.BATTERY], roles[DeviceRole.INVERTER], roles[DeviceRole.METER]
    return batteries, inverters, meters, ok and bool(batteries and inverters and meters), mismatch


def _stale(default_ns: int, devices: dict[str, Device]) -> int:
    """A device that declares itself slower is believed, up to STALE_MAX_NS."""
    for device in devices.values():
        if device.capability is not None:
            default_ns = max(default_ns, min(STALE_MAX_NS, device.capability.stale_s * S))
    return default_ns


def _age(now: int, at_ns: int | None) -> int:
    if at_ns is None or at_ns - now > EARLY_NS:
        return NEVER_NS
    return max(0, now - at_ns)


def _within(value: int | None, least: int, most: int) -> int | None:
    return value if value is not None and least <= value <= most else None


def _pack(readings: list[BatteryReading], configured: int, params: Params) -> Pack | None:
    """The worst of the packs. A configured pack that was never read leaves nothing known."""
    if not readings or len(readings) != configured:
        return None
    if len(readings) == 1:
        return _one(readings[0])
    packs = [_one(r) for r in readings]
    powers = [p.power_w for p in packs]
    return Pack(
        at_ns=min(p.at_ns for p in packs),
        soc_min=_worst(min, [p.soc_min for p in packs]),
        soc_max=_worst(max, [p.soc_max for p in packs]),
        quantum=max(p.quantum for p in packs),
        mv=min(p.mv for p in packs),
        power_w=None if None in powers else sum(w for w in powers if w is not None),
        cell_max_mv=_worst(max, [p.cell_max_mv for p in packs]),
        cell_min_mv=_worst(min, [p.cell_min_mv for p in packs]),
        temp_max_dc=_worst(max, [p.temp_max_dc for p in packs]),
        temp_min_dc=_worst(min, [p.temp_min_dc for p in packs]),
        ccl_ma=min(p.ccl_ma for p in packs) * len(packs),
        dcl_ma=min(p.dcl_ma for p in packs) * len(packs),
        charge_on=all(p.charge_on for p in packs),
        discharge_on=all(p.discharge_on for p in packs),
        alarms=tuple(sorted({a for p in packs for a in p.alarms})),
    )


def _worst(pick: object, values: list[int | None]) -> int | None:
    if None in values:
        return None
    known = [v for v in values if v is not None]
    return min(known) if pick is min else max(known)


def _one(r: BatteryReading) -> Pack:
    """One pack, with what is absurd taken for not known."""
    soc = _within(r.soc_permille, 0, 1000)
    mv = _within(r.pack_mv, 1, 2_000_000)
    return Pack(
        at_ns=r.at_ns,
        soc_min=soc,
        soc_max=soc,
        quantum=max(1, r.soc_quantum_permille),
        mv=mv or 0,
        power_w=mv * r.pack_ma // 1_000_000 if mv is not None and r.pack_ma is not None else None,
        cell_max_mv=_within(r.cell_max_mv, 500, 5000),
        cell_min_mv=_within(r.cell_min_mv, 500, 5000),
        temp_max_dc=_within(r.temp_max_dc, -500, 1200),
        temp_min_dc=_within(r.temp_min_dc, -500, 1200),
        ccl_ma=max(0, r.ccl_ma or 0),
        dcl_ma=max(0, r.dcl_ma or 0),
        charge_on=r.charge_enabled is True,
        discharge_on=r.discharge_enabled is True,
        alarms=r.alarms,
    )


def _battery_w(now: int, inverter: InverterReading | None, stale_ns: int, pack: Pack | None, fresh: bool) -> int | None:
    """AC watts at the battery; the pack's own V x I where the inverter gives none."""
    if inverter is not None and inverter.battery_w is not None and _age(now, inverter.battery_at_ns) <= stale_ns:
        return inverter.battery_w
    return pack.power_w if pack is not None and fresh else None


def _grid(
    now: int, inverter: InverterReading | None, meter: MeterReading | None, params: Params, was_connected: bool
) -> tuple[GridState, bool, str]:
    """Only fresh positive evidence connects. (state, was the grid away?, why)"""
    if inverter is None:
        return GridState.UNKNOWN, False, "the inverter is not there to say"
    age = _age(now, inverter.grid_at_ns)
    late = age > params.timers.stale_inverter_ns
    if inverter.grid_state is GridState.ISLANDED and not late:
        return GridState.ISLANDED, True, "the inverter runs the house as an island"
    if age > params.timers.stale_grid_ns:
        return GridState.UNKNOWN, late and was_connected, "the inverter's word on the grid is too old"
    if inverter.grid_state is not GridState.CONNECTED:
        return GridState.UNKNOWN, was_connected, "the inverter does not say that it is connected"
    if meter is not None and _dead(meter):
        return GridState.UNKNOWN, True, "the meter sees a dead grid while the inverter says connected"
    return GridState.CONNECTED, False, "the inverter is connected"


def _dead(meter: MeterReading) -> bool:
    """A meter that is fed from elsewhere and sees no voltage, or no mains frequency, on the grid side."""
    volts = [v for v in meter.phase_mv if v is not None]
    if volts and max(volts) < DEAD_MV:
        return True
    return meter.frequency_mhz is not None and not DEAD_BELOW_MHZ <= meter.frequency_mhz <= DEAD_ABOVE_MHZ


def _house(
    trace: Trace, meter: MeterReading | None, inverter: InverterReading | None, battery_w: int | None
) -> tuple[Trace, tuple[int, int] | None, int | None]:
    """House load without the battery: (least, most) of the last samples; and the load with PV counted, if known."""
    if meter is None or meter.grid_w is None or battery_w is None:
        nets: tuple[int, ...] = ()
        return (
            Trace(trace.at_ns, trace.soc, trace.drained_nj, trace.charged_nj, nets, -1, trace.was_connected),
            None,
            None,
        )
    net = meter.grid_w + battery_w
    if meter.at_ns != trace.net_at_ns:
        nets = (*trace.nets[1 - WORST_OF :], net)
        trace = Trace(
            trace.at_ns, trace.soc, trace.drained_nj, trace.charged_nj, nets, meter.at_ns, trace.was_connected
        )
    pv = inverter.pv_w if inverter is not None else None
    return trace, (min(trace.nets), max(trace.nets)), net + pv if pv is not None else None


def _soc(
    now: int,
    trace: Trace,
    params: Params,
    pack: Pack | None,
    pack_fresh: bool,
    inverter: InverterReading | None,
    inverter_fresh: bool,
) -> tuple[Trace, tuple[int, int] | None]:
    """The energy interval in mWh, or None; and the integrals it needs next time."""
    dt = max(0, now - trace.at_ns)
    powers = []
    if pack is not None and pack_fresh and pack.power_w is not None:
        powers.append(pack.power_w)
    if inverter is not None and inverter_fresh and inverter.battery_w is not None:
        powers.append(inverter.battery_w)
    most, least = (max(powers), min(powers)) if powers else (0, 0)
    drained = max(0, trace.drained_nj + most * dt)
    charged = max(0, trace.charged_nj - least * dt)
    known = pack is not None and pack_fresh and pack.soc_min is not None and pack.soc_max is not None
    if not known or pack is None or pack.soc_min is None or pack.soc_max is None:
        return Trace(now, trace.soc, drained, charged, trace.nets, trace.net_at_ns, trace.was_connected), None
    reported = (pack.soc_min, pack.soc_max)
    if reported != trace.soc:
        drained = charged = 0
    capacity = params.site.capacity_wh
    lo = (reported[0] - pack.quantum) * capacity - -(-drained // NJ_PER_MWH)
    hi = (reported[1] + pack.quantum) * capacity + -(-charged // NJ_PER_MWH)
    other = _within(inverter.soc_permille, 0, 1000) if inverter is not None and inverter_fresh else None
    if other is not None:
        if (other + INVERTER_SOC_STEP) * capacity < lo:
            lo = other * capacity
        if (other - INVERTER_SOC_STEP) * capacity > hi:
            hi = other * capacity
    interval = (max(0, lo), min(1000 * capacity, hi))
    return Trace(now, reported, drained, charged, trace.nets, trace.net_at_ns, trace.was_connected), interval
