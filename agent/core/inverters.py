"""Several inverters as one, each with what may be asked of it.

The home acts only while every inverter is read, is the commissioned one and proves the grid. One that is lost stops
the home for its stated end, in which its own timer ends whatever we asked last; then it is out, and the home goes on
without it, until it is back and says how its grid stands. What it may do in its own mode behind a shared bank is taken
off what the others may do. A device that does not end a setpoint by itself is never out.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.caps import NEVER_NS
from agent.core.inputs import Device
from agent.core.params import Params, S
from agent.core.roster import declared_ns
from agent.core.share import share
from drivers.readings import Capability, GridState, InverterReading

NO_RETURN = ("none", "unreliable")  # what the device does when we fall silent: nothing that can be relied on


class Away(NamedTuple):
    """What is remembered of one inverter from cycle to cycle."""

    name: str
    capability: Capability | None = None  # as it last said
    since_ns: int | None = None  # since when it is not fit; None = it is
    out: bool = False


class Unit(NamedTuple):
    """One inverter that has packs. `charge_w`, `discharge_w`: the most that may be asked of it, W >= 0."""

    device: Device
    reading: InverterReading | None
    age_ns: int
    stale_ns: int
    out: bool
    charge_w: int = 0
    discharge_w: int = 0

    @property
    def fresh(self) -> InverterReading | None:
        """Its reading while it counts."""
        return self.reading if self.age_ns <= self.stale_ns else None


def units(
    devices: tuple[Device, ...],
    readings: tuple[InverterReading, ...],
    ages: dict[str, int],
    before: tuple[Away, ...],
    params: Params,
    now_ns: int,
) -> tuple[tuple[Unit, ...], tuple[Away, ...]]:
    """Every inverter that has packs, and what to remember of it. Where none would be left, none is out."""
    known = {away.name: away for away in before}
    of = {r.device: r for r in readings}
    found: list[Unit] = []
    kept: list[Away] = []
    for device in devices:
        stale = max(params.timers.stale_inverter_ns, declared_ns(device))
        unit = Unit(device, of.get(device.name), ages.get(device.name, NEVER_NS), stale, False)
        away = _away(unit, known.get(device.name, Away(device.name)), params, now_ns)
        found.append(unit._replace(out=away.out))
        kept.append(away)
    if all(unit.out for unit in found):
        return tuple([unit._replace(out=False) for unit in found]), tuple(kept)
    return tuple(found), tuple(kept)


def _away(unit: Unit, old: Away, params: Params, now_ns: int) -> Away:
    can = unit.device.capability or old.capability
    if unit.device.presence == "ok" and unit.fresh is not None:
        told = unit.fresh.grid_state is not GridState.UNKNOWN
        told = told and now_ns - unit.fresh.grid_at_ns <= params.timers.stale_grid_ns
        return Away(unit.device.name, can, None, old.out and not told)
    since = old.since_ns if old.since_ns is not None else now_ns
    ends = can is not None and can.reversion not in NO_RETURN
    over = ends and now_ns - since >= ends_ns(can, unit.stale_ns, params)
    return Away(unit.device.name, can, since, old.out or over)


def ends_ns(can: Capability | None, stale_ns: int, params: Params) -> int:
    """Promise 3 for one inverter: how long what we asked may go on after it was last heard."""
    timers = params.timers
    reversion_s, write_s = (can.reversion_s, can.write_s) if can else (0, 0)
    write_ns = max(timers.write_ns, S * write_s)  # with the pauses that this device needs
    return stale_ns + timers.cycle_ns + write_ns + S * max(timers.reversion_s, reversion_s)


class Room(NamedTuple):
    """What one DC bus takes and gives, W >= 0, and whose inverters are on it."""

    charge_w: int
    discharge_w: int
    inverters: tuple[str, ...]


def bounded(found: tuple[Unit, ...], kept: tuple[Away, ...], rooms: list[Room], shared: bool) -> tuple[Unit, ...]:
    """Each unit with what may be asked of it: its own rating, within its bank. `shared`: one bank, whose limits bind
    the home anyway; its room matters here only for what a unit that is out may take of it."""
    known = {away.name: away.capability for away in kept}
    caps: dict[str, tuple[int, int]] = {}
    for room in rooms:
        here = [unit for unit in found if unit.device.name in room.inverters]
        mine = [unit.device.name for unit in here if not unit.out]
        lost = [unit.device.name for unit in here if unit.out]
        charge, discharge = ([_rated(known[name], side) for name in mine] for side in (True, False))
        if lost or not shared:
            left_w = room.charge_w - sum(_rated(known[name], True) for name in lost)
            charge = list(share(max(0, left_w), charge, [1] * len(mine)))
            left_w = room.discharge_w - sum(_rated(known[name], False) for name in lost)
            discharge = list(share(max(0, left_w), discharge, [1] * len(mine)))
        caps |= dict(zip(mine, zip(charge, discharge, strict=True), strict=True))
    none = (0, 0)
    return tuple(
        unit._replace(charge_w=caps.get(unit.device.name, none)[0], discharge_w=caps.get(unit.device.name, none)[1])
        for unit in found
    )


def _rated(can: Capability | None, charge: bool) -> int:
    if can is None:
        return 0
    return max(0, can.rated_charge_w if charge else can.rated_discharge_w)


def capability_of(live: list[Unit]) -> Capability | None:
    """What the home can be told: ratings are what may be asked of all together; everything else is the least of them.
    Two inverters that both hold the grid connection would fight: then none is commanded."""
    known = [unit.device.capability for unit in live if unit.device.capability is not None]
    if len(known) != len(live) or not known:
        return None
    first = known[0]
    fights = len(known) > 1 and any(can.control_point == "grid" for can in known)
    return Capability(
        device=", ".join(can.device for can in known),
        signed_setpoint=all(can.signed_setpoint for can in known) and not fights,
        unit=first.unit,
        control_point=first.control_point,
        reversion=next((can.reversion for can in known if can.reversion in NO_RETURN), first.reversion),
        reversion_s=max(can.reversion_s for can in known),
        reversion_verified=all(can.reversion_verified for can in known),
        floor=all(can.floor for can in known),
        wearing=first.wearing,
        min_refresh_s=max(can.min_refresh_s for can in known),
        read_back=all(can.read_back for can in known),
        pv_curtailment=all(can.pv_curtailment for can in known),
        rated_charge_w=sum(unit.charge_w for unit in live),
        rated_discharge_w=sum(unit.discharge_w for unit in live),
        resolution_w=1,
        refresh_s=max(can.refresh_s for can in known),
        stale_s=max(can.stale_s for can in known),
        write_s=max(can.write_s for can in known),
        grid_evidence=all(can.grid_evidence for can in known),
    )


def together(live: list[Unit]) -> InverterReading | None:
    """The readings of all that count as one: sums, the oldest of the times, the worst of what they say. Its `battery_w`
    is known only if each is; `remote_w` is not a value that anybody set. None = one was never read."""
    known = [unit.reading for unit in live if unit.reading is not None]
    return summed(known) if len(known) == len(live) else None


def summed(known: list[InverterReading]) -> InverterReading:
    """As `together`, of readings; at least one."""
    states = {r.grid_state for r in known}
    grid = GridState.CONNECTED if states == {GridState.CONNECTED} else GridState.UNKNOWN
    timers = [r.reversion_s for r in known if r.reversion_s is not None]
    return InverterReading(
        device=", ".join(r.device for r in known),
        at_ns=min(r.at_ns for r in known),
        battery_w=total([r.battery_w for r in known]),
        battery_at_ns=min(r.battery_at_ns for r in known),
        pv_w=total([r.pv_w for r in known]),
        ac_w=total([r.ac_w for r in known]),
        grid_state=GridState.ISLANDED if GridState.ISLANDED in states else grid,
        grid_at_ns=min(r.grid_at_ns for r in known),
        frequency_mhz=next((r.frequency_mhz for r in known if r.frequency_mhz is not None), None),
        soc_permille=None,
        floor_permille=None,
        remote_w=None,
        remote_active=any(r.remote_active for r in known),
        reversion_s=min(timers, default=None),
        status="fault" if any(r.status == "fault" for r in known) else known[0].status,
        alarms=tuple(
            f"{r.device}: {alarm}" for r in known for alarm in (r.alarms or ("fault",)) if r.status == "fault"
        ),
    )


def total(values: list[int | None]) -> int | None:
    """None as soon as one is not known."""
    known = [v for v in values if v is not None]
    return sum(known) if len(known) == len(values) else None
