"""M: a home that is worse in one thing is never permitted more. One theorem for each fact, one for the fold.

The planted defect of each is the same for all: the rows take that fact the wrong way round.
"""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from tests.proof.homes import RANGES, any_params, facts
from tests.proof.sources import Modules, path_of
from tests.proof.symbols import SYMBOLS, Paths
from tests.proof.theorem import THEOREMS, Theorem, theorem

ROWS = ("agent.core.caps", "agent.core.limits")  # where rows read facts
LESS_IS_WORSE = (
    "ccl_ma dcl_ma soc_lo_mwh cell_min_mv net_lo_w rated_charge_w rated_discharge_w acting devices_ok controllable "
    "soc_known net_known cells_known temps_known charge_on discharge_on pack_mv battery_stale_ns inverter_stale_ns "
    "meter_stale_ns phases_known phase_lo_w phase_mv utility_charge_w utility_discharge_w"
).split()
MORE_IS_WORSE = (
    "reserve_permille soc_hi_mwh cell_max_mv battery_age_ns inverter_age_ns meter_age_ns net_hi_w returning "
    "charge_alarm discharge_alarm horizon_ms spread_mv phase_hi_w spent_mwh"
).split()
NEITHER = frozenset({"grid", "cell_cure", "temp_max_dc", "temp_min_dc"})  # words; what hurts at both ends


class _Mirror(ast.NodeTransformer):
    """`f.fact` becomes its least plus its most value, less itself."""

    def __init__(self, fact: str) -> None:
        self.fact = fact

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr != self.fact or not isinstance(node.ctx, ast.Load):
            return self.generic_visit(node)
        return ast.BinOp(ast.Constant(sum(RANGES[self.fact])), ast.Sub(), node)


def _mirrored(fact: str) -> dict[str, str]:
    return {name: ast.unparse(_Mirror(fact).visit(ast.parse(path_of(name).read_text("utf-8")))) for name in ROWS}


def _worse(fact: str, less: bool, m: Modules, o: Paths) -> None:
    p, f = any_params(m, o), facts(m, o)
    worse: Any = o.number("worse " + fact, *RANGES[fact])
    o.assume(worse <= getattr(f, fact) if less else worse >= getattr(f, fact))
    changed = f._replace(**{fact: worse})
    for row in m.limits.LIMITS:
        if fact in row.reads:
            assert row.cap(SYMBOLS, changed, p) <= row.cap(SYMBOLS, f, p), row.id


for _fact in (*LESS_IS_WORSE, *MORE_IS_WORSE):
    _less = _fact in LESS_IS_WORSE
    THEOREMS[f"M {_fact}"] = Theorem(
        f"M {_fact}",
        f"{'less' if _less else 'more'} {_fact} never widens any limit",
        partial(_worse, _fact, _less),
        partial(_mirrored, _fact),
    )


@theorem(
    "M fold",
    "limits that leave no more give a permit that is no wider; so one more limit can never widen it",
    ("agent.core.permit", "lo = -o.greatest(0, o.least(", "lo = -o.greatest(0, 9 - o.least("),
)
def fold(m: Modules, o: Paths) -> None:
    rows = range(len(m.limits.LIMITS))
    many = [o.number(f"cap_{i}", 0, 1_000_000) for i in rows]
    less = [o.number(f"less_{i}", 0, 1_000_000) for i in rows]
    for a, b in zip(many, less, strict=True):
        o.assume(b <= a)
    lo, hi = m.permit.fold(SYMBOLS, many)
    lo_less, hi_less = m.permit.fold(SYMBOLS, less)
    assert lo_less >= lo
    assert hi_less <= hi
    one_row_more = o.number("one more", 0, 1_000_000)
    assert SYMBOLS.least(hi, one_row_more) <= hi


@theorem(
    "M reads",
    "a limit depends on no fact but those that it declares: it is evaluated again only when one of them changed",
    ("agent.core.limits", '("pack_mv", "ccl_ma")', '("pack_mv", "dcl_ma")'),
)
def reads(m: Modules, o: Paths) -> None:
    p, f, other = any_params(m, o), facts(m, o), facts(m, o, "other ")
    for row in m.limits.LIMITS:
        same = other._replace(**{fact: getattr(f, fact) for fact in row.reads})
        assert row.cap(SYMBOLS, same, p) == row.cap(SYMBOLS, f, p), row.id
