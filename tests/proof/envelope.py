"""What the permit promises: invariants I1 to I18 and its monotony M, as sentences and as assertions."""

from __future__ import annotations

from tests.proof.homes import home
from tests.proof.sources import Modules
from tests.proof.symbols import Paths
from tests.proof.theorem import theorem

CAPS, LIMITS, PERMIT = "agent.core.caps", "agent.core.limits", "agent.core.permit"


@theorem(
    "I1",
    "the permit contains 0: doing nothing is always allowed",
    (
        PERMIT,
        "hi = o.greatest(0, o.least(*[left[i] for i in DISCHARGING]))",
        "hi = o.least(*[left[i] for i in BOTH])-1",
    ),
)
def contains_zero(m: Modules, o: Paths) -> None:
    h = home(m, o)
    assert h.lo <= 0
    assert h.hi >= 0


@theorem(
    "I2",
    "it is inside the site's nameplate and the inverter's own rating",
    (CAPS, "o.least(p.site.nameplate_charge_w, f.rated_charge_w)", "p.site.nameplate_charge_w"),
)
def inside_nameplate(m: Modules, o: Paths) -> None:
    h = home(m, o)
    assert h.lo >= -h.p.site.nameplate_charge_w
    assert h.hi <= h.p.site.nameplate_discharge_w
    if h.lo < 0:
        assert -h.lo <= h.f.rated_charge_w
    if h.hi > 0:
        assert h.hi <= h.f.rated_discharge_w


@theorem(
    "I3",
    "at or below the homeowner's reserve nothing is discharged",
    (CAPS, "f.soc_lo_mwh - f.reserve_permille * p", "f.soc_hi_mwh - f.reserve_permille * p"),
)
def reserve(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if h.f.soc_lo_mwh <= h.f.reserve_permille * h.p.site.capacity_wh:
        assert h.hi == 0


@theorem(
    "I3b",
    "at or below the SoC floor nothing is discharged, whatever the reserve",
    (CAPS, "f.soc_lo_mwh - p.soc_floor_permille * p", "f.soc_lo_mwh - f.reserve_permille * p"),
)
def floor(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if h.f.soc_lo_mwh <= h.p.soc_floor_permille * h.p.site.capacity_wh:
        assert h.hi == 0


@theorem(
    "I4",
    "cells at 0 °C or colder are not charged; at 55 or hotter nothing; at -10 or colder no discharge; unknown: nothing",
    (CAPS, "o.least(table(o, knots, f.temp_min_dc), table(o, knots, f.temp_max_dc))", "table(o, knots, f.temp_max_dc)"),
)
def temperature(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if h.f.temp_min_dc <= 0:
        assert h.lo == 0
    if (h.f.temp_max_dc >= 550) | (h.f.temps_known == 0):
        assert (h.lo == 0) & (h.hi == 0)
    if h.f.temp_min_dc <= -100:
        assert h.hi == 0


@theorem(
    "I5",
    "a cell at 3.55 V or higher is not charged; unknown cell voltages: no charge, no discharge",
    ("agent.core.params", "(3550, 0))", "(3551, 0))"),
)
def full_cells(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if h.f.cell_max_mv >= 3550:
        assert h.lo == 0
    if h.f.cells_known == 0:
        assert (h.lo == 0) & (h.hi == 0)


@theorem(
    "I6",
    "a cell at 2.9 V or lower is not discharged",
    (CAPS, "table(o, p.discharge_v_mv, f.cell_min_mv)", "table(o, p.discharge_v_mv, f.cell_max_mv)"),
)
def empty_cells(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if h.f.cell_min_mv <= 2900:
        assert h.hi == 0


@theorem(
    "I7",
    "a stale battery, inverter or meter, an unfit mode, a strange or uncontrollable device, an unknown SoC: nothing",
    (LIMITS, "f.meter_age_ns <= f.meter_stale_ns", "f.meter_age_ns <= f.battery_stale_ns"),
)
def stale(m: Modules, o: Paths) -> None:
    f, _, lo, hi = home(m, o)
    late = (f.battery_age_ns > f.battery_stale_ns) | (f.inverter_age_ns > f.inverter_stale_ns)
    late |= f.meter_age_ns > f.meter_stale_ns
    if late | (f.acting == 0) | (f.devices_ok == 0) | (f.controllable == 0) | (f.soc_known == 0):
        assert (lo == 0) & (hi == 0)


@theorem(
    "I8",
    "import and export stay within the site's limits wherever the house alone leaves room; where it does not: nothing",
    (CAPS, "p.site.export_limit_w + f.net_lo_w", "p.site.export_limit_w + f.net_hi_w"),
)
def site(m: Modules, o: Paths) -> None:
    f, p, lo, hi = home(m, o)
    o.assume(f.net_lo_w <= f.net_hi_w)
    if f.net_hi_w <= p.site.import_limit_w:
        assert f.net_hi_w - lo <= p.site.import_limit_w
    else:
        assert lo == 0
    if -f.net_lo_w <= p.site.export_limit_w:
        assert hi - f.net_lo_w <= p.site.export_limit_w
    else:
        assert hi == 0
    if f.net_known == 0:
        assert (lo == 0) & (hi == 0)


@theorem(
    "I9",
    "power never exceeds pack voltage times the current that the BMS allows",
    (LIMITS, "caps.dc(o, f, f.dcl_ma)", "caps.dc(o, f, f.ccl_ma)"),
)
def currents(m: Modules, o: Paths) -> None:
    h = home(m, o)
    assert -h.lo * 1_000_000 <= h.f.pack_mv * h.f.ccl_ma
    assert h.hi * 1_000_000 <= h.f.pack_mv * h.f.dcl_ma


@theorem(
    "I10",
    "an alarm that forbids a direction, or a BMS that does not enable it, leaves nothing in that direction",
    (LIMITS, "caps.charge(o, p, f.charge_on == 1)", "caps.charge(o, p, f.discharge_on == 1)"),
)
def alarms(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if (h.f.charge_alarm == 1) | (h.f.charge_on == 0):
        assert h.lo == 0
    if (h.f.discharge_alarm == 1) | (h.f.discharge_on == 0):
        assert h.hi == 0


@theorem(
    "I11",
    "what may be full is not charged",
    (CAPS, "p.soc_ceiling_permille * p.site.capacity_wh - f.soc_hi_mwh", "1000 * p.site.capacity_wh - f.soc_lo_mwh"),
)
def ceiling(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if h.f.soc_hi_mwh >= h.p.soc_ceiling_permille * h.p.site.capacity_wh:
        assert h.lo == 0


@theorem(
    "I12",
    "the reserve is not crossed within the horizon, though no later reading should ever come",
    (CAPS, "o.div(energy_mwh * 3600, f.horizon_ms)", "o.div(energy_mwh * 3601, f.horizon_ms)"),
)
def horizon(m: Modules, o: Paths) -> None:
    f, p, _, hi = home(m, o)
    kept = f.reserve_permille * p.site.capacity_wh
    if f.soc_lo_mwh >= kept:
        assert hi * f.horizon_ms <= (f.soc_lo_mwh - kept) * 3600  # 1 mWh = 3600 W·ms


@theorem(
    "I13",
    "without evidence of the grid, in an island, and until a returned grid has stayed: nothing",
    (LIMITS, "caps.both(o, p, f.grid != 0)", "caps.both(o, p, f.grid != 2)"),
)
def grid(m: Modules, o: Paths) -> None:
    h = home(m, o)
    if (h.f.grid != 1) | (h.f.returning == 1):
        assert (h.lo == 0) & (h.hi == 0)


@theorem(
    "I14",
    "a pack whose cells are 300 mV apart moves nothing, but 0.05 C toward the cure of a cell; one at 150 mV is charged "
    "with a quarter at most",
    (CAPS, "o.where(f.spread_mv < p.spread_stop_mv, some, worst)", "some"),
)
def imbalance(m: Modules, o: Paths) -> None:
    f, p, lo, hi = home(m, o)
    if f.spread_mv >= 300:
        assert (lo == 0) | (f.cell_cure == 1)
        assert (hi == 0) | (f.cell_cure == 2)
        assert (-20 * lo <= p.site.capacity_wh) & (20 * hi <= p.site.capacity_wh)
    if f.spread_mv >= 150:
        assert -4 * lo <= p.site.nameplate_charge_w


@theorem(
    "I15",
    "no leg carries more than its fuse, by what the battery adds to it, wherever the house alone leaves room",
    (CAPS, "o.div(fuse_of(p.site, f.phase_mv), 1000) + f.phase_lo_w", "o.div(fuse_of(p.site, f.phase_mv), 999)"),
)
def fuses(m: Modules, o: Paths) -> None:
    f, p, lo, hi = home(m, o)
    if not p.site.fuse_a:
        return
    fuse_mw = p.site.legs * p.site.fuse_a * f.phase_mv
    if f.phases_known == 0:
        assert (lo == 0) & (hi == 0)
    if f.phase_hi_w * 1000 <= fuse_mw:
        assert (f.phase_hi_w - lo) * 1000 <= fuse_mw
    else:
        assert lo == 0
    if -f.phase_lo_w * 1000 <= fuse_mw:
        assert (hi - f.phase_lo_w) * 1000 <= fuse_mw
    else:
        assert hi == 0


@theorem(
    "I16",
    "what the utility and the owner allow is not exceeded",
    (LIMITS, "o.least(p.site.nameplate_charge_w, f.utility_charge_w)", "p.site.nameplate_charge_w"),
)
def allowed(m: Modules, o: Paths) -> None:
    f, p, lo, hi = home(m, o)
    assert (-lo <= f.utility_charge_w) | (lo == 0)
    assert (hi <= f.utility_discharge_w) | (hi == 0)
    assert -lo <= p.site.owner_charge_w
    assert hi <= p.site.owner_discharge_w


@theorem(
    "I17",
    "under a PV-only tariff nothing is charged from the grid, except to save a nearly empty cell",
    (CAPS, "o.greatest(0, -f.net_hi_w), 0)", "o.greatest(0, -f.net_lo_w), 0)"),
)
def from_sun(m: Modules, o: Paths) -> None:
    f, p, lo, _ = home(m, o)
    if p.site.pv_only and f.cell_cure != 1:
        assert (lo == 0) | (-lo + f.net_hi_w <= 0)


@theorem(
    "I18",
    "a day's energy is not exceeded within the horizon, though no later reading should ever come",
    (CAPS, "p.daily_permille * p.site.capacity_wh - f.spent_mwh", "p.daily_permille * p.site.capacity_wh"),
)
def throughput(m: Modules, o: Paths) -> None:
    f, p, _, hi = home(m, o)
    budget = p.daily_permille * p.site.capacity_wh
    if f.spent_mwh >= budget:
        assert hi == 0
    else:
        assert hi * f.horizon_ms <= (budget - f.spent_mwh) * 3600
