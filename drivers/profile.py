"""Device families as data: the frozen form of profiles/*.toml, and the checks that a file must pass.

Every complaint is a ProfileError that names file, key and reason. Refused are: a setpoint without release, a write
without bounds, overlapping points, a scale too coarse for the setpoint, unknown names, and anything pydantic refuses.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from drivers import sunspec
from drivers.codec import BIT_TYPES, RawType, words_of
from drivers.dialects import DIALECTS
from drivers.family import Block, Control, Part, Point, Profile, Put, PutGroup, Reversion, Rule, Text
from drivers.plausible import PLAUSIBLE
from drivers.profile_schema import (
    ControlEdge,
    PartEdge,
    PointEdge,
    ProfileEdge,
    RuleEdge,
    TextEdge,
    WriteEdge,
    WriteGroupEdge,
)
from drivers.readings import DeviceRole

PROFILES = Path(__file__).parent / "profiles"
MS = 1_000_000

POINTS: dict[DeviceRole, frozenset[str]] = {
    DeviceRole.BATTERY: frozenset(
        [
            "soc_permille",
            "soh_permille",
            "pack_mv",
            "pack_ma",
            "cell_max_mv",
            "cell_min_mv",
            "temp_max_dc",
            "temp_min_dc",
            "ccl_ma",
            "dcl_ma",
            "charge_enabled",
            "discharge_enabled",
            "alarms",
            "capacity_mah",
        ]
    ),
    DeviceRole.INVERTER: frozenset(
        ["battery_w", "pv_w", "ac_w", "grid", "frequency_mhz", "soc_permille", "floor_permille", "status", "alarms"]
    ),
    DeviceRole.METER: frozenset(
        [
            "grid_w",
            "frequency_mhz",
            "import_wh",
            "export_wh",
            "l1_w",
            "l2_w",
            "l3_w",
            "l1_mv",
            "l2_mv",
            "l3_mv",
            "l1_ma",
            "l2_ma",
            "l3_ma",
        ]
    ),
}
GRID_WORDS = frozenset({"connected", "islanded"})


class ProfileError(ValueError):
    """A profile that must not be used."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}")
        self.file, self.key, self.reason = file, key, reason


@cache
def load(profile_id: str, directory: Path | None = None) -> Profile:
    """A profile by its id: a shipped one, or NAME.toml of `directory`. ProfileError if there is none or it is wrong."""
    shipped, own = PROFILES / f"{profile_id}.toml", None if directory is None else directory / f"{profile_id}.toml"
    path = own if own is not None and own.is_file() else shipped
    if not path.is_file():
        places = (PROFILES,) if directory is None else (PROFILES, directory)
        known = ", ".join(sorted(p.stem for place in places for p in place.glob("*.toml")))
        raise ProfileError(path.name, "profile", f"there is no such profile; known are {known}")
    if path == own and shipped.is_file():
        raise ProfileError(str(own), "profile", f"{profile_id} is a shipped profile; give yours a name of its own")
    try:
        found = parse(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(str(path), "profile", f"cannot be read: {error}") from error
    if found.id != profile_id:
        raise ProfileError(path.name, "id", f'"{found.id}" is not the name of the file; make them the same')
    return found


def parse(text: str, file: str) -> Profile:
    """A profile from its TOML text; `file` is the name for complaints."""
    try:
        edge = ProfileEdge.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(file, "toml", str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ProfileError(file, _key(first["loc"]), f"{first['msg']} (found {first['input']!r:.80})") from error
    return _Reader(edge, file).profile()


def _key(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


class _Reader:
    """Turns the edge into the frozen form, complaining by key."""

    def __init__(self, edge: ProfileEdge, file: str) -> None:
        self._edge, self._file = edge, file
        self._sunspec = edge.identify.kind == "sunspec"

    def profile(self) -> Profile:
        edge, line = self._edge, self._edge.line
        role = DeviceRole(edge.role)
        self._check_dialect()
        controls = tuple(self._control(f"control[{n}]", c) for n, c in enumerate(edge.control))
        floor = None
        if edge.floor is not None:
            floor = self._group("floor", WriteGroupEdge(model=edge.floor.model, write=[edge.floor.write]))
        points = tuple(
            self._point(f"point[{n}]", p, role) for n, whole in enumerate(edge.point) for p in self._of_models(n, whole)
        )
        self._check_overlaps(points)
        points += tuple(self._also(edge.point, role))
        self._check_twice(points)
        if (controls or floor) and role is not DeviceRole.INVERTER:
            self._fail("control", f"a {edge.role} is never written to; only an inverter has control or floor")
        if edge.timing.stale_s < edge.timing.refresh_s:
            self._fail("timing.stale_s", f"{edge.timing.stale_s} s is shorter than refresh_s {edge.timing.refresh_s} s")
        return Profile(
            id=edge.id,
            title=edge.title,
            role=role,
            links=tuple(line.links),
            baud=line.baud,
            function=line.function,
            max_registers=line.max_registers,
            max_bits=line.max_bits,
            response_ns=line.response_ms * MS,
            gap_ns=line.gap_ms * MS,
            sunspec=self._sunspec,
            bases=self._bases(),
            texts=self._texts(),
            expect_maker=edge.identify.expect_maker,
            refresh_s=edge.timing.refresh_s,
            stale_s=edge.timing.stale_s,
            soc_quantum_permille=edge.battery.soc_quantum_permille,
            blocks=self._blocks(),
            points=points,
            floor=floor,
            controls=controls,
            dialect=line.dialect,
            rules=tuple(self._rule(f"identify.require[{n}]", rule) for n, rule in enumerate(edge.identify.require)),
            models=tuple(edge.identify.models),
            confidence=edge.confidence,
        )

    def _check_dialect(self) -> None:
        line = self._edge.line
        if line.dialect and (line.links != ["rtu"] or self._sunspec or self._edge.control or self._edge.floor):
            self._fail(
                "line.dialect", f"{line.dialect} is read over a serial line, by fixed registers, and never written"
            )

    def _function(self, key: str, function: int | None) -> int:
        found, dialect = function or self._edge.line.function, self._edge.line.dialect
        known = DIALECTS[dialect].functions if dialect else (1, 2, 3, 4)
        if found not in known:
            names = ", ".join(hex(n) if dialect else str(n) for n in sorted(known))
            self._fail(f"{key}.function", f"{found} does not read anything; known are {names}")
        return found

    def _rule(self, key: str, edge: RuleEdge) -> Rule:
        length = words_of(edge.type)
        if self._sunspec or not length:
            self._fail(key, "is for numbers in fixed registers; a SunSpec device is known by its models")
        if edge.min is None and edge.max is None and not edge.values:
            self._fail(key, "says nothing; give values = [...], or min and max")
        order, function = edge.order or self._edge.line.word_order, self._function(key, edge.function)
        return Rule(
            edge.at, edge.type, length, function, order, Fraction(edge.scale), edge.min, edge.max,
            tuple(edge.values), edge.says,
        )  # fmt: skip

    def _fail(self, key: str, reason: str) -> None:
        raise ProfileError(self._file, key, reason)

    def _bases(self) -> tuple[int, ...]:
        if self._sunspec and not self._edge.identify.bases:
            self._fail("identify.bases", "say where the SunSpec marker may be, e.g. [40000, 0, 50000]")
        return tuple(self._edge.identify.bases)

    def _texts(self) -> tuple[Text, ...]:
        text = self._edge.identify.text
        if self._sunspec:
            if text is not None:
                self._fail("identify.text", "a SunSpec device says who it is in model 1; leave this out")
            return ()
        if text is None:
            self._fail("identify.text", "say where maker, model, version and serial are read")
            raise AssertionError
        return tuple(self._text(n, getattr(text, n)) for n in ("maker", "model", "version", "serial"))

    def _text(self, name: str, edge: TextEdge) -> Text:
        key = f"identify.text.{name}"
        if (edge.text is None) == (edge.at is None):
            self._fail(key, 'needs either text = "..." or at = register')
        length = edge.count or words_of(edge.type)
        if edge.at is not None and length == 0:
            self._fail(key, "a string needs count = registers")
        return Text(edge.text, edge.at or 0, edge.type, length, self._function(key, edge.function))

    def _blocks(self) -> tuple[Block, ...]:
        if not any(block.ages for block in self._edge.blocks.values()):
            self._fail("blocks", "no block has ages = true, so nothing would tell how old a reading is")
        stale_ms = self._edge.timing.stale_s * 1000
        return tuple(
            Block(
                name,
                block.every_ms * MS,
                block.priority == "fast",
                block.ages,
                block.after_write,
                (block.stale_ms or max(stale_ms, 3 * block.every_ms)) * MS,
                None if block.read is None else (block.read.function, block.read.at, block.read.count),
            )
            for name, block in self._edge.blocks.items()
        )

    def _point(self, key: str, edge: PointEdge, role: DeviceRole) -> Point:
        key = f"{key} ({edge.name})"
        if edge.name not in POINTS[role]:
            self._fail(f"{key}.name", f"a {role} has no {edge.name}; known are {', '.join(sorted(POINTS[role]))}")
        if edge.block not in self._edge.blocks:
            self._fail(f"{key}.block", f'there is no block "{edge.block}"; known are {", ".join(self._edge.blocks)}')
        if (edge.at is None) == (not edge.parts):
            self._fail(key, "needs either at = ... or parts = [...]")
        if edge.name == "grid" and (not edge.map or not set(edge.map.values()) <= GRID_WORDS):
            self._fail(f"{key}.map", "the grid state needs a map to connected and islanded; any other value is unknown")
        if edge.name == "alarms" and not edge.bits:
            self._fail(f"{key}.bits", "alarms need a map of bits to alarm ids")
        given = edge.parts or [PartEdge.model_validate(edge.model_dump(include=set(PartEdge.model_fields)))]
        parts = [
            self._part(f"{key}.parts[{n}]" if edge.parts else key, part)
            for n, whole in enumerate(given)
            for part in self._repeated(key, whole)
        ]
        return Point(
            edge.name,
            edge.block,
            tuple(parts),
            edge.valid or PLAUSIBLE.get(edge.name),
            self._numbers(f"{key}.map", edge.map),
            self._numbers(f"{key}.bits", edge.bits),
            edge.combine,
            edge.confidence if "confidence" in edge.model_fields_set else self._edge.confidence,
        )

    def _of_models(self, n: int, point: PointEdge) -> list[PointEdge]:
        if point.models and (point.model is not None or point.parts):
            self._fail(f"point[{n}].models", "is instead of model and parts")
        return [point.model_copy(update={"model": m, "models": []}) for m in point.models] or [point]

    def _also(self, points: list[PointEdge], role: DeviceRole) -> Iterator[Point]:
        for n, point in enumerate(points):
            for name in point.also:
                yield self._point(f"point[{n}].also", point.model_copy(update={"name": name}), role)

    def _repeated(self, key: str, edge: PartEdge) -> list[PartEdge]:
        if edge.repeat == 1:
            return [edge]
        step = edge.step or words_of(edge.type or RawType.BIT)
        if not isinstance(edge.at, int) or not step:
            self._fail(f"{key}.repeat", "is for values of a fixed size in fixed registers")
            raise AssertionError
        return [edge.model_copy(update={"at": edge.at + n * step, "repeat": 1}) for n in range(edge.repeat)]

    def _numbers(self, key: str, table: dict[str, str]) -> tuple[tuple[int, str], ...]:
        for name in table:
            if not name.isdecimal():
                self._fail(key, f'"{name}" is not a number')
        return tuple(sorted((int(name), word) for name, word in table.items()))

    def _part(self, key: str, edge: PartEdge) -> Part:
        function = self._function(key, edge.function)
        length = edge.count
        if self._sunspec:
            if isinstance(edge.at, int) or edge.model is None:
                self._fail(key, 'a SunSpec value is model = N and at = "PointName"; addresses come from the chain')
            self._table_point(key, edge.model, str(edge.at), edge.instance or (1 if edge.match else None))
            if edge.match is not None:
                self._table_point(f"{key}.match", edge.model, edge.match.at, 1)
        else:
            if isinstance(edge.at, str) or edge.type is None:
                self._fail(key, "needs at = register and type = ...")
                raise AssertionError
            if (edge.type in BIT_TYPES) != (function in (1, 2)):
                self._fail(f"{key}.type", f"{edge.type.value} cannot be read with function {function}")
            length = 1 if edge.type is RawType.BIT else edge.count or words_of(edge.type)
            if length == 0:
                self._fail(f"{key}.count", f"{edge.type.value} needs a count")
        return Part(
            edge.at,
            edge.model,
            edge.instance,
            None if edge.match is None else (edge.match.at, tuple(edge.match.values)),
            edge.type,
            length,
            function,
            edge.order or self._edge.line.word_order,
            Fraction(edge.scale) * edge.sign,
            edge.offset,
            edge.mask,
            tuple(edge.sentinels),
            edge.of,
        )

    def _table_point(self, key: str, model: int | None, name: str, instance: int | None) -> sunspec.ModelPoint:
        try:
            table = sunspec.model(model or 0)
        except KeyError as error:
            raise ProfileError(self._file, f"{key}.model", str(error.args[0])) from error
        point = table.find(name, instance)
        if point is None:
            raise ProfileError(self._file, f"{key}.at", f'model {model} has no point "{name}"')
        return point

    def _check_twice(self, points: tuple[Point, ...]) -> None:
        """Only a SunSpec profile may name several homes of a point: the chain decides. Alarms may be in many places."""
        names = [point.name for point in points if point.name != "alarms"]
        for name in dict.fromkeys(names):
            if not self._sunspec and names.count(name) > 1:
                self._fail(f"point {name}", "is there twice")

    def _check_overlaps(self, points: tuple[Point, ...]) -> None:
        spans: list[tuple[int, int, int, Part, str, bool]] = []
        for point in points:
            for part in point.parts:
                if isinstance(part.at, int):
                    of_many = point.combine != "sum"
                    spans.append((part.function, part.at, part.at + part.length, part, point.name, of_many))
        spans.sort(key=lambda s: s[:3])
        for a, b in pairwise(spans):
            divided = (a[3].mask and b[3].mask) or (a[5] and b[5] and a[4] != b[4])
            shared = a[1:3] == b[1:3] and a[3].kind is b[3].kind and divided
            if a[0] == b[0] and b[1] < a[2] and not shared:
                self._fail(f"point {b[4]}.at", f"register {b[1]} is already part of point {a[4]} ({a[1]}..{a[2] - 1})")

    def _control(self, key: str, edge: ControlEdge) -> Control:
        key = f"{key} ({edge.id})"
        if edge.power and not edge.clear:
            self._fail(f"{key}.clear", "a setpoint without a release is refused: say how control is handed back")
        if not edge.power:
            self._fail(f"{key}.power", "a control without power writes controls nothing")
        rev = edge.reversion
        if not rev.min_s <= rev.default_s <= rev.max_s:
            self._fail(f"{key}.reversion.default_s", f"{rev.default_s} s is outside {rev.min_s}..{rev.max_s} s")
        if rev.kind == "device_s" and not self._writes_symbol(edge.power, "reversion"):
            self._fail(f"{key}.power", "the reversion time must be written with every setpoint")
        power = self._groups(f"{key}.power", edge.power, edge)
        return Control(
            edge.id,
            tuple(edge.models),
            edge.unit,
            edge.control_point,
            edge.max_step,
            edge.active_mode,
            edge.min_refresh_s,
            edge.read_back,
            edge.settle_ms * MS,
            tuple(edge.wearing),
            edge.pv_curtailment,
            Reversion(rev.kind, rev.verified, rev.default_s, rev.min_s, rev.max_s),
            tuple(self._part(f"{key}.rated.charge[{n}]", p) for n, p in enumerate(edge.rated.charge)),
            tuple(self._part(f"{key}.rated.discharge[{n}]", p) for n, p in enumerate(edge.rated.discharge)),
            tuple((name, self._part(f"{key}.state.{name}", p)) for name, p in edge.state.items()),
            power,
            self._groups(f"{key}.clear", edge.clear, edge),
            self._groups(f"{key}.stop", edge.stop, edge) or power,
        )

    @staticmethod
    def _writes_symbol(groups: list[WriteGroupEdge], symbol: str) -> bool:
        return any(write.value == symbol for group in groups for write in group.write)

    def _groups(self, key: str, groups: list[WriteGroupEdge], control: ControlEdge) -> tuple[PutGroup, ...]:
        for n, group in enumerate(groups):
            for m, write in enumerate(group.write):
                self._check_step(f"{key}[{n}].write[{m}].scale", write, control)
        return tuple(self._group(f"{key}[{n}]", group) for n, group in enumerate(groups))

    def _check_step(self, key: str, write: WriteEdge, control: ControlEdge) -> None:
        if write.value not in ("setpoint", "-setpoint") or self._sunspec:
            return  # SunSpec scale factors are known when the device is read, and checked then
        if abs(Fraction(write.scale)) > control.max_step:
            unit = "W" if control.unit == "w" else "%"
            self._fail(
                key, f"steps of {write.scale} {unit} lose the setpoint's resolution of {control.max_step} {unit}"
            )

    def _group(self, key: str, group: WriteGroupEdge) -> PutGroup:
        end: int | None = None
        size = 0
        puts = []
        for n, write in enumerate(group.write):
            put, begin, size = self._put(f"{key}.write[{n}]", write, group.model)
            if end is not None and begin != end:
                self._fail(f"{key}.write[{n}].at", "the values of one write must be neighbours; make two writes of it")
            end = begin + size
            puts.append(put)
        if group.function == 6 and (len(puts) != 1 or size != 1):
            self._fail(f"{key}.function", "function 6 writes one register only")
        return PutGroup(group.model, group.function, tuple(puts))

    def _put(self, key: str, edge: WriteEdge, model: int | None) -> tuple[Put, int, int]:
        if isinstance(edge.value, str) and (edge.min is None or edge.max is None or edge.min > edge.max):
            self._fail(key, f"{edge.value} is written without bounds; give min and max in the register's unit")
        if self._sunspec:
            if isinstance(edge.at, int) or model is None:
                self._fail(key, 'a SunSpec write is model = N and at = "PointName"; addresses come from the chain')
            point = self._table_point(key, model, str(edge.at), None)
            begin, size = point.offset, point.words
        else:
            if isinstance(edge.at, str) or edge.type is None:
                self._fail(key, "needs at = register and type = ...")
                raise AssertionError
            begin, size = edge.at, words_of(edge.type)
        order = edge.order or self._edge.line.word_order
        put = Put(edge.at, edge.value, edge.type, order, Fraction(edge.scale), edge.of, edge.min, edge.max)
        return put, begin, size
