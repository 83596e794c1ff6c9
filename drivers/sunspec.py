"""SunSpec model tables (profiles/sunspec/*.toml): where a point of a model lies, how it is encoded, what scales it.

A table is kept as the text of its file, one line a point, and only what is asked for is made into objects: a profile
names points of many models, and a device has a few of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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
    scale_point: str  # "" = none; outside the groups in every table that we have


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a model that repeats: `size` registers of its own, then its `groups`.

    `count`: the point of the model that says how many there are; "1" = exactly one, "" = as many as the model's length
    has room for.
    """

    name: str
    count: str
    size: int
    rows: str
    groups: tuple[Group, ...] = ()

    @property
    def points(self) -> Mapping[str, ModelPoint]:
        """Its own points, made anew each time."""
        return {point.name: point for point in _points(self.rows)}


@dataclass(frozen=True, slots=True)
class Model:
    """One model table. `size`: registers in front of the groups, ID and L among them. A group that is there once and at
    a fixed place is written as its points: "PFWInj.PF"."""

    id: int
    name: str
    size: int
    rows: str
    groups: tuple[Group, ...] = ()

    @property
    def points(self) -> Mapping[str, ModelPoint]:
        """Those outside the groups, made anew each time."""
        return {point.name: point for point in _points(self.rows)}

    @property
    def group(self) -> Group | None:
        """The repeating part, if it is one and its instances are all of the same size."""
        return self.groups[0] if len(self.groups) == 1 and not self.groups[0].groups else None

    def find(self, name: str, instance: int | None) -> ModelPoint | None:
        """The point, with the offset of that instance (1, 2, ..) of the group; None if there is none."""
        if instance is None:
            return _find(self.rows, name, 0)
        group = self.group
        return None if group is None else _find(group.rows, name, self.size + (instance - 1) * group.size)


@cache
def model(model_id: int) -> Model:
    """The table of a model. KeyError if we have none."""
    path = TABLES / f"model_{model_id}.toml"
    if not path.is_file():
        raise KeyError(f"there is no table for SunSpec model {model_id} in {TABLES}")
    return parse(path.read_text("utf-8"))


def parse(text: str) -> Model:
    """A table from its TOML text. It is ours and not a user's: what is wrong in it raises as it comes."""
    raw = tomllib.loads(text)
    return Model(raw["model"], raw["name"], raw["size"], raw["points"], _groups(raw))


def _groups(raw: dict[str, Any]) -> tuple[Group, ...]:
    return tuple(Group(g["name"], g["count"], g["size"], g["points"], _groups(g)) for g in raw.get("group", ()))


def _points(rows: str) -> Iterator[ModelPoint]:
    for row in rows.splitlines():
        if row:
            yield _point(row, 0)


def _point(row: str, base: int) -> ModelPoint:
    offset, name, kind, words, *scale = row.split()
    return ModelPoint(name, base + int(offset), RawType(kind), int(words), scale[0] if scale else "")


def _find(rows: str, name: str, base: int) -> ModelPoint | None:
    at = rows.find(f" {name} ")
    if at < 0:
        return None
    begin = rows.rfind("\n", 0, at) + 1
    return _point(rows[begin : rows.index("\n", at)], base)
