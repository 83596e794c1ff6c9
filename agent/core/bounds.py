"""What is left to a setpoint this cycle: permit, then memory, with every limit in words.

Only rows of which a fact has changed since the last cycle are evaluated; a test holds rows to the facts they declare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.core import hold
from agent.core.caps import PLAIN, Facts
from agent.core.decision import LimitValue, RaiseValue
from agent.core.limits import LIMITS, Limit
from agent.core.params import Params
from agent.core.permit import BOTH, caps, fold

BITS = tuple(1 << i for i in range(len(Facts._fields)))
ALL_FACTS = sum(BITS)
STATE, RESERVE = ([row.id for row in LIMITS].index(name) for name in ("state", "reserve"))
READS = tuple(sum(BITS[Facts._fields.index(name)] for name in row.reads) for row in LIMITS)
ROWS = tuple(zip(LIMITS, READS, strict=True))


class Evaluated(NamedTuple):
    """One cycle's limits: the bounds of a setpoint, and what the next cycle needs to evaluate no more than it must."""

    params: Params
    facts: Facts
    pure: tuple[int, ...]  # caps as the facts alone leave them
    caps: tuple[int, ...]  # after memory, each <= its pure cap
    values: tuple[LimitValue, ...]  # the same, for people
    lo_w: int
    hi_w: int
    holds: tuple[hold.Hold, ...]
    learnt: bool = False  # memory has looked at least once in this start


def evaluate(
    facts: Facts, params: Params, before: Evaluated | None, remember: bool, now_ns: int, dt_ns: int
) -> Evaluated:
    """`remember` False = readings that say nothing yet or any more: memory neither learns nor lets go."""
    if before is not None and before.params is not params:
        before = Evaluated(params, facts, (), (), (), 0, 0, before.holds, before.learnt)
    holds = before.holds if before is not None else ()
    if before is None or not before.pure:
        differ, pure = ALL_FACTS, tuple(caps(PLAIN, facts, params))
    else:
        differ = changed(facts, before.facts)
        pure = tuple(
            [
                row.cap(PLAIN, facts, params) if mask & differ else old
                for (row, mask), old in zip(ROWS, before.pure, strict=True)
            ]
        )
    left: Sequence[int] = pure
    learnt = before is not None and before.learnt
    if remember:
        left, holds = hold.narrow(pure, holds, facts, params, now_ns, dt_ns, not learnt)
    lo, hi = fold(PLAIN, left)
    shown = _values(facts, params, pure, left, before, differ)
    return Evaluated(params, facts, pure, tuple(left), shown, lo, hi, holds, learnt or remember)


def explained(bounds: Evaluated, sentence: str) -> Evaluated:
    """The same, where the limit of the agent's own state says what that state is."""
    values = bounds.values
    told = LimitValue(values[STATE].id, values[STATE].side, values[STATE].cap_w, sentence, values[STATE].owner)
    return bounds._replace(values=(*values[:STATE], told, *values[STATE + 1 :]))


def raised(bounds: Evaluated, raises: tuple[RaiseValue, ...], reserve_permille: int) -> Evaluated:
    """The same, where the reserve says who raised it, why and for how long, if it is raised now."""
    cause = next((r for r in raises if r.in_force and r.permille == reserve_permille), None)
    if cause is None:
        return bounds
    row = bounds.values[RESERVE]
    left = f"{cause.left_s // 3600} h {cause.left_s % 3600 // 60} min"
    sentence = f"{row.sentence}; {cause.by} raised it for {left} more: {cause.reason}"
    told = LimitValue(row.id, row.side, row.cap_w, sentence, cause.owner)
    return bounds._replace(values=(*bounds.values[:RESERVE], told, *bounds.values[RESERVE + 1 :]))


def changed(facts: Facts, before: Facts) -> int:
    """The facts that differ, one bit each."""
    return sum([bit for bit, a, b in zip(BITS, facts, before, strict=True) if a != b])


def shut(bounds: Evaluated) -> bool:
    """A limit of both sides leaves nothing: hands off, stale, unfit."""
    return not all(bounds.caps[i] for i in BOTH)


def _values(
    facts: Facts,
    params: Params,
    pure: Sequence[int],
    left: Sequence[int],
    before: Evaluated | None,
    differ: int,
) -> tuple[LimitValue, ...]:
    """A row that would say the same again is the same object."""
    if before is None or not before.values:
        return tuple([_value(*row, facts, params) for row in zip(LIMITS, pure, left, strict=True)])
    return tuple(
        [
            old if not mask & differ and old.cap_w == cap else _value(row, free, cap, facts, params)
            for (row, mask), free, cap, old in zip(ROWS, pure, left, before.values, strict=True)
        ]
    )


def _value(row: Limit, pure_w: int, cap_w: int, facts: Facts, params: Params) -> LimitValue:
    sentence = row.say(facts, params)
    if cap_w < pure_w:
        sentence = f"{sentence}; it narrowed before and is let go slowly"
    return LimitValue(row.id, row.side, cap_w, sentence, row.owner)
