"""Several packs as one: the worst of each field, currents summed over the packs that are online.

A pack is offline when its BMS has opened both directions, no current flows and nothing alarms: it is there, and it
carries nothing. One that is silent is not offline but unwatched, and stops the home; one that opens one direction, or
alarms, binds all. Where no pack is online, all count, and block.

Packs in parallel share a current by their size, so that the tightest of them binds the sum: with limits L and weights
w, least(L / w) x sum(w), never more than sum(L).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from agent.core.params import Wiring
from drivers.readings import BatteryReading

IDLE_MA = 1_000  # below it no current flows, by the sensors of a BMS


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
    spread_mv: int | None  # highest less lowest cell of one pack, of the pack where it is most
    force_charge: bool  # a BMS asks to be charged
    hottest_dc: int | None  # of any cell at all: one in a pack that its BMS has opened burns as well
    fullest_mv: int | None


class Bay(NamedTuple):
    """The packs of one DC bus as one, and their part of the home's capacity."""

    pack: Pack
    capacity_wh: int
    packs: tuple[str, ...]
    inverters: tuple[str, ...]


class Stack(NamedTuple):
    """All packs of a home."""

    pack: Pack
    online: tuple[str, ...]
    capacity_wh: int
    bays: tuple[Bay, ...]  # () = one bank behind every inverter


def stack(readings: list[BatteryReading], wiring: Wiring, capacity_wh: int) -> Stack:
    """Every pack of the home, at least one. `capacity_wh`: of all packs together."""
    if len(readings) == 1:
        return Stack(one(readings[0]), (), capacity_wh, ())
    up = [r for r in readings if not offline(r)] or readings
    weights = _weights(readings, wiring)
    whole = sum(weights.values())
    names = tuple([r.device for r in up])
    online_wh = capacity_wh * sum(weights[name] for name in names) // whole
    if len(wiring.banks) < 2:
        return Stack(_all(together(up, weights), readings), names, online_wh, ())
    bays = tuple(
        Bay(
            together(mine, weights),
            capacity_wh * sum(weights[r.device] for r in mine) // whole,
            tuple([r.device for r in mine]),
            bank.inverters,
        )
        for bank in wiring.banks
        if (mine := [r for r in up if r.device in bank.packs])
    )
    return Stack(_all(_beside(bays), readings), names, online_wh, bays)


def _all(pack: Pack, readings: list[BatteryReading]) -> Pack:
    """The packs online as one, with what counts of a pack that its BMS has opened too: age, alarms, danger."""
    every = [one(r) for r in readings]
    return pack._replace(
        at_ns=min(p.at_ns for p in every),
        alarms=tuple(sorted({alarm for p in every for alarm in p.alarms})),
        hottest_dc=max([p.hottest_dc for p in every if p.hottest_dc is not None], default=None),
        fullest_mv=max([p.fullest_mv for p in every if p.fullest_mv is not None], default=None),
    )


def offline(r: BatteryReading) -> bool:
    """Said so by its own BMS: open both ways, without a current, without an alarm."""
    opened = r.charge_enabled is False and r.discharge_enabled is False
    return opened and r.pack_ma is not None and abs(r.pack_ma) < IDLE_MA and not r.alarms


def together(readings: list[BatteryReading], weights: dict[str, int]) -> Pack:
    """Packs on one DC bus."""
    if len(readings) == 1:
        return one(readings[0])
    packs = [one(r) for r in readings]
    mine = [weights[r.device] for r in readings]
    return _worst_of(packs, parallel([p.ccl_ma for p in packs], mine), parallel([p.dcl_ma for p in packs], mine))


def parallel(limits: Sequence[int], weights: Sequence[int]) -> int:
    """The current that packs in parallel carry together, none of them beyond its own limit. Weights are > 0."""
    whole = sum(weights)
    return min(sum(limits), *(limit * whole // weight for limit, weight in zip(limits, weights, strict=True)))


def _beside(bays: tuple[Bay, ...]) -> Pack:
    """Banks that are not connected: their powers add up, at the least of their voltages."""
    packs = [bay.pack for bay in bays]
    least = max(1, min(p.mv for p in packs))
    charge = sum(p.mv * p.ccl_ma for p in packs) // least if all(p.mv for p in packs) else 0
    discharge = sum(p.mv * p.dcl_ma for p in packs) // least if all(p.mv for p in packs) else 0
    return _worst_of(packs, charge, discharge)


def _worst_of(packs: list[Pack], ccl_ma: int, dcl_ma: int) -> Pack:
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
        ccl_ma=ccl_ma,
        dcl_ma=dcl_ma,
        charge_on=all(p.charge_on for p in packs),
        discharge_on=all(p.discharge_on for p in packs),
        alarms=tuple(sorted({a for p in packs for a in p.alarms})),
        spread_mv=_worst(max, [p.spread_mv for p in packs]),
        force_charge=any(p.force_charge for p in packs),
        hottest_dc=max([p.hottest_dc for p in packs if p.hottest_dc is not None], default=None),
        fullest_mv=max([p.fullest_mv for p in packs if p.fullest_mv is not None], default=None),
    )


def _weights(readings: list[BatteryReading], wiring: Wiring) -> dict[str, int]:
    """How packs share a current: by the capacities of the configuration, else of the BMSs, else alike."""
    told = dict(wiring.capacity_wh)
    if all(told.get(r.device, 0) > 0 for r in readings):
        return {r.device: told[r.device] for r in readings}
    if all(r.capacity_mah is not None and r.capacity_mah >= 1000 for r in readings):
        return {r.device: (r.capacity_mah or 0) // 1000 for r in readings}
    return {r.device: 1 for r in readings}


def _worst(pick: Callable[[list[int]], int], values: list[int | None]) -> int | None:
    """None as soon as one pack does not say."""
    known = [v for v in values if v is not None]
    return pick(known) if len(known) == len(values) else None


def within(value: int | None, least: int, most: int) -> int | None:
    """The value where it is plausible, else not known."""
    return value if value is not None and least <= value <= most else None


def one(r: BatteryReading) -> Pack:
    """One pack, with what is absurd taken for not known."""
    soc = within(r.soc_permille, 0, 1000)
    mv = within(r.pack_mv, 1, 2_000_000)
    high, low = within(r.cell_max_mv, 500, 5000), within(r.cell_min_mv, 500, 5000)
    hot = within(r.temp_max_dc, -500, 1200)
    return Pack(
        at_ns=r.at_ns,
        soc_min=soc,
        soc_max=soc,
        quantum=max(1, r.soc_quantum_permille),
        mv=mv or 0,
        power_w=mv * r.pack_ma // 1_000_000 if mv is not None and r.pack_ma is not None else None,
        cell_max_mv=high,
        cell_min_mv=low,
        temp_max_dc=hot,
        temp_min_dc=within(r.temp_min_dc, -500, 1200),
        ccl_ma=max(0, r.ccl_ma or 0),
        dcl_ma=max(0, r.dcl_ma or 0),
        charge_on=r.charge_enabled is True,
        discharge_on=r.discharge_enabled is True,
        alarms=r.alarms,
        spread_mv=high - low if high is not None and low is not None else None,
        force_charge=r.force_charge is True,
        hottest_dc=hot,
        fullest_mv=high,
    )
