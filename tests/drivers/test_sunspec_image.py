"""Random registers of every model that pysunspec2 knows, read by us and by it, compared point by point.

Where the two differ it is on purpose; each difference is a test of its own below, and nothing else may differ.
"""

from __future__ import annotations

import random
import runpy
import struct
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from drivers import sunspec
from drivers.codec import RawType
from tests.drivers.sunspec_image import Value, values
from tests.drivers.sunspec_models import EVERY, definition, image, theirs

IMAGES = 25
# Types that no battery, inverter or meter model has (eui48), or a scale factor that is a constant.
LEFT_OUT = {11, 16, 303, 304, 305, 307, 308, 63001}
make = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "sunspec_table.py"))["table"]


@cache
def table_of(model_id: int) -> sunspec.Model:
    """Ours if we have one, else one made of the definition."""
    try:
        return sunspec.model(model_id)
    except KeyError:
        return sunspec.parse(make(definition(model_id)))


def ours(words: list[int]) -> dict[str, Value]:
    return {value.path: value for value in values(table_of(words[0]), words)}


@pytest.mark.parametrize("model_id", sorted(set(EVERY) - LEFT_OUT))
def test_registers_mean_what_the_standards_library_reads_in_them(model_id: int) -> None:
    source = random.Random(model_id)
    for _ in range(IMAGES):
        words = image(model_id, source)
        mine, other = ours(words), theirs(words)
        assert list(mine) == list(other)
        for path, value in mine.items():
            if path not in ("ID", "L"):  # they put there what the definition says
                assert agrees(value, other[path], words), (path, value, other[path].value, other[path].sf)


@pytest.mark.parametrize("model_id", sorted(LEFT_OUT & set(EVERY)))
def test_what_is_left_out_has_no_table(model_id: int) -> None:
    with pytest.raises(KeyError):
        sunspec.model(model_id)


def agrees(mine: Value, other: Any, words: list[int]) -> bool:
    """Equal, or different in one of the ways that are told below."""
    raw, kind = other.value, mine.point.kind
    if kind is RawType.STRING:
        return (mine.value or "") == plain(mine, words)
    if kind is RawType.F32:
        number = f32(mine, words)
        if number != number or not -1e15 < number < 1e15:
            return mine.value is None
        return isinstance(mine.value, Fraction) and mine.value == Fraction(round(number * 10**6), 10**6)
    if kind in (RawType.ACC32, RawType.ACC64) and raw is None:
        return mine.value == 0 or (mine.value is None and not usable(mine, other))
    if raw is None or not usable(mine, other):
        return mine.value is None
    if not isinstance(mine.value, Fraction):
        return False
    exponent = factor(mine, other) if other.sf else 0
    exact = mine.value == raw * Fraction(10) ** exponent
    return exact and float(mine.value) == pytest.approx(other.cvalue, rel=1e-12, abs=1e-12)


def usable(mine: Value, other: Any) -> bool:
    """Its scale factor is there and one that the standard allows."""
    if not mine.point.scale_point:
        return True
    exponent = factor(mine, other)
    return exponent is not None and -10 <= exponent <= 10


def factor(mine: Value, other: Any) -> Any:
    """The scale factor that they use: the one of the instance, else the model's."""
    name = mine.point.scale_point
    return (other.group.points.get(name) or other.model.points[name]).value


def f32(value: Value, words: list[int]) -> float:
    number: float = struct.unpack(">f", struct.pack(">2H", *words[value.point.offset : value.point.offset + 2]))[0]
    return number


def plain(value: Value, words: list[int]) -> str:
    """The text by hand: up to the first NUL, what can be printed, without blanks around it."""
    at = value.point.offset
    data = struct.pack(f">{value.point.words}H", *words[at : at + value.point.words])
    return "".join(chr(byte) for byte in data[: (data + b"\0").index(0)] if 32 <= byte < 127).strip()


# --- where they differ ------------------------------------------------------------------------------------------------
def put(model_id: int, **points: int) -> list[int]:
    """A quiet image of a model: all zero, the named points set."""
    table = sunspec.model(model_id)
    words = [model_id, table.size - 2, *[0] * (table.size - 2)]
    for name, raw in points.items():
        place = table.points[name]
        for n in range(place.words):
            words[place.offset + n] = raw >> 16 * (place.words - 1 - n) & 0xFFFF
    return words


def test_a_value_whose_scale_factor_is_not_implemented_is_not_known() -> None:
    """pysunspec2 gives the raw integer as if its unit were watts."""
    words = put(203, W=-58, W_SF=0x8000)
    assert theirs(words)["W"].cvalue == -58
    assert ours(words)["W"].value is None


@pytest.mark.parametrize("exponent", [11, -11, 127, -128])
def test_a_value_whose_scale_factor_is_beyond_the_standards_range_is_not_known(exponent: int) -> None:
    """pysunspec2 multiplies all the same."""
    words = put(203, W=-58, W_SF=exponent)
    assert theirs(words)["W"].cvalue == pytest.approx(-58 * 10.0**exponent, abs=1e-9)
    assert ours(words)["W"].value is None


def test_an_accumulator_at_zero_has_counted_nothing() -> None:
    """pysunspec2 takes a new meter's zero for a counter that is not there."""
    words = put(203, TotWhImp=0)
    assert theirs(words)["TotWhImp"].value is None
    assert ours(words)["TotWhImp"].value == 0
    assert ours(put(714))["DCWhInj"].value == 0


def test_a_float_that_is_no_number_is_not_known() -> None:
    """pysunspec2 passes the infinities on."""
    for bits in (0x7F800000, 0xFF800000):
        words = put(113, W=bits)
        assert abs(theirs(words)["W"].value) == float("inf")
        assert ours(words)["W"].value is None
    for bits in (0x7FC00000, 0xFFC00000, 0x7F800001):
        words = put(113, W=bits)
        assert theirs(words)["W"].value is None
        assert ours(words)["W"].value is None


def test_a_float_of_the_size_of_the_bit_pattern_of_nan_is_a_number() -> None:
    """pysunspec2 compares the value with the pattern 0x7FC00000 as if that were the number 2143289344."""
    words = put(113, WH=0x4EFF8000)
    assert theirs(words)["WH"].value is None
    assert ours(words)["WH"].value == 2143289344


def test_a_float_beyond_what_anything_measures_is_not_known() -> None:
    words = put(113, W=0x7F000000)
    assert theirs(words)["W"].value > 1e38
    assert ours(words)["W"].value is None


def test_a_text_that_is_not_utf8_is_what_can_be_printed_of_it() -> None:
    """pysunspec2 gives up the whole text."""
    words = put(1)
    words[2:4] = (0x41E9, 0x4200)
    assert theirs(words)["Mn"].value is None
    assert ours(words)["Mn"].value == "AB"


def test_a_count_of_zero_is_no_instance_whatever_the_length() -> None:
    """pysunspec2 falls back to what the length has room for, as the older models want it."""
    words = [*put(714, NPrt=0), *[7] * 25]
    words[1] += 25
    assert "Prt[1].DCW" in theirs(words)
    assert not any(path.startswith("Prt[") for path in ours(words))


def test_a_count_beyond_the_length_reads_what_is_there() -> None:
    words = [*put(714, NPrt=3), *[7] * 25]
    words[1] += 25
    paths = ours(words)
    assert paths["Prt[1].DCW"].value == 7
    assert "Prt[2].DCW" not in paths


def test_a_model_that_its_maker_cut_short_keeps_the_points_that_are_there() -> None:
    words = put(203, A=12)[:10]
    mine = ours(words)
    assert mine["A"].value == 12
    assert "W" not in mine
    words = put(203, W=12)[:20]  # the scale factor lies behind the end
    assert ours(words)["W"].value is None


def test_a_length_in_the_table_of_the_standard_is_told_as_it_was_read() -> None:
    words = put(103)
    words[1] = 49
    assert theirs(words)["L"].value != ours(words)["L"].value == 49
