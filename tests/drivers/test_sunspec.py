"""Our model tables against the standard's own definitions, as pysunspec2 ships them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from drivers import sunspec

sunspec2 = pytest.importorskip("sunspec2", reason="pysunspec2 brings the standard's model definitions")
MODELS = Path(sunspec2.__file__).parent / "models" / "json"
TYPES = {
    "uint16": "u16", "int16": "i16", "uint32": "u32", "int32": "i32", "uint64": "u64", "int64": "i64", "acc32": "acc32",
    "acc64": "acc64", "string": "string", "enum16": "enum16", "bitfield16": "bits16", "bitfield32": "bits32",
    "sunssf": "sunssf", "count": "u16",
}  # fmt: skip
OURS = sorted(int(path.stem.removeprefix("model_")) for path in sunspec.TABLES.glob("model_*.toml"))


@pytest.mark.parametrize("model_id", OURS)
def test_table_is_the_standards(model_id: int) -> None:
    group = json.loads((MODELS / f"model_{model_id}.json").read_text())["group"]
    ours = sunspec.model(model_id)
    assert _rows(group["points"], 0) == _ours(ours.points.values())
    repeating = [g for g in group.get("groups", []) if g.get("count") not in (None, 1)]
    if not repeating:
        assert ours.group is None
        return
    assert ours.group is not None
    assert _rows(repeating[0]["points"], 0) == _ours(ours.group.points.values())
    assert ours.group.first == sum(p["size"] for p in group["points"])
    assert ours.group.size == sum(p["size"] for p in repeating[0]["points"])


def _rows(points: list[dict[str, object]], offset: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for point in points:
        if point["type"] != "pad":
            rows.append((point["name"], offset, TYPES[str(point["type"])], point["size"], point.get("sf", "")))
        offset += int(str(point["size"]))
    return rows


def _ours(points: Iterable[sunspec.ModelPoint]) -> list[tuple[object, ...]]:
    return [(p.name, p.offset, p.kind.value, p.words, p.scale_point) for p in points]


def test_an_instance_lies_behind_the_ones_before_it() -> None:
    dcw = sunspec.model(160).find("DCW", 4)
    assert dcw is not None
    assert dcw.offset == 10 + 3 * 20 + 11


def test_a_model_without_table_is_named() -> None:
    with pytest.raises(KeyError, match="no table for SunSpec model 9999"):
        sunspec.model(9999)
