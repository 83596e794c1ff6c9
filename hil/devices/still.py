"""Any device of drivers/profiles as a still picture: plausible values, encoded from the raw TOML by code of its own.

Nothing of drivers' codec, profile or plan is used. A value is (raw x scale x sign + offset) in the profile's words;
here the other way round. Registers between points read 0, what lies outside answers exception 2, writes are kept.
"""

from __future__ import annotations

import struct
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from hil.devices.slave import ILLEGAL_ADDRESS, Image, Slave, Written

PROFILES = Path(__file__).parents[2] / "drivers" / "profiles"

# Point -> value in the units of the readings; names not listed are 0.
VALUES: Mapping[str, int] = {
    "soc_permille": 550, "soh_permille": 990, "pack_mv": 52_800, "pack_ma": 1_000, "cell_max_mv": 3_310,
    "cell_min_mv": 3_290, "temp_max_dc": 250, "temp_min_dc": 230, "ccl_ma": 100_000, "dcl_ma": 100_000,
    "capacity_mah": 100_000, "charge_enabled": 1, "discharge_enabled": 1, "battery_w": 500, "pv_w": 1_500,
    "ac_w": 2_000, "frequency_mhz": 60_000, "floor_permille": 100, "grid_w": 250,
    "l1_mv": 230_000, "l2_mv": 230_000, "l3_mv": 230_000,
    "l1_w": 250, "import_wh": 1_000_000, "export_wh": 500_000,
}  # fmt: skip
MODELS = PROFILES / "sunspec"
MODEL_KEYS = ("expect_model", "expect_model_end")
COPIES = 4  # instances of a model's group
FACTORS = {"CellV_SF": -3, "V_SF": -1}  # all others are 0
MISSING = {"i16": 0x8000, "sunssf": 0x8000, "i32": 0x80000000, "acc32": 0, "acc64": 0, "string": 0}
WORDS = {
    "u16": 1,
    "i16": 1,
    "u32": 2,
    "i32": 2,
    "u64": 4,
    "i64": 4,
    "acc32": 2,
    "f32": 2,
    "enum16": 1,
    "bits16": 1,
    "bits32": 2,
    "bits64": 4,
}


def profile_names() -> tuple[str, ...]:
    """Profiles that there are files for."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.toml")))


def file_of(profile: str) -> Path:
    """The file of a shipped profile by its id, or the one of your own that `profile` names."""
    return Path(profile) if profile.endswith(".toml") else PROFILES / f"{profile}.toml"


def dialect_of(profile: str) -> str:
    """The framing that a profile names; "" is Modbus, and of a profile that there is not."""
    path = file_of(profile)
    if not path.is_file():
        return ""
    return str(tomllib.loads(path.read_text(encoding="utf-8"))["line"].get("dialect", ""))


def other_units(profile: str) -> dict[str, int]:
    """Further unit numbers that the device answers at, by the profile's names."""
    path = file_of(profile)
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["line"].get("units", {})) if path.is_file() else {}


def still_device(profile: str, unit: int, name: str = "") -> Slave:
    """The device of `file_of(profile)` at `unit`, or what answers at its unit `name`. ValueError if there is none."""
    path = file_of(profile)
    if not path.is_file():
        raise ValueError(f"there is no profile {profile!r}; there are {', '.join(profile_names())}, and FILE.toml")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    line = data["line"]
    if line.get("dialect"):
        raise ValueError(f"{profile!r} is not Modbus: it is served on a pty")
    registers = chain_of(data) if data["identify"]["kind"] == "sunspec" else picture(data, name)
    world = StillWorld()
    tables = {function: _images(words) for function, words in registers.items()}

    def write(address: int, words: tuple[int, ...], now_ns: int) -> Written:
        for image in tables.get(3, []):
            offset = address - image.first
            if offset >= 0 and offset + len(words) <= image.count:
                struct.pack_into(f">{len(words)}H", image.data, 2 * offset, *words)
                return Written(0)
        return Written(ILLEGAL_ADDRESS)

    return Slave(unit, world, tables, line.get("max_registers", 125), write)


def picture(data: Mapping[str, Any], unit: str = "") -> dict[int, dict[int, int]]:
    """Function -> address -> register of a profile with fixed registers, or the images of a dialect. `unit`: what
    answers at another unit number of the device, by its name in `line.units`."""
    registers: dict[int, dict[int, int]] = {}
    line = data["line"]
    for function, address, words, mask in _registers(data, line, unit):
        table = registers.setdefault(function, {})
        for i, word in enumerate(words):
            kept = table.get(address + i, 0) & ~mask if mask else 0
            table[address + i] = kept | (word & mask if mask else word)
    for rule in (each for each in data["identify"].get("expect", []) if each.get("unit", "") == unit):
        table = registers.setdefault(rule.get("function", line.get("function", 3)), {})
        seen, wanted = table.get(rule["at"]), rule.get("values")
        if wanted:
            table[rule["at"]] = wanted[0]
        elif seen is None and WORDS[rule["type"]] == 1:
            table[rule["at"]] = rule.get("min", 0)
    return registers


class StillWorld:
    """Time does not pass."""

    revision = 0

    def advance_to(self, now_ns: int) -> None:
        """Nothing moves."""

    def sync(self, now_ns: int) -> None:
        """Nothing moves."""


def _registers(
    data: Mapping[str, Any], line: Mapping[str, Any], unit: str
) -> Iterator[tuple[int, int, list[int], int]]:
    """(function, address, words, mask) of all that has a place; bits by FC1 and FC2 count as 16 to a register."""
    usual, order = line.get("function", 3), line.get("word_order", "big")
    for name, text in (data["identify"].get("text") or {}).items():
        if "at" in text and not unit:
            title = data["identify"].get("expect_maker") if name == "maker" else ""
            if name == "model":
                title = "".join(next(iter(data["identify"].get(key, [])), "") for key in MODEL_KEYS)
            body = str(title or data["title"]).encode("ascii", "replace")
            raw = _string(body, text.get("count", 1)) if text.get("type", "string") == "string" else [0x1234] * 2
            size = text.get("count") or WORDS.get(text.get("type"), 1)
            yield text.get("function", usual), text["at"], raw[:size], 0
    for point in data["point"]:
        parts = point.get("parts") or [point]
        for i, part in enumerate(parts):
            elsewhere = part.get("unit", "") != unit
            if not isinstance(part.get("at"), int) or part.get("shared") or elsewhere:
                continue
            low_first = part.get("order", order) != "big"
            function = part.get("function", usual)
            if function in (1, 2):
                yield function, part["at"] & ~15, [0], 0
                continue
            value = VALUES.get(point["name"], 0) if i == 0 else 0
            mask = part.get("mask", 0)
            if mask and point["name"].endswith("enabled"):
                lo, hi = point.get("valid", (0, 1))
                part = {**part, "scale": "1", "sign": 1, "offset": 0}
                value = 0 if lo == hi else mask & -mask  # a single valid value is that of a register with no bit set
            for n in _places(part, point.get("combine")):
                step = part.get("step", WORDS.get(part.get("type", "u16"), 1))
                yield function, part["at"] + n * step, _encode(part, value, low_first), mask
        way = point.get("direction")
        if way is not None and way.get("unit", "") == unit:
            low_first = way.get("order", order) != "big"
            yield way.get("function", usual), way["at"], _encode(way, way["positive"][0], low_first), way.get("mask", 0)


def _places(part: Mapping[str, Any], combine: str | None) -> range:
    """Which of repeated values is meant: the first is the highest, the others are the lowest."""
    count = part.get("repeat", 1)
    return range(1) if combine == "max" else range(min(1, count - 1), count)


def _encode(part: Mapping[str, Any], value: int, low_first: bool) -> list[int]:
    kind = part.get("type", "u16")
    exact = (Fraction(value) - part.get("offset", 0)) / (Fraction(part.get("scale", "1")) * part.get("sign", 1))
    if kind == "f32":
        words = list(struct.unpack(">2H", struct.pack(">f", float(exact))))
    elif kind == "string":
        return _string(b"SIM", part.get("count", 1))
    else:
        count = WORDS.get(kind, 1)
        raw = round(exact) & ((1 << 16 * count) - 1)
        words = [raw >> 16 * (count - 1 - i) & 0xFFFF for i in range(count)]
    return words[::-1] if low_first else words


def _string(text: bytes, count: int) -> list[int]:
    return list(struct.unpack(f">{count}H", text.ljust(2 * count, b"\0")[: 2 * count]))


def _images(words: Mapping[int, int]) -> list[Image]:
    """Runs of registers; a gap of up to 64 is filled with zeros, as most devices do."""
    images: list[Image] = []
    run: list[int] = []
    for address in [*sorted(words), 1 << 20]:
        if run and address - run[-1] > 64:
            image = Image(run[0], run[-1] - run[0] + 1)
            for place in run:
                struct.pack_into(">H", image.data, 2 * (place - run[0]), words[place])
            images.append(image)
            run = []
        run.append(address)
    return images


def chain_of(data: Mapping[str, Any]) -> dict[int, dict[int, int]]:
    """The registers of a SunSpec device with model 1 and the models of the profile, only the first of alternatives; and
    the maker's own registers."""
    title = str(data["title"]).encode("ascii", "replace")
    maker = str(data["identify"].get("expect_maker") or "Still").encode("ascii")
    words = [0x5375, 0x6E53, 1, 66, *_string(maker, 16), *_string(title, 16), *_string(b"", 8), *_string(b"1", 8)]
    words += [*_string(b"1", 16), 1, 0x8000]
    points = [part for point in data["point"] for part in _one_of(point)]
    points = [point for point in points if not point.get("vendor")]
    for model in dict.fromkeys(point.get("model") or point["models"][0] for point in points):
        words += _model(model, [p for p in points if model in (p.get("model"), *p.get("models", [])[:1])])
    base = data["identify"]["bases"][0]
    registers = picture(data)
    chain = registers.setdefault(data["line"].get("function", 3), {})
    chain.update({base + n: word for n, word in enumerate([*words, 0xFFFF, 0])})
    return registers


def _one_of(point: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a point: the first that counts positive has its value, the others, as of the other direction, 0."""
    parts = point.get("parts") or [point]
    has = next((n for n, part in enumerate(parts) if part.get("sign", 1) > 0), 0)
    return [{**point, **part, "name": point["name"] if n == has else ""} for n, part in enumerate(parts)]


def _model(model: int, points: list[dict[str, Any]]) -> list[int]:
    """One model with four instances of its group: what no point names is not implemented."""
    table = tomllib.loads((MODELS / f"model_{model}.toml").read_text(encoding="utf-8"))
    rows, size = _rows(table["points"]), table["size"]
    words = _fill(rows, size, points, None)
    for group in table.get("group", [])[:1]:
        if group["count"] in rows:
            words[rows[group["count"]][0]] = COPIES
        inner = _rows(group["points"])
        for instance in range(1, COPIES + 1):
            words += _fill(inner, group["size"], points, instance)
    return [model, len(words) - 2, *words[2:]]


def _rows(text: str) -> dict[str, tuple[int, str, int, str]]:
    """Name -> offset, type, registers and scale factor point of the points of a model table."""
    lines = ([*line.split(), ""] for line in text.splitlines() if line)
    return {name: (int(offset), kind, int(size), scale) for offset, name, kind, size, scale, *_ in lines}


def _fill(
    rows: Mapping[str, tuple[int, str, int, str]], size: int, points: list[dict[str, Any]], instance: int | None
) -> list[int]:
    """The registers of a model outside its group, or of one instance of it."""
    words = [0] * size
    for name, (offset, kind, length, _) in rows.items():
        raw = FACTORS.get(name, 0) if kind == "sunssf" else MISSING.get(kind, (1 << 16 * length) - 1)
        words[offset : offset + length] = [raw >> 16 * (length - 1 - i) & 0xFFFF for i in range(length)]
    for point in points:
        meant = point.get("instance") == instance or point.get("every", False)
        if point["at"] in rows and meant:
            offset, kind, length, factor = rows[point["at"]]
            lo, hi = point.get("valid", (0, 1))
            value = lo if lo == hi else VALUES.get(point["name"], 0)
            scale = Fraction(point.get("scale", "1")) * Fraction(10) ** FACTORS.get(factor, 0)
            words[offset : offset + length] = _encode({**point, "type": kind, "scale": scale}, value, False)[:length]
    return words
