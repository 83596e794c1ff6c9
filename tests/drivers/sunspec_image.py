"""A SunSpec model as it was read, every point of it: for tools that show a device, not for its readings. Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from drivers.codec import HIGHEST_SCALE, SUNSPEC_SENTINEL, BlockDecoder, Field, RawType, Scale, scale_factor, text_of
from drivers.sunspec import Group, Model, ModelPoint

FINE = 10**HIGHEST_SCALE  # the decoder's integers count these parts of a unit
FINE_FLOAT = 10**6


@dataclass(frozen=True, slots=True)
class Value:
    """`path` as in "Crv[2].MustTrip.Pt[1].V"; `point.offset` counts from the model's ID register. `value` in the unit
    of the standard, scaled; None = not implemented, or its scale factor is not known."""

    path: str
    point: ModelPoint
    value: Fraction | str | None


@dataclass(frozen=True, slots=True)
class _Placed:
    path: str
    point: ModelPoint
    scale_at: int | None  # offset of its scale factor


def values(table: Model, words: Sequence[int]) -> tuple[Value, ...]:
    """Every point that lies in `words`, the registers of a model from its ID on, in the order of the table. A group is
    there as often as its count says and has room; a count that is not implemented is none."""
    found = [p for p in _places(table, words) if p.point.offset + p.point.words <= len(words)]
    numbers: list[int | None] = [None] * len(found)
    data = b"".join(word.to_bytes(2, "big") for word in words)
    fields = [_field(n, placed, words) for n, placed in enumerate(found) if placed.point.kind is not RawType.STRING]
    BlockDecoder(fields).decode(data, 0, numbers)
    return tuple(Value(p.path, p.point, _value(p.point, n, data)) for p, n in zip(found, numbers, strict=True))


def _field(slot: int, placed: _Placed, words: Sequence[int]) -> Field:
    point, at = placed.point, placed.scale_at
    scale: Scale | None = Scale(FINE_FLOAT if point.kind is RawType.F32 else FINE)
    if point.scale_point:
        exponent = None if at is None or at >= len(words) else scale_factor(words[at])
        scale = None if exponent is None else Scale.of(Fraction(10) ** (HIGHEST_SCALE + exponent))
    sentinels = (SUNSPEC_SENTINEL[point.kind],) if point.kind in SUNSPEC_SENTINEL else ()
    return Field(slot, point.offset, point.kind, point.words, scale=scale, sentinels=sentinels)


def _value(point: ModelPoint, number: int | None, data: bytes) -> Fraction | str | None:
    if point.kind is RawType.STRING:
        return text_of(data[2 * point.offset : 2 * (point.offset + point.words)]) or None
    if number is None:
        return None
    return Fraction(number, FINE_FLOAT if point.kind is RawType.F32 else FINE)


def _places(table: Model, words: Sequence[int]) -> Iterator[_Placed]:
    shared = table.points
    yield from _at("", shared, 0, shared)
    at = table.size
    for group in table.groups:
        at = yield from _instances(shared, group, "", at, words)


def _instances(
    shared: Mapping[str, ModelPoint], group: Group, prefix: str, at: int, words: Sequence[int]
) -> Generator[_Placed, None, int]:
    """The points of all instances of a group that begins at `at`; returns where what follows it begins."""
    points = group.points
    n = 0
    while at < len(words) and n < _count(shared, group, words):
        n += 1
        path = f"{prefix}{group.name}{'' if group.count == '1' else f'[{n}]'}."
        yield from _at(path, points, at, shared)
        at += group.size
        for inner in group.groups:
            at = yield from _instances(shared, inner, path, at, words)
    return at


def _at(path: str, points: Mapping[str, ModelPoint], base: int, shared: Mapping[str, ModelPoint]) -> Iterator[_Placed]:
    """Some models have a scale factor for each instance, which goes before the model's of the same name."""
    for point in points.values():
        own, common = points.get(point.scale_point), shared.get(point.scale_point)
        scale_at = base + own.offset if own is not None else common.offset if common is not None else None
        yield _Placed(path + point.name, replace(point, offset=base + point.offset), scale_at)


def _count(shared: Mapping[str, ModelPoint], group: Group, words: Sequence[int]) -> int:
    if group.count == "1":
        return 1
    if not group.count:
        return len(words)  # until there is no room
    place = shared.get(group.count)
    count = words[place.offset] if place is not None and place.offset < len(words) else 0
    return 0 if count == SUNSPEC_SENTINEL[RawType.U16] else count
