"""Is a surviving mutant another program at all? z3 compares the function that was changed with the shipped one.

For every input of the declared types: numbers of any size, texts among those that the function names and one more,
tuples of up to two, any site and timers, the derating tables as shipped. An input on which the shipped function itself
raises proves nothing, and neither does what cannot be followed: then the mutant has survived.
"""

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
from tests.proof.homes import NEVER, facts, params
from tests.proof.sources import Modules, path_of
from tests.proof.symbols import SYMBOLS, Number, Paths, Truth, Unsound, explore

ANY = (-(10**19), 10**19)
LEAST = {"capacity_wh": 1}  # what divides


def same(mutant: Mutant) -> tuple[str, str]:
    """`equivalent` where both give the same result for all inputs; else `survived`, with what stood in the way."""
    old, new = Modules(), Modules({mutant.module: mutant.source})
    loosen(old.loaded[mutant.module])
    loosen(new.loaded[mutant.module])
    name, texts = _changed(mutant)
    free_values = Paths()
    free_values.texts, free_values.wide = (*texts, "some text"), ANY
    count = 0
    try:
        for paths, _, error in explore(lambda o: _agree(o, old, new, mutant.module, name), free_values):
            count += 1
            if error is not None and (example := paths.example()) is not None:
                return SURVIVED, f"{type(error).__name__} {error} with {example}"
    except (Unsound, TypeError) as error:
        return SURVIVED, f"not followed: {error}"
    return EQUAL, f"{name}: the same result on all {count} paths"


def _changed(mutant: Mutant) -> tuple[str, list[str]]:
    """The outermost function or table that the change is in, as `Class.method` where it is one, and its texts."""
    found, texts = "?", set()
    for source in (path_of(mutant.module).read_text("utf-8"), mutant.source):
        for node in ast.parse(source).body:
            if node.lineno <= mutant.line <= (node.end_lineno or 0):
                found = getattr(node, "name", None) or ast.unparse(node).split(":")[0].split(" ")[0]
                for inner in getattr(node, "body", []):
                    if isinstance(inner, ast.FunctionDef) and inner.lineno <= mutant.line <= (inner.end_lineno or 0):
                        found = f"{found}.{inner.name}"
                        node = inner
                shown = {
                    id(n) for joined in ast.walk(node) if isinstance(joined, ast.JoinedStr) for n in ast.walk(joined)
                }
                told = (n for n in ast.walk(node) if isinstance(n, ast.Constant) and id(n) not in shown)
                texts |= {n.value for n in told if isinstance(n.value, str)}
    return found, sorted(text for text in texts if " " not in text)


def _agree(o: Paths, old: Modules, new: Modules, module: str, name: str) -> None:
    before, after = (m.loaded[module] for m in (old, new))
    if name == "TABLE":
        mode, signs = o.pick("mode", tuple(old.decision.Mode)), Free(o, old.modes.Signs, "signs")
        assert_equal(old.modes.following(mode, signs), new.modes.following(mode, signs))
    elif name == "LIMITS":
        _limits_agree(o, old, new)
    elif module == "agent.core.hold" and name in ("narrow", "_lift"):
        _memories_agree(o, old, new)
    elif "." not in name and not callable(getattr(before, name)):
        assert_equal(getattr(before, name), getattr(after, name))
    else:
        _functions_agree(o, old, before, after, name)


def _functions_agree(o: Paths, m: Modules, before: Any, after: Any, name: str) -> None:
    owner, _, method = name.rpartition(".")
    one, two = before, after
    if owner:
        one, two = (getattr(module, owner)(_params(m, o)) for module in (before, after))
        if method == "compile":  # what the driver makes of it is another matter
            for module in (before, after):
                module.__dict__.update(compile_write=lambda *args: ("order", *args), outside=lambda *_: None)
        else:
            one.compile = two.compile = lambda *args: ("order", *args)
    ask = getattr(one, method), getattr(two, method)
    hints = typing.get_type_hints(ask[0], vars(before))
    hints.pop("return", None)
    args = [_argument(o, m, hint, parameter) for parameter, hint in hints.items()]
    try:
        shipped = ask[0](*args)
    except (ArithmeticError, LookupError, AttributeError, ValueError) as error:
        raise Unsound(f"the shipped function raises {type(error).__name__}") from error
    assert_equal(shipped, ask[1](*args))
    assert_equal(getattr(one, "_next_id", 0), getattr(two, "_next_id", 0))


def _limits_agree(o: Paths, old: Modules, new: Modules) -> None:
    p, f = _params(old, o), facts(old, o)
    one, two = old.limits.LIMITS, new.limits.LIMITS
    assert [row.id for row in one] == [row.id for row in two]
    for a, b in zip(one, two, strict=True):
        assert (a.side.name, a.reads, a.owner, a.lift.name) == (b.side.name, b.reads, b.owner, b.lift.name)
        assert_equal(a.cap(SYMBOLS, f, p), b.cap(SYMBOLS, f, p))
        said = [(row.say.__code__.co_code, row.say.__code__.co_names, row.say.__code__.co_consts) for row in (a, b)]
        if said[0] != said[1]:
            raise Unsound("words for people are not compared")


def _memories_agree(o: Paths, old: Modules, new: Modules) -> None:
    """`narrow` for any one row, of which the cap is what its facts leave."""
    rows = [i for i, row in enumerate(old.limits.LIMITS) if row.lift is not old.limits.Lift.LIVE]
    index = rows[o.pick("row", range(len(rows)))]
    p, f = params(old), facts(old, o)
    caps: list[Any] = [0] * len(old.limits.LIMITS)
    caps[index] = old.limits.LIMITS[index].cap(SYMBOLS, f, p)
    held = None
    if o.flag("narrowed before"):
        held = o.number("held_w", 0, 200_000), o.number("lifting_ns", *ANY) if o.flag("was lifting") else None
    now, dt = o.number("now_ns", *ANY), o.number("dt_ns", 0, NEVER)
    got = []
    for m in (old, new):
        m.hold.__dict__.update(REMEMBERING=(index,), PLAIN=SYMBOLS)
        got.append(m.hold.narrow(caps, () if held is None else (m.hold.Hold(index, *held),), f, p, now, dt))
    assert_equal(*got)


def _params(m: Modules, o: Paths) -> Any:
    """Any site and timers; tables and wiring as shipped."""
    plain = params(m)
    site = {f.name: o.number(f"site.{f.name}", LEAST.get(f.name, 0), ANY[1]) for f in dataclasses.fields(m.params.Site)}
    fixed = {f.name: getattr(plain, f.name) for f in dataclasses.fields(plain) if f.name[-3:] in ("_mv", "_dc")}
    fixed = {name: value for name, value in fixed.items() if isinstance(value, tuple)}
    return Free(o, m.params.Params, "p", site=Free(o, m.params.Site, "site", **site), wiring=plain.wiring, **fixed)


def _argument(o: Paths, m: Modules, hint: Any, name: str) -> Any:
    word = getattr(hint, "__name__", "")
    if word == "Operators":
        return SYMBOLS
    if word == "Params":
        return _params(m, o)
    if word == "Facts":
        return facts(m, o)
    if typing.get_origin(hint) is not None and "Sequence" in str(typing.get_origin(hint)):
        return [o.number(f"{name}[{i}]", 0, ANY[1]) for i in range(len(m.limits.LIMITS))]
    if str(hint) == "tuple[tuple[int, int], ...]":
        return params(m).charge_t_dc
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
    elif isinstance(a, frozenset):
        assert {getattr(x, "name", x) for x in a} == {getattr(x, "name", x) for x in b}
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
    elif callable(a) or isinstance(a, dict):
        raise Unsound(f"{type(a).__name__} is not compared")
    else:
        assert a == b
