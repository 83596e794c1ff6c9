"""Profiles on registers that a test makes up: the real parts from the register to the reading, and the registers."""

from __future__ import annotations

import random
import struct
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from functools import cache
from typing import Any

from drivers.assemble import Assembler
from drivers.bind import bind
from drivers.binding import Binding, Chain, DeviceSpec
from drivers.codec import BlockDecoder
from drivers.events import Identity
from drivers.layout import Layout
from drivers.plan import Reach, plan
from drivers.profile import PROFILES, load
from drivers.readings import Reading
from drivers.resolve import Resolver
from tests.drivers.sunspec_models import definition, size

Registers = Callable[[int, int], int]  # (function, address) -> word, or bit for functions 1 and 2
Rows = dict[str, tuple[int, str, int, str]]  # name -> offset, type, registers, scale factor
NAMES = sorted(path.stem for path in PROFILES.glob("*.toml"))
FIXED = [name for name in NAMES if not load(name).sunspec]
SUNSPEC = [name for name in NAMES if load(name).sunspec]
EXTREMES = (0x0000, 0xFFFF, 0x7FFF, 0x8000, 0x0001, 0x7FC0, 0xFF80)
CHAIN_AT = 40070
COPIES = 4  # instances of a model's group
FORMATS = {
    "u16": "H", "enum16": "H", "bits16": "H", "i16": "h", "u32": "I", "bits32": "I", "acc32": "I", "i32": "i",
    "f32": "f", "u64": "Q", "bits64": "Q", "acc64": "Q", "i64": "q", "uint16": "H", "int16": "h", "uint32": "I",
    "int32": "i", "uint64": "Q", "int64": "q", "bitfield16": "H", "bitfield32": "I", "float32": "f", "count": "H",
}  # fmt: skip
ABSENT = {"H": 0xFFFF, "h": -0x8000, "I": 0xFFFFFFFF, "i": -0x80000000, "Q": 2**64 - 1, "q": -(2**63)}
# What can be at all, by the end of a point's name and by name.
SANE = {
    "soc_permille": (0, 1000), "soh_permille": (0, 1100), "pack_mv": (0, 1_500_000), "cell_max_mv": (1, 6000),
    "cell_min_mv": (1, 6000), "temp_max_dc": (-500, 1500), "temp_min_dc": (-500, 1500), "ccl_ma": (0, 5_000_000),
    "dcl_ma": (0, 5_000_000), "pack_ma": (-5_000_000, 5_000_000), "capacity_mah": (0, 100_000_000),
    "floor_permille": (0, 1000), "frequency_mhz": (0, 500_000), "grid_w": (-10**7, 10**7), "battery_w": (-10**7, 10**7),
    "pv_w": (-10**7, 10**7), "ac_w": (-10**7, 10**7), "import_wh": (0, 10**15), "export_wh": (0, 10**15),
    "phase_w": (-10**7, 10**7), "phase_mv": (0, 1_500_000), "phase_ma": (-5_000_000, 5_000_000),
}  # fmt: skip
NAN = 0x7FC00000


# --- the driver -------------------------------------------------------------------------------------------------------
class Device:
    """A profile bound to registers that the test makes up."""

    def __init__(self, name: str, registers: Registers, chain: Chain = ()) -> None:
        self.profile = load(name)
        confirmed = frozenset(point.name for point in self.profile.points)
        spec = DeviceSpec("x", self.profile.role, 1, self.profile, confirmed=confirmed, nameplate_w=(5000, 5000))
        self.facts = {
            (span.function, span.start + n): registers(span.function, span.start + n)
            for span in Resolver(self.profile, chain).facts()
            for n in range(span.length)
        }
        words = {address: word for (_, address), word in self.facts.items()}
        self.binding: Binding = bind(spec, chain, Identity("", "", "", ""), words)
        self.layout = Layout(self.binding)
        self.assembler = Assembler(spec, self.binding, self.layout.slots)
        self.reads = [read for block in self.profile.blocks for read in self._reads(block.name)]

    def _reads(self, block: str) -> Iterator[tuple[int, int, int, BlockDecoder]]:
        items = self.layout.items(block)
        for read in plan([item.span() for item in items], Reach(125, 2000)):
            fields = [items[n].field(read.start) for n in read.members]
            yield read.function, read.start, read.length, BlockDecoder(fields)

    def places(self) -> list[tuple[int, int]]:
        """Every register that is read, to bind it or again and again."""
        polled = {(f, start + n) for f, start, length, _ in self.reads for n in range(length)}
        return sorted(polled | set(self.facts))

    def read(self, registers: Registers) -> Reading:
        values: list[int | None] = [None] * self.layout.count
        for function, start, length, decoder in self.reads:
            if function in (1, 2) and not self.profile.dialect:
                bits = sum((registers(function, start + n) & 1) << n for n in range(length))
                data = bits.to_bytes((length + 7) // 8, "little")
            else:
                data = b"".join(registers(function, start + n).to_bytes(2, "big") for n in range(length))
            decoder.decode(data, 0, values)
        return self.assembler.reading(values, 1, 1, 1)


# --- registers --------------------------------------------------------------------------------------------------------
@cache
def raw_of(name: str) -> dict[str, Any]:
    """The file of a profile."""
    return tomllib.loads((PROFILES / f"{name}.toml").read_text("utf-8"))


def _models(found: Any) -> Iterator[int]:
    """Every model that a part of a file names."""
    if isinstance(found, dict):
        yield from [found["model"]] if "model" in found else []
        for key, value in found.items():
            yield from value if key == "models" else _models(value)
    elif isinstance(found, list):
        for one in found:
            yield from _models(one)


def chains(name: str) -> dict[str, Chain]:
    """Of a SunSpec profile: each model that it names alone, all of them, and all of them twice; of others none."""
    models = list(dict.fromkeys(_models({key: raw_of(name).get(key, []) for key in ("point", "control", "floor")})))
    found = {str(model): chain_of([model]) for model in models}
    return {**found, "all": chain_of(models), "twice": chain_of([*models, *models])}


def chain_of(models: list[int]) -> Chain:
    """These models one behind the other, with four instances of what repeats."""
    chain, address = [], CHAIN_AT
    for model in models:
        _, first, _, step = layout_of(model)
        chain.append((model, address, first + COPIES * step - 2))
        address += first + COPIES * step
    return tuple(chain)


@cache
def layout_of(model: int) -> tuple[Rows, int, Rows, int]:
    """Points outside the repeating group, where that begins, its points, its size; by the standard."""
    group = definition(model)["group"]
    rows, end = _rows(group, 0), size(group)
    for part in group.get("groups", []):
        if "count" in part:
            return rows, end, _rows(part, 0), size(part)
        end += size(part)
    return rows, end, {}, 0


def _rows(group: dict[str, Any], offset: int) -> Rows:
    rows: Rows = {}
    for point in group["points"]:
        rows[point["name"]] = (offset, point["type"], int(point["size"]), point.get("sf", ""))
        offset += int(point["size"])
    return rows


def types_of(chain: Chain) -> dict[int, str]:
    """Address -> type, of what is one register in a chain."""
    found = {}
    for model, address, _ in chain:
        rows, first, inner, step = layout_of(model)
        found.update({address + offset: kind for offset, kind, _, _ in rows.values()})
        for n in range(COPIES):
            found.update({address + first + n * step + offset: kind for offset, kind, _, _ in inner.values()})
    return {at: kind for at, kind in found.items() if kind in ("sunssf", "enum16", "uint16", "int16")}


def sentinels(name: str, chain: Chain = ()) -> Iterator[dict[tuple[int, int], int]]:
    """The registers of each value in turn that its maker or the standard calls "not implemented"."""
    line = raw_of(name)["line"]
    for point in raw_of(name)["point"]:
        for part in point.get("parts") or [point]:
            if isinstance(part["at"], int):
                function, letter = part.get("function", line.get("function", 3)), FORMATS.get(part["type"], "H")
                little = part.get("order", line.get("word_order")) == "little"
                for raw in part.get("sentinels", []):
                    yield _put(function, part["at"], letter, raw, little)
                if letter == "f":
                    yield _put(function, part["at"], "I", NAN, little)
    for model, address, _ in chain:
        rows, first, inner, step = layout_of(model)
        places = [(offset, kind) for offset, kind, _, _ in rows.values()]
        places += [(first + n * step + offset, kind) for n in range(COPIES) for offset, kind, _, _ in inner.values()]
        for offset, kind in places:
            if kind == "float32":
                yield _put(3, address + offset, "I", NAN, False)
            elif kind == "sunssf" or FORMATS.get(kind) in ABSENT:
                letter = "h" if kind == "sunssf" else FORMATS[kind]
                yield _put(3, address + offset, letter, ABSENT[letter], False)


def _put(function: int, at: int, letter: str, raw: int, little: bool) -> dict[tuple[int, int], int]:
    bits = 8 * struct.calcsize(letter)
    data = (raw & ((1 << bits) - 1)).to_bytes(bits // 8, "big")
    words = struct.unpack(f">{len(data) // 2}H", data)
    return {(function, at + n): word for n, word in enumerate(words[::-1] if little else words)}


def always(word: int) -> Registers:
    return lambda function, at: word


def only(place: tuple[int, int], word: int, rest: Registers) -> Registers:
    return lambda function, at: word if (function, at) == place else rest(function, at)


def over(changed: dict[tuple[int, int], int], rest: Registers) -> Registers:
    return lambda function, at: changed[function, at] if (function, at) in changed else rest(function, at)


def fills(name: str, chain: Chain = (), times: int = 25) -> Iterator[tuple[str, Registers]]:
    """Registers all at one extreme, and at random ones; the same each time. Most scale factors are such as there are,
    since next to nothing is known beside one that is not."""
    for word in EXTREMES:
        yield f"{word:04X}", always(word)
    types = types_of(chain)
    for seed in range(times):
        source = random.Random(f"{name}{seed}")
        calm = seed % 2 == 1
        yield f"noise {seed}", _noise(source, types, _likely(raw_of(name), source) if calm else {}, calm)


def _likely(raw: dict[str, Any], source: random.Random) -> dict[tuple[int, int], int]:
    """For most parts that lie in fixed registers, a value that the point could have."""
    found: dict[tuple[int, int], int] = {}
    line = raw["line"]
    for point in raw["point"]:
        lo, hi = point.get("valid") or SANE.get(point["name"]) or SANE.get(f"phase_{point['name'][3:]}") or (0, 1)
        for part in point.get("parts") or [point]:
            if not isinstance(part["at"], int) or part["type"] not in FORMATS or source.random() < 0.3:
                continue
            value = source.randint(lo, min(hi, lo + 200_000))
            if "map" in point:
                value = int(source.choice(list(point["map"])))
            number = (value - part.get("offset", 0)) / (Fraction(part.get("scale", "1")) * part.get("sign", 1))
            letter = FORMATS[part["type"]]
            bits = 8 * struct.calcsize(letter)
            whole = round(number) & ((1 << bits) - 1)
            data = struct.pack(">f", number) if letter == "f" else whole.to_bytes(bits // 8, "big")
            words = list(struct.unpack(f">{len(data) // 2}H", data))
            if part.get("order", line.get("word_order", "big")) == "little":
                words.reverse()
            for copy in range(part.get("repeat", 1)):
                at = part["at"] + copy * part.get("step", len(words))
                found.update({(part.get("function", line.get("function", 3)), at + n): w for n, w in enumerate(words)})
    return found


def _noise(source: random.Random, types: dict[int, str], likely: dict[tuple[int, int], int], calm: bool) -> Registers:
    """Calm: nearly every register of a chain is small, so that values made of many are known too."""
    noise = dict(likely)

    def word_at(function: int, at: int) -> int:
        if (function, at) not in noise:
            kind, chance = types.get(at), source.random()
            if kind == "sunssf" and chance < 0.9:
                factors = (-1, -2, -3) if calm else (0, 0, 0, -1, -2, -3, -10, 1, 2, 10)
                noise[function, at] = source.choice(factors) & 0xFFFF
            elif kind == "sunssf":
                noise[function, at] = source.choice((0x8000, 11, -11 & 0xFFFF, source.getrandbits(16)))
            elif kind == "enum16" and chance < 0.7:
                noise[function, at] = source.randint(0, 8)
            elif calm and kind is not None and chance < 0.97:
                noise[function, at] = source.randint(1, 50)
            else:
                noise[function, at] = source.choice(EXTREMES) if chance < 0.3 else source.getrandbits(16)
        return noise[function, at]

    return word_at


def check_sane(reading: Reading, name: str, fill: str) -> None:
    """Every number could be true."""
    for key, value in asdict(reading).items():
        assert not isinstance(value, float), (name, fill, key)
        lo, hi = SANE.get(key, (None, None))
        if lo is None or hi is None:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            assert one is None or (isinstance(one, int) and lo <= one <= hi), (name, fill, key, one)
