"""Register values of every type at sentinels, extremes and random bits, against a reading of the bits of our own.

A decoded value is the exact one, rounded to the nearest integer, or None where the field says that it is not known;
never an exception, never a number out of its range.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from drivers.codec import BlockDecoder, Field, RawType, Scale, WordOrder, words_of
from hil.figures import Figure, Report
from hil.progress import each

LAYOUTS = 2000
MOST_FLOAT = 10**15  # a float beyond it is taken for broken
KINDS = [kind for kind in RawType if words_of(kind)]
SIGNED = frozenset({RawType.I16, RawType.I32, RawType.I64, RawType.SUNSSF})
WORDS = (0, 1, 0x7F80, 0x7FC0, 0x7FFF, 0x8000, 0x8001, 0xFF80, 0xFFFE, 0xFFFF)


class Wrong(Exception):
    """A value that the bits do not say."""


@dataclass(frozen=True, slots=True)
class _Layout:
    fields: tuple[Field, ...]
    decoder: BlockDecoder
    registers: int


def _layout(rng: Random) -> _Layout:
    """One to eight fields anywhere in a read, some over each other, as the parts of a point may be."""
    fields = []
    for slot in range(rng.randrange(1, 9)):
        kind = rng.choice(KINDS)
        low, high = sorted((rng.randrange(-(10**6), 10**6), rng.randrange(-(10**6), 10**6)))
        scale = Scale.of(
            Fraction(rng.choice((1, 1, 10, -1, 100, 5)), rng.choice((1, 1, 10, 3))), rng.choice((0, -2731))
        )
        bounded, masked = rng.random() < 0.3, kind is not RawType.F32 and rng.random() < 0.2
        fields.append(
            Field(
                slot,
                rng.randrange(20),
                kind,
                words_of(kind),
                rng.choice(tuple(WordOrder)),
                None if rng.random() < 0.05 else scale,
                tuple(rng.choice((0xFFFF, 0, -0x8000, 0xFFFFFFFF, 0x7FFF)) for _ in range(rng.randrange(3))),
                rng.choice((0x00FF, 0xFFF0)) if masked else 0,
                low if bounded else None,
                high if bounded else None,
            )
        )
    registers = max(field.offset + field.length for field in fields)
    return _Layout(tuple(fields), BlockDecoder(fields), registers)


def _float(bits: int) -> Fraction | None:
    """IEEE 754 single precision, by its definition; None for NaN and the infinities."""
    sign, exponent, mantissa = bits >> 31, bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:
        return None
    whole = mantissa | 0x800000 if exponent else mantissa
    return Fraction(-whole if sign else whole) * Fraction(2) ** (max(exponent, 1) - 150)


def _raw(field: Field, data: bytes) -> Fraction | None:
    words = [data[n : n + 2] for n in range(2 * field.offset, 2 * (field.offset + field.length), 2)]
    bits = int.from_bytes(b"".join(words if field.order is WordOrder.BIG else words[::-1]), "big")
    if field.kind is RawType.F32:
        return _float(bits)
    width = 16 * field.length
    return Fraction(bits - (1 << width) if field.kind in SIGNED and bits >> (width - 1) else bits)


def judge(field: Field, data: bytes, value: object) -> None:
    """Wrong if `value` is not what these registers hold."""
    raw, scale = _raw(field, data), field.scale
    if value is not None and type(value) is not int:
        raise Wrong(f"{field} of {data.hex()}: {value!r} is no integer")
    broken = raw is None or (field.kind is RawType.F32 and abs(raw) >= MOST_FLOAT)
    if raw is None or scale is None or broken or raw in field.sentinels:
        if value is not None:
            raise Wrong(f"{field} of {data.hex()}: {value}, which is not known")
        return
    masked = Fraction(int(raw) & field.mask) if field.mask else raw
    exact = masked * Fraction(scale.num, scale.den) + scale.offset
    slack = Fraction(1, 2) + (abs(exact) / 2**50 if field.kind is RawType.F32 else 0)  # a float goes through a double
    if value is None:
        if field.lo is None or field.hi is None or field.lo + 1 <= exact <= field.hi - 1:
            raise Wrong(f"{field} of {data.hex()}: not known, and it is {exact}")
        return
    assert isinstance(value, int)
    if abs(value - exact) > slack or (
        field.lo is not None and field.hi is not None and not field.lo <= value <= field.hi
    ):
        raise Wrong(f"{field} of {data.hex()}: {value}, and it is {exact}")


def _data(rng: Random, registers: int) -> bytes:
    if rng.random() < 0.4:
        return rng.randbytes(2 * registers)
    edge = [rng.choice(WORDS) if rng.random() < 0.8 else rng.randrange(0x10000) for _ in range(registers)]
    return b"".join(word.to_bytes(2, "big") for word in edge)


def run(inputs: int, seed: int) -> Report:
    """That many replies of up to eight values each."""
    rng = Random(f"{seed}/codec")
    layouts = [_layout(rng) for _ in range(min(LAYOUTS, inputs))]
    counts: Counter[str] = Counter()
    first = ""
    began = time.monotonic()
    for n in each("fuzz codec", inputs, "inputs"):
        layout = layouts[n % len(layouts)]
        data = _data(rng, layout.registers)
        values: list[int | None] = [None] * len(layout.fields)
        try:
            layout.decoder.decode(data, 0, values)
            for field, value in zip(layout.fields, values, strict=True):
                judge(field, data, value)
                counts["not known" if value is None else "known"] += 1
        except Wrong as error:
            counts["wrong"] += 1
            first = first or f"input {n}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not have been raised
            counts["raised"] += 1
            first = first or f"input {n}: {error!r}"
    seconds = time.monotonic() - began
    figures = [
        Figure("inputs", inputs),
        Figure("values that the bits do not say", counts["wrong"], "", "== 0", note=first),
        Figure("exceptions raised", counts["raised"], "", "== 0"),
        Figure("values decoded", counts["known"], "", ">= 1", {"not known": counts["not known"]}),
        Figure("time", round(seconds, 1), "s", None, {"us an input": round(1e6 * seconds / inputs, 1)}),
    ]
    return Report(f"fuzz codec, {inputs} inputs", figures, seed=seed)
