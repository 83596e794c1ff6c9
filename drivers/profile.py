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
from drivers.family import Block, Direction, Expect, Part, Point, Profile, Text
from drivers.plausible import PLAUSIBLE
from drivers.profile_control import ControlReader, protection
from drivers.profile_error import ProfileError
from drivers.profile_fit import check_fit
from drivers.profile_schema import ExpectEdge, PartEdge, PointEdge, ProfileEdge, TextEdge
from drivers.readings import DeviceRole

__all__ = ["ProfileError", "load", "parse"]

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
            "force_charge",
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


@cache
def path_of(profile_id: str, directory: Path | None = None) -> Path:
    """Its file: in `directory` if there is one, else among the shipped ones."""
    own = None if directory is None else directory / f"{profile_id}.toml"
    return own if own is not None and own.is_file() else PROFILES / f"{profile_id}.toml"


def load(profile_id: str, directory: Path | None = None) -> Profile:
    """A profile by its id: a shipped one, or NAME.toml of `directory`. ProfileError if there is none or it is wrong."""
    shipped, own = PROFILES / f"{profile_id}.toml", None if directory is None else directory / f"{profile_id}.toml"
    path = path_of(profile_id, directory)
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
    except ValidationError as error:  # before ValueError, which it is too
        first = error.errors(include_url=False)[0]
        raise ProfileError(file, _key(first["loc"]), f"{first['msg']} (found {first['input']!r:.80})") from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of thousands of digits, a list in a list in ...
        raise ProfileError(file, "toml", str(error).partition(";")[0]) from error
    profile = _Reader(edge, file).profile()
    check_fit(file, profile)
    return profile


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
        writes = ControlReader(self._file, self._sunspec, line.word_order, line.units, self._part, self._table_point)
        controls = tuple(writes.control(f"control[{n}]", c) for n, c in enumerate(edge.control))
        floor = None if edge.floor is None else writes.floor(edge.floor)
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
            period_ns=line.period_ms * MS,
            max_gap=line.max_gap,
            holes=self._holes(points),
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
            models=tuple(edge.identify.models),
            expect_model=tuple(edge.identify.expect_model),
            expect_model_end=tuple(edge.identify.expect_model_end),
            expects=tuple(self._expect(f"identify.expect[{n}]", e) for n, e in enumerate(edge.identify.expect)),
            units=tuple(line.units.items()),
            notes=tuple(edge.notes),
            floor_confidence="high" if edge.floor is None else edge.floor.confidence,
            protection=protection(self._file, edge.protection, controls, floor),
        )

    def _holes(self, points: tuple[Point, ...]) -> tuple[tuple[int, int, int], ...]:
        holes = tuple((edge.function, edge.at, edge.at + edge.count - 1) for edge in self._edge.line.illegal)
        for point in points:
            for part in point.parts:
                for n, (function, first, last) in enumerate(holes):
                    inside = isinstance(part.at, int) and part.at <= last and first < part.at + part.length
                    if inside and part.function == function:
                        self._fail(
                            f"line.illegal[{n}]", f"point {point.name} lies in {first}..{last}; one of them is wrong"
                        )
        return holes

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

    def _expect(self, key: str, edge: ExpectEdge) -> Expect:
        if self._sunspec:
            self._fail(key, "a SunSpec device says who it is in model 1; leave this out")
        if edge.min is None and edge.max is None and not edge.values and not edge.but:
            self._fail(key, "says nothing; give values = [...], but = [...], or min and max")
        data = edge.model_dump(include=set(PartEdge.model_fields))
        values, but = tuple(edge.values), tuple(edge.but)
        return Expect(self._part(key, PartEdge.model_validate(data)), values, but, edge.means, edge.min, edge.max)

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
        found = [
            self._part(f"{key}.parts[{n}]" if edge.parts else key, part)
            for n, whole in enumerate(given)
            for part in self._repeated(key, whole)
        ]
        way = edge.direction
        if way is not None:
            if edge.combine != "sum":
                self._fail(f"{key}.direction", "is of one magnitude, not of the highest or lowest of several")
            data = way.model_dump(include=set(PartEdge.model_fields))
            found.append(self._part(f"{key}.direction", PartEdge.model_validate(data)))
        return Point(
            edge.name,
            edge.block,
            tuple(found),
            edge.valid or PLAUSIBLE.get(edge.name),
            self._numbers(f"{key}.map", edge.map),
            self._numbers(f"{key}.bits", edge.bits),
            edge.confidence if "confidence" in edge.model_fields_set else self._edge.confidence,
            None if way is None else Direction(tuple(way.positive), tuple(way.negative), tuple(way.still)),
            edge.combine,
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
            if not name.isdecimal() or len(name) > 20:
                self._fail(key, f'"{name:.20}" is not the number of a bit or of a value')
        return tuple(sorted((int(name), word) for name, word in table.items()))

    def _part(self, key: str, edge: PartEdge) -> Part:
        function = self._function(key, edge.function)
        length = edge.count
        if edge.unit and edge.unit not in self._edge.line.units:
            self._fail(f"{key}.unit", f'line.units has no "{edge.unit}"')
        if self._sunspec and not edge.vendor:
            if isinstance(edge.at, int) or edge.model is None:
                self._fail(key, 'a SunSpec value is model = N and at = "PointName"; addresses come from the chain')
            grouped = edge.match is not None or (edge.every and not self._outside_group(edge))
            self._table_point(key, edge.model, str(edge.at), edge.instance or (1 if grouped else None))
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
            edge.shared,
            edge.unit,
            edge.every,
        )

    @staticmethod
    def _outside_group(edge: PartEdge) -> bool:
        try:
            return sunspec.model(edge.model or 0).find(str(edge.at), None) is not None
        except KeyError:
            return False

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
        spans: list[tuple[tuple[str, int], int, int, Part, Point]] = []
        for point in points:
            for part in point.parts:
                if isinstance(part.at, int):
                    spans.append(((part.unit, part.function), part.at, part.at + part.length, part, point))
        spans.sort(key=lambda s: s[:3])
        for a, b in pairwise(spans):
            masked = a[3].mask and b[3].mask
            words = {a[4].name, b[4].name} == {"grid", "status"}  # one state word may answer both questions
            extremes = "sum" not in (a[4].combine, b[4].combine) and a[4].name != b[4].name
            meant = masked or words or extremes or b[3].shared or a[3].shared
            shared = a[1:3] == b[1:3] and a[3].kind is b[3].kind and meant
            if a[0] == b[0] and b[1] < a[2] and not shared:
                self._fail(
                    f"point {b[4].name}.at",
                    f"register {b[1]} is already part of point {a[4].name} ({a[1]}..{a[2] - 1})",
                )
