"""The expression language of scenarios: a small, total part of Python's, compiled from its syntax tree.

Names (`truth.soc_permille`), numbers, strings, `True False None`, `+ - * / // %`, comparisons, `in (..)`, `and or not`,
`a if c else b`, and calls of the functions that the caller allows with arguments that are expressions. Nothing else:
no attributes of values, no subscripts, no lambda, no import, so that a scenario file can never run code.

A value that is not known is None. `==` and `!=` compare it; arithmetic and ordering with it give `UNKNOWN`, which
spreads as in Kleene's logic (false and unknown = false). A judge must decide what unknown means: never "fine".
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

Value = int | float | str | bool | None


class _Unknown:
    """The value of an expression that needed something which is not known."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("UNKNOWN is neither true nor false; ask `is True`")


UNKNOWN: Final = _Unknown()

Scope = Callable[[str], Any]  # name -> value
Function = Callable[..., Any]
_Node = Callable[[Scope, Mapping[str, Function]], Any]

_MAX_LENGTH = 500
_BIN: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
PURE: Mapping[str, Function] = {"abs": abs, "min": min, "max": max, "round": round, "known": lambda x: x is not None}


@dataclass(frozen=True, slots=True)
class Expr:
    """A compiled expression. `names` and `calls` are what it asks for."""

    text: str
    names: frozenset[str]
    calls: frozenset[str]
    _node: _Node
    asked: frozenset[tuple[str, str]] = frozenset()  # functions that are called with a text, and the first one

    def value(self, scope: Scope, functions: Mapping[str, Function] | None = None) -> Any:
        """The value, or UNKNOWN. Never raises for a value: a type error of two known values is UNKNOWN too."""
        return self._node(scope, PURE if functions is None else {**PURE, **functions})


def compile_expr(text: str, names: Collection[str], functions: Collection[str] = ()) -> Expr:
    """Compile, or raise ValueError that names the offending word and what is allowed."""
    if not text.strip():
        raise ValueError(f"{text!r} is not an expression")
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"an expression of {len(text)} characters; at most {_MAX_LENGTH}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} does not parse: {getattr(error, 'msg', error)}") from None
    compiler = _Compiler(frozenset(names), frozenset(functions) | PURE.keys())
    node = compiler.compile(tree.body)
    return Expr(text.strip(), frozenset(compiler.used), frozenset(compiler.called), node, frozenset(compiler.asked))


class _Compiler:
    def __init__(self, names: frozenset[str], functions: frozenset[str]) -> None:
        self._names = names
        self._functions = functions
        self.used: set[str] = set()
        self.called: set[str] = set()
        self.asked: set[tuple[str, str]] = set()

    def compile(self, node: ast.expr) -> _Node:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise ValueError(f"`{ast.unparse(node)}` ({type(node).__name__}) is not part of the scenario language")
        result: _Node = method(node)
        return result

    def _constant(self, node: ast.Constant) -> _Node:
        if not isinstance(node.value, int | float | str | bool | None):
            raise ValueError(f"`{ast.unparse(node)}` is not a number, text, True, False or None")
        value = node.value
        return lambda scope, functions: value

    def _name(self, node: ast.Name) -> _Node:
        return self._lookup(node.id)

    def _attribute(self, node: ast.Attribute) -> _Node:
        parts: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise ValueError(f"`{ast.unparse(node)}`: a dot is only allowed inside the name of a signal")
        return self._lookup(".".join([inner.id, *reversed(parts)]))

    def _lookup(self, name: str) -> _Node:
        if name not in self._names:
            near = [n for n in sorted(self._names) if name.rsplit(".", 1)[-1] in n] or sorted(self._names)
            raise ValueError(f"no signal `{name}`; known: {', '.join(near[:40])}")
        self.used.add(name)
        return lambda scope, functions: scope(name)

    def _tuple(self, node: ast.Tuple) -> _Node:
        items = [self.compile(item) for item in node.elts]
        return lambda scope, functions: tuple(item(scope, functions) for item in items)

    def _call(self, node: ast.Call) -> _Node:
        if not isinstance(node.func, ast.Name) or node.func.id not in self._functions or node.keywords:
            raise ValueError(f"`{ast.unparse(node)}`: functions are {', '.join(sorted(self._functions))}")
        name, args = node.func.id, [self.compile(arg) for arg in node.args]
        self.called.add(name)
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self.asked.add((name, first.value))

        def call(scope: Scope, functions: Mapping[str, Function]) -> Any:
            values = [arg(scope, functions) for arg in args]
            if name != "known" and any(v is None or v is UNKNOWN for v in values):
                return UNKNOWN
            return _guarded(lambda: functions[name](*values))

        return call

    def _binop(self, node: ast.BinOp) -> _Node:
        op = _BIN.get(type(node.op))
        if op is None:
            raise ValueError(f"`{ast.unparse(node)}`: operators are + - * / // %")
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda scope, functions: _arithmetic(op, left(scope, functions), right(scope, functions))

    def _unaryop(self, node: ast.UnaryOp) -> _Node:
        operand = self.compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda scope, functions: _not(operand(scope, functions))
        if isinstance(node.op, ast.USub):
            return lambda scope, functions: _arithmetic(operator.sub, 0, operand(scope, functions))
        raise ValueError(f"`{ast.unparse(node)}`: unary operators are `not` and `-`")

    def _boolop(self, node: ast.BoolOp) -> _Node:
        parts = [self.compile(value) for value in node.values]
        decisive = isinstance(node.op, ast.Or)

        def both(scope: Scope, functions: Mapping[str, Function]) -> Any:
            unknown = False
            for part in parts:
                value = part(scope, functions)
                if value is UNKNOWN or value is None:
                    unknown = True
                elif bool(value) is decisive:
                    return decisive
            return UNKNOWN if unknown else not decisive

        return both

    def _ifexp(self, node: ast.IfExp) -> _Node:
        test, then, other = self.compile(node.test), self.compile(node.body), self.compile(node.orelse)

        def choose(scope: Scope, functions: Mapping[str, Function]) -> Any:
            value = test(scope, functions)
            if value is UNKNOWN or value is None:
                return UNKNOWN
            return (then if value else other)(scope, functions)

        return choose

    def _compare(self, node: ast.Compare) -> _Node:
        operands = [self.compile(node.left), *(self.compile(right) for right in node.comparators)]
        tests = [_comparison(op) for op in node.ops]

        def chain(scope: Scope, functions: Mapping[str, Function]) -> Any:
            values = [operand(scope, functions) for operand in operands]
            results = [test(values[i], values[i + 1]) for i, test in enumerate(tests)]
            if any(result is False for result in results):
                return False
            return UNKNOWN if any(result is UNKNOWN for result in results) else True

        return chain


def _comparison(op: ast.cmpop) -> Callable[[Any, Any], Any]:
    order = _ORDER.get(type(op))
    if order is not None:
        return lambda a, b: _strict(order, a, b)
    if isinstance(op, ast.Eq | ast.Is):
        return lambda a, b: UNKNOWN if a is UNKNOWN or b is UNKNOWN else bool(a == b)
    if isinstance(op, ast.NotEq | ast.IsNot):
        return lambda a, b: UNKNOWN if a is UNKNOWN or b is UNKNOWN else bool(a != b)
    inside = isinstance(op, ast.In)

    def member(a: Any, b: Any) -> Any:
        if a is UNKNOWN or b is UNKNOWN or not isinstance(b, tuple | str):
            return UNKNOWN
        return _guarded(lambda: (a in b) is inside)

    return member


def _strict(op: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    if a is None or b is None or a is UNKNOWN or b is UNKNOWN:
        return UNKNOWN
    return _guarded(lambda: op(a, b))


def _arithmetic(op: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    if not isinstance(a, int | float) or not isinstance(b, int | float):
        return UNKNOWN  # also keeps "x" * 10**9 out of the memory
    return _guarded(lambda: op(a, b))


def _not(value: Any) -> Any:
    return UNKNOWN if value is UNKNOWN or value is None else not value


def _guarded(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (TypeError, ValueError, ArithmeticError):
        return UNKNOWN
