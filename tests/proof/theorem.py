"""A theorem: a name, a sentence for people, a function with assertions, and a defect that it must find."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from tests.proof.sources import Modules, edited
from tests.proof.symbols import Paths, Unsound, explore

Check = Callable[[Modules, Paths], None]
Defect = tuple[str, str, str] | Callable[[], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Theorem:
    """`defect`: (module, text, other text), or whole sources; of the source that was edited so it must not hold."""

    id: str
    words: str
    check: Check
    defect: Defect


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of trying. `against` None = proved for every input in `ranges`; else inputs that break it, and how."""

    theorem: Theorem
    against: str | None
    paths: int
    seconds: float  # of the processor
    ranges: dict[str, str]


THEOREMS: dict[str, Theorem] = {}


def theorem(name: str, words: str, defect: Defect) -> Callable[[Check], Check]:
    """Registers the decorated function under that name."""

    def register(check: Check) -> Check:
        assert name not in THEOREMS, name
        THEOREMS[name] = Theorem(name, words, check, defect)
        return check

    return register


def prove(one: Theorem, m: Modules) -> Proof:
    """Every path of the theorem over the source in `m`; the first that breaks it ends the search."""
    began = time.process_time()
    against: str | None = None
    count = 0
    ranges: dict[str, str] = {}
    asked = Asked(one.check)
    try:
        with m.kept(), asked:
            for paths, _, error in explore(lambda o: one.check(m, o)):
                count += 1
                ranges |= paths.ranges
                if error is not None and (example := paths.example()) is not None:
                    shown = ", ".join(f"{name}={value}" for name, value in example.items())
                    against = f"{type(error).__name__} {error} with {shown}".replace("  ", " ")
                    break
    except Unsound as error:
        against = f"cannot be followed: {error}"
    if against is None and asked.never():
        against = f"says nothing: no path comes to {'; '.join(asked.never())}"
    return Proof(one, against, count, time.process_time() - began, ranges)


class Asked:
    """Which assertions of a check are come to at all: one that no path reaches would prove anything."""

    def __init__(self, check: Check) -> None:
        function = inspect.unwrap(check.func if isinstance(check, partial) else check)
        self._code = function.__code__
        text, first = inspect.getsourcelines(function)
        found = ast.walk(ast.parse(textwrap.dedent("".join(text))))
        self._first = first - 1
        self._left = {
            node: range(node.lineno, (node.end_lineno or 0) + 1) for node in found if isinstance(node, ast.Assert)
        }
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(lambda frame, event, arg: self._line if frame.f_code is self._code else None)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        line = frame.f_lineno - self._first
        self._left = {node: lines for node, lines in self._left.items() if line not in lines}
        if not self._left:
            sys.settrace(self._before)  # all is known: the rest of the search runs at full speed
            return None
        return self._line

    def never(self) -> list[str]:
        """The assertions that were not come to."""
        return [ast.unparse(node) for node in self._left]


def planted(one: Theorem) -> Proof:
    """The same over the source with the theorem's own defect in it."""
    return prove(one, Modules(edited(*one.defect) if isinstance(one.defect, tuple) else one.defect()))
