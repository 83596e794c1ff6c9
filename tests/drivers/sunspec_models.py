"""The standard's own definitions as pysunspec2 ships them, and random register images of them. None of our codec."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sunspec2 = pytest.importorskip("sunspec2", reason="pysunspec2 brings the standard's model definitions")
device = pytest.importorskip("sunspec2.device", reason="as above")

DEFINITIONS = Path(sunspec2.__file__).parent / "models" / "json"
EVERY = sorted(int(path.stem.removeprefix("model_")) for path in DEFINITIONS.glob("model_*.json"))
EXTREMES = (0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF, 0x7FC0, 0x7F80, 5000)


def definition(model_id: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEFINITIONS / f"model_{model_id}.json").read_text())
    return found


def size(group: dict[str, Any]) -> int:
    """Registers of the points of a group itself."""
    return sum(int(point["size"]) for point in group["points"])


def image(model_id: int, source: random.Random) -> list[int]:
    """Registers of the model from ID on: counts that fit its length, all else random and often at an extreme."""
    group = definition(model_id)["group"]
    counts = {name: source.randint(1, 3) for name in _counts(group)}
    words = _fill(group, counts, source)
    words[1] = len(words) - 2
    return words


def _counts(group: dict[str, Any]) -> set[str]:
    found = {str(group.get("count", 0))} - {"0"}
    for inner in group.get("groups", []):
        found |= _counts(inner)
    return found


def _fill(group: dict[str, Any], counts: dict[str, int], source: random.Random) -> list[int]:
    words: list[int] = []
    for point in group["points"]:
        words += _point(point, counts, source)
    for inner in group.get("groups", []):
        count = inner.get("count")
        times = 1 if count is None else counts.get(str(count)) or (int(count) if str(count).isdigit() else 0) or 2
        for _ in range(times):
            words += _fill(inner, counts, source)
    return words


def _point(point: dict[str, Any], counts: dict[str, int], source: random.Random) -> list[int]:
    words, kind = int(point["size"]), point["type"]
    if point["name"] in counts:
        return [counts[point["name"]]]
    if point["name"] == "ID":
        return [int(point.get("value", 0))]
    if kind == "sunssf":
        wild = source.random() < 0.15
        return [source.choice((0x8000, 11, 0xFFF5, 400)) if wild else source.randint(-10, 10) & 0xFFFF]
    if kind == "string" and source.random() < 0.8:
        text = bytes(source.choice(b"AZaz09 -./") for _ in range(source.randint(0, 2 * words)))
        return list(struct.unpack(f">{words}H", text.ljust(2 * words, b"\0")))
    if source.random() < 0.3:
        word = source.choice(EXTREMES)
        return [word, *[word if word in (0, 0xFFFF) else 0] * (words - 1)]
    return [source.getrandbits(16) for _ in range(words)]


def theirs(words: list[int]) -> dict[str, Any]:
    """What pysunspec2 makes of an image: its points by the paths that we use."""
    data = struct.pack(f">{len(words)}H", *words)
    model = device.Model(words[0], data=data, model_len=len(words) - 2)
    return dict(_flat(model, ""))


def _flat(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, point in group.points.items():
        if point.pdef["type"] != "pad":
            yield prefix + name, point
    for name, inner in group.groups.items():
        if isinstance(inner, list):
            for n, one in enumerate(inner, 1):
                yield from _flat(one, f"{prefix}{name}[{n}].")
        else:
            yield from _flat(inner, f"{prefix}{name}.")
