"""N: whatever was installed. The limits, for every site that a configuration can name; the fold keeps them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.proof.homes import facts, params
from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths
from tests.proof.theorem import theorem

CAPS, LIMITS, PERMIT = "agent.core.caps", "agent.core.limits", "agent.core.permit"
W = (0, 1_000_000)


class Row(NamedTuple):
    """One row over any home of any site."""

    cap: Any
    f: Any
    p: Any
    id: str


def any_site(m: Modules, o: Paths) -> Any:
    """As agent.config bounds them."""
    site: tuple[Any, ...] = (
        o.number("nameplate_charge_w", 1, 100_000),
        o.number("nameplate_discharge_w", 1, 100_000),
        o.number("capacity_wh", 1, 1_000_000),
        o.number("import_limit_w", *W),
        o.number("export_limit_w", *W),
        o.number("fuse_a", 0, 1_000),
        o.pick("legs", (1, 2, 3)),
        o.number("owner_charge_w", *W),
        o.number("owner_discharge_w", *W),
        o.flag("pv_only"),
        o.number("site's utility_charge_w", *W),
        o.number("site's utility_discharge_w", *W),
    )
    return params(
        m,
        site,
        soc_floor_permille=o.number("soc_floor_permille", 0, 500),
        soc_ceiling_permille=o.number("soc_ceiling_permille", 500, 1000),
        daily_permille=o.number("daily_permille", 1, 10_000),
    )


def row(m: Modules, o: Paths, *ids: str) -> Row:
    p, f = any_site(m, o), facts(m, o)
    chosen = o.pick("row", ids)
    (one,) = [one for one in m.limits.LIMITS if one.id == chosen]
    return Row(one.cap(SYMBOLS, f, p), f, p, chosen)


def forbidding(f: Any, p: Any) -> dict[str, Any]:
    """When a row must leave nothing, in words of its own."""
    capacity = p.site.capacity_wh
    return {
        "islanded": f.grid == 2,
        "grid_unknown": f.grid == 0,
        "grid_return": f.returning == 1,
        "stale_inverter": f.inverter_age_ns > f.inverter_stale_ns,
        "stale_battery": f.battery_age_ns > f.battery_stale_ns,
        "stale_meter": f.meter_age_ns > f.meter_stale_ns,
        "device": f.devices_ok == 0,
        "reversion": f.controllable == 0,
        "state": f.acting == 0,
        "alarm_charge": f.charge_alarm == 1,
        "alarm_discharge": f.discharge_alarm == 1,
        "charge_enable": f.charge_on == 0,
        "discharge_enable": f.discharge_on == 0,
        "ccl": f.ccl_ma == 0,
        "dcl": f.dcl_ma == 0,
        "cell_high": (f.cell_max_mv >= 3550) | (f.cells_known == 0),
        "cell_low": (f.cell_min_mv <= 2900) | (f.cells_known == 0),
        "temperature_charge": (f.temp_min_dc <= 0) | (f.temp_max_dc >= 550) | (f.temps_known == 0),
        "temperature_discharge": (f.temp_min_dc <= -100) | (f.temp_max_dc >= 550) | (f.temps_known == 0),
        "imbalance_charge": (f.cells_known == 0) | ((f.spread_mv >= 300) & (f.cell_cure != 1)),
        "imbalance_discharge": (f.cells_known == 0) | ((f.spread_mv >= 300) & (f.cell_cure != 2)),
        "soc_ceiling": (f.soc_known == 0) | (f.soc_hi_mwh >= p.soc_ceiling_permille * capacity),
        "reserve": (f.soc_known == 0) | (f.soc_lo_mwh <= f.reserve_permille * capacity),
        "soc_floor": (f.soc_known == 0) | (f.soc_lo_mwh <= p.soc_floor_permille * capacity),
        "site_import": (f.net_known == 0) | (f.net_hi_w >= p.site.import_limit_w),
        "site_export": (f.net_known == 0) | (-f.net_lo_w >= p.site.export_limit_w),
        "fuse_import": (p.site.fuse_a > 0)
        & ((f.phases_known == 0) | (f.phase_hi_w * 1000 >= p.site.legs * p.site.fuse_a * f.phase_mv)),
        "fuse_export": (p.site.fuse_a > 0)
        & ((f.phases_known == 0) | (-f.phase_lo_w * 1000 >= p.site.legs * p.site.fuse_a * f.phase_mv)),
        "utility_charge": f.utility_charge_w <= 0,
        "utility_discharge": f.utility_discharge_w <= 0,
        "owner_charge": p.site.owner_charge_w == 0,
        "owner_discharge": p.site.owner_discharge_w == 0,
        "throughput": f.spent_mwh >= p.daily_permille * capacity,
        "nameplate_charge": f.rated_charge_w <= 0,
        "nameplate_discharge": f.rated_discharge_w <= 0,
    }


@theorem(
    "N1",
    "whatever was installed: every limit leaves nothing where it must, and never less than nothing",
    (CAPS, "o.where(free, p.site.nameplate_discharge_w, 0)", "o.where(free, p.site.nameplate_discharge_w, 1)"),
)
def forbids(m: Modules, o: Paths) -> None:
    p, f = any_site(m, o), facts(m, o)
    one = o.pick("row", m.limits.LIMITS)
    cap = one.cap(SYMBOLS, f, p)
    assert cap >= 0, one.id
    if one.id == "pv_only":
        if p.site.pv_only and f.cell_cure != 1:
            assert (cap == 0) | (cap + f.net_hi_w <= 0)
            assert (cap == 0) | (f.net_known == 1)
    elif forbidding(f, p)[one.id]:
        assert cap == 0, one.id


@theorem(
    "N2",
    "whatever was installed: no limit of energy is crossed within the horizon, though no later reading should come",
    (
        CAPS,
        "return o.greatest(0, o.div(left * 3600, f.horizon_ms))",
        "return o.greatest(0, o.div(left * 4000, f.horizon_ms))",
    ),
)
def in_time(m: Modules, o: Paths) -> None:
    r = row(m, o, "soc_ceiling", "reserve", "soc_floor", "throughput")
    capacity = r.p.site.capacity_wh
    left = {
        "soc_ceiling": r.p.soc_ceiling_permille * capacity - r.f.soc_hi_mwh,
        "reserve": r.f.soc_lo_mwh - r.f.reserve_permille * capacity,
        "soc_floor": r.f.soc_lo_mwh - r.p.soc_floor_permille * capacity,
        "throughput": r.p.daily_permille * capacity - r.f.spent_mwh,
    }[r.id]
    if left >= 0:
        assert r.cap * r.f.horizon_ms <= left * 3600


@theorem(
    "N3",
    "whatever was installed: connection, fuses, utility, owner and nameplate are kept to the watt",
    (CAPS, "p.site.import_limit_w - f.net_hi_w", "p.site.import_limit_w + 1 - f.net_hi_w"),
)
def to_the_watt(m: Modules, o: Paths) -> None:
    r = row(
        m,
        o,
        "site_import",
        "site_export",
        "fuse_import",
        "fuse_export",
        "utility_charge",
        "utility_discharge",
        "owner_charge",
        "owner_discharge",
        "nameplate_charge",
        "nameplate_discharge",
    )
    f, site = r.f, r.p.site
    most = {
        "site_import": site.import_limit_w - f.net_hi_w,
        "site_export": site.export_limit_w + f.net_lo_w,
        "utility_charge": f.utility_charge_w,
        "utility_discharge": f.utility_discharge_w,
        "owner_charge": site.owner_charge_w,
        "owner_discharge": site.owner_discharge_w,
        "nameplate_charge": SYMBOLS.least(site.nameplate_charge_w, f.rated_charge_w),
        "nameplate_discharge": SYMBOLS.least(site.nameplate_discharge_w, f.rated_discharge_w),
    }
    if r.id in most:
        assert (r.cap <= most[r.id]) | (r.cap == 0)
    elif site.fuse_a > 0:
        fuse_mw = site.legs * site.fuse_a * f.phase_mv
        added = f.phase_hi_w + r.cap if r.id == "fuse_import" else r.cap - f.phase_lo_w
        assert (added * 1000 <= fuse_mw) | (r.cap == 0)


@theorem(
    "N4",
    "what is permitted is within what every single limit leaves: none is left out of the fold, none on the wrong side",
    (PERMIT, "if row.side is not Side.DISCHARGE)", "if row.side is Side.CHARGE)"),
)
def none_left_out(m: Modules, o: Paths) -> None:
    caps = [o.number(f"cap_{i}", 0, 10_000_000) for i in range(len(m.limits.LIMITS))]
    lo, hi = m.permit.fold(SYMBOLS, caps)
    assert lo <= 0
    assert hi >= 0
    for one, cap in zip(m.limits.LIMITS, caps, strict=True):
        if one.side.name != "DISCHARGE":
            assert -lo <= cap, one.id
        if one.side.name != "CHARGE":
            assert hi <= cap, one.id
