"""A BMS that repeats itself: an inverter or gateway that serves an old cache looks alive by its age alone.

A block that stays identical while the inverter measures current through the battery for `FROZEN_NS` is not a reading
(facts: an inverter served the same BMS block for an hour). Current, cell and pack voltage of a live BMS never agree in
every digit for that long under load. Time without load does not count, so that a resting battery is never accused; nor
does time without a new sample, as one that is silent is no one that repeats itself.
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
    """One pack's last block, its time aside, and for how long new samples under load were the same."""

    device: str
    block: tuple[object, ...]
    loaded_ns: int
    at_ns: int = 0  # of that sample
    since_ns: int = 0  # time under load since then


said = attrgetter(*[field.name for field in fields(BatteryReading) if field.name != "at_ns"])


def follow(old: tuple[Still, ...], packs: list[BatteryReading], loaded_ns: int) -> tuple[Still, ...]:
    """`loaded_ns`: time since the last call if the battery was loaded all along, else 0."""
    known = {still.device: still for still in old}
    out: list[Still] = []
    for pack in packs:
        block = said(pack)
        still = known.get(pack.device)
        if still is None or still.block != block:
            out.append(Still(pack.device, block, 0, pack.at_ns))
        elif still.at_ns == pack.at_ns:
            out.append(still._replace(since_ns=still.since_ns + loaded_ns) if loaded_ns else still)
        else:
            out.append(Still(pack.device, block, still.loaded_ns + still.since_ns + loaded_ns, pack.at_ns))
    return tuple(out)


def frozen(packs: tuple[Still, ...]) -> bool:
    """Whether one of them repeats itself."""
    return any(still.loaded_ns >= FROZEN_NS for still in packs)
