"""Is a surviving mutant another program at all? z3 compares the function that was changed with the shipped one."""

from __future__ import annotations

import ast
import dataclasses
import typing
from enum import Enum
from types import NoneType
from typing import Any

from tests.mutation.operators import Mutant
from tests.mutation.trial import EQUAL, SURVIVED
from tests.proof.free import Free, free, loosen
from tests.proof.homes import any_params, facts
from tests.proof.sources import Modules, path_of
from tests.proof.symbols import SYMBOLS, Number, Paths, Truth, Unsound, explore


def same(mutant: Mutant) -> tuple[str, str]:
    """`equivalent` where both give the same result for all inputs; else `survived`, with what stood in the way."""
    module = mutant.module.rpartition(".")[2]
    old, new = Modules(), Modules({mutant.module: mutant.source})
    loosen(getattr(old, module))
    loosen(getattr(new, module))
    name = _function_at(mutant)
    count = 0
    try:
        for paths, _, error in explore(lambda o: _agree(o, old, new, module, name)):
            count += 1
            if error is not None and (example := paths.example()) is not None:
                return SURVIVED, f"{type(error).__name__} {error} with {example}"
    except (Unsound, TypeError) as error:
        return SURVIVED, f"not followed: {error}"
    return EQUAL, f"{name}: the same result on all {count} paths"


def _function_at(mutant: Mutant) -> str:
    """The outermost function or table that the change is in, as `Class.method` where it is one."""
    found = "?"
    for node in ast.parse(path_of(mutant.module).read_text("utf-8")).body:
        if node.lineno <= mutant.line <= (node.end_lineno or 0):
            found = getattr(node, "name", None) or ast.unparse(node).split(":")[0].split(" ")[0]
            for inner in getattr(node, "body", []):
                if isinstance(inner, ast.FunctionDef) and inner.lineno <= mutant.line <= (inner.end_lineno or 0):
                    found = f"{found}.{inner.name}"
    return found


def _agree(o: Paths, old: Modules, new: Modules, module: str, name: str) -> None:
    if name in ("LIMITS", "TABLE", "CHARGING", "DISCHARGING", "BOTH", "NAMEPLATE"):
        _tables_agree(o, old, new, name)
        return
    before, after = (getattr(m, module) for m in (old, new))
    owner, _, method = name.rpartition(".")
    if owner:
        one, two = (getattr(m, owner)(any_params(old, o)) for m in (before, after))
        one.compile = two.compile = lambda *_: "order"
        ask = getattr(one, method), getattr(two, method)
    else:
        ask = getattr(before, method), getattr(after, method)
    hints = typing.get_type_hints(ask[0], vars(before))
    hints.pop("return", None)
    args = [_argument(o, old, hint, parameter) for parameter, hint in hints.items()]
    assert_equal(_outcome(ask[0], args), _outcome(ask[1], args))


def _outcome(function: Any, args: list[Any]) -> Any:
    try:
        return function(*args)
    except (ArithmeticError, LookupError, AttributeError) as error:
        return type(error).__name__


def _tables_agree(o: Paths, old: Modules, new: Modules, name: str) -> None:
    if name == "TABLE":
        mode = o.pick("mode", tuple(old.decision.Mode))
        signs = Free(o, old.modes.Signs, "signs")
        assert_equal(old.modes.following(mode, signs), new.modes.following(mode, signs))
        return
    if name != "LIMITS":
        raise Unsound(f"{name} is a table")
    p, f = any_params(old, o), facts(old, o)
    one, two = old.limits.LIMITS, new.limits.LIMITS
    assert [row.id for row in one] == [row.id for row in two]
    for a, b in zip(one, two, strict=True):
        assert (a.side, a.reads, a.owner, a.lift.name) == (b.side, b.reads, b.owner, b.lift.name)
        assert_equal(a.cap(SYMBOLS, f, p), b.cap(SYMBOLS, f, p))
        if (a.say.__code__.co_code, a.say.__code__.co_names) != (b.say.__code__.co_code, b.say.__code__.co_names):
            raise Unsound("words for people are not compared")


def _argument(o: Paths, m: Modules, hint: Any, name: str) -> Any:
    word = getattr(hint, "__name__", "")
    if word == "Operators":
        return SYMBOLS
    if word == "Params":
        return any_params(m, o)
    if word == "Facts":
        return facts(m, o)
    if typing.get_origin(hint) is not None and "Sequence" in str(typing.get_origin(hint)):
        return [o.number(f"{name}[{i}]", 0, 30_000) for i in range(len(m.limits.LIMITS))]
    if str(hint) == "tuple[tuple[int, int], ...]":
        return m.params.Params.charge_t_dc.__get__(any_params(m, o))
    if hint is NoneType:
        return None
    return free(o, hint, name)


def assert_equal(a: Any, b: Any) -> None:
    """AssertionError where they can differ."""
    if isinstance(a, Number | Truth) or isinstance(b, Number | Truth):
        assert isinstance(a, Number | Truth | int)
        assert isinstance(b, Number | Truth | int)
        assert a == b, f"{a} is not {b}"
    elif isinstance(a, Enum):
        assert isinstance(b, Enum)
        assert a.name == b.name
    elif isinstance(a, tuple | list):
        assert isinstance(b, tuple | list)
        assert len(a) == len(b)
        for one, two in zip(a, b, strict=True):
            assert_equal(one, two)
    elif dataclasses.is_dataclass(a):
        assert type(a).__name__ == type(b).__name__
        for part in dataclasses.fields(a):
            assert_equal(getattr(a, part.name), getattr(b, part.name))
    elif isinstance(a, Free) and isinstance(b, Free):
        assert repr(a) == repr(b)
        for field in {*a._given, *b._given}:
            assert_equal(getattr(a, field), getattr(b, field))
    else:
        assert a == b
