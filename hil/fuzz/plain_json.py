"""JSON by RFC 8259, read by a reader of our own: what a decoder of the agent takes is held against it.

It shares nothing with `json`, whose leniency the agent has to mend: repeated members, NaN, 1e999, what nests for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hil.fuzz.forbidden import Forbidden

MOST_DEPTH = 8  # docs/protocol.md: of what comes down
MOST_DIGITS = 20  # of an integer there, with its sign: beyond 64 bits in any case
_BLANK = frozenset(" \t\n\r")
_TOKEN = re.compile(
    r'[ \t\n\r]*+(?:"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|[{}\[\],:])[ \t\n\r]*+"
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_DEEPEST = 400  # that is read at all


class NotJson(ValueError):
    """It is not JSON, or a member of an object is there twice."""


@dataclass(slots=True)
class Text:
    """What was read. `depth`: brackets within each other; `digits`: of the longest integer, with its sign; `broken`:
    an escape that is half a character; `endless`: a number that no double can hold."""

    value: object = None
    depth: int = 0
    digits: int = 0
    broken: bool = False
    endless: bool = False

    def beyond(self) -> str | None:
        """Which rule of what comes down it breaks, though it is JSON; None = none."""
        if not isinstance(self.value, dict):
            return "no object in it"
        if self.depth > MOST_DEPTH:
            return f"{self.depth} brackets within each other"
        if self.digits > MOST_DIGITS:
            return f"an integer of {self.digits} digits"
        return "half a character" if self.broken else "a number that no double holds" if self.endless else None


def read(data: bytes) -> Text:
    """All of `data`; NotJson with the place."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(str(error)) from None
    return _Reader(text).all()


def judged(data: bytes, claims: object) -> None:
    """Forbidden when the agent took these bytes for `claims`, or refused them (None), and may not."""
    try:
        text = read(data)
    except NotJson as error:
        if claims is not None:
            raise Forbidden(f"taken for JSON, and {error}") from None
        return
    beyond = text.beyond()
    if claims is None:
        if beyond is None and text.digits < MOST_DIGITS:
            raise Forbidden("strict JSON was refused")
    elif beyond is not None:
        raise Forbidden(f"taken, and it has {beyond}")
    elif repr(text.value) != repr(claims):
        raise Forbidden(f"another reader sees something else than {claims}")


def strictly(data: bytes) -> dict[str, Any]:
    """What bytes that the agent took say; Forbidden when it may not have taken them."""
    try:
        text = read(data)
    except NotJson as error:
        raise Forbidden(f"taken for JSON, and {error}") from None
    beyond = text.beyond()
    if beyond is not None or not isinstance(text.value, dict):
        raise Forbidden(f"taken, and it has {beyond}")
    return text.value


class _Reader:
    def __init__(self, text: str) -> None:
        found = _TOKEN.findall(text)
        if sum(map(len, found)) != len(text):
            raise NotJson("something in it is no part of JSON")
        self._tokens = iter(found if _BLANK.isdisjoint(text) else [token.strip(" \t\n\r") for token in found])
        self._next = self._tokens.__next__
        self._found = Text()

    def all(self) -> Text:
        try:
            self._found.value = self._value(self._next(), 1)
        except StopIteration:
            raise NotJson("it ends too early") from None
        rest = next(self._tokens, None)
        if rest is not None:
            raise NotJson(f"{rest!r:.40} follows")
        return self._found

    def _value(self, token: str, depth: int) -> object:
        first = token[0]
        if first == '"':
            return self._string(token)
        if first in "{[":
            if depth > _DEEPEST:
                raise NotJson(f"more than {_DEEPEST} brackets within each other")
            self._found.depth = max(self._found.depth, depth)
            return self._list(depth + 1) if first == "[" else self._object(depth + 1)
        if first in "]},:":
            raise NotJson(f"{token} where a value belongs")
        return _WORDS[token] if token in _WORDS else self._number(token)

    def _list(self, depth: int) -> list[object]:
        values: list[object] = []
        token = self._next()
        if token == "]":
            return values
        while True:
            values.append(self._value(token, depth))
            if self._ends("]"):
                return values
            token = self._next()

    def _object(self, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        token = self._next()
        if token == "}":
            return values
        while True:
            if token[0] != '"':
                raise NotJson(f"{token!r:.40} where a name belongs")
            name = self._string(token)
            if name in values:
                raise NotJson(f"{name!r:.40} is there twice")
            if self._next() != ":":
                raise NotJson(f"no colon behind {name!r:.40}")
            values[name] = self._value(self._next(), depth)
            if self._ends("}"):
                return values
            token = self._next()

    def _ends(self, end: str) -> bool:
        mark = self._next()
        if mark not in (",", end):
            raise NotJson(f"{mark!r:.40} where , or {end} belongs")
        return bool(mark == end)

    def _string(self, quoted: str) -> str:
        inner = quoted[1:-1]
        if "\\" not in inner:
            return inner
        codes = [int(code, 16) for code, _ in _ESCAPE.findall(inner) if code]
        self._found.broken = self._found.broken or any(0xD800 <= code < 0xE000 for code in codes)
        return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _SHORT.get(m[2], m[2]), inner)

    def _number(self, token: str) -> float:
        if token.lstrip("-").isdigit():
            self._found.digits = max(self._found.digits, len(token))
            return int(token[:1000])
        value = float(token)
        self._found.endless = self._found.endless or value in (float("inf"), float("-inf"))
        return value
