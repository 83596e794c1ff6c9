"""Free values of the declared types: an object whose every field is any value of its type, made when asked for.

So a theorem says only what it assumes; fields that the code does not look at cost nothing.
"""

from __future__ import annotations

import dataclasses
import typing
from enum import Enum
from functools import cache
from types import ModuleType, NoneType, UnionType
from typing import Any

from tests.proof.homes import S
from tests.proof.sources import DECLARED, Modules
from tests.proof.symbols import SYMBOLS, Paths

WATTS = (-200_000, 200_000)
NS = (0, 10_000 * S)
RANGES = {"_ns": NS, "_w": WATTS, "_mwh": (0, 25_000_000), "_permille": (0, 1000), "failures": (0, 100)}
OTHER = (-100_000, 100_000)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Types of its fields, by the names of the module that declares it, which need not be the one in sys.modules."""
    names = DECLARED.get(kind) or getattr(vars(kind).get("__init__"), "__globals__", None)
    unknown: dict[str, Any] = {}  # imported for a type checker only: a field of such a type has no free value
    while True:
        try:
            return typing.get_type_hints(kind, names, unknown)
        except NameError as error:
            unknown[str(error.name)] = Any


def within(name: str) -> tuple[int, int]:
    """The range of a number, by the unit that ends its name."""
    return next((span for end, span in RANGES.items() if name.endswith(end)), OTHER)


class Free:
    """Looks like one of `kind`. `given`: fields that are not free."""

    def __init__(self, o: Paths, kind: type, name: str, /, **given: Any) -> None:
        self._make = (o, kind, name)
        self._given = given

    def __getattr__(self, field: str) -> Any:
        o, kind, name = self._make
        if field in self._given:
            return self._given[field]
        if field not in _hints(kind):
            raise AttributeError(f"{kind.__name__}.{field}")
        value = self._given[field] = free(o, _hints(kind)[field], f"{name}.{field}")
        return value

    def _replace(self, **changes: Any) -> Free:
        o, kind, name = self._make
        return Free(o, kind, name, **{**self._given, **changes})

    def __repr__(self) -> str:
        return self._make[2]


def free(o: Paths, kind: Any, name: str) -> Any:
    """Any value of that type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, UnionType):
        some = [arg for arg in args if arg is not NoneType]
        if len(some) < len(args) and o.pick(f"{name} is None", (False, True)):
            return None
        return free(o, some[0] if len(some) == 1 else o.pick(f"{name} is a", some), name)
    if origin is tuple and args[1:] == (Ellipsis,):
        return tuple(free(o, args[0], f"{name}[{i}]") for i in range(o.pick(f"{name} has", (0, 1, 2))))
    if origin is tuple:
        return tuple(free(o, arg, f"{name}[{i}]") for i, arg in enumerate(args))
    if kind is bool:
        return o.flag(name)
    if kind is int:
        return o.number(name, *(o.wide or within(name)))
    if kind is str:
        return o.pick(name, o.texts)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return o.pick(name, tuple(kind))
    if isinstance(kind, type) and (hasattr(kind, "_fields") or dataclasses.is_dataclass(kind)):
        return Free(o, kind, name)
    raise TypeError(f"{name}: no free value of {kind}")


def replace(value: Any, /, **changes: Any) -> Any:
    """`dataclasses.replace` that knows free values."""
    return value._replace(**changes) if isinstance(value, Free) else dataclasses.replace(value, **changes)


def loosen(module: ModuleType) -> None:
    """In this copy of a module, fields of free values can be replaced, and `min` and `max` take no paths."""
    module.__dict__.update(min=SYMBOLS.least, max=SYMBOLS.greatest)
    if hasattr(module, "replace"):
        module.__dict__["replace"] = replace


def unworded(m: Modules) -> Any:
    """`bounds.Evaluated` of this copy, where every limit says the same: words are no part of what is proved."""
    value = m.decision.LimitValue("any", m.decision.Side.BOTH, 0, "", "agent")
    return type("Unworded", (m.bounds.Evaluated,), {"values": (value,)})
