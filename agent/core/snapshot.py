"""Readings -> one Snapshot: ages, plausibility, grid evidence, SoC as an interval, the house's load.

What is missing or absurd becomes "not known", never zero-as-fine and never unlimited. The SoC interval: `lo` is what
the BMS said less one quantum, less the energy that was measured to leave since that number last moved; `hi` the same
upward. The inverter's SoC is believed only where it makes the interval wider. Energy is exact: watt x ns, and 1
permille of SoC = `capacity_wh` milliwatt-hours.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agent.core import grid, house, inverters, meters, packs, sanity
from agent.core.age import age_ns
from agent.core.inputs import Device, Inputs
from agent.core.inverters import Away, Room, Unit, ends_ns
from agent.core.overlay import NONE, Held
from agent.core.packs import Pack, Stack
from agent.core.params import Params, Timers
from agent.core.recent import WORST_OF, Legs, Recent
from agent.core.roster import Roster
from agent.core.sanity import Sanity
from agent.core.soc import Soc
from agent.core.still import LOAD_PERMILLE_OF_C, Echo, Still, echoes, follow, frozen, repeating
from drivers.readings import BatteryReading, Capability, DeviceRole, GridState, InverterReading, MeterReading


@dataclass(frozen=True, slots=True)
class Trace:
    """What the next snapshot must remember of this one."""

    at_ns: int
    soc: tuple[int, int] | None = None  # as last reported: (least, most) of the packs
    drained_nj: int = 0
    charged_nj: int = 0
    nets: tuple[int, ...] = ()  # last house loads without the battery, W
    net_at_ns: int | None = None
    vague: house.Vague = house.SHARP  # what they leave open
    was_connected: bool = False
    still: tuple[Still, ...] = ()
    still_at_ns: int = 0
    away: tuple[Away, ...] = ()  # of every inverter, in a home of several
    in_force: tuple[Params, Params] | None = None  # (as configured, as the packs that are online leave them)
    sanity: Sanity = field(default_factory=Sanity)
    recent: Recent = field(default_factory=Recent)
    echoes: tuple[Echo, ...] = ()
    watch: grid.Watch | None = None  # the meter's, of the grid
    end: grid.End = grid.NO_END  # of the last word of a silent meter


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
    meter_stuck: bool  # the meter stands still while the battery moves: its age is that of a lost one
    sanity: Sanity  # what the readings say of each other
    grid: GridState
    grid_lost: bool  # evidence that the grid was away, not merely that a reading is late
    grid_seen: bool  # it was there once since this start
    grid_why: str
    soc_lo_mwh: int | None
    soc_hi_mwh: int | None
    battery_w: int | None
    load_w: int | None
    net_hi_w: int | None
    net_lo_w: int | None
    reserve_permille: int  # in force
    owed_permille: int  # the same without what is there for a storm only
    storm_permille: int  # up to here it is charged for a storm now, 0 = there is none
    legs: Legs | None  # of the grid connection, worst of the last samples
    reserve_told: bool  # it is the homeowner's own, not what stands in for it
    horizon_ns: int  # T_h: staleness + loop + write + reversion
    stated_ns: int  # promise 3, for the slowest of the devices
    params: Params  # in force: the capacity is that of the packs that are online
    units: tuple[Unit, ...] = ()  # every inverter of a home that has several; `inverter` is all of them as one
    online: tuple[str, ...] = ()  # the packs that count, in a home that has several
    oldest: tuple[str, str, str] = ("battery", "inverter", "meter")  # whose ages these are
    pv_w: int | None = None
    repeating: tuple[str, ...] = ()  # inverters that repeat themselves: their word on the grid is not believed

    @property
    def phase_w(self) -> tuple[int | None, ...]:
        """By leg or phase of the grid connection, + = import; () while no fresh meter tells."""
        return self.meter.phase_w if self.meter is not None and self.meter_age_ns <= self.meter_stale_ns else ()

    @property
    def phase_ma(self) -> tuple[int | None, ...]:
        """The currents to `phase_w`."""
        return self.meter.phase_ma if self.meter is not None and self.meter_age_ns <= self.meter_stale_ns else ()


def take(params: Params, inputs: Inputs, trace: Trace, raised: Held = NONE) -> tuple[Snapshot, Trace]:
    """Freeze one cycle's readings. Total: any reading of the declared types gives a Snapshot."""
    now, timers = inputs.now_ns, params.timers
    units, away = _units(params, inputs, trace)
    live = [unit for unit in units if not unit.out]
    home = Roster(inputs.devices, params.wiring, [unit.device.name for unit in units if unit.out])
    batteries, sane = sanity.believed(trace.sanity, [r for r in inputs.batteries if r.device in home.batteries], now)
    stack: Stack | None = None
    if batteries and len(batteries) == len(home.batteries):
        stack = packs.stack(batteries, params.wiring, params.site.capacity_wh)
    pack, recent = (None, trace.recent) if stack is None else trace.recent.voltage(stack.pack)
    meter = _grid_meter(inputs, home.meters)
    battery_age = age_ns(now, pack.at_ns if pack is not None else None)
    meter_age = age_ns(now, meter.at_ns if meter is not None else None)
    battery_stale = max(timers.stale_battery_ns, home.battery_stale_ns)
    meter_stale = max(timers.stale_meter_ns, home.meter_stale_ns)
    slowest_stale = inverter_stale = max(timers.stale_inverter_ns, home.inverter_stale_ns)
    worst: Unit | None = None
    if units:
        device: Device | None = live[0].device
        inverter = inverters.together(live)
        worst = max(live, key=lambda unit: unit.age_ns - unit.stale_ns)
        inverter_age, inverter_stale = worst.age_ns, worst.stale_ns
    else:
        device = home.inverters[0] if home.inverters else None
        inverter = next((r for r in inputs.inverters if device is not None and r.device == device.name), None)
        inverter_age = age_ns(now, inverter.at_ns if inverter is not None else None)

    live_inverter = inverter if inverter_age <= inverter_stale else None
    still = _still(params, now, trace, batteries, stack, live_inverter, live)
    if frozen(still):
        battery_age = max(battery_age, battery_stale + 1)
    live_pack = pack if battery_age <= battery_stale else None
    battery_w = _battery_w(now, inverter, inverter_stale, live_pack)
    live_meter = meter if meter_age <= meter_stale else None
    dark = grid.dark(inputs.meters, home.meters, now, timers, trace.end)
    ruled = live_inverter is not None and bool(live_inverter.remote_active)
    is_stuck, sane = sanity.metered(sane, None if dark else live_meter, battery_w, now, ruled, params.site.legs)
    if is_stuck:
        meter_age, live_meter = max(meter_age, meter_stale + 1), None
    watch = grid.watched(now, trace.watch, live_meter, timers)
    if units:
        heard = echoes(trace.echoes, [u.fresh for u in live if u.fresh is not None], params.site.capacity_wh)
        repeat = repeating(heard)
        said = [(u.device.name, _grid(now, u.device, u.reading, dark, timers, trace, repeat, watch)) for u in live]
        state, lost, why = grid.of_all(said)
    else:
        heard = echoes(trace.echoes, [live_inverter] if live_inverter is not None else [], params.site.capacity_wh)
        repeat = repeating(heard)
        state, lost, why = _grid(now, device, inverter, dark, timers, trace, repeat, watch)
    telling = (
        [u.reading for u in live if u.reading is not None] if units else [inverter] if inverter is not None else []
    )
    nets, net_at_ns, vague = _nets(trace, live_meter, battery_w, telling)
    net_lo_w, net_hi_w = vague.bounds(nets, net_at_ns)
    net = nets[-1] if nets else None
    recent = recent.carried(live_meter, battery_w, params.site.legs) if params.site.fuse_a else recent
    in_force, known = _in_force(params, trace, stack)
    shown = tuple([u.fresh.soc_permille for u in live if u.fresh is not None]) if units else ()
    if not units and live_inverter is not None:
        shown = (live_inverter.soc_permille,)
    soc = Soc(trace, in_force, now, live_pack, live_inverter, shown)
    if soc.at_ns == now:  # once a cycle, as SoC is integrated
        dt = max(0, now - trace.at_ns)
        whole = live_inverter if all(not unit.out for unit in units) else None  # what is out is not in its sum
        sane = sanity.compared(sane, params, dt, live_pack, whole, live_meter)
        sane = sanity.doubted(sane, sanity.sight(now, dt, in_force, live_pack, live_inverter))
    if soc.lo_mwh is not None and soc.hi_mwh is not None:
        soc.lo_mwh, soc.hi_mwh = sane.doubt.widen(soc.lo_mwh, soc.hi_mwh)
    pv_w = _pv(params, inputs, inverter)
    capability = device.capability if device is not None else None
    own_permille = reserve_of(params, inputs)
    reserve_permille = max(own_permille, raised.permille)
    if units:
        slowest_stale = max(unit.stale_ns for unit in live)
        horizon = battery_stale + max(ends_ns(unit.device.capability, 0, params) for unit in live)
        units = _bounded(units, away, stack, soc, in_force, reserve_permille, horizon)
        capability = inverters.capability_of([unit for unit in units if not unit.out])
    ends = ends_ns(capability, 0, params)
    seen = trace.was_connected or state is GridState.CONNECTED
    after = Trace(
        soc.at_ns,
        soc.reported,
        soc.drained_nj,
        soc.charged_nj,
        nets,
        net_at_ns,
        vague,
        seen,
        still,
        now,
        away,
        known,
        sane,
        recent,
        heard,
        watch,
        trace.end._replace(islanded_ns=now) if state is GridState.ISLANDED else trace.end,
    )
    snapshot = Snapshot(
        now_ns=now,
        pack=pack,
        inverter=inverter,
        meter=meter,
        capability=capability,
        battery_device=home.battery,
        inverter_device=device,
        battery_age_ns=battery_age,
        inverter_age_ns=inverter_age,
        meter_age_ns=meter_age,
        battery_stale_ns=battery_stale,
        inverter_stale_ns=inverter_stale,
        meter_stale_ns=meter_stale,
        devices_ok=home.ok,
        mismatch=home.mismatch,
        battery_frozen=frozen(still),
        meter_stuck=is_stuck,
        sanity=sane,
        grid=state,
        grid_lost=lost,
        grid_seen=seen,
        grid_why=why,
        soc_lo_mwh=soc.lo_mwh,
        soc_hi_mwh=soc.hi_mwh,
        battery_w=battery_w,
        load_w=net + pv_w if net is not None and pv_w is not None else None,
        net_hi_w=net_hi_w,
        net_lo_w=net_lo_w,
        legs=recent.worst(),
        reserve_permille=reserve_permille,
        owed_permille=max(own_permille, raised.remote),
        storm_permille=raised.storm,
        reserve_told=inputs.reserve.source == "file",
        horizon_ns=battery_stale + ends,
        stated_ns=max(battery_stale, slowest_stale, meter_stale) + ends,
        params=in_force,
        units=units,
        online=stack.online if stack is not None else (),
        oldest=_oldest(home, batteries, inputs, worst.device.name if worst is not None else None),
        pv_w=pv_w,
        repeating=repeat,
    )
    return snapshot, after


THE_ONE = ("battery", "inverter", "meter")


def _oldest(
    home: Roster, batteries: list[BatteryReading], inputs: Inputs, inverter: str | None
) -> tuple[str, str, str]:
    """Whose ages are told, for people: by name where there are several."""
    if inverter is None and len(home.batteries) == 1 and len(home.meters) == 1:
        return THE_ONE
    at = {r.device: r.at_ns for r in batteries} | {r.device: r.at_ns for r in inputs.meters}
    pack = min(home.batteries, key=lambda name: at.get(name, -1), default="")
    meter = min(home.meters, key=lambda name: at.get(name, -1), default="")
    return (
        f"battery {pack}" if len(home.batteries) > 1 else "battery",
        f"inverter {inverter}" if inverter is not None else "inverter",
        f"meter {meter}" if len(home.meters) > 1 else "meter",
    )


# --- homes of several devices; each is the plain case at once where there is one --------------------------------------
def _units(params: Params, inputs: Inputs, trace: Trace) -> tuple[tuple[Unit, ...], tuple[Away, ...]]:
    """Every inverter that has packs, () where there is only one."""
    bare = params.wiring.bare
    devices = [d for d in inputs.devices if d.role is DeviceRole.INVERTER and d.name not in bare]
    if len(devices) < 2:
        return (), ()
    ages = {r.device: age_ns(inputs.now_ns, r.at_ns) for r in inputs.inverters}
    return inverters.units(tuple(devices), inputs.inverters, ages, trace.away, params, inputs.now_ns)


def _bounded(
    units: tuple[Unit, ...],
    away: tuple[Away, ...],
    stack: Stack | None,
    soc: Soc,
    p: Params,
    reserve_permille: int,
    horizon_ns: int,
) -> tuple[Unit, ...]:
    if stack is None:
        return units
    if not stack.bays:
        pack, names = stack.pack, tuple([unit.device.name for unit in units])
        room = Room(pack.mv * pack.ccl_ma // 1_000_000, pack.mv * pack.dcl_ma // 1_000_000, names)
        return inverters.bounded(units, away, [room], shared=True)
    rooms = [
        Room(*soc.bay_w(bay.pack, bay.capacity_wh, p, reserve_permille, horizon_ns), bay.inverters)
        for bay in stack.bays
    ]
    return inverters.bounded(units, away, rooms, shared=False)


def _grid_meter(inputs: Inputs, names: list[str]) -> MeterReading | None:
    """Every meter at the grid connection as one; None = one was never read."""
    if len(names) == 1:
        return next((r for r in inputs.meters if r.device == names[0]), None)
    found = [r for r in inputs.meters if r.device in names]
    return meters.at_grid(found) if found and len(found) == len(names) else None


def _in_force(params: Params, trace: Trace, stack: Stack | None) -> tuple[Params, tuple[Params, Params] | None]:
    """The parameters with the capacity that is online; the same object as long as nothing changes."""
    if stack is None or stack.capacity_wh == params.site.capacity_wh:
        return params, None
    known = trace.in_force
    if known is not None and known[0] is params and known[1].site.capacity_wh == stack.capacity_wh:
        return known[1], known
    less = _less(params if params.own is None else replace(params, own=_less(params.own, stack)), stack)
    return less, (params, less)


def _less(params: Params, stack: Stack) -> Params:
    return replace(params, site=replace(params.site, capacity_wh=max(1, stack.capacity_wh)))


def _pv(params: Params, inputs: Inputs, inverter: InverterReading | None) -> int | None:
    """Production: of the inverters, of PV inverters without a pack, and of meters at PV. None = one does not tell."""
    pv_w = inverter.pv_w if inverter is not None else None
    wiring = params.wiring
    if not wiring.bare and not wiring.places:
        return pv_w
    parts = [pv_w]
    now, timers = inputs.now_ns, params.timers
    at_pv = [name for name, place in wiring.places if place == "pv"]
    for name in wiring.bare:
        bare = next((r for r in inputs.inverters if r.device == name), None)
        fresh = bare is not None and age_ns(now, bare.at_ns) <= timers.stale_inverter_ns
        parts.append((bare.pv_w if bare.pv_w is not None else bare.ac_w) if fresh and bare is not None else None)
    for name in at_pv:
        meter = next((r for r in inputs.meters if r.device == name), None)
        fresh = meter is not None and age_ns(now, meter.at_ns) <= timers.stale_meter_ns
        parts.append(meter.grid_w if fresh and meter is not None else None)
    return inverters.total(parts)


def _still(
    p: Params,
    now: int,
    trace: Trace,
    readings: list[BatteryReading],
    stack: Stack | None,
    inverter: InverterReading | None,
    live: list[Unit],
) -> tuple[Still, ...]:
    """`inverter` is fresh or None: what it measures says whether the packs' values must move. Those of a pack that is
    offline need not, and behind several banks each is judged by its own inverters."""
    dt = max(0, now - trace.still_at_ns) if trace.still_at_ns else 0
    if stack is None or not stack.bays:
        up = [r for r in readings if r.device in stack.online] if stack is not None and stack.online else readings
        power_w = inverter.battery_w if inverter is not None else None
        return follow(trace.still, up, dt if _loaded(power_w, p.site.capacity_wh) else 0)
    out: tuple[Still, ...] = ()
    for bay in stack.bays:
        up = [r for r in readings if r.device in bay.packs]
        mine = [u.fresh.battery_w if u.fresh is not None else None for u in live if u.device.name in bay.inverters]
        out += follow(trace.still, up, dt if _loaded(inverters.total(mine), bay.capacity_wh) else 0)
    return out


def _loaded(power_w: int | None, capacity_wh: int) -> bool:
    return power_w is not None and abs(power_w) * 1000 > capacity_wh * LOAD_PERMILLE_OF_C


def _grid(
    now: int,
    device: Device | None,
    inverter: InverterReading | None,
    dark: str,
    timers: Timers,
    trace: Trace,
    repeat: tuple[str, ...],
    watch: grid.Watch | None,
) -> grid.Verdict:
    there = device is not None and device.presence == "ok"
    said = grid.verdict(now, inverter, dark, timers, trace.was_connected, watch, there)
    if repeat and said[0] is GridState.CONNECTED and device is not None and device.name in repeat:
        return grid.REPEATED
    return said


def reserve_of(params: Params, inputs: Inputs) -> int:
    """The homeowner's reserve, permille: never below the least allowed; all of it if not readable."""
    if inputs.reserve.source != "file":
        return 1000
    return min(1000, max(params.reserve_min_permille, inputs.reserve.permille))


def _battery_w(now: int, inverter: InverterReading | None, stale_ns: int, pack: Pack | None) -> int | None:
    """AC watts at the battery; the pack's own V x I where the inverter gives none. `pack` is fresh or None."""
    if inverter is not None and inverter.battery_w is not None and age_ns(now, inverter.battery_at_ns) <= stale_ns:
        return inverter.battery_w
    return pack.power_w if pack is not None else None


def _nets(
    trace: Trace, meter: MeterReading | None, battery_w: int | None, told: list[InverterReading]
) -> tuple[tuple[int, ...], int | None, house.Vague]:
    """What the house takes from the grid without the battery, PV subtracted: its last samples, when the newest was
    taken, and what they leave open. A cycle without a new sample adds none. `meter` is fresh or None."""
    if meter is None or meter.grid_w is None or battery_w is None:
        return (), None, house.SHARP
    nets, at_ns = trace.nets, trace.net_at_ns
    sample = house.net(meter, told, nets[-1] if nets else None) if not meter.newest_ns else None
    if sample is None:  # several meters, or the battery is read too seldom, or is the pack's: its last power must do
        sample = house.late(meter, battery_w, told)
    if at_ns is not None and sample.at_ns <= at_ns:
        return nets, at_ns, trace.vague
    return (*nets[1 - WORST_OF :], sample.w), sample.at_ns, trace.vague.after(sample, WORST_OF)
