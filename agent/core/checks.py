"""What is looked at each cycle for the fault table: each check gives the sentence while its condition is there."""

from __future__ import annotations

from typing import NamedTuple

from agent.core import actuation, astray, beneath, selftest
from agent.core.actuation import Actuation, Loss
from agent.core.alarms import blocked
from agent.core.astray import Astray
from agent.core.beneath import Beneath
from agent.core.caps import NEVER_NS
from agent.core.crew import Crew
from agent.core.decision import Mode
from agent.core.durable import Durable
from agent.core.grid import LAST_DEAD, LONG_SILENT_NS
from agent.core.inputs import ClockTrust, Inputs
from agent.core.params import Params, S
from agent.core.sanity import APART_NS
from agent.core.sentences import tenths
from agent.core.snapshot import Snapshot
from agent.core.strategies import self_consumption
from agent.core.stuck import STUCK_NS
from agent.core.writes import STARTING_FAILURES, WRITE_FAILURES, Hand, taken
from drivers.readings import GridState

CRITICAL_DC = 600  # 60 °C: five above where the tables leave nothing
CRITICAL_MV = 3650  # the cells' own maximum
COOLER_DC, LOWER_MV = 20, 30  # by how much it must have come back: 2 K and 30 mV
FLOOR_FAILURES = 3
CRASH_REST_NS = 1800 * S
REVERSED_NS = 5 * S
HANDS_OFF = frozenset({Mode.FAULT, Mode.LOCKOUT})  # of all modes on grid, those in which no zero is begun


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
    astray: Astray | None = None
    unread: str | None = None  # what the self-test waited for in vain
    crew: Crew = ()
    mode: Mode = Mode.INIT  # of the last cycle
    beneath: Beneath = beneath.NOTHING


def late(who: str, age_ns: int, stale_ns: int) -> str | None:
    if age_ns <= stale_ns:
        return None
    if age_ns >= NEVER_NS:
        return f"the {who} was not read yet"
    return f"no good reading of the {who} for more than {tenths(stale_ns // 100_000_000, 's')}"


def contention(w: World) -> str | None:
    return next((device.line for device in w.inputs.devices if device.line), None)


def frozen(w: World) -> str | None:
    if not w.snapshot.battery_frozen:
        return None
    return "the BMS repeats the same values to the last digit while power flows: they are taken for lost"


def inverter_frozen(w: World) -> str | None:
    if not w.snapshot.repeating:
        return None
    return (
        f"{' and '.join(w.snapshot.repeating)}: power and grid frequency are the same to the last digit for a minute, "
        "while power flows: what it says of the grid is not believed"
    )


def asleep(w: World) -> str | None:
    device = w.snapshot.battery_device
    if device is None or device.presence != "silent" or w.snapshot.inverter_age_ns > w.snapshot.inverter_stale_ns:
        return None
    return f"{device.name} does not answer while the inverter does: the BMS may be asleep"


def soc_unknown(w: World) -> str | None:
    if w.snapshot.battery_age_ns > w.snapshot.battery_stale_ns or w.snapshot.soc_lo_mwh is not None:
        return None
    return "the BMS answers but gives no plausible state of charge"


def soc_doubted(w: World) -> str | None:
    return w.snapshot.sanity.doubt.sentence()


def implausible(w: World) -> str | None:
    return w.snapshot.sanity.quarantined


def meter_stuck(w: World) -> str | None:
    if not w.snapshot.meter_stuck:
        return None
    return f"the meter has shown the same for {STUCK_NS // S} s while the battery's power changed"


def meter_wrong(w: World) -> str | None:
    found = w.snapshot.sanity.meter_test.verdict()
    if found == "reversed":
        return "when the battery gives more, the meter shows more import: a clamp or a sign is reversed"
    if found == "off":
        return "the meter does not show the steps of the battery's power: a clamp is off, or of another scale"
    return None


def current_wrong(w: World) -> str | None:
    if w.snapshot.sanity.pack_test.verdict() == "reversed":
        return "the pack's current has the opposite sign of the inverter's battery power"
    if w.snapshot.sanity.apart_ns < APART_NS:
        return None
    pair = w.snapshot.sanity.pair
    told = f"{pair.battery_w} W and {pair.other_w} W" if pair is not None else "two powers"
    return f"the inverter's battery power is not the pack's volts times amperes: {told}"


def alarm(w: World) -> str | None:
    if w.snapshot.pack is None or not w.snapshot.pack.alarms:
        return None
    return "BMS: " + ", ".join(w.snapshot.pack.alarms)


def protection(w: World) -> str | None:
    pack = w.snapshot.pack
    if pack is None or not pack.alarms or blocked(pack.alarms) != (True, True):
        return None
    return "BMS protection: " + ", ".join(a for a in pack.alarms if any(blocked((a,))))


def far_apart(w: World) -> str | None:
    return _far_apart(w, w.params.spread_stop_mv)


def still_apart(w: World) -> str | None:
    """Once they were: until they are so near that the limits let go as well."""
    return _far_apart(w, _near_mv(w.params))


def _far_apart(w: World, least_mv: int) -> str | None:
    mv, p = _spread(w), w.params
    if mv < least_mv:
        return None
    return f"the cells of a pack are {mv} mV apart: {p.spread_stop_mv} mV is too much, below {_near_mv(p)} mV is well"


def _near_mv(p: Params) -> int:
    return p.spread_derate_mv - p.hysteresis_spread_mv


def apart(w: World) -> str | None:
    mv = _spread(w)
    if mv < w.params.spread_warn_mv:
        return None
    return f"the cells of a pack are {mv} mV apart: from {w.params.spread_warn_mv} mV it is worth a look"


def _spread(w: World) -> int:
    return (w.snapshot.pack.spread_mv or 0) if w.snapshot.pack is not None else 0


def over_temperature(w: World) -> str | None:
    pack = w.snapshot.pack
    if pack is None or pack.hottest_dc is None or pack.hottest_dc < CRITICAL_DC:
        return None
    return f"a cell is at {tenths(pack.hottest_dc, '°C')}, critical is {tenths(CRITICAL_DC, '°C')}"


def over_voltage(w: World) -> str | None:
    pack = w.snapshot.pack
    if pack is None or pack.fullest_mv is None or pack.fullest_mv < CRITICAL_MV:
        return None
    return f"a cell is at {pack.fullest_mv} mV, critical is {CRITICAL_MV} mV"


def still_hot(w: World) -> str | None:
    """Asked while it stands: a cell that trembles by a digit at its limit is not well in between."""
    pack = w.snapshot.pack
    if pack is None or pack.hottest_dc is None or pack.hottest_dc < CRITICAL_DC - COOLER_DC:
        return None
    return over_temperature(w) or f"a cell is at {tenths(pack.hottest_dc, '°C')}, it was at its critical limit"


def still_full(w: World) -> str | None:
    """Asked while it stands."""
    pack = w.snapshot.pack
    if pack is None or pack.fullest_mv is None or pack.fullest_mv < CRITICAL_MV - LOWER_MV:
        return None
    return over_voltage(w) or f"a cell is at {pack.fullest_mv} mV, it was at its critical limit"


def inverter_fault(w: World) -> str | None:
    inverter = w.snapshot.inverter
    if inverter is None or inverter.status != "fault":
        return None
    return "the inverter reports a fault" + (": " + ", ".join(inverter.alarms) if inverter.alarms else "")


def inverter_out(w: World) -> str | None:
    out = [unit.device.name for unit in w.snapshot.units if unit.out]
    if not out:
        return None
    return f"{', '.join(out)}: gone for longer than a setpoint lasts there; the home goes on without"


def mismatch(w: World) -> str | None:
    return f"{w.snapshot.mismatch} is not the device that was commissioned" if w.snapshot.mismatch else None


def deaf(w: World) -> str | None:
    if not actuation.deaf(w.actuation):
        return None
    off_kws = w.actuation.off_nj // (1000 * S)
    changed = ", ".join(w.snapshot.inverter.foreign) if w.snapshot.inverter is not None else ""
    return (
        f"measured power is {w.actuation.off_by_w:+d} W away from the setpoint that was read back, {off_kws} kWs in all"
        + (f"; another hand changed {changed}" if changed else "")
    )


def short(w: World) -> str | None:
    if not actuation.short(w.actuation):
        return None
    return f"the inverter gives {abs(w.actuation.off_by_w)} W less than the setpoint that was read back, the right way"


def reversed(w: World) -> str | None:
    if w.actuation.reversed_ns < REVERSED_NS:
        return None
    return "the battery does the opposite of its setpoint: a sign is wrong"


def forbidden_flow(w: World) -> str | None:
    return w.astray.sentence() if w.astray is not None and astray.faulty(w.astray, w.snapshot.now_ns) else None


def setpoint_lost(w: World) -> str | None:
    times = actuation.lost(w.actuation, w.snapshot.now_ns)
    return (
        f"the inverter lost our setpoint {times} times within an hour: it restarts, or ends it early" if times else None
    )


def setpoint_overridden(w: World) -> str | None:
    times = actuation.overridden(w.actuation, w.snapshot.now_ns)
    if not times:
        return None
    points = ", ".join(w.actuation.foreign) or "the setpoint or its mode"
    return f"another hand took our setpoint {times} times within an hour; it changed {points}"


def writes(w: World) -> str | None:
    failures = max(w.hand.failures, w.hand.clear_failures)
    if failures < WRITE_FAILURES or actuation.booting(w.snapshot.inverter):
        return None
    return f"{failures} writes in a row were not confirmed (last: {w.hand.outcome})"


def starting(w: World) -> str | None:
    refused = max(w.hand.failures, w.hand.clear_failures) >= STARTING_FAILURES
    return still_starting(w) if refused else None


def still_starting(w: World) -> str | None:
    inverter = w.snapshot.inverter
    if inverter is None or not actuation.booting(inverter) or w.snapshot.inverter_age_ns > w.snapshot.inverter_stale_ns:
        return None
    return f"the inverter says {inverter.status} and confirms nothing: it starts, or is switched off"


def worn(w: World) -> str | None:
    left_ns = w.hand.worn_until_ns - w.snapshot.now_ns
    if left_ns <= 0:
        return None
    at_min = (w.inputs.clock.wall_ms + left_ns // 1_000_000) // 60_000 + 1
    at = f"{at_min // 60 % 24:02}:{at_min % 60:02} UTC"
    return f"the day's writes that wear the inverter out are used up: no setpoint before {at}"


def no_reversion(w: World) -> str | None:
    inverter = w.snapshot.inverter
    if inverter is None or w.hand.held_ns is None or inverter.at_ns <= w.hand.held_ns:
        return None
    if not inverter.remote_active or inverter.reversion_s != 0 or actuation.booting(inverter):
        return None
    if w.hand.setpoint_w is not None and taken(w.hand, w.snapshot, w.hand.setpoint_w) is Loss.OVERRIDDEN:
        return None  # another hand's: it is written over, with our timer
    return "a setpoint is active and the inverter's reversion time reads 0: it would never end"


def floor_alarm(w: World) -> str | None:
    return "the inverter's own SoC floor was changed by another hand" if w.durable.floor_alarm else None


def floor_refused(w: World) -> str | None:
    if w.hand.floor_failures < FLOOR_FAILURES:
        return None
    return f"the inverter did not take its SoC floor in {w.hand.floor_failures} tries"


def floor_ignored(w: World) -> str | None:
    s = w.snapshot
    if s.inverter is None or not beneath.ignored(w.beneath, s.now_ns, w.params):
        return None
    wh = w.beneath.drawn_nj // (3600 * S)
    asked = f"the reserve is {tenths(s.reserve_permille, '%')} and so reads the inverter's floor"
    return f"{asked}, but below it the inverter took {wh} Wh from the battery by itself"


def floor_is_ignored(durable: Durable) -> bool:
    """It was found out, and nobody has resumed since."""
    return "floor_ignored" in durable.latches


def unguarded(w: World) -> str | None:
    """Nobody keeps the reserve while the inverter runs in its own mode."""
    ignored = floor_is_ignored(w.durable)
    if not self_consumption.unguarded(w.snapshot, w.hand, w.crew, ignored):
        return None
    lacks = "its floor does not hold" if ignored else "it has no floor there"
    alone = f"in its own mode the inverter may go below the reserve, {lacks}"
    if w.durable.stopped_by is not None:
        return f"stopped by {w.durable.stopped_by}: {alone}"
    if self_consumption.drivable(w.snapshot):
        if w.mode not in HANDS_OFF or w.hand.setpoint_w is not None:
            return None  # we do
        return f"the agent is in {w.mode.value}: {alone}"
    return f"{alone} and takes no setpoint that it would end by itself"


def reserve(w: World) -> str | None:
    source = w.inputs.reserve.source
    return None if source == "file" else f"the reserve's file is {source}: 100 % is kept"


def disk(w: World) -> str | None:
    return None if w.inputs.disk_ok else "the disk takes no records: no new dispatch is accepted"


def clock(w: World) -> str | None:
    return "the wall clock is not trusted" if w.inputs.clock.trust is ClockTrust.UNTRUSTED else None


def self_test(w: World) -> str | None:
    wrong = selftest.failed(w.inputs.looked)
    return None if wrong is None else f"the self-test failed: {wrong}"


def clocks_apart(w: World) -> str | None:
    return selftest.apart(w.inputs.looked)


def not_read_back(w: World) -> str | None:
    return f"the self-test waited in vain: {w.unread}" if w.unread is not None else None


def changed_on_disk(w: World) -> str | None:
    return selftest.changed(w.inputs.looked)


def crash_loop(w: World) -> str | None:
    if w.resumed or w.snapshot.now_ns - w.boot_ns >= CRASH_REST_NS:
        return None
    starts = w.durable.starts_ms
    if len(starts) < w.params.crash_loop_starts:
        return None
    if not 0 <= starts[-1] - starts[-w.params.crash_loop_starts] <= w.params.crash_loop_window_s * 1000:
        return None
    return f"{w.params.crash_loop_starts} starts within {w.params.crash_loop_window_s} s"


def grid_lost(w: World) -> str | None:
    if w.snapshot.grid_lost:
        return w.snapshot.grid_why
    if not w.durable.outage or (w.settled and w.snapshot.grid_seen):
        return None
    return "the grid was away, or this gateway was off, before this start"


def meter_dead(w: World) -> str | None:
    s = w.snapshot
    if s.meter_age_ns < LONG_SILENT_NS or not s.grid_why.endswith(LAST_DEAD):
        return None
    return f"{LAST_DEAD}, {s.meter_age_ns // (60 * S)} min ago"


def grid_unknown(w: World) -> str | None:
    return None if w.snapshot.grid is GridState.CONNECTED else w.snapshot.grid_why
