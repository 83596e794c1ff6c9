"""Energy of the home: devices' own registers where they exist, and integrals of the measured powers for all of it.

Both only grow. A register that goes back, or ahead of what a home can have moved since it was last read, is a jump:
noted with both of its values and the integral of its power since then, which counts in the place of their difference.
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
UNKNOWN_NS = 86_400 * 1_000_000_000  # stands for a time that nobody knows: what flows then is bounded by 2.4 MWh
LATE_NS = 60 * 1_000_000_000  # a register that was read so long ago tells energy of before

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
    """What register `name` said before and after; `why`: "back" or "ahead". `estimated_wh`: by the power that was
    measured between both."""

    name: str
    before_wh: int
    after_wh: int
    why: str
    estimated_wh: int = 0


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


class Unread(NamedTuple):
    """Since each register was last read: ns, and the integrals of then."""

    ns: tuple[int, ...] = (0,) * len(NAMES)
    integrals: Integrals = Integrals()

    def later(self, ns: int) -> Unread:
        """After so much more."""
        return self._replace(ns=tuple([age + ns for age in self.ns]))

    def after(self, meter: MeterReading | None, now_ns: int, integrals: Integrals) -> Unread:
        """With what `meter` told; `integrals` of now."""
        if meter is None:
            return self
        told = read(Registers(), meter)
        age = max(0, now_ns - meter.at_ns)
        ns = tuple([old if wh is None else age for wh, old in zip(told, self.ns, strict=True)])
        sums = [old if wh is None else new for wh, old, new in zip(told, self.integrals, integrals, strict=False)]
        return Unread(ns, Integrals._make([*sums, integrals.load]))

    def late(self, registers: Registers) -> bool:
        """What one of them moves next may have flowed long before."""
        return any(wh is not None and age > LATE_NS for wh, age in zip(registers, self.ns, strict=True))


def jumps(before: Registers, after: Registers, unread: Unread, integrals: Integrals) -> tuple[Jump, ...]:
    """Every register that did not move as energy moves it. `unread`: since `before`; `integrals`: of now."""
    if before == after:
        return ()
    found: list[Jump] = []
    flown = zip(integrals.wh(), unread.integrals.wh(), strict=True)
    for name, old, new, age, (now, then) in zip(NAMES, before, after, unread.ns, flown, strict=True):
        if old is None or new is None or old <= new <= old + MOST_W * age // NJ_PER_WH + SLACK_WH:
            continue
        found.append(Jump(name, old, new, "back" if new < old else "ahead", now - then))
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
    """Wh between both; of a jump what was estimated."""
    first, last, estimated = span(start, end)
    out = {name: last[name] - first[name] for name in NAMES}
    for jump in jumped:
        if jump.name not in estimated:
            out[jump.name] += jump.estimated_wh - (jump.after_wh - jump.before_wh)
    return out


def residual(start: Stand, end: Stand, jumped: Sequence[Jump]) -> int:
    """import - export + pv + discharge - charge - load, Wh. The load is the integral of what the powers leave, so this
    says how far registers and powers are apart."""
    wh = flowed(start, end, jumped)
    load = end.integrals.load // NJ_PER_WH - start.integrals.load // NJ_PER_WH
    return wh["import_wh"] - wh["export_wh"] + wh["pv_wh"] + wh["discharge_wh"] - wh["charge_wh"] - load
