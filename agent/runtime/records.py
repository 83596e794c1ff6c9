"""`@dataclass` with less of it in memory: what every class gets a copy of is shared by all.

The standard one compiles for each class a `__repr__`, and for each frozen one a `__setattr__` and a `__delattr__`,
which with slots hold on to the class that was there before the slots. Here these are three functions for all of ours,
that do and say the same: 5 kB a class. Fields, construction, equality and hash are the standard library's own.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

OURS = ("agent", "drivers")
_standard: Callable[..., Any] = dataclasses.dataclass


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _frozen(self: object, name: str) -> bool:
    """A class that is derived from a frozen one without being a dataclass may have attributes of its own."""
    kind: Any = type(self)
    return "__dataclass_fields__" in vars(kind) or name in kind.__dataclass_fields__


def _setattr(self: object, name: str, value: object) -> None:
    if _frozen(self, name):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delattr(self: object, name: str) -> None:
    if _frozen(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def dataclass(cls: type | None = None, /, **options: Any) -> Any:
    """As dataclasses.dataclass."""
    return _made(cls, options) if cls is not None else lambda made: _made(made, options)


def _made(cls: type, options: dict[str, Any]) -> Any:
    if cls.__module__.partition(".")[0] not in OURS:
        return _standard(cls, **options)
    shared = options.get("repr", True) and "__repr__" not in vars(cls)
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else it is given its signature, which takes all of `inspect`
    made = _standard(cls, **{**options, "repr": False} if shared else options)
    if shared:
        made.__repr__ = _repr
    if options.get("frozen") and made.__bases__ == (object,):
        made.__setattr__ = _setattr
        made.__delattr__ = _delattr
    return made


def share() -> None:
    """Whoever imports `dataclass` from here on gets this one."""
    vars(dataclasses)["dataclass"] = dataclass
