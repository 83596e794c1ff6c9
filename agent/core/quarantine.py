"""A BMS block that cannot be true is not used: the last good one counts on, grows old, and goes stale like a lost one.

A pack with no volts, no cells and no percent at once is a cleared buffer. Pack voltage over cell voltage is a number of
cells that never changes. And no cell comes back by 20 K towards what is allowed between two samples: such a temperature
alone stays what it was for a minute, towards danger it is believed at once. Three such blocks within ten seconds are a
fault of the profile or the device, not of the bus.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core.params import S
from drivers.readings import BatteryReading

FEWEST_CELLS, MOST_CELLS = 4, 500
CELL_MV = (500, 5000)  # others are not known (packs.one)
CELLS_OFF_PERMILLE = 30  # how far pack voltage may be from the sum that the cells give
TEMP_STEP_DC, LEAP_NS = 200, 60 * S  # between samples that are no further apart than this
STRIKES, WINDOW_NS = 3, 10 * S
AGREEING = 3  # blocks in a row that must give the same number of cells before it is a fact


class Watch(NamedTuple):
    """One pack: the last block that was believed, how many cells it has in series, and when others were refused."""

    good: BatteryReading | None
    cells: int | None = None
    refused_ns: tuple[int, ...] = ()
    refused_at_ns: int = 0  # stamp of the last refused block: each is counted once
    why: str = ""
    calm_ns: int = 0  # stamp of the last block without a leap
    agreed: int = 0  # blocks that gave `cells`, up to AGREEING

    @property
    def fault(self) -> str | None:
        """The sentence when it is more than a stray block."""
        return self.why if len(self.refused_ns) >= STRIKES else None


def follow(old: Watch | None, block: BatteryReading, now_ns: int) -> Watch:
    """The next cycle's memory; `.good` is what to use. One that was looked at before costs nothing."""
    old = old if old is not None else Watch(None)
    recent = tuple(t for t in old.refused_ns if now_ns - t < WINDOW_NS)
    if block is old.good or block.at_ns == old.refused_at_ns:
        return old if recent == old.refused_ns else old._replace(refused_ns=recent)
    count = _cells(block)
    why = _absurd(old, block, count)
    if why is not None:
        return old._replace(refused_ns=(*recent, now_ns)[-STRIKES:], refused_at_ns=block.at_ns, why=why)
    cells, agreed = _learnt(old, count)
    leap = _leap(old, block)
    if leap is None:
        return Watch(block, cells, recent, 0, old.why, block.at_ns, agreed)
    kept, why = leap
    return Watch(kept, cells, (*recent, now_ns)[-STRIKES:], block.at_ns, why, old.calm_ns, agreed)


def _learnt(old: Watch, cells: int | None) -> tuple[int | None, int]:
    """The number of cells, and how many blocks have said so: a BMS that starts may say anything once."""
    if cells is None or old.agreed >= AGREEING:
        return old.cells, old.agreed
    return (cells, old.agreed + 1) if cells == old.cells else (cells, 1)


def _absurd(old: Watch, block: BatteryReading, cells: int | None) -> str | None:
    if block.pack_mv == 0 and block.soc_permille == 0 and not block.cell_max_mv and not block.cell_min_mv:
        return f"{block.device} reports no volts, no cells and no charge: a cleared block"
    if cells is not None and not FEWEST_CELLS <= cells <= MOST_CELLS:
        return f"{block.device}: {_volts(block)}: a pack of {cells} cells; check the profile's scales"
    if cells is not None and old.cells is not None and old.agreed >= AGREEING and not _fits(block, old.cells):
        return f"{block.device}: {_volts(block)}: not the {old.cells} cells it had before"
    return None


def _cells(block: BatteryReading) -> int | None:
    """Cells in series, as the voltages of one block give them; None = it does not say."""
    low, high = block.cell_min_mv, block.cell_max_mv
    if not block.pack_mv or low is None or high is None:
        return None
    if not CELL_MV[0] <= low <= CELL_MV[1] or not CELL_MV[0] <= high <= CELL_MV[1]:
        return None
    twice = low + high
    return (4 * block.pack_mv + twice) // (2 * twice)


def _fits(block: BatteryReading, cells: int) -> bool:
    """Between the sum of its lowest and of its highest cell, give or take what rounding and wiring cost."""
    pack, high, low = block.pack_mv or 0, block.cell_max_mv or 0, block.cell_min_mv or 0
    slack = cells * high * CELLS_OFF_PERMILLE // 1000
    return cells * low - slack <= pack <= cells * high + slack


def _leap(old: Watch, block: BatteryReading) -> tuple[BatteryReading, str] | None:
    """The block with the temperatures that it had before, where they came back too fast to be true."""
    good = old.good
    if good is None or block.at_ns - old.calm_ns > LEAP_NS:
        return None
    hot, cold = (good.temp_max_dc, block.temp_max_dc), (good.temp_min_dc, block.temp_min_dc)
    cooled = hot[0] is not None and hot[1] is not None and hot[0] - hot[1] >= TEMP_STEP_DC
    warmed = cold[0] is not None and cold[1] is not None and cold[1] - cold[0] >= TEMP_STEP_DC
    if not cooled and not warmed:
        return None
    before, after = hot if cooled else cold
    why = f"{block.device}: a cell went from {(before or 0) / 10:.1f} to {(after or 0) / 10:.1f} °C between two samples"
    kept = replace(
        block, temp_max_dc=hot[0] if cooled else block.temp_max_dc, temp_min_dc=cold[0] if warmed else block.temp_min_dc
    )
    return kept, why


def _volts(block: BatteryReading) -> str:
    low, high = (block.cell_min_mv or 0) / 1000, (block.cell_max_mv or 0) / 1000
    return f"{(block.pack_mv or 0) / 1000:.1f} V over cells of {low:.3f} to {high:.3f} V"
