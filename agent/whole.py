"""A home's readings as one of each, for those who tell of it: telemetry and the local view.

Where there is one pack, one inverter and one meter these are the readings themselves. Otherwise packs are folded as the
core folds them, inverters and meters are summed; what is beside the point (PV inverters, meters at PV or load,
inverters that the home goes on without) is left out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TypeVar

from agent.core import inverters, meters, packs
from agent.core.decision import Decision
from agent.core.params import Wiring
from drivers.readings import BatteryReading, InverterReading, MeterReading

R = TypeVar("R", BatteryReading, InverterReading, MeterReading)


def counting(readings: Iterable[R], decision: Decision, wiring: Wiring) -> tuple[R, ...]:
    """The readings that make up the home's totals."""
    if not wiring.bare and not wiring.places and not decision.out:
        return tuple(readings)
    beside: Container[str] = {*wiring.bare, *decision.out, *(name for name, _ in wiring.places)}
    return tuple([r for r in readings if r.device not in beside])


def battery(readings: tuple[BatteryReading, ...], wiring: Wiring) -> BatteryReading | None:
    """All packs as one: SoC of the emptiest that is online, currents as the core sums them."""
    if len(readings) < 2:
        return readings[0] if readings else None
    pack = packs.stack(list(readings), wiring, 1).pack
    healths = [r.soh_permille for r in readings if r.soh_permille is not None]
    sizes = [r.capacity_mah for r in readings]
    return BatteryReading(
        device=f"{len(readings)} packs",
        at_ns=pack.at_ns,
        soc_permille=pack.soc_min,
        soc_quantum_permille=pack.quantum,
        soh_permille=min(healths, default=None),
        pack_mv=pack.mv,
        pack_ma=inverters.total([r.pack_ma for r in readings]),
        cell_max_mv=pack.cell_max_mv,
        cell_min_mv=pack.cell_min_mv,
        temp_max_dc=pack.temp_max_dc,
        temp_min_dc=pack.temp_min_dc,
        ccl_ma=None if any(r.ccl_ma is None for r in readings) else pack.ccl_ma,
        dcl_ma=None if any(r.dcl_ma is None for r in readings) else pack.dcl_ma,
        charge_enabled=pack.charge_on,
        discharge_enabled=pack.discharge_on,
        alarms=pack.alarms,
        capacity_mah=inverters.total(sizes),
    )


def inverter(readings: tuple[InverterReading, ...]) -> InverterReading | None:
    """All inverters as one."""
    if len(readings) < 2:
        return readings[0] if readings else None
    return inverters.summed(list(readings))


def meter(readings: tuple[MeterReading, ...]) -> MeterReading | None:
    """The grid connection."""
    return meters.at_grid(list(readings)) if readings else None
