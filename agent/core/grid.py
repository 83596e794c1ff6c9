"""Is the grid there? Only fresh positive evidence of every inverter connects; unknown counts as islanded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agent.core.age import age_ns
from agent.core.params import S, Timers
from drivers.readings import GridState, InverterReading, MeterReading

DEAD_MV = 60_000  # half of 120 V: below it the grid side is dead
DEAD_BELOW_MHZ, DEAD_ABOVE_MHZ = 45_000, 65_000
LIVE_BELOW_MV, LIVE_ABOVE_MV = 90_000, 300_000  # of 120 to 240 V: positive evidence on every leg that is told

Verdict = tuple[GridState, bool, str]  # state, was the grid away?, why
REPEATED: Verdict = GridState.UNKNOWN, False, "the inverter repeats its values: its word on the grid may be an old one"
SEEN_DEAD = "the meter sees a dead grid while the inverter says connected"
LAST_DEAD = "the inverter says connected, but the last that the meter said before it fell silent was a dead grid"
LONG_SILENT_NS = 600 * S  # a meter that is gone for so long is asked after


class End(NamedTuple):
    """What outlives the last word of a meter that died or was taken away: an inverter that told of the same outage
    later and now says connected, as it tells the two apart; or a person who resumed when it was long silent."""

    islanded_ns: int = 0  # when an inverter last said so
    resumed_ns: int = 0


NO_END = End()


class Watch(NamedTuple):
    """Since when the meter has seen a live grid without a gap, and its newest sample of it."""

    since_ns: int
    at_ns: int


def watched(now: int, before: Watch | None, meter: MeterReading | None, timers: Timers) -> Watch | None:
    """`meter` is fresh or None. One that is read too seldom to notice a short outage watches nothing."""
    if meter is None or age_ns(now, meter.at_ns) > timers.stale_meter_ns or not _live(meter):
        return None
    if before is None or meter.at_ns - before.at_ns > timers.stale_meter_ns:
        return Watch(meter.at_ns, meter.at_ns)
    return Watch(before.since_ns, meter.at_ns)


def of_all(verdicts: Iterable[tuple[str, Verdict]]) -> Verdict:
    """One word for a home of several inverters, by name: an island of one is an island of all. The grid itself was
    away only if one was an island, or if none is left to say that it is there."""
    worst: tuple[str, Verdict] | None = None
    lost = island = connected = False
    for name, verdict in verdicts:
        lost = lost or verdict[1]
        island = island or verdict[0] is GridState.ISLANDED
        connected = connected or verdict[0] is GridState.CONNECTED
        if worst is None or _grave(verdict[0]) > _grave(worst[1][0]):
            worst = name, verdict
    if worst is None:
        return GridState.UNKNOWN, False, "no inverter is there to say"
    state, _, why = worst[1]
    return state, island or (lost and not connected), why if state is GridState.CONNECTED else f"{worst[0]}: {why}"


def _grave(state: GridState) -> int:
    return (GridState.CONNECTED, GridState.UNKNOWN, GridState.ISLANDED).index(state)


def verdict(
    now: int,
    inverter: InverterReading | None,
    dark: str,
    timers: Timers,
    was_connected: bool,
    watch: Watch | None = None,
    there: bool = True,
) -> Verdict:
    """Of one inverter: its last word, None if there never was one, and whether it is there to say more. `dark`: what a
    meter says against it. An inverter that falls silent may have died with the grid, unless the meter saw
    the grid all along from before its last word: then it is only not known."""
    if inverter is None:
        return GridState.UNKNOWN, False, "the inverter is not there to say"
    age = age_ns(now, inverter.grid_at_ns)
    late = age > timers.stale_inverter_ns
    held = watch is not None and watch.since_ns <= inverter.grid_at_ns and inverter.grid_state is GridState.CONNECTED
    away = late and was_connected and not held
    if not there:
        return GridState.UNKNOWN, away, "the inverter is not there to say"
    if inverter.grid_state is GridState.ISLANDED and not late:
        return GridState.ISLANDED, True, "the inverter runs the house as an island"
    if age > timers.stale_grid_ns:
        return GridState.UNKNOWN, away, "the inverter's word on the grid is too old"
    if inverter.grid_state is not GridState.CONNECTED:
        return GridState.UNKNOWN, True, "the inverter does not say that it is connected"
    if dark:
        return GridState.UNKNOWN, True, dark
    return GridState.CONNECTED, False, "the inverter is connected"


def dark(meters: Iterable[MeterReading], at_grid: list[str], now: int, timers: Timers, end: End) -> str:
    """What the last word of a meter at the grid connection says against it, "" = nothing, however old it is: an outage
    may take the meter with it, so its silence does not bring the grid back. Nor does a block that stands still: a dead
    grid has no digit that moves. `end`: what the last word of a silent meter is outlived by."""
    told = ""
    for meter in meters:
        if meter.device not in at_grid or not _dead(meter):
            continue
        if age_ns(now, meter.at_ns) <= timers.stale_meter_ns:
            return SEEN_DEAD
        if meter.at_ns > end.islanded_ns and meter.at_ns > end.resumed_ns - LONG_SILENT_NS:
            told = LAST_DEAD
    return told


def _dead(meter: MeterReading) -> bool:
    """A meter that is fed from elsewhere and sees no voltage on its first phase, or no mains frequency."""
    first = next((v for v in meter.phase_mv if v is not None), None)
    if first is not None and first < DEAD_MV:
        return True
    return meter.frequency_mhz is not None and not DEAD_BELOW_MHZ <= meter.frequency_mhz <= DEAD_ABOVE_MHZ


def _live(meter: MeterReading) -> bool:
    """Voltage of a grid on every leg it tells of, at least on one, and no frequency that denies it."""
    told = [v for v in meter.phase_mv if v is not None]
    return bool(told) and all(LIVE_BELOW_MV <= v <= LIVE_ABOVE_MV for v in told) and not _dead(meter)
