"""SunSpec model tables (profiles/sunspec/*.toml): where a point of a model lies, how it is encoded, what scales it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drivers.codec import RawType

TABLES = Path(__file__).parent / "profiles" / "sunspec"
MARKER = b"SunS"
END = 0xFFFF
COMMON = 1


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """`offset` in registers from the model's ID register, or from the start of its group instance."""

    name: str
    offset: int
    kind: RawType
    words: int
    scale_point: str  # "" = none; always outside the group


@dataclass(frozen=True, slots=True)
class Group:
    """The repeating part of a model: `count` names the point that says how many there are."""

    name: str
    count: str
    first: int
    size: int
    points: Mapping[str, ModelPoint]


@dataclass(frozen=True, slots=True)
class Model:
    """One model table."""

    id: int
    name: str
    points: Mapping[str, ModelPoint]
    group: Group | None

    def find(self, name: str, instance: int | None) -> ModelPoint | None:
        """The point, with the offset of that instance (1, 2, ..) of the group; None if there is none."""
        if instance is None:
            return self.points.get(name)
        if self.group is None or name not in self.group.points:
            return None
        point = self.group.points[name]
        offset = self.group.first + (instance - 1) * self.group.size + point.offset
        return ModelPoint(point.name, offset, point.kind, point.words, point.scale_point)


@cache
def model(model_id: int) -> Model:
    """The table of a model. KeyError if we have none."""
    path = TABLES / f"model_{model_id}.toml"
    if not path.is_file():
        raise KeyError(f"there is no table for SunSpec model {model_id} in {TABLES}")
    raw = tomllib.loads(path.read_text("utf-8"))
    group = raw.get("group")
    return Model(
        raw["model"],
        raw["name"],
        _points(raw["points"]),
        None
        if group is None
        else Group(group["name"], group["count"], group["first"], group["size"], _points(group["points"])),
    )


def _points(rows: list[list[object]]) -> dict[str, ModelPoint]:
    points = {}
    for name, offset, kind, words, scale in rows:
        points[str(name)] = ModelPoint(str(name), int(str(offset)), RawType(str(kind)), int(str(words)), str(scale))
    return points
