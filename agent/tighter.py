"""Whether a BMS newly forbids something: such a reading is a fault, and does not wait for the next period."""

from __future__ import annotations

from agent.core.params import Params, Table
from agent.core.snapshot import Trace
from drivers.readings import BatteryReading

JUMP_PERMILLE = 50  # SoC does not move so far from one reading to the next


class Tighter:
    """Compares two readings of one pack. A hint for when to look, and no limit: the cycle decides."""

    def __init__(self, p: Params) -> None:
        self._high_mv = _free(p.charge_v_mv)[1]
        self._low_mv = _free(p.discharge_v_mv)[0]
        colds, hots = zip(_free(p.charge_t_dc), _free(p.discharge_t_dc), strict=True)
        self._cold_dc, self._hot_dc = max(colds), min(hots)
        self._spread_mv = p.spread_derate_mv

    def than(self, before: BatteryReading, after: BatteryReading) -> bool:
        """True when `after` gives less than `before`, or when it cannot be said that it gives as much: a limit fell, a
        switch or an alarm changed, a cell or a temperature went further into its table, SoC jumped, or a value is no
        longer known."""
        return (
            (after.ccl_ma or 0) < (before.ccl_ma or 0)
            or (after.dcl_ma or 0) < (before.dcl_ma or 0)
            or after.alarms != before.alarms
            or after.charge_enabled is not before.charge_enabled
            or after.discharge_enabled is not before.discharge_enabled
            or _jumped(before.soc_permille, after.soc_permille)
            or self._cells(before, after)
            or _down(before.temp_min_dc, after.temp_min_dc, self._cold_dc)
            or _up(before.temp_max_dc, after.temp_max_dc, self._hot_dc)
        )

    def _cells(self, before: BatteryReading, after: BatteryReading) -> bool:
        if _up(before.cell_max_mv, after.cell_max_mv, self._high_mv):
            return True
        if _down(before.cell_min_mv, after.cell_min_mv, self._low_mv):
            return True
        return _up(_spread(before), _spread(after), self._spread_mv - 1)


def suspected(trace: Trace, device: str) -> bool:
    """A block of this pack was refused lately: the next one may decide, and waits for no period either."""
    return any(watch.refused_ns for name, watch in trace.sanity.watches if name == device)


def _free(knots: Table) -> tuple[int, int]:
    """From where to where a table gives all that it ever gives."""
    most = max(y for _, y in knots)
    free = [x for x, y in knots if y == most]
    return free[0], free[-1]


def _spread(reading: BatteryReading) -> int | None:
    high_mv, low_mv = reading.cell_max_mv, reading.cell_min_mv
    return None if high_mv is None or low_mv is None else high_mv - low_mv


def _jumped(before: int | None, after: int | None) -> bool:
    if before is None or after is None:
        return after is not before
    return abs(after - before) >= JUMP_PERMILLE


def _up(before: int | None, after: int | None, edge: int) -> bool:
    if after is None:
        return before is not None
    return after > edge and (before is None or after > before)


def _down(before: int | None, after: int | None, edge: int) -> bool:
    if after is None:
        return before is not None
    return after < edge and (before is None or after < before)
