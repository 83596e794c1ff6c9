"""LIMITS: one row per limit. A cap is what the limit leaves on its side, in watts, >= 0.

Caps are written once, over whole numbers, with plain operators and four injected ones, so that a prover can run this
very source with symbols in place of numbers: no `if`, `and`, `or`, `not`, `min`, `max`, `//` on a fact. Divisors are
positive. Unknown facts come as flags: what is not known leaves nothing. Order of rows = precedence of the reason that
is reported.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import NamedTuple, Protocol

from agent.core.decision import Side
from agent.core.params import Params, Table

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


class Lift(Enum):
    """How a limit that narrowed may widen again (hold.py)."""

    LIVE = "live"  # at once: it follows a measurement that the next cycle sees again
    HOLD = "hold"  # after a hold, then ramped
    HYSTERESIS = "hysteresis"  # from zero only when a margin is met too, then as HOLD
    LATCH = "latch"  # only when it left nothing to limit, then as HOLD


Cap = Callable[[Operators, Facts, Params], int]
Say = Callable[[Facts, Params], str]


@dataclass(frozen=True, slots=True)
class Limit:
    """One row. `say` gives the reason with its values and units, for a person."""

    id: str
    side: Side
    cap: Cap
    say: Say
    owner: str
    lift: Lift = Lift.LIVE


# --- shared pieces of caps --------------------------------------------------------------------------------------------
def table(o: Operators, knots: Table, x: int) -> int:
    """Piecewise linear through `knots`, flat outside, rounded down."""
    out = knots[-1][1]
    for (x0, y0), (x1, y1) in reversed(tuple(pairwise(knots))):
        out = o.where(x <= x1, y0 + o.div((y1 - y0) * (x - x0), x1 - x0), out)
    return o.where(x <= knots[0][0], knots[0][1], out)


def full(p: Params, side: Side) -> int:
    """What a limit leaves when it limits nothing."""
    if side is Side.CHARGE:
        return p.site.nameplate_charge_w
    if side is Side.DISCHARGE:
        return p.site.nameplate_discharge_w
    return max(p.site.nameplate_charge_w, p.site.nameplate_discharge_w)


def _both(o: Operators, p: Params, free: bool) -> int:
    return o.where(free, full(p, Side.BOTH), 0)


def _charge(o: Operators, p: Params, free: bool) -> int:
    return o.where(free, p.site.nameplate_charge_w, 0)


def _discharge(o: Operators, p: Params, free: bool) -> int:
    return o.where(free, p.site.nameplate_discharge_w, 0)


def _ahead(o: Operators, f: Facts, energy_mwh: int) -> int:
    """Power that moves at most `energy_mwh` within the horizon: 1 mWh = 3600 W·ms."""
    return o.where(f.soc_known == 1, o.greatest(0, o.div(energy_mwh * 3600, f.horizon_ms)), 0)


def _dc(o: Operators, f: Facts, limit_ma: int) -> int:
    """mV x mA -> W at the battery; eta = 1, so AC power never widens it."""
    return o.greatest(0, o.div(f.pack_mv * limit_ma, 1_000_000))


def _cell_high(o: Operators, f: Facts, p: Params) -> int:
    derated = o.div(p.site.nameplate_charge_w * table(o, p.charge_v_mv, f.cell_max_mv), 1000)
    return o.where(f.cells_known == 1, derated, 0)


def _cell_low(o: Operators, f: Facts, p: Params) -> int:
    derated = o.div(p.site.nameplate_discharge_w * table(o, p.discharge_v_mv, f.cell_min_mv), 1000)
    return o.where(f.cells_known == 1, derated, 0)


def _temperature(o: Operators, f: Facts, knots: Table, nameplate_w: int) -> int:
    permille = o.least(table(o, knots, f.temp_min_dc), table(o, knots, f.temp_max_dc))
    return o.where(f.temps_known == 1, o.div(nameplate_w * permille, 1000), 0)


def _soc_ceiling(o: Operators, f: Facts, p: Params) -> int:
    return _ahead(o, f, p.soc_ceiling_permille * p.site.capacity_wh - f.soc_hi_mwh)


def _soc_floor(o: Operators, f: Facts, p: Params) -> int:
    return _ahead(o, f, f.soc_lo_mwh - p.soc_floor_permille * p.site.capacity_wh)


def _reserve(o: Operators, f: Facts, p: Params) -> int:
    return _ahead(o, f, f.soc_lo_mwh - f.reserve_permille * p.site.capacity_wh)


def _site_import(o: Operators, f: Facts, p: Params) -> int:
    return o.where(f.net_known == 1, o.greatest(0, p.site.import_limit_w - f.net_hi_w), 0)


def _site_export(o: Operators, f: Facts, p: Params) -> int:
    return o.where(f.net_known == 1, o.greatest(0, p.site.export_limit_w + f.net_lo_w), 0)


def _nameplate_charge(o: Operators, f: Facts, p: Params) -> int:
    return o.greatest(0, o.least(p.site.nameplate_charge_w, f.rated_charge_w))


def _nameplate_discharge(o: Operators, f: Facts, p: Params) -> int:
    return o.greatest(0, o.least(p.site.nameplate_discharge_w, f.rated_discharge_w))


# --- words for people -------------------------------------------------------------------------------------------------
def tenths(value: int, unit: str) -> str:
    """Tenths of a unit as decimal text: 205 permille -> "20.5 %"."""
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 10}.{abs(value) % 10} {unit}"


def _age(age_ns: int) -> str:
    return "was never read" if age_ns >= NEVER_NS else f"is {tenths(age_ns // 100_000_000, 's')} old"


def _stale(who: str, age_ns: int, stale_ns: int) -> str:
    return f"the {who}'s reading {_age(age_ns)}; it counts for {tenths(stale_ns // 100_000_000, 's')}"


def _volts(mv: int, known: int) -> str:
    return f"{mv / 1000:.3f} V" if known else "not known"


def _span(f: Facts) -> str:
    if not f.temps_known:
        return "the cell temperatures are not known"
    return f"cells are between {tenths(f.temp_min_dc, '°C')} and {tenths(f.temp_max_dc, '°C')}"


def _soc(f: Facts, p: Params, mwh: int) -> str:
    return tenths(mwh // p.site.capacity_wh, "%") if f.soc_known and p.site.capacity_wh > 0 else "not known"


def _amps(name: str, pack_mv: int, ma: int) -> str:
    return f"the BMS allows {name} {tenths(ma // 100, 'A')} at {tenths(pack_mv // 100, 'V')}"


def _net(f: Facts, w: int) -> str:
    return f"the house without the battery takes {w} W" if f.net_known else "the house's load is not known"


def _word(flag: int, yes: str, no: str) -> str:
    return yes if flag else no


# --- the table --------------------------------------------------------------------------------------------------------
LIMITS: tuple[Limit, ...] = (
    Limit(
        "islanded",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.grid != 2),
        lambda f, p: (
            "the inverter runs the house as an island: hands off" if f.grid == 2 else "the house is not islanded"
        ),
        "utility",
    ),
    Limit(
        "grid_unknown",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.grid != 0),
        lambda f, p: _word(f.grid, "the grid is evidenced", "there is no fresh evidence that the grid is there"),
        "utility",
    ),
    Limit(
        "grid_return",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.returning == 0),
        lambda f, p: _word(f.returning, "the grid is back and must stay for a while", "the grid has stayed"),
        "utility",
    ),
    Limit(
        "stale_inverter",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.inverter_age_ns <= f.inverter_stale_ns),
        lambda f, p: _stale("inverter", f.inverter_age_ns, f.inverter_stale_ns),
        "inverter",
    ),
    Limit(
        "stale_battery",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.battery_age_ns <= f.battery_stale_ns),
        lambda f, p: _stale("battery", f.battery_age_ns, f.battery_stale_ns),
        "bms",
    ),
    Limit(
        "stale_meter",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.meter_age_ns <= f.meter_stale_ns),
        lambda f, p: _stale("meter", f.meter_age_ns, f.meter_stale_ns),
        "site",
    ),
    Limit(
        "device",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.devices_ok == 1),
        lambda f, p: _word(
            f.devices_ok, "every device is the commissioned one", "a device is missing or not the commissioned one"
        ),
        "site",
    ),
    Limit(
        "reversion",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.controllable == 1),
        lambda f, p: _word(
            f.controllable,
            "the inverter ends a setpoint by itself when we fall silent",
            "the inverter takes no signed setpoint that it would end by itself",
        ),
        "inverter",
    ),
    Limit(
        "state",
        Side.BOTH,
        lambda o, f, p: _both(o, p, f.acting == 1),
        lambda f, p: _word(
            f.acting, "the agent is fit to act", "the agent is starting, stopped, recovering or at fault"
        ),
        "agent",
    ),
    Limit(
        "alarm_charge",
        Side.CHARGE,
        lambda o, f, p: _charge(o, p, f.charge_alarm == 0),
        lambda f, p: _word(f.charge_alarm, "a BMS alarm forbids charging", "no BMS alarm forbids charging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "alarm_discharge",
        Side.DISCHARGE,
        lambda o, f, p: _discharge(o, p, f.discharge_alarm == 0),
        lambda f, p: _word(f.discharge_alarm, "a BMS alarm forbids discharging", "no BMS alarm forbids discharging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "charge_enable",
        Side.CHARGE,
        lambda o, f, p: _charge(o, p, f.charge_on == 1),
        lambda f, p: _word(f.charge_on, "the BMS enables charging", "the BMS does not enable charging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "discharge_enable",
        Side.DISCHARGE,
        lambda o, f, p: _discharge(o, p, f.discharge_on == 1),
        lambda f, p: _word(f.discharge_on, "the BMS enables discharging", "the BMS does not enable discharging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "ccl",
        Side.CHARGE,
        lambda o, f, p: _dc(o, f, f.ccl_ma),
        lambda f, p: _amps("charging with", f.pack_mv, f.ccl_ma),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "dcl",
        Side.DISCHARGE,
        lambda o, f, p: _dc(o, f, f.dcl_ma),
        lambda f, p: _amps("discharging with", f.pack_mv, f.dcl_ma),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "cell_high",
        Side.CHARGE,
        _cell_high,
        lambda f, p: (
            f"the highest cell is {_volts(f.cell_max_mv, f.cells_known)}; none is charged at "
            f"{_volts(p.charge_v_mv[-1][0], 1)}"
        ),
        "agent",
        Lift.LATCH,
    ),
    Limit(
        "cell_low",
        Side.DISCHARGE,
        _cell_low,
        lambda f, p: (
            f"the lowest cell is {_volts(f.cell_min_mv, f.cells_known)}; none is discharged at "
            f"{_volts(p.discharge_v_mv[0][0], 1)}"
        ),
        "agent",
        Lift.LATCH,
    ),
    Limit(
        "temperature_charge",
        Side.CHARGE,
        lambda o, f, p: _temperature(o, f, p.charge_t_dc, p.site.nameplate_charge_w),
        lambda f, p: (
            f"{_span(f)}; charging needs {tenths(p.charge_t_dc[0][0], '°C')} to {tenths(p.charge_t_dc[-1][0], '°C')}"
        ),
        "agent",
        Lift.HYSTERESIS,
    ),
    Limit(
        "temperature_discharge",
        Side.DISCHARGE,
        lambda o, f, p: _temperature(o, f, p.discharge_t_dc, p.site.nameplate_discharge_w),
        lambda f, p: (
            f"{_span(f)}; discharging needs {tenths(p.discharge_t_dc[0][0], '°C')} to "
            f"{tenths(p.discharge_t_dc[-1][0], '°C')}"
        ),
        "agent",
        Lift.HYSTERESIS,
    ),
    Limit(
        "soc_ceiling",
        Side.CHARGE,
        _soc_ceiling,
        lambda f, p: f"SoC is at most {_soc(f, p, f.soc_hi_mwh)}, its ceiling is {tenths(p.soc_ceiling_permille, '%')}",
        "site",
        Lift.HYSTERESIS,
    ),
    Limit(
        "reserve",
        Side.DISCHARGE,
        _reserve,
        lambda f, p: f"SoC is at least {_soc(f, p, f.soc_lo_mwh)}, the reserve is {tenths(f.reserve_permille, '%')}",
        "homeowner",
        Lift.HYSTERESIS,
    ),
    Limit(
        "soc_floor",
        Side.DISCHARGE,
        _soc_floor,
        lambda f, p: f"SoC is at least {_soc(f, p, f.soc_lo_mwh)}, its floor is {tenths(p.soc_floor_permille, '%')}",
        "site",
        Lift.HYSTERESIS,
    ),
    Limit(
        "site_import",
        Side.CHARGE,
        _site_import,
        lambda f, p: f"{_net(f, f.net_hi_w)}, the site may import {p.site.import_limit_w} W",
        "site",
    ),
    Limit(
        "site_export",
        Side.DISCHARGE,
        _site_export,
        lambda f, p: f"{_net(f, f.net_lo_w)}, the site may export {p.site.export_limit_w} W",
        "site",
    ),
    Limit(
        "nameplate_charge",
        Side.CHARGE,
        _nameplate_charge,
        lambda f, p: f"the inverter may charge with {min(p.site.nameplate_charge_w, f.rated_charge_w)} W",
        "site",
    ),
    Limit(
        "nameplate_discharge",
        Side.DISCHARGE,
        _nameplate_discharge,
        lambda f, p: f"the inverter may discharge with {min(p.site.nameplate_discharge_w, f.rated_discharge_w)} W",
        "site",
    ),
)
