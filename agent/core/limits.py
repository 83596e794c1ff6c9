"""LIMITS: one row per limit: its name, side, arithmetic (agent.core.caps), words and owner.

Order of rows = precedence of the reason that is reported: hands off, staleness, fitness, BMS, cells, temperature,
imbalance, SoC and reserve, site, utility, owner, throughput, nameplate. For the value the order is irrelevant: the
tightest binds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from agent.core import caps
from agent.core.caps import Facts, Operators
from agent.core.decision import Side
from agent.core.params import Params
from agent.core.sentences import (
    amps,
    apart,
    capped,
    either,
    from_sun,
    fused,
    net,
    soc,
    temperatures,
    tenths,
    too_old,
    volts,
)


class Lift(Enum):
    """How a limit that narrowed may widen again (hold.py)."""

    LIVE = "live"  # at once: it follows a measurement that the next cycle sees again
    HOLD = "hold"  # after a hold, then ramped
    HYSTERESIS = "hysteresis"  # from zero only when a margin is met too, then as HOLD
    LATCH = "latch"  # only when it left nothing to limit, then as HOLD
    SETTLED = "settled"  # only when it left nothing to limit with a margin, then after a longer hold


Cap = Callable[[Operators, Facts, Params], int]
Say = Callable[[Facts, Params], str]


@dataclass(frozen=True, slots=True)
class Limit:
    """One row. `say`: the reason with its values and units, for a person. `reads`: the facts that both of them use."""

    id: str
    side: Side
    reads: tuple[str, ...]
    cap: Cap
    say: Say
    owner: str
    lift: Lift = Lift.LIVE


# --- the table --------------------------------------------------------------------------------------------------------
LIMITS: tuple[Limit, ...] = (
    Limit(
        "islanded",
        Side.BOTH,
        ("grid",),
        lambda o, f, p: caps.both(o, p, f.grid != 2),
        lambda f, p: (
            "the inverter runs the house as an island: hands off" if f.grid == 2 else "the house is not islanded"
        ),
        "utility",
    ),
    Limit(
        "grid_unknown",
        Side.BOTH,
        ("grid",),
        lambda o, f, p: caps.both(o, p, f.grid != 0),
        lambda f, p: either(f.grid, "the grid is evidenced", "there is no fresh evidence that the grid is there"),
        "utility",
    ),
    Limit(
        "grid_return",
        Side.BOTH,
        ("returning",),
        lambda o, f, p: caps.both(o, p, f.returning == 0),
        lambda f, p: either(f.returning, "the grid is back and must stay for a while", "the grid has stayed"),
        "utility",
    ),
    Limit(
        "stale_inverter",
        Side.BOTH,
        ("inverter_age_ns", "inverter_stale_ns"),
        lambda o, f, p: caps.both(o, p, f.inverter_age_ns <= f.inverter_stale_ns),
        lambda f, p: too_old("inverter", f.inverter_age_ns, f.inverter_stale_ns),
        "inverter",
    ),
    Limit(
        "stale_battery",
        Side.BOTH,
        ("battery_age_ns", "battery_stale_ns"),
        lambda o, f, p: caps.both(o, p, f.battery_age_ns <= f.battery_stale_ns),
        lambda f, p: too_old("battery", f.battery_age_ns, f.battery_stale_ns),
        "bms",
    ),
    Limit(
        "stale_meter",
        Side.BOTH,
        ("meter_age_ns", "meter_stale_ns"),
        lambda o, f, p: caps.both(o, p, f.meter_age_ns <= f.meter_stale_ns),
        lambda f, p: too_old("meter", f.meter_age_ns, f.meter_stale_ns),
        "site",
    ),
    Limit(
        "device",
        Side.BOTH,
        ("devices_ok",),
        lambda o, f, p: caps.both(o, p, f.devices_ok == 1),
        lambda f, p: either(
            f.devices_ok, "every device is the commissioned one", "a device is missing or not the commissioned one"
        ),
        "site",
    ),
    Limit(
        "reversion",
        Side.BOTH,
        ("controllable",),
        lambda o, f, p: caps.both(o, p, f.controllable == 1),
        lambda f, p: either(
            f.controllable,
            "the inverter ends a setpoint by itself when we fall silent",
            "the inverter takes no signed setpoint that it would end by itself",
        ),
        "inverter",
    ),
    Limit(
        "state",
        Side.BOTH,
        ("acting",),
        lambda o, f, p: caps.both(o, p, f.acting == 1),
        lambda f, p: either(
            f.acting, "the agent is fit to act", "the agent is starting, stopped, recovering or at fault"
        ),
        "agent",
    ),
    Limit(
        "alarm_charge",
        Side.CHARGE,
        ("charge_alarm",),
        lambda o, f, p: caps.charge(o, p, f.charge_alarm == 0),
        lambda f, p: either(f.charge_alarm, "a BMS alarm forbids charging", "no BMS alarm forbids charging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "alarm_discharge",
        Side.DISCHARGE,
        ("discharge_alarm",),
        lambda o, f, p: caps.discharge(o, p, f.discharge_alarm == 0),
        lambda f, p: either(f.discharge_alarm, "a BMS alarm forbids discharging", "no BMS alarm forbids discharging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "charge_enable",
        Side.CHARGE,
        ("charge_on",),
        lambda o, f, p: caps.charge(o, p, f.charge_on == 1),
        lambda f, p: either(f.charge_on, "the BMS enables charging", "the BMS does not enable charging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "discharge_enable",
        Side.DISCHARGE,
        ("discharge_on",),
        lambda o, f, p: caps.discharge(o, p, f.discharge_on == 1),
        lambda f, p: either(f.discharge_on, "the BMS enables discharging", "the BMS does not enable discharging"),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "ccl",
        Side.CHARGE,
        ("pack_mv", "ccl_ma"),
        lambda o, f, p: caps.dc(o, f, f.ccl_ma),
        lambda f, p: amps("charging with", f.pack_mv, f.ccl_ma),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "dcl",
        Side.DISCHARGE,
        ("pack_mv", "dcl_ma"),
        lambda o, f, p: caps.dc(o, f, f.dcl_ma),
        lambda f, p: amps("discharging with", f.pack_mv, f.dcl_ma),
        "bms",
        Lift.HOLD,
    ),
    Limit(
        "cell_high",
        Side.CHARGE,
        ("cells_known", "cell_max_mv"),
        caps.cell_high,
        lambda f, p: (
            f"the highest cell is {volts(f.cell_max_mv, f.cells_known)}; none is charged at "
            f"{volts(p.charge_v_mv[-1][0], 1)}"
        ),
        "agent",
        Lift.LATCH,
    ),
    Limit(
        "cell_low",
        Side.DISCHARGE,
        ("cells_known", "cell_min_mv"),
        caps.cell_low,
        lambda f, p: (
            f"the lowest cell is {volts(f.cell_min_mv, f.cells_known)}; none is discharged at "
            f"{volts(p.discharge_v_mv[0][0], 1)}"
        ),
        "agent",
        Lift.LATCH,
    ),
    Limit(
        "temperature_charge",
        Side.CHARGE,
        ("temps_known", "temp_max_dc", "temp_min_dc"),
        lambda o, f, p: caps.temperature(o, f, p.charge_t_dc, p.site.nameplate_charge_w),
        lambda f, p: (
            f"{temperatures(f)}; charging needs {tenths(p.charge_t_dc[0][0], '°C')} to "
            f"{tenths(p.charge_t_dc[-1][0], '°C')}"
        ),
        "agent",
        Lift.HYSTERESIS,
    ),
    Limit(
        "temperature_discharge",
        Side.DISCHARGE,
        ("temps_known", "temp_max_dc", "temp_min_dc"),
        lambda o, f, p: caps.temperature(o, f, p.discharge_t_dc, p.site.nameplate_discharge_w),
        lambda f, p: (
            f"{temperatures(f)}; discharging needs {tenths(p.discharge_t_dc[0][0], '°C')} to "
            f"{tenths(p.discharge_t_dc[-1][0], '°C')}"
        ),
        "agent",
        Lift.HYSTERESIS,
    ),
    Limit(
        "imbalance_charge",
        Side.CHARGE,
        ("cells_known", "spread_mv", "cell_cure"),
        caps.spread_charge,
        lambda f, p: (
            f"{apart(f, p)}; charging is a quarter from {p.spread_derate_mv} mV, nothing from {p.spread_stop_mv}"
        ),
        "agent",
        Lift.SETTLED,
    ),
    Limit(
        "imbalance_discharge",
        Side.DISCHARGE,
        ("cells_known", "spread_mv", "cell_cure"),
        caps.spread_discharge,
        lambda f, p: f"{apart(f, p)}; nothing is discharged from {p.spread_stop_mv} mV",
        "agent",
        Lift.SETTLED,
    ),
    Limit(
        "soc_ceiling",
        Side.CHARGE,
        ("soc_known", "soc_hi_mwh", "horizon_ms"),
        caps.soc_ceiling,
        lambda f, p: f"{soc(f, p, 'at most', f.soc_hi_mwh)}, its ceiling is {tenths(p.soc_ceiling_permille, '%')}",
        "site",
        Lift.HYSTERESIS,
    ),
    Limit(
        "reserve",
        Side.DISCHARGE,
        ("soc_known", "soc_lo_mwh", "horizon_ms", "reserve_permille"),
        caps.reserve,
        lambda f, p: f"{soc(f, p, 'at least', f.soc_lo_mwh)}, the reserve is {tenths(f.reserve_permille, '%')}",
        "homeowner",
        Lift.HYSTERESIS,
    ),
    Limit(
        "soc_floor",
        Side.DISCHARGE,
        ("soc_known", "soc_lo_mwh", "horizon_ms"),
        caps.soc_floor,
        lambda f, p: f"{soc(f, p, 'at least', f.soc_lo_mwh)}, its floor is {tenths(p.soc_floor_permille, '%')}",
        "site",
        Lift.HYSTERESIS,
    ),
    Limit(
        "site_import",
        Side.CHARGE,
        ("net_known", "net_hi_w"),
        caps.site_import,
        lambda f, p: f"{net(f, f.net_hi_w)}, the site may import {p.site.import_limit_w} W",
        "site",
    ),
    Limit(
        "site_export",
        Side.DISCHARGE,
        ("net_known", "net_lo_w"),
        caps.site_export,
        lambda f, p: f"{net(f, f.net_lo_w)}, the site may export {p.site.export_limit_w} W",
        "site",
    ),
    Limit(
        "fuse_import",
        Side.CHARGE,
        ("phases_known", "phase_hi_w", "phase_mv"),
        caps.fuse_import,
        lambda f, p: fused(f, p, f.phase_hi_w),
        "site",
    ),
    Limit(
        "fuse_export",
        Side.DISCHARGE,
        ("phases_known", "phase_lo_w", "phase_mv"),
        caps.fuse_export,
        lambda f, p: fused(f, p, -f.phase_lo_w),
        "site",
    ),
    Limit(
        "pv_only",
        Side.CHARGE,
        ("net_known", "net_hi_w", "cell_cure"),
        caps.pv_only,
        from_sun,
        "site",
    ),
    Limit(
        "utility_charge",
        Side.CHARGE,
        ("utility_charge_w",),
        lambda o, f, p: o.greatest(0, o.least(p.site.nameplate_charge_w, f.utility_charge_w)),
        lambda f, p: capped("the utility", "charging", f.utility_charge_w),
        "utility",
        Lift.HOLD,
    ),
    Limit(
        "utility_discharge",
        Side.DISCHARGE,
        ("utility_discharge_w",),
        lambda o, f, p: o.greatest(0, o.least(p.site.nameplate_discharge_w, f.utility_discharge_w)),
        lambda f, p: capped("the utility", "discharging", f.utility_discharge_w),
        "utility",
        Lift.HOLD,
    ),
    Limit(
        "owner_charge",
        Side.CHARGE,
        (),
        lambda o, f, p: o.least(p.site.nameplate_charge_w, p.site.owner_charge_w),
        lambda f, p: capped("the owner", "charging", p.site.owner_charge_w),
        "homeowner",
    ),
    Limit(
        "owner_discharge",
        Side.DISCHARGE,
        (),
        lambda o, f, p: o.least(p.site.nameplate_discharge_w, p.site.owner_discharge_w),
        lambda f, p: capped("the owner", "discharging", p.site.owner_discharge_w),
        "homeowner",
    ),
    Limit(
        "throughput",
        Side.DISCHARGE,
        ("spent_mwh", "horizon_ms"),
        caps.throughput,
        lambda f, p: (
            f"{tenths(f.spent_mwh // 100_000, 'kWh')} were discharged since midnight UTC, "
            f"{tenths(p.daily_permille * p.site.capacity_wh // 100_000, 'kWh')} may be"
        ),
        "homeowner",
        Lift.HOLD,
    ),
    Limit(
        "nameplate_charge",
        Side.CHARGE,
        ("rated_charge_w",),
        caps.nameplate_charge,
        lambda f, p: f"the inverter may charge with {min(p.site.nameplate_charge_w, f.rated_charge_w)} W",
        "site",
    ),
    Limit(
        "nameplate_discharge",
        Side.DISCHARGE,
        ("rated_discharge_w",),
        caps.nameplate_discharge,
        lambda f, p: f"the inverter may discharge with {min(p.site.nameplate_discharge_w, f.rated_discharge_w)} W",
        "site",
    ),
)
