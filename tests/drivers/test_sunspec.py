"""Our model tables, point by point, against the standard's own definitions, as pysunspec2 ships them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from drivers import sunspec
from tests.drivers.sunspec_models import definition, size

TYPES = {
    "uint16": "u16", "int16": "i16", "uint32": "u32", "int32": "i32", "uint64": "u64", "int64": "i64", "acc32": "acc32",
    "acc64": "acc64", "string": "string", "enum16": "enum16", "bitfield16": "bits16", "bitfield32": "bits32",
    "sunssf": "sunssf", "count": "u16", "float32": "f32",
}  # fmt: skip
OURS = sorted(int(path.stem.removeprefix("model_")) for path in sunspec.TABLES.glob("model_*.toml"))
WANTED = {
    1, 101, 102, 103, 111, 112, 113, 120, 121, 122, 123, 124, 160, 201, 202, 203, 204, 211, 212, 213, 214,
    *range(701, 716), 802, 803, 804,
}  # fmt: skip


def test_there_is_a_table_for_each_model_that_batteries_and_their_inverters_have() -> None:
    assert set(OURS) == WANTED


@pytest.mark.parametrize("model_id", OURS)
def test_table_is_the_standards(model_id: int) -> None:
    group, ours = definition(model_id)["group"], sunspec.model(model_id)
    rows, end = _rows(group, 0), size(group)
    repeating = []
    for part in group.get("groups", []):
        if "count" in part or part.get("groups"):
            repeating.append(part)
        else:  # it is there once, so it has a fixed place
            rows += [(f"{part['name']}.{name}", *rest) for name, *rest in _rows(part, end)]
            end += size(part)
    assert ours.id == model_id
    assert ours.name == group["name"]
    assert ours.size == end
    assert _ours(ours.points.values()) == rows
    _groups_are(ours.groups, repeating)


def _groups_are(ours: tuple[sunspec.Group, ...], theirs: list[dict[str, Any]]) -> None:
    assert [group.name for group in ours] == [group["name"] for group in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        count = other.get("count", "1")
        assert mine.count == ("" if count == 0 else str(count))
        assert mine.size == size(other)
        assert _ours(mine.points.values()) == _rows(other, 0)
        _groups_are(mine.groups, other.get("groups", []))


def _rows(group: dict[str, Any], offset: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for point in group["points"]:
        if point["type"] != "pad":
            rows.append((point["name"], offset, TYPES[point["type"]], point["size"], point.get("sf", "")))
        offset += int(point["size"])
    return rows


def _ours(points: Iterable[sunspec.ModelPoint]) -> list[tuple[object, ...]]:
    return [(p.name, p.offset, p.kind.value, p.words, p.scale_point) for p in points]


@pytest.mark.parametrize("model_id", OURS)
def test_every_point_is_found_by_its_name(model_id: int) -> None:
    table = sunspec.model(model_id)
    for point in table.points.values():
        assert table.find(point.name, None) == point
        if point.scale_point:
            assert table.find(point.scale_point, None) is not None
    group = table.group
    for point in group.points.values() if group is not None else ():
        assert group is not None
        found = table.find(point.name, 3)
        assert found is not None
        assert found.offset == table.size + 2 * group.size + point.offset
        assert (found.kind, found.words, found.scale_point) == (point.kind, point.words, point.scale_point)
    assert table.find("Nonsense", None) is None
    assert table.find("Nonsense", 1) is None


def test_an_instance_lies_behind_the_ones_before_it() -> None:
    dcw = sunspec.model(160).find("DCW", 4)
    assert dcw is not None
    assert dcw.offset == 10 + 3 * 20 + 11


def test_a_group_whose_instances_differ_in_size_has_no_numbered_places() -> None:
    assert sunspec.model(705).group is None
    assert sunspec.model(705).find("ActPt", 1) is None


def test_a_model_without_table_is_named() -> None:
    with pytest.raises(KeyError, match="no table for SunSpec model 9999"):
        sunspec.model(9999)
