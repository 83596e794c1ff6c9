"""Energy of the home: devices' own registers where they exist, and integrals of the measured powers for all of it.

Both only grow. A register that goes back, or ahead of what a home can move, is a jump: noted with both of its values,
so that no difference over it is taken for energy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from agent.core.soc import NJ_PER_MWH
from drivers.readings import MeterReading

NAMES = ("charge_wh", "discharge_wh", "import_wh", "export_wh", "pv_wh")
NJ_PER_WH = 1000 * NJ_PER_MWH
MOST_W = 100_000  # more than a home's connection carries
SLACK_WH = 1000  # a register that moves in coarse steps, or was read late

Second = tuple[int, int | None, int | None, int | None, int | None, int | None, int | None]
DT: Final = 0  # ns; then W with the signs of readings, mHz, permille; None = not known
BATTERY: Final = 1
GRID: Final = 2
PV: Final = 3
LOAD: Final = 4
MHZ: Final = 5
SOC: Final = 6


class Registers(NamedTuple):
    """Wh as the devices count them; None = no such register, or it was never read. The battery's own and that of
    production are read by no profile yet."""

    charge_wh: int | None = None
    discharge_wh: int | None = None
    import_wh: int | None = None
    export_wh: int | None = None
    pv_wh: int | None = None


class Integrals(NamedTuple):
    """nJ since the account was begun."""

    charge: int = 0
    discharge: int = 0
    imported: int = 0
    exported: int = 0
    pv: int = 0
    load: int = 0

    def plus(self, held: Sequence[Second]) -> Integrals:
        """With those seconds more. A power that is not known adds nothing."""
        discharge, charge = _ways(held, BATTERY)
        imported, exported = _ways(held, GRID)
        return Integrals(
            self.charge + charge,
            self.discharge + discharge,
            self.imported + imported,
            self.exported + exported,
            self.pv + _ways(held, PV)[0],
            self.load + _ways(held, LOAD)[0],
        )

    def wh(self) -> tuple[int, ...]:
        """Whole watt-hours, in the order of NAMES: of cumulative values, so that differences add up."""
        return tuple(nj // NJ_PER_WH for nj in self[:5])


class Jump(NamedTuple):
    """What register `name` said before and after; `why`: "back" or "ahead"."""

    name: str
    before_wh: int
    after_wh: int
    why: str


def _ways(held: Iterable[Second], column: int) -> tuple[int, int]:
    """(what flowed the positive way, the negative way), nJ >= 0."""
    parts = [value * x[DT] for x in held if (value := x[column]) is not None]
    total, positive = sum(parts), sum([part for part in parts if part > 0])
    return positive, positive - total


def read(before: Registers, meter: MeterReading | None) -> Registers:
    """As they stand; what cannot be read now stays as it was. `meter` is fresh or None."""
    if meter is None:
        return before
    imported = meter.import_wh if meter.import_wh is not None else before.import_wh
    exported = meter.export_wh if meter.export_wh is not None else before.export_wh
    return before._replace(import_wh=imported, export_wh=exported)


def jumps(before: Registers, after: Registers, elapsed_ns: int) -> tuple[Jump, ...]:
    """Every register that did not move as energy moves it."""
    if before == after:
        return ()
    most = MOST_W * max(0, elapsed_ns) // (1000 * NJ_PER_MWH) + SLACK_WH
    found: list[Jump] = []
    for name, old, new in zip(NAMES, before, after, strict=True):
        if old is not None and new is not None and not old <= new <= old + most:
            found.append(Jump(name, old, new, "back" if new < old else "ahead"))
    return tuple(found)


class Stand(NamedTuple):
    """Registers and integrals at one moment."""

    registers: Registers = Registers()
    integrals: Integrals = Integrals()


def span(start: Stand, end: Stand) -> tuple[dict[str, int], dict[str, int], list[str]]:
    """What a record says of both ends, and which of it is estimated: all that no register told at both."""
    estimated = [n for n, a, b in zip(NAMES, start.registers, end.registers, strict=True) if a is None or b is None]
    return _side(start, estimated), _side(end, estimated), estimated


def _side(stand: Stand, estimated: Sequence[str]) -> dict[str, int]:
    rows = zip(NAMES, stand.registers, stand.integrals.wh(), strict=True)
    return {name: wh if name in estimated or register is None else register for name, register, wh in rows}


def flowed(start: Stand, end: Stand, jumped: Sequence[Jump]) -> dict[str, int]:
    """Wh between both, jumps taken out."""
    first, last, estimated = span(start, end)
    out = {name: last[name] - first[name] for name in NAMES}
    for jump in jumped:
        if jump.name not in estimated:
            out[jump.name] -= jump.after_wh - jump.before_wh
    return out


def residual(start: Stand, end: Stand, jumped: Sequence[Jump]) -> int:
    """import - export + pv + discharge - charge - load, Wh. The load is the integral of what the powers leave, so this
    says how far registers and powers are apart."""
    wh = flowed(start, end, jumped)
    load = end.integrals.load // NJ_PER_WH - start.integrals.load // NJ_PER_WH
    return wh["import_wh"] - wh["export_wh"] + wh["pv_wh"] + wh["discharge_wh"] - wh["charge_wh"] - load
