"""z3 runs the shipped source of LIMITS and the permit over symbols: theorems for all inputs in range, not for examples.

Names are those of the safety envelope: I1 to I13 invariants, M monotony. The look-ahead divides by `horizon_ms`, which
the devices of a home fix: it takes a short, the usual and a long value; everything else is free within its domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
import z3

from agent.core.caps import NEVER_NS, Facts
from agent.core.limits import LIMITS
from agent.core.params import Params
from agent.core.permit import fold, permit
from tests.core.home import PARAMS

pytestmark = pytest.mark.slow
SITE = PARAMS.site
PERMILLE = SITE.capacity_wh  # mWh
HORIZONS_MS = (13_000, 67_000, 620_000)
FLAGS = (
    "returning acting devices_ok controllable charge_alarm discharge_alarm charge_on discharge_on cells_known "
    "temps_known soc_known net_known"
).split()
DOMAIN = {
    "grid": (0, 2),
    "battery_age_ns": (0, NEVER_NS),
    "inverter_age_ns": (0, NEVER_NS),
    "meter_age_ns": (0, NEVER_NS),
    "battery_stale_ns": (0, 15 * 10**9),
    "inverter_stale_ns": (0, 15 * 10**9),
    "meter_stale_ns": (0, 15 * 10**9),
    "pack_mv": (0, 2_000_000),
    "ccl_ma": (0, 5_000_000),
    "dcl_ma": (0, 5_000_000),
    "cell_max_mv": (0, 5_000),
    "cell_min_mv": (0, 5_000),
    "temp_max_dc": (-500, 1_200),
    "temp_min_dc": (-500, 1_200),
    "soc_lo_mwh": (0, 1000 * PERMILLE),
    "soc_hi_mwh": (0, 1000 * PERMILLE),
    "reserve_permille": (0, 1000),
    "net_hi_w": (-100_000, 100_000),
    "net_lo_w": (-100_000, 100_000),
    "rated_charge_w": (-10, 100_000),
    "rated_discharge_w": (-10, 100_000),
    **dict.fromkeys(FLAGS, (0, 1)),
}


class Symbols:
    """The four operators over z3's integers, whose `/` rounds down for a positive divisor."""

    def div(self, a: Any, b: Any) -> Any:
        return a / b if isinstance(a, z3.ExprRef) else a // b

    def least(self, a: Any, b: Any, *rest: Any) -> Any:
        for x in (b, *rest):
            a = z3.If(x < a, x, a)
        return a

    def greatest(self, a: Any, b: Any, *rest: Any) -> Any:
        for x in (b, *rest):
            a = z3.If(x > a, x, a)
        return a

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return z3.If(condition, then, otherwise)


SYMBOLS = Symbols()


@dataclass
class Case:
    """One free home: its facts, what is permitted there, and the domain of the facts."""

    f: Any
    lo: Any
    hi: Any
    domain: list[Any]


def free(name: str, horizon_ms: int, params: Params = PARAMS) -> Case:
    symbols = {field: z3.Int(f"{name}_{field}") for field in Facts._fields}
    domain = [z3.And(symbols[k] >= lo, symbols[k] <= hi) for k, (lo, hi) in DOMAIN.items()]
    facts = Facts(**{**symbols, "horizon_ms": horizon_ms})
    lo, hi = permit(SYMBOLS, facts, params)
    return Case(facts, lo, hi, domain)


Theorem = Callable[[Any, Any, Any], Any]
THEOREMS: dict[str, Theorem] = {
    "I1 contains zero": lambda f, lo, hi: z3.And(lo <= 0, hi >= 0),
    "I2 inside the nameplate and the inverter's rating": lambda f, lo, hi: z3.And(
        lo >= -SITE.nameplate_charge_w,
        hi <= SITE.nameplate_discharge_w,
        z3.Or(lo == 0, -lo <= f.rated_charge_w),
        z3.Or(hi == 0, hi <= f.rated_discharge_w),
    ),
    "I3 no discharge at or below the reserve": lambda f, lo, hi: z3.Implies(
        f.soc_lo_mwh <= f.reserve_permille * PERMILLE, hi == 0
    ),
    "I3b no discharge at or below the floor": lambda f, lo, hi: z3.Implies(
        f.soc_lo_mwh <= PARAMS.soc_floor_permille * PERMILLE, hi == 0
    ),
    "I4 no charge of frozen cells": lambda f, lo, hi: z3.Implies(f.temp_min_dc <= 0, lo == 0),
    "I4b nothing for hot cells": lambda f, lo, hi: z3.Implies(f.temp_max_dc >= 550, z3.And(lo == 0, hi == 0)),
    "I4c no discharge of very cold cells": lambda f, lo, hi: z3.Implies(f.temp_min_dc <= -100, hi == 0),
    "I4d unknown temperatures leave nothing": lambda f, lo, hi: z3.Implies(
        f.temps_known == 0, z3.And(lo == 0, hi == 0)
    ),
    "I5 no charge of full cells": lambda f, lo, hi: z3.Implies(f.cell_max_mv >= 3550, lo == 0),
    "I6 no discharge of empty cells": lambda f, lo, hi: z3.Implies(f.cell_min_mv <= 2900, hi == 0),
    "I7 stale, unknown, unfit or strange leaves nothing": lambda f, lo, hi: z3.Implies(
        z3.Or(
            f.battery_age_ns > f.battery_stale_ns,
            f.inverter_age_ns > f.inverter_stale_ns,
            f.meter_age_ns > f.meter_stale_ns,
            f.acting == 0,
            f.devices_ok == 0,
            f.controllable == 0,
            f.soc_known == 0,
        ),
        z3.And(lo == 0, hi == 0),
    ),
    "I8 import and export within the site's, where the house alone leaves room": lambda f, lo, hi: z3.Implies(
        f.net_lo_w <= f.net_hi_w,
        z3.And(
            z3.Implies(f.net_hi_w <= SITE.import_limit_w, f.net_hi_w - lo <= SITE.import_limit_w),
            z3.Implies(-f.net_lo_w <= SITE.export_limit_w, hi - f.net_lo_w <= SITE.export_limit_w),
            z3.Implies(f.net_hi_w >= SITE.import_limit_w, lo == 0),
            z3.Implies(-f.net_lo_w >= SITE.export_limit_w, hi == 0),
        ),
    ),
    "I9 within the BMS' currents": lambda f, lo, hi: z3.And(
        -lo * 1_000_000 <= f.pack_mv * f.ccl_ma, hi * 1_000_000 <= f.pack_mv * f.dcl_ma
    ),
    "I10 alarms and enables": lambda f, lo, hi: z3.And(
        z3.Implies(z3.Or(f.charge_alarm == 1, f.charge_on == 0), lo == 0),
        z3.Implies(z3.Or(f.discharge_alarm == 1, f.discharge_on == 0), hi == 0),
    ),
    "I11 no charge of what may be full": lambda f, lo, hi: z3.Implies(
        f.soc_hi_mwh >= PARAMS.soc_ceiling_permille * PERMILLE, lo == 0
    ),
    "I12 the reserve is not crossed within the horizon": lambda f, lo, hi: z3.Implies(
        f.soc_lo_mwh >= f.reserve_permille * PERMILLE,
        f.soc_lo_mwh * 3600 - hi * f.horizon_ms >= f.reserve_permille * PERMILLE * 3600,
    ),
    "I13 nothing without the grid, nor before it has stayed": lambda f, lo, hi: z3.Implies(
        z3.Or(f.grid != 1, f.returning == 1), z3.And(lo == 0, hi == 0)
    ),
}
# facts that may differ between two homes, and the order in which the second is the worse
WORSE: dict[str, Callable[[Any, Any], Any]] = {
    "ccl_ma": lambda a, b: b <= a,
    "dcl_ma": lambda a, b: b <= a,
    "reserve_permille": lambda a, b: b >= a,
    "soc_lo_mwh": lambda a, b: b <= a,
    "soc_hi_mwh": lambda a, b: b >= a,
    "cell_max_mv": lambda a, b: b >= a,
    "cell_min_mv": lambda a, b: b <= a,
    "battery_age_ns": lambda a, b: b >= a,
    "inverter_age_ns": lambda a, b: b >= a,
    "meter_age_ns": lambda a, b: b >= a,
    "net_hi_w": lambda a, b: b >= a,
    "net_lo_w": lambda a, b: b <= a,
    "rated_charge_w": lambda a, b: b <= a,
    "rated_discharge_w": lambda a, b: b <= a,
    "acting": lambda a, b: b <= a,
    "devices_ok": lambda a, b: b <= a,
    "soc_known": lambda a, b: b <= a,
    "net_known": lambda a, b: b <= a,
    "charge_on": lambda a, b: b <= a,
    "discharge_on": lambda a, b: b <= a,
}


def holds(assumptions: list[Any], theorem: Any) -> None:
    """Unsatisfiable when denied; a counterexample is printed, and no answer is a failure."""
    solver = z3.Solver()
    solver.set("timeout", 60_000)
    solver.add(*assumptions, z3.Not(theorem))
    answer = solver.check()
    assert answer == z3.unsat, solver.model() if answer == z3.sat else "z3 gave no answer"


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem(name: str) -> None:
    case = free("a", HORIZONS_MS[1])
    holds(case.domain, THEOREMS[name](case.f, case.lo, case.hi))


@pytest.mark.parametrize("horizon_ms", [HORIZONS_MS[0], HORIZONS_MS[2]])
@pytest.mark.parametrize("name", [n for n in THEOREMS if n.split()[0] in ("I1", "I3", "I3b", "I11", "I12")])
def test_theorem_at_other_horizons(name: str, horizon_ms: int) -> None:
    case = free("a", horizon_ms)
    holds(case.domain, THEOREMS[name](case.f, case.lo, case.hi))


@pytest.mark.parametrize("fact", WORSE)
def test_monotone(fact: str) -> None:
    """M: one fact gets worse, all others stay: no row leaves more."""
    better = free("a", HORIZONS_MS[1])
    value = z3.Int("worse")
    least, most = DOMAIN[fact]
    worse = [value >= least, value <= most, WORSE[fact](getattr(better.f, fact), value)]
    changed = better.f._replace(**{fact: value})
    rows = [row.cap(SYMBOLS, changed, PARAMS) <= row.cap(SYMBOLS, better.f, PARAMS) for row in LIMITS]
    holds([*better.domain, *worse], z3.And(*rows))


def test_fold_is_monotone() -> None:
    """M: rows that leave no more give a permit that is no wider; so one more row can never widen it."""
    many = [z3.Int(f"cap_{i}") for i in range(len(LIMITS))]
    less = [z3.Int(f"less_{i}") for i in range(len(LIMITS))]
    (lo, hi), (lo_less, hi_less) = fold(SYMBOLS, many), fold(SYMBOLS, less)
    holds([b <= a for a, b in zip(many, less, strict=True)], z3.And(lo_less >= lo, hi_less <= hi))


def test_the_prover_can_fail() -> None:
    """A false theorem is refuted: discharge would be free at SoC 21 %."""
    case = free("a", 67_000)
    with pytest.raises(AssertionError):
        holds(case.domain, z3.Implies(case.f.soc_lo_mwh == 210 * PERMILLE, case.hi == SITE.nameplate_discharge_w))


def test_caps_read_facts_through_the_four_operators_only() -> None:
    """Every row evaluates over symbols, so none branches on a fact in Python."""
    case = free("a", 67_000)
    for row in LIMITS:
        assert isinstance(row.cap(cast(Any, SYMBOLS), case.f, PARAMS), z3.ExprRef), row.id
