"""Registers to values: vectors by hand from the device facts, and round trips."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codec import (
    SUNSPEC_SENTINEL,
    BlockDecoder,
    Field,
    RawType,
    Scale,
    WordOrder,
    div_round,
    raw_range,
    text_of,
    to_words,
    toward_zero,
    up,
    words_of,
)

INTEGERS = [t for t in RawType if words_of(t) and t is not RawType.F32]


def decode(words: list[int], *fields: Field) -> list[int | None]:
    values: list[int | None] = [0] * len(fields)
    BlockDecoder(fields).decode(struct.pack(f">{len(words)}H", *words), 0, values)
    return values


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ([2940], Field(0, 0, RawType.U16, scale=Scale(offset=-2731)), 209),  # 0.1 K: raw 2940 is 20.9 C
        ([5200], Field(0, 0, RawType.U16, scale=Scale(10)), 52_000),  # 0.01 V
        ([0xFC18], Field(0, 0, RawType.I16, scale=Scale(-10)), 10_000),  # -10.00 A, charge counted positive
        ([0x4248, 0x0000], Field(0, 0, RawType.F32, scale=Scale(1000)), 50_000),  # 50.0 Hz as a float
        ([0x7FC0, 0x0000], Field(0, 0, RawType.F32, scale=Scale(1000)), None),  # NaN: an absent phase
        ([0x7F80, 0x0000], Field(0, 0, RawType.F32), None),  # infinity
        ([0x0001, 0x0002], Field(0, 0, RawType.U32), 0x10002),
        ([0x0002, 0x0001], Field(0, 0, RawType.U32, 2, WordOrder.LITTLE), 0x10002),
        ([0xFFFE, 0xFFFF], Field(0, 0, RawType.I32, 2, WordOrder.LITTLE), -2),
        ([0x0000, 0x4248], Field(0, 0, RawType.F32, 2, WordOrder.LITTLE, Scale(1000)), 50_000),
        ([0x8000], Field(0, 0, RawType.I16, sentinels=(-0x8000,)), None),
        ([0xFFFF], Field(0, 0, RawType.U16, sentinels=(0xFFFF,)), None),
        ([0x8000], Field(0, 0, RawType.I16), -32768),  # without a sentinel it is a number
        ([5], Field(0, 0, RawType.U16, scale=None), None),  # scale factor 0x8000: never the raw number
        ([0x0003], Field(0, 0, RawType.BITS16, mask=1), 1),
        ([1001], Field(0, 0, RawType.U16, lo=0, hi=1000), None),
        ([7], Field(0, 0, RawType.U16, scale=Scale(1, 2)), 4),  # halves away from zero
        ([0xFFF9], Field(0, 0, RawType.I16, scale=Scale(1, 2)), -4),
        ([0, 1, 2, 3], Field(0, 0, RawType.U64), 0x0000_0001_0002_0003),
    ],
)
def test_value(words: list[int], field: Field, value: int | None) -> None:
    assert decode(words, field) == [value]


def test_fields_that_share_registers_and_leave_gaps_are_all_decoded() -> None:
    fields = [
        Field(0, 1, RawType.U16, mask=0x00FF),
        Field(1, 1, RawType.U16, mask=0xFF00),
        Field(2, 4, RawType.U32),
        Field(3, 0, RawType.I16),
        Field(4, 5, RawType.U16),
    ]
    assert decode([0xFFFF, 0x1234, 0, 0, 1, 2], *fields) == [0x34, 0x1200, 0x10002, -1, 2]


def test_coils_are_counted_from_the_low_bit_of_the_first_byte() -> None:
    values: list[int | None] = [None] * 3
    fields = [Field(0, 0, RawType.BIT), Field(1, 9, RawType.BIT), Field(2, 4, RawType.BITS, 8)]
    BlockDecoder(fields).decode(b"xx" + bytes((0b1010_0001, 0b0000_0010)), 2, values)
    assert values == [1, 1, 0b0010_1010]


def test_text_ends_at_nul_and_keeps_printable_ascii_only() -> None:
    assert text_of(b"  SN42\x01\xff \0junk") == "SN42"


@given(st.sampled_from(INTEGERS), st.sampled_from(WordOrder), st.data())
def test_what_is_written_reads_back(kind: RawType, order: WordOrder, data: st.DataObject) -> None:
    lo, hi = raw_range(kind)
    raw = data.draw(st.integers(lo, hi))
    assert decode(list(to_words(raw, kind, order)), Field(0, 0, kind, words_of(kind), order)) == [raw]


@given(st.sampled_from(INTEGERS), st.booleans())
def test_a_raw_value_beyond_its_type_is_refused(kind: RawType, above: bool) -> None:
    lo, hi = raw_range(kind)
    with pytest.raises(ValueError, match="does not fit"):
        to_words(hi + 1 if above else lo - 1, kind)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_division_rounds_to_nearest_and_symmetrically(numerator: int, denominator: int) -> None:
    result = div_round(numerator, denominator)
    assert abs(Fraction(numerator, denominator) - result) <= Fraction(1, 2)
    assert div_round(-numerator, denominator) == -result


@given(st.fractions())
def test_setpoints_round_toward_zero_and_floors_up(value: Fraction) -> None:
    assert abs(toward_zero(value)) <= abs(value) < abs(toward_zero(value)) + 1
    assert 0 <= up(value) - value < 1


@given(st.sampled_from(sorted(SUNSPEC_SENTINEL)))
def test_every_sentinel_is_a_value_of_its_type(kind: RawType) -> None:
    lo, hi = raw_range(kind)
    assert SUNSPEC_SENTINEL[kind] in (lo, hi)
