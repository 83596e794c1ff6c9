"""What is left to a setpoint this cycle: permit, then memory, with every limit in words for whoever asks.

Only rows of which a fact has changed since the last cycle are evaluated; a test holds rows to the facts they declare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload

from agent.core import hold
from agent.core.caps import PLAIN, Facts
from agent.core.decision import LimitValue, RaiseValue
from agent.core.limits import LIMITS
from agent.core.params import Params
from agent.core.permit import BOTH, caps, fold

BITS = tuple(1 << i for i in range(len(Facts._fields)))
STATE, RESERVE = ([row.id for row in LIMITS].index(name) for name in ("state", "reserve"))
READS = tuple(sum(BITS[Facts._fields.index(name)] for name in row.reads) for row in LIMITS)
ROWS = tuple(zip(LIMITS, READS, strict=True))


class Evaluated(NamedTuple):
    """One cycle's limits: the bounds of a setpoint, and what the next cycle needs to evaluate no more than it must."""

    params: Params
    facts: Facts
    pure: tuple[int, ...]  # caps as the facts alone leave them
    caps: tuple[int, ...]  # after memory, each <= its pure cap
    lo_w: int
    hi_w: int
    holds: tuple[hold.Hold, ...]
    learnt: bool = False  # memory has looked at least once in this start
    state: str = ""  # what the limit of the agent's own state says in place of its own words
    cause: RaiseValue | None = None  # who raised the reserve

    @property
    def values(self) -> Told:
        """The same, for people."""
        return Told(self)


class Told(Sequence[LimitValue]):
    """Every limit in words, in the order of LIMITS. Each is made when it is looked at: most cycles nobody does."""

    __slots__ = ("_of",)

    def __init__(self, of: Evaluated) -> None:
        self._of = of

    def __len__(self) -> int:
        return len(self._of.caps)

    @overload
    def __getitem__(self, index: int) -> LimitValue: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LimitValue, ...]: ...
    def __getitem__(self, index: int | slice) -> LimitValue | tuple[LimitValue, ...]:
        if isinstance(index, slice):
            return tuple([_value(self._of, i) for i in range(len(self))[index]])
        return _value(self._of, range(len(self))[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def evaluate(
    facts: Facts, params: Params, before: Evaluated | None, remember: bool, now_ns: int, dt_ns: int
) -> Evaluated:
    """`remember` False = readings that say nothing yet or any more: memory neither learns nor lets go."""
    if before is not None and before.params is not params:
        before = Evaluated(params, facts, (), (), 0, 0, before.holds, before.learnt)
    holds = before.holds if before is not None else ()
    if before is None or not before.pure:
        pure = tuple(caps(PLAIN, facts, params))
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
    return Evaluated(params, facts, pure, tuple(left), lo, hi, holds, learnt or remember)


def explained(bounds: Evaluated, sentence: str) -> Evaluated:
    """The same, where the limit of the agent's own state says what that state is."""
    return bounds._replace(state=sentence)


def raised(bounds: Evaluated, raises: tuple[RaiseValue, ...], reserve_permille: int) -> Evaluated:
    """The same, where the reserve says who raised it, why and for how long, if it is raised now."""
    cause = next((r for r in raises if r.in_force and r.permille == reserve_permille), None)
    return bounds if cause is None else bounds._replace(cause=cause)


def changed(facts: Facts, before: Facts) -> int:
    """The facts that differ, one bit each."""
    return sum([bit for bit, a, b in zip(BITS, facts, before, strict=True) if a != b])


def shut(bounds: Evaluated) -> bool:
    """A limit of both sides leaves nothing: hands off, stale, unfit."""
    return not all(bounds.caps[i] for i in BOTH)


def _value(bounds: Evaluated, i: int) -> LimitValue:
    row, cap_w = LIMITS[i], bounds.caps[i]
    if i == STATE and bounds.state:
        return LimitValue(row.id, row.side, cap_w, bounds.state, row.owner)
    sentence = row.say(bounds.facts, bounds.params)
    if cap_w < bounds.pure[i]:
        sentence = f"{sentence}; it narrowed before and is let go slowly"
    cause = bounds.cause
    if i == RESERVE and cause is not None:
        left = f"{cause.left_s // 3600} h {cause.left_s % 3600 // 60} min"
        sentence = f"{sentence}; {cause.by} raised it for {left} more: {cause.reason}"
        return LimitValue(row.id, row.side, cap_w, sentence, cause.owner)
    return LimitValue(row.id, row.side, cap_w, sentence, row.owner)
