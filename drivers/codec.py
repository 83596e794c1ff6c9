"""Registers <-> values in the core's integer units. Pure: bytes and integers in, integers out.

A value is `round(raw * num / den) + offset`, halves away from zero, in exact integer arithmetic; only IEEE floats of
the device itself pass through a double, which holds every f32 times 1000 exactly. What a device marks as "not
implemented" (a sentinel, NaN, a scale factor of 0x8000) becomes None, never a number.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class RawType(StrEnum):
    """How a value lies in its registers. BIT and BITS are of coils and discrete inputs (functions 1 and 2)."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    ACC32 = "acc32"
    ACC64 = "acc64"
    F32 = "f32"
    STRING = "string"
    ENUM16 = "enum16"
    BITS16 = "bits16"
    BITS32 = "bits32"
    BITS64 = "bits64"
    SUNSSF = "sunssf"
    BIT = "bit"
    BITS = "bits"


class WordOrder(StrEnum):
    """Which 16-bit word of a longer value comes first."""

    BIG = "big"
    LITTLE = "little"


_STRUCT: dict[RawType, str] = {
    RawType.U16: "H",
    RawType.ENUM16: "H",
    RawType.BITS16: "H",
    RawType.I16: "h",
    RawType.SUNSSF: "h",
    RawType.U32: "I",
    RawType.ACC32: "I",
    RawType.BITS32: "I",
    RawType.I32: "i",
    RawType.F32: "f",
    RawType.U64: "Q",
    RawType.ACC64: "Q",
    RawType.BITS64: "Q",
    RawType.I64: "q",
}

# SunSpec's "not implemented", as raw integers. An accumulator at 0 is zero energy: a new meter has counted none.
SUNSPEC_SENTINEL: dict[RawType, int] = {
    RawType.U16: 0xFFFF,
    RawType.ENUM16: 0xFFFF,
    RawType.BITS16: 0xFFFF,
    RawType.I16: -0x8000,
    RawType.SUNSSF: -0x8000,
    RawType.U32: 0xFFFFFFFF,
    RawType.BITS32: 0xFFFFFFFF,
    RawType.I32: -0x80000000,
    RawType.U64: 0xFFFFFFFFFFFFFFFF,
    RawType.BITS64: 0xFFFFFFFFFFFFFFFF,
    RawType.I64: -0x8000000000000000,
}

BIT_TYPES = frozenset({RawType.BIT, RawType.BITS})
HIGHEST_SCALE = 10  # of the standard: a scale factor is -10..10


def scale_factor(word: int) -> int | None:
    """The exponent that a scale factor register gives; None if it is not implemented or outside -10..10."""
    raw = word - 0x10000 if word & 0x8000 else word
    return raw if abs(raw) <= HIGHEST_SCALE else None


def words_of(kind: RawType) -> int:
    """Registers that one value takes; 0 for strings and coils, whose length the profile states."""
    code = _STRUCT.get(kind)
    return struct.calcsize(">" + code) // 2 if code else 0


def raw_range(kind: RawType) -> tuple[int, int]:
    """Smallest and largest raw integer of a writable type; of a float, the integers that it holds exactly."""
    if kind is RawType.F32:
        return -(1 << 24), 1 << 24
    size = struct.calcsize(">" + _STRUCT[kind]) * 8
    if _STRUCT[kind].islower():
        return -(1 << (size - 1)), (1 << (size - 1)) - 1
    return 0, (1 << size) - 1


@dataclass(frozen=True, slots=True)
class Scale:
    """value = round(raw * num / den) + offset, with den > 0."""

    num: int = 1
    den: int = 1
    offset: int = 0

    @classmethod
    def of(cls, factor: Fraction, offset: int = 0) -> Scale:
        """From an exact factor."""
        return cls(factor.numerator, factor.denominator, offset)

    def value(self, raw: int) -> int:
        """The value of a raw integer, halves rounded away from zero."""
        return div_round(raw * self.num, self.den) + self.offset


def div_round(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves away from zero; denominator > 0."""
    if denominator == 1:
        return numerator
    if numerator >= 0:
        return (2 * numerator + denominator) // (2 * denominator)
    return -((2 * -numerator + denominator) // (2 * denominator))


def toward_zero(value: Fraction) -> int:
    """The integer next to `value` on the side of zero: a setpoint is never rounded up."""
    return int(value)


def up(value: Fraction) -> int:
    """The smallest integer >= value: a floor is never rounded down."""
    return -((-value.numerator) // value.denominator)


def to_words(raw: int, kind: RawType, order: WordOrder = WordOrder.BIG) -> tuple[int, ...]:
    """The registers of a raw integer. ValueError if it does not fit its type."""
    lo, hi = raw_range(kind)
    if not lo <= raw <= hi:
        raise ValueError(f"{raw} does not fit {kind.value} ({lo}..{hi})")
    if kind is RawType.F32:
        data = struct.pack(">f", raw)
    else:
        data = raw.to_bytes(words_of(kind) * 2, "big", signed=lo < 0)
    words = struct.unpack(f">{len(data) // 2}H", data)
    return words if order is WordOrder.BIG else words[::-1]


def from_words(words: Sequence[int], kind: RawType, order: WordOrder = WordOrder.BIG) -> int | None:
    """The raw integer of these registers, a float rounded; None if it is NaN or infinite."""
    data = struct.pack(f">{len(words)}H", *(words if order is WordOrder.BIG else reversed(words)))
    raw: int | float = struct.unpack(">" + _STRUCT[kind], data)[0]
    if isinstance(raw, int):
        return raw
    return round(raw) if -1e15 < raw < 1e15 else None


def text_of(data: bytes) -> str:
    """A register string: up to the first NUL, printable ASCII only, without blanks around it."""
    plain = data.split(b"\0", 1)[0]
    return "".join(chr(b) for b in plain if 0x20 <= b < 0x7F).strip()


@dataclass(frozen=True, slots=True)
class Field:
    """One raw value inside a read, and where its value goes.

    `offset` and `length` count registers (functions 3 and 4) or bits (1 and 2) from the start of the read. `scale`
    None: its scale factor is not implemented, so the value is never known; nor is one outside `lo..hi`.
    """

    slot: int
    offset: int
    kind: RawType
    length: int = 1
    order: WordOrder = WordOrder.BIG
    scale: Scale | None = Scale()
    sentinels: tuple[int, ...] = ()
    mask: int = 0  # 0 = all bits
    lo: int | None = None
    hi: int | None = None


class BlockDecoder:
    """Decodes the data of one read reply into slots of a value list; struct formats are made once, here."""

    __slots__ = ("_bits", "_layers", "_plain", "_slots", "_swapped")

    def __init__(self, fields: Sequence[Field]) -> None:
        self._slots = tuple(f.slot for f in fields)
        self._bits = tuple(f for f in fields if f.kind in BIT_TYPES)
        self._swapped = tuple(f for f in fields if f.kind in _STRUCT and f.order is WordOrder.LITTLE and f.length > 1)
        plain = [f for f in fields if f.kind in _STRUCT and not (f.order is WordOrder.LITTLE and f.length > 1)]
        self._layers, indexed = _layers(plain)
        self._plain = tuple((i, f.slot, _Rule(f)) if _needs_rule(f) else (i, f.slot, None) for i, f in indexed)

    @property
    def slots(self) -> tuple[int, ...]:
        """Every slot that `decode` writes."""
        return self._slots

    def decode(self, data: bytes, at: int, values: list[int | None]) -> None:
        """Decode the registers or coils that begin at `data[at]` into `values`."""
        if self._layers:
            raws: tuple[int | float, ...]
            if len(self._layers) == 1:
                raws = self._layers[0].unpack_from(data, at)
            else:
                raws = tuple(raw for layer in self._layers for raw in layer.unpack_from(data, at))
            for index, slot, rule in self._plain:
                raw = raws[index]
                values[slot] = rule.value(raw) if rule is not None else raw  # type: ignore[assignment]  # int where no rule
        for field in self._swapped:
            values[field.slot] = _Rule(field).value(_swapped(data, at, field))
        if self._bits:
            coils = int.from_bytes(data[at:], "little")
            for field in self._bits:
                values[field.slot] = (coils >> field.offset) & ((1 << field.length) - 1)


class _Rule:
    """From raw to value for one field."""

    __slots__ = ("den", "float_factor", "hi", "known", "lo", "mask", "num", "offset", "sentinels")

    def __init__(self, field: Field) -> None:
        self.known = field.scale is not None
        scale = field.scale or Scale()
        self.num, self.den, self.offset = scale.num, scale.den, scale.offset
        self.float_factor = scale.num / scale.den if field.kind is RawType.F32 else None
        self.sentinels, self.mask, self.lo, self.hi = field.sentinels, field.mask, field.lo, field.hi

    def value(self, raw: int | float) -> int | None:
        if not self.known or raw in self.sentinels:
            return None
        if self.float_factor is not None:
            if not -1e15 < raw < 1e15:  # NaN and the infinities fail this too
                return None
            result = round(raw * self.float_factor) + self.offset
        else:
            whole: int = raw  # type: ignore[assignment]  # only F32 unpacks to float
            if self.mask:
                whole &= self.mask
            result = (whole * self.num if self.den == 1 else div_round(whole * self.num, self.den)) + self.offset
        if (self.lo is not None and result < self.lo) or (self.hi is not None and result > self.hi):
            return None
        return result


def _needs_rule(field: Field) -> bool:
    plain = Field(field.slot, field.offset, field.kind, field.length, field.order)
    return field != plain or field.kind is RawType.F32


def _layers(fields: Sequence[Field]) -> tuple[tuple[struct.Struct, ...], list[tuple[int, Field]]]:
    """Structs that together unpack all fields, and for each field its index in their joined result."""
    ends: list[int] = []
    codes: list[str] = []
    members: list[list[Field]] = []
    for field in sorted(fields, key=lambda f: (f.offset, f.slot)):
        layer = next((n for n, end in enumerate(ends) if end <= field.offset), None)
        if layer is None:
            ends.append(0)
            codes.append(">")
            members.append([])
            layer = len(ends) - 1
        gap = (field.offset - ends[layer]) * 2
        codes[layer] += (f"{gap}x" if gap else "") + _STRUCT[field.kind]
        ends[layer] = field.offset + words_of(field.kind)
        members[layer].append(field)
    flat = [field for layer_members in members for field in layer_members]
    return tuple(struct.Struct(code) for code in codes), list(enumerate(flat))


def _swapped(data: bytes, at: int, field: Field) -> int | float:
    """The raw value of a field whose low word comes first."""
    begin = at + field.offset * 2
    count = words_of(field.kind)
    words = struct.unpack_from(f">{count}H", data, begin)
    joined = struct.pack(f">{count}H", *words[::-1])
    raw: int | float = struct.unpack(">" + _STRUCT[field.kind], joined)[0]
    return raw
