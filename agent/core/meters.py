"""Meters: one picture of the grid connection, whether one meter sees all phases or each has its own.

Several meters at the grid are one point, each a leg or phase of it: they count only when all of them do. Meters at PV
or load add what they see and stop nothing when they fall silent.
"""

from __future__ import annotations

from drivers.readings import MeterReading


def at_grid(readings: list[MeterReading]) -> MeterReading:
    """At least one meter, all of them at the grid connection: sums; the age of the oldest; phases side by side."""
    if len(readings) == 1:
        return readings[0]
    return MeterReading(
        device=", ".join(r.device for r in readings),
        at_ns=min(r.at_ns for r in readings),
        newest_ns=max(r.at_ns for r in readings),
        grid_w=_total([r.grid_w for r in readings]),
        phase_w=tuple(w for r in readings for w in _phases(r.phase_w, r.grid_w)),
        phase_mv=tuple(mv for r in readings for mv in _phases(r.phase_mv, None)),
        phase_ma=tuple(ma for r in readings for ma in _phases(r.phase_ma, None)),
        frequency_mhz=next((r.frequency_mhz for r in readings if r.frequency_mhz is not None), None),
        import_wh=_total([r.import_wh for r in readings]),
        export_wh=_total([r.export_wh for r in readings]),
    )


def _phases(values: tuple[int | None, ...], otherwise: int | None) -> tuple[int | None, ...]:
    """The phases that this meter is wired to; one of unknown value where it names none."""
    known = tuple(v for v in values if v is not None)
    return known or (otherwise,)


def _total(values: list[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return sum(known) if len(known) == len(values) else None
