"""A rig: real ports, a power cap, and the independent meter that may end a run. hil/bench/README.md: the checklist."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from hil.expr import Value
from hil.strict import FileError, Table

MOST_CAP_W = 3_000  # whoever wants more on a bench changes this line and signs for it


@dataclass(frozen=True, slots=True)
class Rig:
    """What a rig file says. Watts are magnitudes. `devices` are rows of the daemon's own [[device]]."""

    port: str
    baud: int
    cap_w: int
    site: dict[str, Value]
    devices: tuple[dict[str, Value], ...]
    meter_port: str
    meter_baud: int
    meter_unit: int
    limit_w: int


def load(path: Path) -> Rig:
    """Read and check; FileError names file, key and reason."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: {error}") from None
    top = Table(path.name, "rig", raw)
    line, guard = top.table("line"), top.table("interlock")
    rig = Rig(
        port=line.text("port"),
        baud=line.integer("baud", 19_200),
        cap_w=top.integer("cap_w"),
        site=_rows(top.table("site")),
        devices=tuple(_rows(row) for row in top.tables("device")),
        meter_port=guard.text("port"),
        meter_baud=guard.integer("baud", 9600),
        meter_unit=guard.integer("unit", 1),
        limit_w=guard.integer("limit_w"),
    )
    for table in (top, line, guard):
        table.done()
    if not 0 < rig.cap_w <= MOST_CAP_W:
        raise top.fail("cap_w", f"{rig.cap_w} W; a rig runs with more than 0 and at most {MOST_CAP_W} W")
    if rig.limit_w < rig.cap_w:
        raise guard.fail("limit_w", f"{rig.limit_w} W is below the cap of {rig.cap_w} W: it would trip at once")
    if rig.meter_port == rig.port:
        raise guard.fail("port", "is the daemon's own line; the interlock needs a meter on an adapter of its own")
    return rig


def _rows(table: Table) -> dict[str, Value]:
    out: dict[str, Value] = {}
    for key in table.keys():  # noqa: SIM118 - not a dict
        value = table.raw(key)
        if not isinstance(value, int | float | str | bool):
            raise table.fail(key, f"expected a number, a text or true/false, found {value!r}")
        out[key] = value
    return out
