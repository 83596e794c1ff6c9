"""A BMS that repeats itself: an inverter or gateway that serves an old cache looks alive by its age alone.

A block that stays identical while the inverter measures current through the battery for `FROZEN_NS` is not a reading
(facts: an inverter served the same BMS block for an hour). Current, cell and pack voltage of a live BMS never agree in
every digit for that long under load. Time without load does not count, so that a resting battery is never accused; nor
does time without a new sample, as one that is silent is no one that repeats itself.

An inverter's block is judged by what it measures itself: battery, PV and AC power and the grid's frequency, all the
same in each new sample for `FROZEN_NS` while it says that it is connected and that battery or PV work. At a steady
setpoint watts may well stay for a minute, as they are rounded to 1 to 10 W; the grid's frequency, read to 0.01 Hz, does
not. So a profile that does not read it is never accused, nor is an island, whose frequency the inverter makes.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple

from agent.core.params import S
from drivers.readings import BatteryReading, GridState, InverterReading

FROZEN_NS = 59 * S  # and a sample, a cycle and a write: within 62 s
LOAD_PERMILLE_OF_C = 20  # 0.02 C
GAP_NS = 15 * S  # the slowest device declares 15 s: samples further apart are two stories


class Still(NamedTuple):
    """One pack's last block, its time aside, and for how long new samples under load were the same."""

    device: str
    block: tuple[object, ...]
    loaded_ns: int
    at_ns: int = 0  # of that sample
    since_ns: int = 0  # time under load since then


said = attrgetter(*[field.name for field in fields(BatteryReading) if field.name != "at_ns"])


def follow(old: tuple[Still, ...], packs: list[BatteryReading], loaded_ns: int) -> tuple[Still, ...]:
    """`loaded_ns`: time since the last call if the battery was loaded all along, else 0."""
    known = {still.device: still for still in old}
    out: list[Still] = []
    for pack in packs:
        block = said(pack)
        still = known.get(pack.device)
        if still is None or still.block != block:
            out.append(Still(pack.device, block, 0, pack.at_ns))
        elif still.at_ns == pack.at_ns:
            out.append(still._replace(since_ns=still.since_ns + loaded_ns) if loaded_ns else still)
        else:
            out.append(Still(pack.device, block, still.loaded_ns + still.since_ns + loaded_ns, pack.at_ns))
    return tuple(out)


def frozen(packs: tuple[Still, ...]) -> bool:
    """Whether one of them repeats itself."""
    return any(still.loaded_ns >= FROZEN_NS for still in packs)


class Echo(NamedTuple):
    """What one inverter measures, since when each sample was the same, and when the newest was read."""

    device: str
    measured: tuple[int | None, ...]
    since_ns: int
    at_ns: int


measured = attrgetter("battery_w", "pv_w", "ac_w", "frequency_mhz")


def echoes(old: tuple[Echo, ...], inverters: list[InverterReading], capacity_wh: int) -> tuple[Echo, ...]:
    """One of each inverter whose values have to move. Readings are fresh."""
    if not inverters:
        return ()
    out: list[Echo] = []
    for reading in inverters:
        if not _must_move(reading, capacity_wh):
            continue
        values, at_ns = measured(reading), reading.at_ns
        since_ns = at_ns
        for echo in old:  # one or a few
            if echo.device == reading.device and echo.measured == values and at_ns - echo.at_ns <= GAP_NS:
                since_ns = echo.since_ns
        out.append(Echo(reading.device, values, since_ns, at_ns))
    return tuple(out)


def repeating(inverters: tuple[Echo, ...]) -> tuple[str, ...]:
    """Names of those that repeat themselves."""
    return tuple([echo.device for echo in inverters if echo.at_ns - echo.since_ns >= FROZEN_NS])


def _must_move(r: InverterReading, capacity_wh: int) -> bool:
    if r.frequency_mhz is None or r.grid_state is not GridState.CONNECTED:
        return False
    least = capacity_wh * LOAD_PERMILLE_OF_C
    return abs(r.battery_w or 0) * 1000 > least or abs(r.pv_w or 0) * 1000 > least
