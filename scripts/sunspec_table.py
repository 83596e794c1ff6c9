#!/usr/bin/env python3
"""Prints the table of a SunSpec model for drivers/profiles/sunspec, from the definitions that pysunspec2 ships.

usage: scripts/sunspec_table.py MODEL > drivers/profiles/sunspec/model_MODEL.toml
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TYPES = {
    "uint16": "u16", "int16": "i16", "uint32": "u32", "int32": "i32", "uint64": "u64", "int64": "i64", "acc32": "acc32",
    "acc64": "acc64", "string": "string", "enum16": "enum16", "enum32": "bits32", "bitfield16": "bits16",
    "bitfield32": "bits32", "bitfield64": "bits64", "float32": "f32", "sunssf": "sunssf", "count": "u16",
}  # fmt: skip
HEAD = (
    "# SunSpec model {id}. A line is: register offset, name, type, registers, point of the scale factor; pads left out."
)
LEGACY = 0  # a count of 0 in the definition: as many as the length of the model has room for


def table(definition: dict[str, Any]) -> str:
    """The TOML text of a model definition. KeyError for a type that we have not."""
    group = definition["group"]
    rows, size = list(_rows(group, 0)), _size(group)
    repeating = []
    for part in group.get("groups", []):
        if "count" in part or part.get("groups"):
            repeating.append(part)
        else:
            rows += _rows(part, size, f"{part['name']}.")
            size += _size(part)
    lines = [HEAD.format(id=definition["id"]), f"model = {definition['id']}", f'name = "{group["name"]}"']
    lines += [f"size = {size}", 'points = """', *rows, '"""']
    for part in repeating:
        lines += _group(part, "group")
    return "\n".join(lines) + "\n"


def _size(group: dict[str, Any]) -> int:
    return sum(int(point["size"]) for point in group["points"])


def _rows(group: dict[str, Any], offset: int, prefix: str = "") -> Iterator[str]:
    for point in group["points"]:
        if point["type"] != "pad":
            row = f"{offset} {prefix}{point['name']} {TYPES[point['type']]} {point['size']} {point.get('sf', '')}"
            yield row.rstrip()
        offset += int(point["size"])


def _group(part: dict[str, Any], key: str) -> Iterator[str]:
    count = part.get("count", "1")
    yield from ("", f"[[{key}]]", f'name = "{part["name"]}"')
    yield from (f'count = "{"" if count == LEGACY else count}"', f"size = {_size(part)}")
    yield from ('points = """', *_rows(part, 0), '"""')
    for inner in part.get("groups", []):
        yield from _group(inner, f"{key}.group")


if __name__ == "__main__":
    import sunspec2

    models = Path(sunspec2.__file__).parent / "models" / "json"
    print(table(json.loads((models / f"model_{int(sys.argv[1])}.json").read_text())), end="")
