"""What a profile says of registers, worked out without the driver.

From the raw TOML and, for SunSpec, from the standard's own definitions as pysunspec2 ships them. Nothing of the
driver's codec, tables, resolver or assembler is used.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from math import floor
from typing import Any

from drivers.binding import Chain
from drivers.readings import InverterReading, Reading
from tests.drivers.garbage import ABSENT, COPIES, FORMATS, SANE, Registers, layout_of, raw_of

PHASES = {"l1": 0, "l2": 1, "l3": 2}
STILL_W = 100  # a device that says that nothing flows may still show so much


def point_names(name: str) -> list[str]:
    """Points of a profile, those of `also` among them."""
    points = raw_of(name)["point"]
    return list(dict.fromkeys(n for point in points for n in (point["name"], *point.get("also", []))))


def seen(reading: Reading, name: str) -> Any:
    """What the reading says of a point."""
    if name[:2] in PHASES:
        return getattr(reading, f"phase_{name[3:]}")[PHASES[name[:2]]]
    if name == "grid":
        return str(reading.grid_state) if isinstance(reading, InverterReading) else None
    return getattr(reading, name)


def wanted(name: str, point_name: str, chain: Chain, registers: Registers) -> Any:
    """What a reading of these registers must say of a point."""
    raw = raw_of(name)
    sunspec = raw["identify"]["kind"] == "sunspec"
    found = []
    for point in raw["point"]:
        if point_name not in (point["name"], *point.get("also", [])):
            continue
        for one in [{**point, "model": model} for model in point["models"]] if "models" in point else [point]:
            parts = [_places(raw, part, chain, registers) for part in one.get("parts") or [one]]
            way = one.get("direction")
            if all(parts):
                found.append((one, [place for places in parts for place in places], way))
    if sunspec:
        found = found[:1]  # the first home of a point whose model is there
    if point_name == "alarms":
        return tuple(sorted({alarm for one in found for alarm in _alarms(*one[:2])}))
    number = None if not found else _combined(raw, point_name, registers, *found[0])
    if point_name in ("grid", "status"):
        return found[0][0]["map"].get(str(number), "unknown") if number is not None else "unknown"
    if point_name in ("charge_enabled", "discharge_enabled", "force_charge"):
        return None if number is None else number != 0
    return number


Place = tuple[int | None, bool]  # the value, and whether it is absent rather than not known


def _places(raw: dict[str, Any], part: dict[str, Any], chain: Chain, registers: Registers) -> list[Place]:
    line = raw["line"]
    usual, order = part.get("function", line.get("function", 3)), part.get("order", line.get("word_order", "big"))
    if isinstance(part["at"], int):
        kind = part["type"]
        words = struct.calcsize(FORMATS.get(kind, "H")) // 2
        ats = [part["at"] + n * part.get("step", words or 1) for n in range(part.get("repeat", 1))]
        absent = part.get("sentinels")
        if absent is None and raw["identify"]["kind"] == "sunspec":
            absent = [ABSENT[FORMATS[kind]]] if FORMATS.get(kind) in ABSENT and not kind.startswith("acc") else []
        return [_value(registers, usual, at, kind, order, part, Fraction(1), absent or []) for at in ats]
    found: list[Place] = []
    copies = [(address, length) for model, address, length in chain if model == part["model"]]
    for address, _ in copies if part.get("every") else copies[:1]:
        rows, first, inner, step = layout_of(part["model"])
        places = [(rows[part["at"]], 0)] if part["at"] in rows else []
        if "instance" in part:
            places = [(inner[part["at"]], first + (part["instance"] - 1) * step)]
        elif part.get("every") and not places:
            places = [(inner[part["at"]], first + n * step) for n in range(COPIES)]
        elif "match" in part:
            key = inner[part["match"]["at"]][0]
            bases = [first + n * step for n in range(COPIES)]
            bases = [base for base in bases if registers(usual, address + base + key) in part["match"]["values"]]
            places = [(inner[part["at"]], base) for base in bases]
        for (offset, kind, _, scale), base in places:
            factor = _factor(registers(usual, address + rows[scale][0])) if scale else Fraction(1)
            accumulates = kind.startswith("acc")
            absent = part.get("sentinels") or ([ABSENT[FORMATS[kind]]] if not accumulates and kind != "float32" else [])
            found.append(_value(registers, usual, address + base + offset, kind, order, part, factor, absent))
    return found


def _factor(word: int) -> Fraction | None:
    exponent = word - 0x10000 if word > 0x7FFF else word
    return Fraction(10) ** exponent if -10 <= exponent <= 10 else None


def _value(
    registers: Registers, function: int, at: int, kind: str, order: str, part: dict[str, Any],
    factor: Fraction | None, absent: list[int],
) -> Place:  # fmt: skip
    if kind in ("bit", "bits"):
        return sum((registers(function, at + n) & 1) << n for n in range(part.get("count", 1))), False
    letter = FORMATS[{"acc32": "u32", "acc64": "u64"}.get(kind, kind)]
    words = [registers(function, at + n) for n in range(struct.calcsize(letter) // 2 or 1)]
    if order == "little":
        words.reverse()
    number = struct.unpack(">" + letter, struct.pack(f">{len(words)}H", *words))[0]
    if factor is None:
        return None, False
    if number in absent:
        return None, True
    scale = Fraction(part.get("scale", "1")) * part.get("sign", 1) * factor
    if isinstance(number, float):
        if not -1e15 < number < 1e15:
            return None, False
        return round(number * float(scale)) + part.get("offset", 0), False
    exact = (number & part["mask"] if part.get("mask") else number) * scale
    rounded = floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    return rounded + part.get("offset", 0), False


def _combined(
    raw: dict[str, Any], name: str, registers: Registers, point: dict[str, Any], places: list[Place],
    way: dict[str, Any] | None,
) -> int | None:  # fmt: skip
    combine = point.get("combine", "sum")
    lo, hi = point.get("valid") or SANE.get(name) or SANE.get(f"phase_{name[3:]}") or (None, None)
    values = [value for value, absent in places if combine == "sum" or not absent]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values) or not numbers:
        return None
    if combine == "sum":
        numbers = [sum(numbers)]
    if way is not None:
        word = _places(raw, {**way, "scale": "1"}, (), registers)[0][0]
        signed = _signed(numbers[0], word, way)
        if signed is None:
            return None
        numbers = [signed]
    if lo is not None and hi is not None and any(not lo <= value <= hi for value in numbers):
        return None
    return max(numbers) if combine == "max" else min(numbers)


def _signed(number: int, word: int | None, way: dict[str, Any]) -> int | None:
    """The direction says the sign; a word that says nothing of it leaves only nothing known, or that nothing flows."""
    if word in way["positive"]:
        return number
    if word in way["negative"]:
        return -number
    if word is not None and number == 0:
        return 0
    return 0 if word in way.get("still", []) and abs(number) <= STILL_W else None


def _alarms(point: dict[str, Any], places: list[Place]) -> list[str]:
    raised = places[0][0] or 0
    return [alarm for bit, alarm in point["bits"].items() if raised >> int(bit) & 1]
