"""What must not be lost with the database: the next sequence number, replay windows, latches and lockout.

A small second file, written seldom: when a block of numbers is begun, and soon after its part of `Durable` changed.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from agent.core.durable import Durable, from_json, to_json
from agent.store.slots import Slots

BLOCK = 1000  # sequence numbers reserved at a time


@dataclass(frozen=True, slots=True)
class Floor:
    """`reserved` is above every sequence number ever used; `durable` has no commands."""

    reserved: int
    durable: Durable


def without_commands(durable: Durable) -> Durable:
    """The part that the floor keeps."""
    return dataclasses.replace(durable, commands=())


class FloorFile:
    """One file of two slots. `write` raises OSError."""

    def __init__(self, path: Path) -> None:
        self._slots = Slots(path, size=128 * 1024)

    def read(self) -> Floor | None:
        """None: there is none, or none that can be read."""
        try:
            payload = self._slots.read().payload
            raw = json.loads(payload) if payload is not None else None
            return None if raw is None else Floor(int(raw["reserved"]), from_json(raw["durable"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, floor: Floor) -> None:
        """Replace it, durably."""
        durable = to_json(without_commands(floor.durable))
        self._slots.write(json.dumps({"reserved": floor.reserved, "durable": durable}).encode("utf-8"))
