"""Readings -> one Snapshot: ages, plausibility, grid evidence, SoC as an interval, the house's load.

What is missing or absurd becomes "not known", never zero-as-fine and never unlimited. The SoC interval: `lo` is what
the BMS said less one quantum, less the energy that was measured to leave since that number last moved; `hi` the same
upward. The inverter's SoC is believed only where it makes the interval wider. Energy is exact: watt x ns, and 1
permille of SoC = `capacity_wh` milliwatt-hours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from agent.core.caps import NEVER_NS
from agent.core.inputs import Device, Inputs
from agent.core.params import Params, S, Timers
from agent.core.still import LOAD_PERMILLE_OF_C, Still, follow, frozen
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
    net_at_ns: int | None = None
    was_connected: bool = False
    still: tuple[Still, ...] = ()
    still_at_ns: int = 0


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
    battery_frozen: bool  # a BMS repeats itself under load: its age is that of a lost one
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
    now, timers = inputs.now_ns, params.timers
    home = _devices(inputs)
    batteries = [r for r in inputs.batteries if r.device in home.batteries]
    pack = _pack(batteries) if batteries and len(batteries) == len(home.batteries) else None
    inverter = next((r for r in inputs.inverters if r.device == home.inverter_name), None)
    meter = next((r for r in inputs.meters if r.device == home.meter_name), None)
    battery_age = _age(now, pack.at_ns if pack is not None else None)
    inverter_age = _age(now, inverter.at_ns if inverter is not None else None)
    meter_age = _age(now, meter.at_ns if meter is not None else None)
    battery_stale = max(timers.stale_battery_ns, home.battery_stale_ns)
    inverter_stale = max(timers.stale_inverter_ns, home.inverter_stale_ns)
    meter_stale = max(timers.stale_meter_ns, home.meter_stale_ns)

    still = _still(params, now, trace, batteries, inverter if inverter_age <= inverter_stale else None)
    if frozen(still):
        battery_age = max(battery_age, battery_stale + 1)
    live_pack = pack if battery_age <= battery_stale else None
    live_inverter = inverter if inverter_age <= inverter_stale else None
    live_meter = meter if meter_age <= meter_stale else None
    battery_w = _battery_w(now, inverter, inverter_stale, live_pack)
    speaking = inverter if home.inverter is not None and home.inverter.presence == "ok" else None
    grid, lost, why = _grid(now, speaking, live_meter, timers, trace.was_connected)
    net = _net(live_meter, battery_w)
    nets = _nets(trace, live_meter.at_ns, net) if live_meter is not None and net is not None else ()
    soc = _Soc(trace, params, now, live_pack, live_inverter)
    pv_w = inverter.pv_w if inverter is not None else None
    capability = home.inverter.capability if home.inverter is not None else None
    write_ns = max(timers.write_ns, S * capability.write_s if capability else 0)  # pauses that this device needs
    ends = timers.cycle_ns + write_ns + S * max(timers.reversion_s, capability.reversion_s if capability else 0)
    after = Trace(
        soc.at_ns,
        soc.reported,
        soc.drained_nj,
        soc.charged_nj,
        nets,
        live_meter.at_ns if live_meter is not None and net is not None else None,
        trace.was_connected or grid is GridState.CONNECTED,
        still,
        now,
    )
    snapshot = Snapshot(
        now_ns=now,
        pack=pack,
        inverter=inverter,
        meter=meter,
        capability=capability,
        battery_device=home.battery,
        inverter_device=home.inverter,
        battery_age_ns=battery_age,
        inverter_age_ns=inverter_age,
        meter_age_ns=meter_age,
        battery_stale_ns=battery_stale,
        inverter_stale_ns=inverter_stale,
        meter_stale_ns=meter_stale,
        devices_ok=home.ok,
        mismatch=home.mismatch,
        battery_frozen=frozen(still),
        grid=grid,
        grid_lost=lost,
        grid_why=why,
        soc_lo_mwh=soc.lo_mwh,
        soc_hi_mwh=soc.hi_mwh,
        battery_w=battery_w,
        load_w=net + pv_w if net is not None and pv_w is not None else None,
        net_hi_w=max(nets) if nets else None,
        net_lo_w=min(nets) if nets else None,
        reserve_permille=reserve_of(params, inputs),
        horizon_ns=battery_stale + ends,
        stated_ns=max(battery_stale, inverter_stale, meter_stale) + ends,
    )
    return snapshot, after


def _still(
    p: Params, now: int, trace: Trace, packs: list[BatteryReading], inverter: InverterReading | None
) -> tuple[Still, ...]:
    """`inverter` is fresh or None: what it measures says whether the packs' values must move."""
    power_w = inverter.battery_w if inverter is not None else None
    loaded = power_w is not None and abs(power_w) * 1000 > p.site.capacity_wh * LOAD_PERMILLE_OF_C
    return follow(trace.still, packs, max(0, now - trace.still_at_ns) if loaded and trace.still_at_ns else 0)


def reserve_of(params: Params, inputs: Inputs) -> int:
    """The reserve in force, permille: the homeowner's, never below the least allowed; all of it if not readable."""
    if inputs.reserve.source != "file":
        return 1000
    return min(1000, max(params.reserve_min_permille, inputs.reserve.permille))


class _Devices:
    """The configured devices by role, and whether each is what it should be. A silent one is judged by its reading."""

    __slots__ = (
        "batteries",
        "battery",
        "battery_stale_ns",
        "inverter",
        "inverter_name",
        "inverter_stale_ns",
        "meter_name",
        "meter_stale_ns",
        "mismatch",
        "ok",
    )

    def __init__(self) -> None:
        self.batteries: set[str] = set()
        self.battery: Device | None = None
        self.inverter: Device | None = None
        self.inverter_name: str | None = None
        self.meter_name: str | None = None
        self.mismatch: str | None = None
        self.ok = True
        self.battery_stale_ns = self.inverter_stale_ns = self.meter_stale_ns = 0


def _devices(inputs: Inputs) -> _Devices:
    """One inverter and one meter: the first of each. A device that declares itself slower is believed."""
    home = _Devices()
    for device in inputs.devices:
        declared = min(STALE_MAX_NS, device.capability.stale_s * S) if device.capability is not None else 0
        if device.role is DeviceRole.BATTERY:
            home.batteries.add(device.name)
            home.battery = home.battery or device
            home.battery_stale_ns = max(home.battery_stale_ns, declared)
        elif device.role is DeviceRole.INVERTER:
            if home.inverter is not None:
                continue
            home.inverter, home.inverter_name, home.inverter_stale_ns = device, device.name, declared
        else:
            if home.meter_name is not None:
                continue
            home.meter_name, home.meter_stale_ns = device.name, declared
        if device.presence not in ("ok", "silent"):
            home.ok = False
        if device.presence == "mismatch":
            home.mismatch = device.name
    home.ok = home.ok and home.battery is not None and home.inverter is not None and home.meter_name is not None
    return home


def _net(meter: MeterReading | None, battery_w: int | None) -> int | None:
    """What the house takes from the grid without the battery, PV subtracted."""
    if meter is None or meter.grid_w is None or battery_w is None:
        return None
    return meter.grid_w + battery_w


def _age(now: int, at_ns: int | None) -> int:
    if at_ns is None or at_ns - now > EARLY_NS:
        return NEVER_NS
    return max(0, now - at_ns)


def _within(value: int | None, least: int, most: int) -> int | None:
    return value if value is not None and least <= value <= most else None


def _pack(readings: list[BatteryReading]) -> Pack:
    """The worst of the packs."""
    if len(readings) == 1:
        return _one(readings[0])
    packs = [_one(r) for r in readings]
    powers = [p.power_w for p in packs if p.power_w is not None]
    return Pack(
        at_ns=min(p.at_ns for p in packs),
        soc_min=_worst(min, [p.soc_min for p in packs]),
        soc_max=_worst(max, [p.soc_max for p in packs]),
        quantum=max(p.quantum for p in packs),
        mv=min(p.mv for p in packs),
        power_w=sum(powers) if len(powers) == len(packs) else None,
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


def _worst(pick: Callable[[list[int]], int], values: list[int | None]) -> int | None:
    """None as soon as one pack does not say."""
    known = [v for v in values if v is not None]
    return pick(known) if len(known) == len(values) else None


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


def _battery_w(now: int, inverter: InverterReading | None, stale_ns: int, pack: Pack | None) -> int | None:
    """AC watts at the battery; the pack's own V x I where the inverter gives none. `pack` is fresh or None."""
    if inverter is not None and inverter.battery_w is not None and _age(now, inverter.battery_at_ns) <= stale_ns:
        return inverter.battery_w
    return pack.power_w if pack is not None else None


def _grid(
    now: int, inverter: InverterReading | None, meter: MeterReading | None, timers: Timers, was_connected: bool
) -> tuple[GridState, bool, str]:
    """Only fresh positive evidence connects. (state, was the grid away?, why). `meter` is fresh or None."""
    if inverter is None:
        return GridState.UNKNOWN, False, "the inverter is not there to say"
    age = _age(now, inverter.grid_at_ns)
    late = age > timers.stale_inverter_ns
    if inverter.grid_state is GridState.ISLANDED and not late:
        return GridState.ISLANDED, True, "the inverter runs the house as an island"
    if age > timers.stale_grid_ns:
        return GridState.UNKNOWN, late and was_connected, "the inverter's word on the grid is too old"
    if inverter.grid_state is not GridState.CONNECTED:
        return GridState.UNKNOWN, was_connected, "the inverter does not say that it is connected"
    if meter is not None and _dead(meter):
        return GridState.UNKNOWN, True, "the meter sees a dead grid while the inverter says connected"
    return GridState.CONNECTED, False, "the inverter is connected"


def _dead(meter: MeterReading) -> bool:
    """A meter that is fed from elsewhere and sees no voltage on its first phase, or no mains frequency."""
    first = next((v for v in meter.phase_mv if v is not None), None)
    if first is not None and first < DEAD_MV:
        return True
    return meter.frequency_mhz is not None and not DEAD_BELOW_MHZ <= meter.frequency_mhz <= DEAD_ABOVE_MHZ


def _nets(trace: Trace, at_ns: int, net_w: int) -> tuple[int, ...]:
    """House load without the battery, last samples; a cycle without a new meter sample adds none."""
    return trace.nets if at_ns == trace.net_at_ns else (*trace.nets[1 - WORST_OF :], net_w)


class _Soc:
    """The energy interval in mWh (None = not known), and the integrals that it needs next time."""

    __slots__ = ("at_ns", "charged_nj", "drained_nj", "hi_mwh", "lo_mwh", "reported")

    def __init__(
        self, trace: Trace, params: Params, now: int, pack: Pack | None, inverter: InverterReading | None
    ) -> None:
        """`pack` and `inverter` are fresh or None. Integrates once a cycle: one that was woken early adds nothing."""
        self.at_ns, self.reported = trace.at_ns, trace.soc
        self.drained_nj, self.charged_nj = trace.drained_nj, trace.charged_nj
        self.lo_mwh: int | None = None
        self.hi_mwh: int | None = None
        if now - trace.at_ns >= params.timers.cycle_ns // 2 or now < trace.at_ns:
            self._integrate(max(0, now - trace.at_ns), pack, inverter)
            self.at_ns = now
        if pack is None or pack.soc_min is None or pack.soc_max is None:
            return
        if self.reported != (pack.soc_min, pack.soc_max):
            self.reported = (pack.soc_min, pack.soc_max)
            self.drained_nj = self.charged_nj = 0
        capacity = params.site.capacity_wh
        lo = (pack.soc_min - pack.quantum) * capacity + -self.drained_nj // NJ_PER_MWH
        hi = (pack.soc_max + pack.quantum) * capacity - -self.charged_nj // NJ_PER_MWH
        other = _within(inverter.soc_permille, 0, 1000) if inverter is not None else None
        if other is not None:
            lo = other * capacity if (other + INVERTER_SOC_STEP) * capacity < lo else lo
            hi = other * capacity if (other - INVERTER_SOC_STEP) * capacity > hi else hi
        self.lo_mwh, self.hi_mwh = max(0, lo), min(1000 * capacity, hi)

    def _integrate(self, dt: int, pack: Pack | None, inverter: InverterReading | None) -> None:
        """What is measured to leave counts with the greater of the two powers, what comes in with the lesser."""
        one = pack.power_w if pack is not None else None
        two = inverter.battery_w if inverter is not None else None
        most = max(one if one is not None else two or 0, two if two is not None else one or 0)
        least = min(one if one is not None else two or 0, two if two is not None else one or 0)
        self.drained_nj = max(0, self.drained_nj + most * dt)
        self.charged_nj = max(0, self.charged_nj - least * dt)
