"""What each limit leaves, as arithmetic over facts; `agent.core.limits` gives the rows their names and words.

Caps are written once, over whole numbers, with plain operators and four injected ones, so that a prover can run this
very source with symbols in place of numbers: no `if`, `and`, `or`, `not`, `min`, `max`, `//` on a fact. Divisors are
positive. Unknown facts come as flags: what is not known leaves nothing. A cap is >= 0 W on its side.
"""

from __future__ import annotations

import operator
from typing import NamedTuple, Protocol

from agent.core.decision import Side
from agent.core.params import Params, Site, Table

CURE_HOURS = 20  # cells are cured with 0.05 C
NEVER_NS = 10**18  # the age of a reading that never came


class Operators(Protocol):
    """What plain operators cannot say about symbols. `div` rounds down; its divisor is > 0."""

    def div(self, a: int, b: int, /) -> int: ...
    def least(self, a: int, b: int, /, *rest: int) -> int: ...
    def greatest(self, a: int, b: int, /, *rest: int) -> int: ...
    def where(self, condition: bool, then: int, otherwise: int, /) -> int: ...


class Plain:
    """The operators over Python's integers."""

    div = staticmethod(operator.floordiv)
    least = staticmethod(min)
    greatest = staticmethod(max)

    @staticmethod
    def where(condition: bool, then: int, otherwise: int, /) -> int:
        return then if condition else otherwise


PLAIN = Plain()


class Facts(NamedTuple):
    """All that a limit may look at. Flags are 1 or 0; power is + toward the house bus."""

    grid: int  # 0 unknown, 1 connected, 2 islanded
    returning: int  # 1 = the grid is back and its dwell still runs
    acting: int  # 1 = the mode allows a setpoint
    battery_age_ns: int
    inverter_age_ns: int
    meter_age_ns: int
    battery_stale_ns: int
    inverter_stale_ns: int
    meter_stale_ns: int
    devices_ok: int  # 1 = every configured device is what was commissioned
    controllable: int  # 1 = takes a signed setpoint, and ends it by itself when we fall silent
    charge_alarm: int
    discharge_alarm: int
    charge_on: int
    discharge_on: int
    pack_mv: int
    ccl_ma: int
    dcl_ma: int
    cells_known: int
    cell_max_mv: int
    cell_min_mv: int
    temps_known: int
    temp_max_dc: int
    temp_min_dc: int
    soc_known: int
    soc_lo_mwh: int  # energy that is surely in the battery: 1 permille of SoC = capacity_wh milliwatt-hours
    soc_hi_mwh: int  # energy that may be in it
    reserve_permille: int
    horizon_ms: int  # T_h: how long a setpoint may run on unseen, > 0
    net_known: int
    net_hi_w: int  # house load less PV, without the battery: worst of the last samples
    net_lo_w: int
    rated_charge_w: int
    rated_discharge_w: int
    spread_mv: int  # highest less lowest cell of one pack; known when cells are
    phases_known: int
    phase_hi_w: int  # agent.core.recent.Legs: worst of the last samples
    phase_lo_w: int
    phase_mv: int
    utility_charge_w: int
    utility_discharge_w: int
    spent_mwh: int  # discharged this UTC day, at most
    cell_cure: int  # a cell must be 1 charged, it is nearly empty; 2 discharged, it is over-full; 0 neither


def table(o: Operators, knots: Table, x: int) -> int:
    """Piecewise linear through `knots`, flat outside, rounded down."""
    x1, y1 = knots[-1]
    out = y1
    for x0, y0 in knots[-2::-1]:
        out = o.where(x <= x1, y0 + o.div((y1 - y0) * (x - x0), x1 - x0), out)
        x1, y1 = x0, y0
    return o.where(x <= knots[0][0], knots[0][1], out)


def full(p: Params, side: Side) -> int:
    """What a limit leaves when it limits nothing."""
    if side is Side.CHARGE:
        return p.site.nameplate_charge_w
    if side is Side.DISCHARGE:
        return p.site.nameplate_discharge_w
    return max(p.site.nameplate_charge_w, p.site.nameplate_discharge_w)


def both(o: Operators, p: Params, free: bool) -> int:
    return o.where(free, full(p, Side.BOTH), 0)


def charge(o: Operators, p: Params, free: bool) -> int:
    return o.where(free, p.site.nameplate_charge_w, 0)


def discharge(o: Operators, p: Params, free: bool) -> int:
    return o.where(free, p.site.nameplate_discharge_w, 0)


def ahead(o: Operators, f: Facts, energy_mwh: int) -> int:
    """Power that moves at most `energy_mwh` within the horizon: 1 mWh = 3600 W·ms."""
    return o.where(f.soc_known == 1, o.greatest(0, o.div(energy_mwh * 3600, f.horizon_ms)), 0)


def dc(o: Operators, f: Facts, limit_ma: int) -> int:
    """mV x mA -> W at the battery; eta = 1, so AC power never widens it."""
    return o.greatest(0, o.div(f.pack_mv * limit_ma, 1_000_000))


def cell_high(o: Operators, f: Facts, p: Params) -> int:
    derated = o.div(p.site.nameplate_charge_w * table(o, p.charge_v_mv, f.cell_max_mv), 1000)
    return o.where(f.cells_known == 1, derated, 0)


def cell_low(o: Operators, f: Facts, p: Params) -> int:
    derated = o.div(p.site.nameplate_discharge_w * table(o, p.discharge_v_mv, f.cell_min_mv), 1000)
    return o.where(f.cells_known == 1, derated, 0)


def spread_charge(o: Operators, f: Facts, p: Params) -> int:
    some = o.where(f.spread_mv < p.spread_derate_mv, p.site.nameplate_charge_w, p.site.nameplate_charge_w // 4)
    worst = o.where(f.cell_cure == 1, o.least(p.site.capacity_wh // CURE_HOURS, p.site.nameplate_charge_w // 4), 0)
    return o.where(f.cells_known == 1, o.where(f.spread_mv < p.spread_stop_mv, some, worst), 0)


def spread_discharge(o: Operators, f: Facts, p: Params) -> int:
    worst = o.where(f.cell_cure == 2, o.least(p.site.capacity_wh // CURE_HOURS, p.site.nameplate_discharge_w), 0)
    full_w = p.site.nameplate_discharge_w
    return o.where(f.cells_known == 1, o.where(f.spread_mv < p.spread_stop_mv, full_w, worst), 0)


def temperature(o: Operators, f: Facts, knots: Table, nameplate_w: int) -> int:
    permille = o.least(table(o, knots, f.temp_min_dc), table(o, knots, f.temp_max_dc))
    return o.where(f.temps_known == 1, o.div(nameplate_w * permille, 1000), 0)


def soc_ceiling(o: Operators, f: Facts, p: Params) -> int:
    return ahead(o, f, p.soc_ceiling_permille * p.site.capacity_wh - f.soc_hi_mwh)


def soc_floor(o: Operators, f: Facts, p: Params) -> int:
    return ahead(o, f, f.soc_lo_mwh - p.soc_floor_permille * p.site.capacity_wh)


def reserve(o: Operators, f: Facts, p: Params) -> int:
    return ahead(o, f, f.soc_lo_mwh - f.reserve_permille * p.site.capacity_wh)


def site_import(o: Operators, f: Facts, p: Params) -> int:
    return o.where(f.net_known == 1, o.greatest(0, p.site.import_limit_w - f.net_hi_w), 0)


def site_export(o: Operators, f: Facts, p: Params) -> int:
    return o.where(f.net_known == 1, o.greatest(0, p.site.export_limit_w + f.net_lo_w), 0)


def fuse_of(site: Site, mv: int) -> int:
    """What all legs that share the battery's power may carry, in milliwatts."""
    return site.legs * site.fuse_a * mv


def fuse_import(o: Operators, f: Facts, p: Params) -> int:
    if not p.site.fuse_a:
        return p.site.nameplate_charge_w
    return o.where(f.phases_known == 1, o.greatest(0, o.div(fuse_of(p.site, f.phase_mv), 1000) - f.phase_hi_w), 0)


def fuse_export(o: Operators, f: Facts, p: Params) -> int:
    if not p.site.fuse_a:
        return p.site.nameplate_discharge_w
    return o.where(f.phases_known == 1, o.greatest(0, o.div(fuse_of(p.site, f.phase_mv), 1000) + f.phase_lo_w), 0)


def pv_only(o: Operators, f: Facts, p: Params) -> int:
    """What the sun leaves over; all of it while a cell must be cured."""
    if not p.site.pv_only:
        return p.site.nameplate_charge_w
    surplus = o.where(f.net_known == 1, o.greatest(0, -f.net_hi_w), 0)
    return o.where(f.cell_cure == 1, p.site.nameplate_charge_w, surplus)


def throughput(o: Operators, f: Facts, p: Params) -> int:
    left = p.daily_permille * p.site.capacity_wh - f.spent_mwh
    return o.greatest(0, o.div(left * 3600, f.horizon_ms))


def nameplate_charge(o: Operators, f: Facts, p: Params) -> int:
    return o.greatest(0, o.least(p.site.nameplate_charge_w, f.rated_charge_w))


def nameplate_discharge(o: Operators, f: Facts, p: Params) -> int:
    return o.greatest(0, o.least(p.site.nameplate_discharge_w, f.rated_discharge_w))
