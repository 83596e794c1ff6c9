"""Every profile that there is, at its sentinels, at the extremes and at random bits of every register.

A reading is right or says that it does not know: never an exception, never a number that the device did not say. What
is right is worked out a second time here, from the raw TOML, without the driver's codec.
"""

from __future__ import annotations

import random
import struct
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from math import floor
from typing import Any

import pytest

from drivers import identify, sunspec
from drivers.assemble import Assembler
from drivers.bind import bind
from drivers.binding import Binding, DeviceSpec
from drivers.codec import BlockDecoder
from drivers.dialects import DIALECTS
from drivers.events import Identity
from drivers.layout import Layout
from drivers.plan import plan
from drivers.port import Port, Timing
from drivers.profile import PROFILES, load
from drivers.readings import Reading
from drivers.resolve import Resolver

Registers = Callable[[int, int], int]  # (function, address) -> word, or bit for functions 1 and 2
NAMES = sorted(path.stem for path in PROFILES.glob("*.toml"))
FIXED = [name for name in NAMES if not load(name).sunspec]
EXTREMES = (0x0000, 0xFFFF, 0x7FFF, 0x8000, 0x0001, 0x7FC0, 0xFF80)
FORMATS = {
    "u16": "H", "enum16": "H", "bits16": "H", "i16": "h", "u32": "I", "bits32": "I", "acc32": "I", "i32": "i",
    "f32": "f", "u64": "Q", "bits64": "Q", "acc64": "Q", "i64": "q",
}  # fmt: skip
KNOWN = {
    "name", "block", "at", "type", "count", "function", "order", "scale", "offset", "sign", "mask", "sentinels",
    "repeat", "step", "parts", "combine", "also", "confidence", "valid", "map", "bits", "unit",
}  # fmt: skip
# What can be at all, by the end of a point's name and by name.
SANE = {
    "soc_permille": (0, 1000), "soh_permille": (0, 1100), "pack_mv": (0, 1_500_000), "cell_max_mv": (1, 6000),
    "cell_min_mv": (1, 6000), "temp_max_dc": (-500, 1500), "temp_min_dc": (-500, 1500), "ccl_ma": (0, 5_000_000),
    "dcl_ma": (0, 5_000_000), "pack_ma": (-5_000_000, 5_000_000), "capacity_mah": (0, 100_000_000),
    "floor_permille": (0, 1000), "frequency_mhz": (0, 500_000), "grid_w": (-10**7, 10**7), "battery_w": (-10**7, 10**7),
    "pv_w": (-10**7, 10**7), "ac_w": (-10**7, 10**7), "import_wh": (0, 10**15), "export_wh": (0, 10**15),
    "phase_w": (-10**7, 10**7), "phase_mv": (0, 1_500_000), "phase_ma": (-5_000_000, 5_000_000),
}  # fmt: skip
PHASES = {"l1": 0, "l2": 1, "l3": 2}


class Device:
    """A profile bound to registers that the test makes up."""

    def __init__(self, name: str, registers: Registers) -> None:
        self.profile = load(name)
        lengths = {m: _length(m) for m in _models(self.profile)}
        chain, address = [], 40070
        for model, length in lengths.items():
            chain.append((model, address, length))
            address += length + 2
        confirmed = frozenset(point.name for point in self.profile.points)
        spec = DeviceSpec("x", self.profile.role, 1, self.profile, confirmed=confirmed)
        self.chain = tuple(chain)
        facts = {
            span.start + n: registers(span.function, span.start + n)
            for span in Resolver(self.profile, self.chain).facts()
            for n in range(span.length)
        }
        self.binding: Binding = bind(spec, self.chain, Identity("", "", "", ""), facts)
        self.layout = Layout(self.binding)
        self.assembler = Assembler(spec, self.binding, self.layout.slots)
        self.reads = [read for block in self.profile.blocks for read in self._reads(block.name)]

    def _reads(self, block: str) -> Iterator[tuple[int, int, int, BlockDecoder]]:
        items = self.layout.items(block)
        for read in plan([item.span() for item in items], 125, 2000):
            fields = [items[n].field(read.start) for n in read.members]
            yield read.function, read.start, read.length, BlockDecoder(fields)

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


def _models(profile: Any) -> list[int]:
    found = [p.model for point in profile.points for p in point.parts if p.model is not None]
    return list(dict.fromkeys(found))


def _length(model: int) -> int:
    table = sunspec.model(model)
    return table.size + (0 if table.group is None else 4 * table.group.size) - 2


def always(word: int) -> Registers:
    return lambda function, at: word


def only(place: tuple[int, int], word: int) -> Registers:
    return lambda function, at: word if (function, at) == place else 0


def fills(name: str) -> Iterator[tuple[str, Registers]]:
    """Registers all at one extreme, and at random ones; the same each time."""
    for word in EXTREMES:
        yield f"{word:04X}", always(word)
    for seed in range(25):
        noise: dict[tuple[int, int], int] = {}
        source = random.Random(f"{name}{seed}")

        def word_at(
            function: int, at: int, noise: dict[tuple[int, int], int] = noise, source: random.Random = source
        ) -> int:
            if (function, at) not in noise:
                extreme = source.random() < 0.3
                noise[function, at] = source.choice(EXTREMES) if extreme else source.getrandbits(16)
            return noise[function, at]

        yield f"noise {seed}", word_at


def check_sane(reading: Reading, name: str, fill: str) -> None:
    for key, value in asdict(reading).items():
        lo, hi = SANE.get(key, (None, None))
        if lo is None or hi is None:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            assert one is None or (isinstance(one, int) and lo <= one <= hi), (name, fill, key, one)


@pytest.mark.parametrize("name", NAMES)
def test_garbage_is_not_known_or_could_be_true(name: str) -> None:
    for fill, registers in fills(name):
        device = Device(name, registers)
        reading = device.read(registers)
        check_sane(reading, name, fill)
        ids = {alarm for point in device.profile.points for _, alarm in point.bits}
        assert set(getattr(reading, "alarms", ())) <= ids


@pytest.mark.parametrize("name", FIXED)
def test_every_value_is_what_the_file_says_it_is(name: str) -> None:
    raw = tomllib.loads((PROFILES / f"{name}.toml").read_text("utf-8"))
    unknown = {key for point in raw["point"] for part in (point, *point.get("parts", [])) for key in part} - KNOWN
    if unknown:
        pytest.skip(f"it uses {', '.join(sorted(unknown))}, which this check cannot work out by itself")
    for fill, registers in fills(name):
        reading = asdict(Device(name, registers).read(registers))
        for point in raw["point"]:
            for point_name in (point["name"], *point.get("also", [])):
                seen = _seen(reading, point_name)
                if seen is not SKIP:
                    wanted = _wanted(raw, point, point_name, registers)
                    assert seen == wanted, (name, fill, point_name)


@pytest.mark.parametrize("name", FIXED)
def test_one_register_at_its_extremes_among_quiet_ones(name: str) -> None:
    """A single register that goes mad changes what hangs on it, into something that could be true or is not known."""
    device = Device(name, always(0))
    places = {(f, start + n) for f, start, length, _ in device.reads for n in range(length)}
    for place in sorted(places):
        for word in EXTREMES:
            reading = device.read(only(place, word))
            check_sane(reading, name, f"{place} {word:04X}")


SKIP = object()


def _seen(reading: dict[str, Any], name: str) -> Any:
    if name[:2] in PHASES:
        return reading[f"phase_{name[3:]}"][PHASES[name[:2]]]
    if name in ("grid", "status", "alarms") or name not in reading:
        return SKIP
    return reading[name]


def _wanted(raw: dict[str, Any], point: dict[str, Any], name: str, registers: Registers) -> Any:
    values: list[int | None] = []
    combine = point.get("combine", "sum")
    lo, hi = point.get("valid") or SANE.get(name) or SANE.get(f"phase_{name[3:]}") or (None, None)
    for part in point.get("parts") or [point]:
        size = {"f": 2, "I": 2, "i": 2, "Q": 4, "q": 4}.get(FORMATS.get(part["type"], ""), 1)
        for n in range(part.get("repeat", 1)):
            at = part["at"] + n * part.get("step", size)
            value, absent = _value(raw["line"], part, at, size, registers)
            if absent and combine != "sum":
                continue
            values.append(value)
    if any(value is None for value in values) or not values:
        return None
    numbers = [value for value in values if value is not None]
    if combine == "sum":
        numbers = [sum(numbers)]
    if lo is not None and hi is not None and any(not lo <= value <= hi for value in numbers):
        return None
    found = max(numbers) if combine == "max" else min(numbers)
    return found != 0 if name in ("charge_enabled", "discharge_enabled") else found


def _value(
    line: dict[str, Any], part: dict[str, Any], at: int, size: int, registers: Registers
) -> tuple[int | None, bool]:
    function = part.get("function", line.get("function", 3))
    if part["type"] == "bit":
        return registers(function, at) & 1, False
    words = [registers(function, at + n) for n in range(size)]
    if part.get("order", line.get("word_order", "big")) == "little":
        words.reverse()
    number = struct.unpack(">" + FORMATS[part["type"]], struct.pack(f">{size}H", *words))[0]
    if number in part.get("sentinels", []):
        return None, True
    if isinstance(number, float):
        if not -1e15 < number < 1e15:
            return None, False
        return round(number * float(Fraction(part.get("scale", "1")) * part.get("sign", 1))) + part.get(
            "offset", 0
        ), False
    if part.get("mask"):
        number &= part["mask"]
    exact = number * Fraction(part.get("scale", "1")) * part.get("sign", 1)
    rounded = floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    return rounded + part.get("offset", 0), False


@pytest.mark.parametrize("name", NAMES)
def test_whoever_answers_the_question_who_it_is_gets_an_answer(name: str) -> None:
    """Random replies and refusals: a Binding or a sentence, never an exception."""
    profile = load(name)
    spec = DeviceSpec("x", profile.role, 1, profile)
    cap = 125 if not profile.dialect else DIALECTS[profile.dialect].words
    for seed in range(60):
        source = random.Random(f"{name}{seed}")
        port = Port(Timing.serial(9600, 10, 0), False)
        steps = identify.steps(spec, port, cap)
        request = next(steps)
        try:
            for _ in range(500):
                size = 2 * request.count if request.dialect is not None else request.head[2]
                data = bytes((request.function, size & 0xFF)) + source.randbytes(size)
                if request.function == 3 and size == 4 and source.random() < 0.5:
                    data = data[:2] + b"SunS"
                request = steps.send(source.choice((1, 2, 4, 6)) if source.random() < 0.1 else data)
        except StopIteration as end:
            found = end.value
            assert isinstance(found, Binding) or (isinstance(found, str) and "unit 1" in found)
        else:
            pytest.fail("it never ends")
