"""Our model tables against the standard's own definitions, as pysunspec2 ships them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import sunspec
from drivers.codec import SUNSPEC_SENTINEL, BlockDecoder, Field, RawType

sunspec2 = pytest.importorskip("sunspec2", reason="pysunspec2 brings the standard's model definitions")
device = pytest.importorskip("sunspec2.device", reason="as above")
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


SIZES = {201: 105, 202: 105, 203: 105, 204: 105, 1: 66, 103: 50, 120: 26, 122: 44, 124: 24, 701: 153, 702: 50}


@pytest.mark.parametrize("model_id", sorted(SIZES))
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_registers_mean_what_the_standards_library_reads_in_them(model_id: int, data: st.DataObject) -> None:
    """Two differences are meant: an accumulator at 0 is zero energy, and a missing scale factor hides the value."""
    length = SIZES[model_id]
    body = data.draw(st.lists(st.sampled_from([0, 1, 2, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 5000]), min_size=length))
    words = [model_id, length, *body[:length]]
    raw = struct.pack(f">{len(words)}H", *words)
    theirs = device.Model(model_id, data=raw, model_len=length)
    points = [p for p in sunspec.model(model_id).points.values() if p.kind is not RawType.STRING]
    values: list[int | None] = [None] * len(points)
    sentinels = {kind: (value,) for kind, value in SUNSPEC_SENTINEL.items()}
    fields = [Field(n, p.offset, p.kind, p.words, sentinels=sentinels.get(p.kind, ())) for n, p in enumerate(points)]
    BlockDecoder(fields).decode(raw, 0, values)
    for point, value in zip(points, values, strict=True):
        other = theirs.points[point.name].value
        if point.kind in (RawType.ACC32, RawType.ACC64) and value == 0:
            assert other is None
        else:
            assert value == other, point.name
