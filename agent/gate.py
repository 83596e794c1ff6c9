"""The only way to a device. Checks again, by other means than the permit, and refuses rather than corrects.

Nothing here calls `agent.core`'s limits: it looks at raw readings, so that a bug there does not reach the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.decision import Decision, Intent, Write
from agent.core.params import Params, S
from agent.fence import outside
from drivers.convert import Live
from drivers.device import Binding
from drivers.events import WriteClass, WriteSequence
from drivers.readings import BatteryReading, GridState, InverterReading, MeterReading
from drivers.wear import Share
from drivers.writer import compile_write

CLASS_OF = {
    Intent.POWER: WriteClass.POWER,
    Intent.CLEAR: WriteClass.CLEAR,
    Intent.STOP: WriteClass.STOP,
    Intent.FLOOR: WriteClass.FLOOR,
    Intent.HEARTBEAT: WriteClass.HEARTBEAT,
}
DEAD_PHASE_MV = 50_000  # below half of 120 V: a grid that is not there
DEAD_UNDER_MHZ, DEAD_OVER_MHZ = 40_000, 70_000  # no mains runs there
STALE_MOST_NS = 15 * S  # whatever a profile declares
STOP_FAULTS = frozenset({"over_temperature", "over_voltage"})  # ids of the fault table


@dataclass(frozen=True, slots=True)
class Evidence:
    """Raw readings and the time, as they stand when the gate is asked."""

    now_ns: int
    batteries: tuple[BatteryReading, ...]
    inverter: InverterReading | None
    meters: tuple[MeterReading, ...]
    reserve_permille: int  # as the homeowner's file has it, not as the core understood it
    inverters: int = 1  # that this home commands
    declared_ns: int = 0  # age up to which the slowest BMS' own profile lets its reading count


class Gate:
    """Gives every order its id; remembers nothing else."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._next_id = 1

    def renew(self, params: Params) -> None:
        """Other parameters hold from now on."""
        self._params = params

    def admit(self, write: Write, decision: Decision, binding: Binding | None, seen: Evidence) -> WriteSequence | str:
        """A compiled order, or the sentence that says why it is refused."""
        if binding is None:
            return f"{write.intent}: refused, the inverter is not identified"
        refusal = self._refuses(write, decision, seen)
        if refusal is not None:
            return f"{write.intent} {write.value}: refused by the gate, {refusal}"
        return self.compile(write, binding, seen.now_ns, self._live(seen), _share(write, seen.inverter))

    def compile(
        self, write: Write, binding: Binding, now_ns: int, live: Live | None = None, share: Share = Share.HOME
    ) -> WriteSequence | str:
        """CLEAR needs no permission: handing control back is always allowed. `live`: what a setpoint that is not at
        the battery depends on. `share`: of the day's writes that wear the device out."""
        window_ns = self._params.timers.write_ns if write.intent is Intent.POWER else 5 * S
        order_id, self._next_id = self._next_id, self._next_id + 1
        order = compile_write(binding, CLASS_OF[write.intent], write.value, order_id, now_ns + window_ns, live, share)
        stray = None if isinstance(order, str) else outside(order, binding)
        return order if stray is None else f"{write.intent} {write.value}: refused by the gate, {stray}"

    def _live(self, seen: Evidence) -> Live:
        """The fresh ones of the latest readings; what is stale is not known."""
        timers, inverter = self._params.timers, seen.inverter
        if inverter is None or seen.now_ns - inverter.at_ns > timers.stale_inverter_ns:
            return Live()
        beside = {name for name, _ in self._params.wiring.places}
        meters = [m for m in seen.meters if m.device not in beside]
        grid_w: int | None = 0 if meters else None
        for meter in meters:
            late = seen.now_ns - meter.at_ns > timers.stale_meter_ns
            grid_w = None if late or grid_w is None or meter.grid_w is None else grid_w + meter.grid_w
        load_w = None
        if grid_w is not None and inverter.pv_w is not None and inverter.battery_w is not None:
            load_w = inverter.battery_w + inverter.pv_w + grid_w
        before_w = inverter.remote_w if inverter.remote_w is not None else inverter.remote_now_w
        return Live(inverter.pv_w, load_w, inverter.ac_w, inverter.battery_w, before_w, inverter.remote_active)

    def _refuses(self, write: Write, decision: Decision, seen: Evidence) -> str | None:
        if write.intent is Intent.CLEAR:
            return None
        if decision.at_ns != seen.now_ns:
            return "its permit is not of this cycle"
        if write.intent is Intent.STOP and any(fault.id in STOP_FAULTS for fault in decision.faults):
            return None
        grid = self._no_grid(seen)
        if grid is not None:
            return grid
        if write.intent is Intent.FLOOR:
            least = max(self._params.reserve_min_permille, seen.reserve_permille)
            low, value = max(least, decision.reserve_permille), write.value  # what is owed for a while counts as well
            return None if low <= value <= 1000 else f"a floor of {value} permille is outside {low}..1000"
        if write.intent is Intent.HEARTBEAT and decision.given_w is None:
            return "no setpoint of ours rules"
        if write.intent is Intent.POWER:
            return self._bad_share(write, decision, seen) or self._bad_power(write.value, decision, seen)
        return None  # STOP and a beat of a setpoint that rules

    def _no_grid(self, seen: Evidence) -> str | None:
        inverter = seen.inverter
        if inverter is None:
            return "the inverter was not read yet"
        if inverter.grid_state is not GridState.CONNECTED:
            return f"the inverter says grid {inverter.grid_state}"
        age_ns = seen.now_ns - inverter.grid_at_ns
        if not 0 <= age_ns <= self._params.timers.stale_grid_ns:
            return f"the inverter's word on the grid is {age_ns / 1e9:.1f} s old"
        beside = {name for name, _ in self._params.wiring.places}  # at PV or at a load: behind breakers of their own
        for meter in seen.meters:
            if meter.device in beside:
                continue
            if seen.now_ns - meter.at_ns > self._params.timers.stale_meter_ns:
                continue
            known_mv = [mv for mv in meter.phase_mv if mv is not None]
            if known_mv and known_mv[0] < DEAD_PHASE_MV:
                return f"{meter.device} sees no voltage on the grid"
            hz = meter.frequency_mhz
            if hz is not None and (hz < DEAD_UNDER_MHZ or hz > DEAD_OVER_MHZ):
                return f"{meter.device} sees no mains frequency"
        return None

    def _bad_share(self, write: Write, decision: Decision, seen: Evidence) -> str | None:
        """Of several inverters: each as the decision says, all the same way, together within permit and nameplate."""
        if not decision.shares:
            return "the decision does not say how several inverters share it" if seen.inverters > 1 else None
        values = dict(decision.shares)
        if len(values) != len(decision.shares):
            return "an inverter has two shares"
        if values.get(write.device) != write.value:
            return f"{write.device} was given {values.get(write.device)} W"
        if any(a * b < 0 for a in values.values() for b in values.values()):
            return "one inverter would feed the other"
        total = sum(values.values())
        if not decision.lo_w <= total <= decision.hi_w:
            return f"together with the others it is outside the permit {decision.lo_w}..{decision.hi_w} W"
        if not -self._params.site.nameplate_charge_w <= total <= self._params.site.nameplate_discharge_w:
            return "together with the others it is beyond the nameplate"
        return None

    def _bad_power(self, value: int, decision: Decision, seen: Evidence) -> str | None:
        site = self._params.site
        if not decision.lo_w <= 0 <= decision.hi_w:
            return f"the permit {decision.lo_w}..{decision.hi_w} W does not contain 0"
        if not decision.lo_w <= value <= decision.hi_w:
            return f"it is outside the permit {decision.lo_w}..{decision.hi_w} W"
        if not -site.nameplate_charge_w <= value <= site.nameplate_discharge_w:
            return "it is beyond the nameplate"
        if value == 0:
            return None
        if not seen.batteries:
            return "no battery was read"
        floor = self._params.soc_floor_permille
        carrying = 0
        stale_ns = max(self._params.timers.stale_battery_ns, min(seen.declared_ns, STALE_MOST_NS))
        for battery in seen.batteries:
            if seen.now_ns - battery.at_ns > stale_ns:
                return f"{battery.device} was last heard {(seen.now_ns - battery.at_ns) / 1e9:.1f} s ago"
            if len(seen.batteries) > 1 and _carries_nothing(battery):
                continue
            carrying += 1
            soc = battery.soc_permille
            if soc is None:
                return f"{battery.device} gives no SoC"
            if value > 0 and soc <= max(seen.reserve_permille, decision.reserve_permille, floor):
                return f"{battery.device} stands at {soc} permille, at or below the reserve"
            if value < 0 and (soc >= 1000 or battery.temp_min_dc is None or battery.temp_min_dc <= 0):
                return f"{battery.device} is full, frozen or gives no temperature"
        return None if carrying else "no battery is connected"


def _share(write: Write, inverter: InverterReading | None) -> Share:
    """Whose write it is. A floor of which it is not known where it stands counts as raised."""
    if write.intent is Intent.FLOOR:
        stands = None if inverter is None else inverter.floor_permille
        return Share.RAISE if stands is None or write.value > stands else Share.HOME
    return Share.HOME if write.command_id is None else Share.DISPATCH


def _carries_nothing(battery: BatteryReading) -> bool:
    """Its BMS has opened both directions, and its current sensor agrees."""
    opened = battery.charge_enabled is False and battery.discharge_enabled is False
    return opened and battery.pack_ma is not None and -1000 < battery.pack_ma < 1000 and not battery.alarms
