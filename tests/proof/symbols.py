"""Runs the shipped source over symbols: whole numbers that stand for every value of their range at once.

A comparison of symbols is decided when the code asks for its truth: both ways are followed where both are possible, so
every path through the function is taken, under the inputs that lead there. A theorem is an ordinary function with
assertions; it is proved when no possible path fails one. What z3 cannot decide counts as possible: doubt never proves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import z3

T = TypeVar("T")
GLANCE = 30_000  # so much work z3 has to see that a path is impossible: if it does not see it, the path is taken
ANSWER = 60_000_000  # and so much to say so of a path that breaks the theorem; work, not time: alike on a busy machine
PATHS = 8_000  # more than this many paths are a mistake in the theorem


class Unsound(Exception):
    """Symbols cannot say this as Python would: a divisor that may be zero or negative, a power, a float."""


def expr(value: Any) -> Any:
    """The z3 expression of a symbol or of a plain number."""
    if isinstance(value, Number | Truth):
        return value.expr
    if isinstance(value, bool):
        return z3.BoolVal(value)
    if isinstance(value, int):
        return _constant(value)
    raise Unsound(f"{value!r} is neither a whole number nor a truth")


@lru_cache(4096)
def _constant(value: int) -> Any:
    return z3.IntVal(value)


def _int(value: Any) -> Any:
    """As `expr`, a truth taken as 1 or 0."""
    if isinstance(value, Number):
        return value.expr
    if isinstance(value, Truth | bool):
        return z3.If(expr(value), _constant(1), _constant(0))
    return expr(value)


def _floor(a: Any, b: Any) -> tuple[Any, Any]:
    """Quotient and rest as Python has them: z3's agree where the divisor is positive."""
    divisor = z3.simplify(_int(b))
    if z3.is_int_value(divisor):
        if divisor.as_long() <= 0:
            raise Unsound(f"a division by {divisor}")
    else:
        return _paths().divided(_int(a), divisor)
    return _int(a) / divisor, _int(a) % divisor


class Number:
    """A whole number, as Python's arithmetic sees it."""

    __slots__ = ("expr",)

    def __init__(self, expression: Any) -> None:
        self.expr = expression

    def __add__(self, other: Any) -> Number:
        return Number(self.expr + _int(other))

    def __sub__(self, other: Any) -> Number:
        return Number(self.expr - _int(other))

    def __rsub__(self, other: Any) -> Number:
        return Number(_int(other) - self.expr)

    def __mul__(self, other: Any) -> Number:
        return Number(self.expr * _int(other))

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Number:
        return Number(_floor(self, other)[0])

    def __rfloordiv__(self, other: Any) -> Number:
        return Number(_floor(other, self)[0])

    def __mod__(self, other: Any) -> Number:
        return Number(_floor(self, other)[1])

    def __rlshift__(self, other: int) -> int:
        for places in range(64):
            if self == places:
                return other << places
        raise Unsound(f"a shift by {self}")

    def __truediv__(self, other: Any) -> Words:
        return Words(f"{self}/{other}")

    def __neg__(self) -> Number:
        return Number(-self.expr)

    def __abs__(self) -> Number:
        return Number(z3.If(self.expr < 0, -self.expr, self.expr))

    def __lt__(self, other: Any) -> Truth:
        return Truth(self.expr < _int(other))

    def __le__(self, other: Any) -> Truth:
        return Truth(self.expr <= _int(other))

    def __gt__(self, other: Any) -> Truth:
        return Truth(self.expr > _int(other))

    def __ge__(self, other: Any) -> Truth:
        return Truth(self.expr >= _int(other))

    def __eq__(self, other: object) -> Any:
        return Truth(self.expr == _int(other)) if isinstance(other, Number | Truth | int) else False

    def __ne__(self, other: object) -> Any:
        return Truth(self.expr != _int(other)) if isinstance(other, Number | Truth | int) else True

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __format__(self, spec: str) -> str:
        return f"<{z3.simplify(self.expr).sexpr()}>"

    def __repr__(self) -> str:
        return format(self)


class Words(str):
    """What a symbol becomes when it is only shown to a person."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


class Truth:
    """True or false; asking which of them takes a path."""

    __slots__ = ("expr",)

    def __init__(self, expression: Any) -> None:
        self.expr = expression

    def __bool__(self) -> bool:
        return _paths().decide(self.expr)

    def __int__(self) -> int:
        return int(bool(self))

    def __and__(self, other: Any) -> Truth:
        return Truth(z3.And(self.expr, expr(other)))

    def __or__(self, other: Any) -> Truth:
        return Truth(z3.Or(self.expr, expr(other)))

    def __invert__(self) -> Truth:
        return Truth(z3.Not(self.expr))

    def __eq__(self, other: object) -> Any:
        return Truth(_int(self) == _int(other)) if isinstance(other, Number | Truth | int) else False

    def __ne__(self, other: object) -> Any:
        return Truth(_int(self) != _int(other)) if isinstance(other, Number | Truth | int) else True

    __hash__ = None  # type: ignore[assignment]


class Symbols:
    """The operators of agent.core.caps, which take no path."""

    def div(self, a: Any, b: Any) -> Any:
        return a // b

    def least(self, a: Any, b: Any, *rest: Any) -> Any:
        for x in (b, *rest):
            a = self.where(x < a, x, a)
        return a

    def greatest(self, a: Any, b: Any, *rest: Any) -> Any:
        for x in (b, *rest):
            a = self.where(x > a, x, a)
        return a

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        if isinstance(condition, bool):
            return then if condition else otherwise
        return Number(z3.If(expr(condition), _int(then), _int(otherwise)))


SYMBOLS = Symbols()


@dataclass
class _Turn:
    """One fork of a path: which of its ways are possible, and which of those is being taken. `constants`: how many
    conditions that turned out to be no fork were asked before it."""

    ways: tuple[int, ...]
    constants: int
    at: int = 0


class Paths:
    """The inputs of a function and the way through it that is being taken.

    A path begins as the last one did, up to the fork where it leaves it. What was asserted until there is still in the
    solver: each fork has its level, and the next path goes back to the level of the last fork that has a way left.
    """

    texts: tuple[str, ...] = ("", "ok", "some text")  # what a free text may be
    wide: tuple[int, int] | None = None  # what a free number may be; None = by its unit

    def __init__(self) -> None:
        self.script: list[_Turn] = []
        self.ranges: dict[str, str] = {}
        self.solver = z3.Solver()
        self.solver.set("rlimit", GLANCE)
        self.symbols: dict[str, Any] = {}
        self.constants: list[bool] = []  # conditions that were no fork, in their order
        self.asserted = -1  # up to this depth the solver has this path's assertions already
        self._begin()

    def _begin(self) -> None:
        self.inputs: dict[str, Any] = {}
        self.usual: list[Any] = []
        self.picked: dict[str, int] = {}
        self.divisions = 0
        self.depth = 0
        self.asked = 0

    def _assert(self, *conditions: Any) -> None:
        if self.depth > self.asserted:
            self.solver.add(*conditions)

    def number(self, name: str, least: int, most: int, usual: int | None = None) -> Number:
        """Any whole number from `least` to `most`. `usual`: where a counterexample is looked for first."""
        if name in self.inputs:
            return Number(self.inputs[name])
        if name not in self.symbols:
            self.symbols[name] = z3.Int(name)
        symbol = self.inputs[name] = self.symbols[name]
        self.ranges[name] = f"{least:,}..{most:,}"
        if self.depth > self.asserted:
            self.solver.add(symbol >= least, symbol <= most)
        if usual is not None:
            self.usual.append(symbol == usual)
        return Number(symbol)

    def pick(self, name: str, options: Sequence[T]) -> T:
        """Any of these, one path each."""
        if name not in self.picked:
            self.ranges[name] = " | ".join(str(option) for option in options)
            self.picked[name] = self._turn(lambda: tuple(range(len(options))))
        return options[self.picked[name]]

    def flag(self, name: str) -> bool:
        return self.pick(name, (False, True))

    def assume(self, condition: Any) -> None:
        """Inputs of which this does not hold are not looked at. What can never hold would prove anything."""
        self._assert(expr(condition))
        if self.depth >= len(self.script) and not self.possible(True):
            raise Unsound("assumptions that contradict each other")

    def divided(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Quotient and rest by what defines them, which z3 reasons about better than about its own `/` by a symbol."""
        if self.depth > self.asserted and self.possible(b <= 0):
            raise Unsound(f"a division by {b}, which may be <= 0")
        self.divisions += 1
        quotient, rest = z3.Ints(f"quotient_{self.divisions} rest_{self.divisions}")
        self._assert(a == b * quotient + rest, rest >= 0, rest < b)
        return quotient, rest

    def decide(self, condition: Any) -> bool:
        if self.depth <= self.asserted:  # on the way to the fork of this path: as it was the last time
            known = self._again()
            if known is not None:
                return known
        else:
            condition = z3.simplify(condition)
            if z3.is_true(condition) or z3.is_false(condition):
                self.constants.append(bool(z3.is_true(condition)))
                self.asked += 1
                return self.constants[-1]
        value = bool(self._turn(lambda: self._ways(condition)))
        self._assert(condition if value else z3.Not(condition))
        return value

    def _again(self) -> bool | None:
        """The answer to a condition that was no fork; None where it was one."""
        if self.asked == self.script[self.depth].constants:
            return None
        self.asked += 1
        return self.constants[self.asked - 1]

    def _ways(self, condition: Any) -> tuple[int, ...]:
        if not self.possible(z3.Not(condition)):
            return (1,)
        return (1, 0) if self.possible(condition) else (0,)

    def _turn(self, ways: Callable[[], tuple[int, ...]]) -> int:
        if self.depth == len(self.script):
            self.script.append(_Turn(ways(), len(self.constants)))
        turn = self.script[self.depth]
        if self.depth >= self.asserted:
            self.solver.push()
        self.depth += 1
        return turn.ways[turn.at]

    def possible(self, condition: Any) -> bool:
        """It may be; a wrong yes costs a path, there is no wrong no."""
        return bool(self.solver.check(condition) != z3.unsat)

    def example(self) -> dict[str, int | str] | None:
        """Inputs that take this path; None = it is impossible."""
        self.solver.set("rlimit", ANSWER)
        answer = self.solver.check(*self.usual)
        if answer != z3.sat:
            answer = self.solver.check()
        self.solver.set("rlimit", GLANCE)
        if answer != z3.sat:
            return None if answer == z3.unsat else {"z3": "gave no answer"}
        model = self.solver.model()
        numbers = {name: model.eval(symbol, model_completion=True).as_long() for name, symbol in self.inputs.items()}
        return {**{name: self.ranges[name].split(" | ")[at] for name, at in self.picked.items()}, **numbers}

    def onward(self) -> bool:
        """To the next path; False = all were taken."""
        while self.script and self.script[-1].at == len(self.script[-1].ways) - 1:
            self.script.pop()
        if not self.script:
            return False
        last = len(self.script) - 1
        self.script[last].at += 1
        self.solver.pop(self.solver.num_scopes() - last)
        del self.constants[self.script[last].constants :]
        self.asserted = last
        self._begin()
        return True


_CURRENT: list[Paths] = []


def _paths() -> Paths:
    if not _CURRENT:
        raise Unsound("a symbol was asked for its truth outside of `explore`")
    return _CURRENT[-1]


def explore(
    run: Callable[[Paths], T], paths: Paths | None = None
) -> Iterator[tuple[Paths, T | None, Exception | None]]:
    """Every path through `run`: where it stands, and what was returned or raised."""
    paths = paths if paths is not None else Paths()
    for _ in range(PATHS):
        _CURRENT.append(paths)
        try:
            value, error = run(paths), None
        except Unsound:
            raise
        except Exception as raised:  # noqa: BLE001  # whatever the code under proof raises is an outcome of this path
            value, error = None, raised
        finally:
            _CURRENT.pop()
        yield paths, value, error
        if not paths.onward():
            return
    raise Unsound(f"more than {PATHS} paths")
