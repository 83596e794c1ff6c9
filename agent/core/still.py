"""A BMS that repeats itself: an inverter or gateway that serves an old cache looks alive by its age alone.

A block that stays identical while the inverter measures current through the battery for `FROZEN_NS` is not a reading
(facts: an inverter served the same BMS block for an hour). Current, cell and pack voltage of a live BMS never agree in
every digit for that long under load. Time without load does not count, so that a resting battery is never accused.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import NamedTuple

from agent.core.params import S
from drivers.readings import BatteryReading

FROZEN_NS = 60 * S
LOAD_PERMILLE_OF_C = 20  # 0.02 C


class Still(NamedTuple):
    """One pack's last block, its time aside, and for how long it stayed so under load."""

    device: str
    block: tuple[object, ...]
    loaded_ns: int


said = attrgetter(*[field.name for field in fields(BatteryReading) if field.name != "at_ns"])


def follow(old: tuple[Still, ...], packs: list[BatteryReading], loaded_ns: int) -> tuple[Still, ...]:
    """`loaded_ns`: time since the last call if the battery was loaded all along, else 0."""
    known = {still.device: still for still in old}
    out: list[Still] = []
    for pack in packs:
        block = said(pack)
        still = known.get(pack.device)
        loaded = still.loaded_ns + loaded_ns if still is not None and still.block == block else 0
        out.append(Still(pack.device, block, loaded))
    return tuple(out)


def frozen(packs: tuple[Still, ...]) -> bool:
    """Whether one of them repeats itself."""
    return any(still.loaded_ns >= FROZEN_NS for still in packs)
