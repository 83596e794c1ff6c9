"""Spoils JSON and base64url where they have a structure: what is left is mostly well formed, and gets past the reader.

Blind changes of bytes end in UTF-8 or in a bracket that is missing. Here members are repeated, left out, exchanged and
put into brackets, numbers are moved to their edges or are none, texts get escapes, and base64 a second spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LETTERS = frozenset(ALPHABET)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[ \t\n\r]+|[^ \t\n\r{}\[\],:"]+|.', re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,30}\Z")
_BASE64 = re.compile(r'"[A-Za-z0-9_-]{16,}"\Z')
_VALUES = (
    *("0", "-0", "-1", "1", "1.0", "1e3", "0.5", "true", "false", "null", '""', '"x"', "[]", "{}", "[null]", '{"v":1}'),
    *("1000000", "1000001", "-1000001", "86400", "86401", "9007199254740992", "9007199254740993"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
)
_DIGITS = "192837465"
_NEVER = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "01", "1.", ".5", "+1", "0x1", "'x'", "nul", "1 2", "tRue")


@dataclass(frozen=True, slots=True)
class _Shape:
    """The pieces of a text, with where its values and members (name to value) begin and end."""

    tokens: tuple[str, ...]
    values: tuple[tuple[int, int], ...]
    members: tuple[tuple[int, int], ...]


@lru_cache(maxsize=256)
def _shape(text: str) -> _Shape:
    """Of JSON, or of what once was; blanks between the pieces are left out."""
    tokens = tuple(token for token in _TOKEN.findall(text) if not token.isspace())
    values: list[tuple[int, int]] = []
    members: list[tuple[int, int]] = []
    open_: list[int] = []
    for at, token in enumerate(tokens):
        begin = at
        if token in "{[":
            open_.append(at)
            continue
        if token in ",:":
            continue
        if token in "]}":
            if not open_:
                continue
            begin = open_.pop()
        if at + 1 < len(tokens) and tokens[at + 1] == ":":
            continue  # a name
        values.append((begin, at + 1))
        if begin > 1 and tokens[begin - 1] == ":":
            members.append((begin - 2, at + 1))
    return _Shape(tokens, tuple(values), tuple(members))


def spoiled(rng: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """JSON with one to three changes. `seeds`: others, of which parts are taken."""
    text = data.decode("utf-8", "replace")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        shape = _shape(text)
        if not shape.values:
            return data
        other = _shape(rng.choice(seeds).decode("utf-8", "replace"))
        change = rng.choice(_ANYWHERE if not shape.members or not other.members else _CHANGES)
        text = change(rng, shape, other)
    return text.encode("utf-8", "replace")


def _put(shape: _Shape, span: tuple[int, int], text: str) -> str:
    return "".join((*shape.tokens[: span[0]], text, *shape.tokens[span[1] :]))


def _of(shape: _Shape, span: tuple[int, int]) -> str:
    return "".join(shape.tokens[span[0] : span[1]])


def _nudged(rng: Random, shape: _Shape, other: _Shape) -> str:
    """A number, a little more or less."""
    spans = [span for span in shape.values if _INTEGER.match(shape.tokens[span[0]])]
    if not spans:
        return _another(rng, shape, other)
    span = rng.choice(spans)
    return _put(
        shape, span, str(int(shape.tokens[span[0]]) + rng.choice((-1, 1, -60, 600, 10 ** rng.randrange(1, 13))))
    )


def _another(rng: Random, shape: _Shape, other: _Shape) -> str:
    return _put(shape, rng.choice(shape.values), rng.choice(_VALUES))


def _taken(rng: Random, shape: _Shape, other: _Shape) -> str:
    """A value from elsewhere."""
    source = other if other.values and rng.random() < 0.5 else shape
    return _put(shape, rng.choice(shape.values), _of(source, rng.choice(source.values)))


def _never(rng: Random, shape: _Shape, other: _Shape) -> str:
    return _put(shape, rng.choice(shape.values), rng.choice(_NEVER))


def _long(rng: Random, shape: _Shape, other: _Shape) -> str:
    """Digits without end."""
    count = rng.choice((18, 19, 20, 21, 100, 100, 100, 4000))
    return _put(shape, rng.choice(shape.values), rng.choice(("", "-")) + (_DIGITS * (count // 9 + 1))[:count])


def _nested(rng: Random, shape: _Shape, other: _Shape) -> str:
    depth, span = rng.choice((1, 2, 5, 6, 7, 8, 9, 10, 12, 30, 100)), rng.choice(shape.values)
    before, after = rng.choice((("[", "]"), ('{"a":', "}")))
    return _put(shape, span, before * depth + _of(shape, span) + after * depth)


def _escaped(rng: Random, shape: _Shape, other: _Shape) -> str:
    """A character in another spelling, or one that is none."""
    places = [at for at, token in enumerate(shape.tokens) if len(token) > 2 and token[0] == '"']
    if not places:
        return _another(rng, shape, other)
    at = rng.choice(places)
    text = shape.tokens[at]
    where = rng.randrange(1, len(text) - 1)
    said = rng.choice(
        (f"\\u{ord(text[where]) & 0xFFFF:04x}",) * 4 + ("\\ud800", "\\udFFf", "\\/", "\\x", "\x01", "\u00e9")
    )
    return _put(shape, (at, at + 1), text[:where] + said + text[where + (rng.random() < 0.7) :])


def _base64(rng: Random, shape: _Shape, other: _Shape) -> str:
    """A key, a payload or a signature in another spelling."""
    spans = [span for span in shape.values if _BASE64.match(shape.tokens[span[0]])]
    if not spans:
        return _escaped(rng, shape, other)
    span = rng.choice(spans)
    return _put(shape, span, f'"{respelt(rng, shape.tokens[span[0]][1:-1])}"')


def _spaced(rng: Random, shape: _Shape, other: _Shape) -> str:
    at = rng.randrange(len(shape.tokens))
    return _put(shape, (at, at), rng.choice((" ", "\n", "\t\r", "\x0c", "\u00a0", "\ufeff")))


def _without(rng: Random, shape: _Shape, other: _Shape) -> str:
    begin, end = rng.choice(shape.members)
    if shape.tokens[end : end + 1] == (",",):
        end += 1
    elif shape.tokens[begin - 1 : begin] == (",",):
        begin -= 1
    return _put(shape, (begin, end), "")


def _element(rng: Random, shape: _Shape, other: _Shape) -> str:
    """One more in a list, or one less."""
    spans = [span for span in shape.values if span[0] and shape.tokens[span[0] - 1] in "[,"]
    if not spans:
        return _another(rng, shape, other)
    begin, end = rng.choice(spans)
    if rng.random() < 0.5:
        return _put(shape, (begin, begin), f"{_of(shape, (begin, end))}," * rng.choice((1, 1, 2, 63, 255)))
    if shape.tokens[end : end + 1] == (",",):
        return _put(shape, (begin, end + 1), "")
    return _put(shape, (begin - (shape.tokens[begin - 1] == ","), end), "")


def _more(rng: Random, shape: _Shape, other: _Shape) -> str:
    """A member of another message, or of this one a second time."""
    source = other if rng.random() < 0.5 else shape
    begin = rng.choice(shape.members)[0]
    return _put(shape, (begin, begin), _of(source, rng.choice(source.members)) + ",")


def _twice(rng: Random, shape: _Shape, other: _Shape) -> str:
    """A member a second time, at its end or with another value."""
    begin, end = rng.choice(shape.members)
    value = rng.choice((_of(shape, (begin + 2, end)), rng.choice(_VALUES)))
    return _put(shape, (end, end), f",{shape.tokens[begin]}:{value}")


def _renamed(rng: Random, shape: _Shape, other: _Shape) -> str:
    begin = rng.choice(shape.members)[0]
    return _put(shape, (begin, begin + 1), other.tokens[rng.choice(other.members)[0]])


_Change = Callable[[Random, _Shape, _Shape], str]
_ANYWHERE: tuple[_Change, ...] = (_nudged, _another, _taken, _never, _long, _nested, _escaped, _base64, _spaced)
_CHANGES: tuple[_Change, ...] = (*_ANYWHERE, _nudged, _nudged, _element, _without, _more, _twice, _renamed)


def respelt(rng: Random, text: str) -> str:
    """base64url that decodes to the same bytes, or nearly, where the reader is lenient."""
    way = rng.randrange(6)
    at = rng.randrange(len(text) + 1)
    if way < 2 and text and text[-1] in ALPHABET:
        return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ rng.choice((1, 2, 3))]  # bits that carry nothing
    if way == 2:
        return text + rng.choice(("=", "==", "A", "\\n", "."))
    if way == 3:
        return text.replace("-", "+").replace("_", "/")
    return text[:at] + rng.choice(("!", "=", " ", "\u00e9", "*")) + text[at:]


def canonical(text: str) -> bool:
    """It is base64url without padding, in the one spelling of its bytes."""
    if not text or len(text) % 4 == 1 or not set(text) <= _LETTERS:
        return False
    return ALPHABET.index(text[-1]) & ((1 << 6 * len(text) % 8) - 1) == 0  # bits that carry nothing are zero
