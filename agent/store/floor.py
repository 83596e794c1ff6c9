"""What must not be lost with the database: the next sequence number, replay windows, latches and lockout.

A small second file, written seldom: when a block of numbers is begun, and soon after its part of `Durable` changed. It
has its full size from the beginning, so it takes a stop or a lockout while a full disk refuses the database.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from agent.core.durable import Durable, from_json, to_json
from agent.store.slots import Slots

BLOCK = 1000  # sequence numbers reserved at a time
SLOT = 128 * 1024
FITS = SLOT - 64


@dataclass(frozen=True, slots=True)
class Floor:
    """`reserved` is above every sequence number ever used; `durable` has no commands, unless it is `ahead` of what the
    database took."""

    reserved: int
    durable: Durable
    ahead: bool = False


def without_commands(durable: Durable) -> Durable:
    """The part that the floor keeps: neither commands nor accounts."""
    return dataclasses.replace(durable, commands=(), account="")


class FloorFile:
    """One file of two slots. `write` raises OSError."""

    def __init__(self, path: Path) -> None:
        self._slots = Slots(path, size=SLOT)

    def read(self) -> Floor | None:
        """None: there is none, or none that can be read."""
        try:
            payload = self._slots.read().payload
            raw = json.loads(payload) if payload is not None else None
            if raw is None:
                return None
            return Floor(int(raw["reserved"]), from_json(raw["durable"]), bool(raw.get("ahead", False)))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, floor: Floor) -> None:
        """Replace it, durably."""
        payload = _payload(floor, floor.durable) if floor.ahead else b""
        if not 0 < len(payload) <= FITS:  # without its commands none is taken up again
            payload = _payload(floor, without_commands(floor.durable))
        self._slots.write(payload)


def _payload(floor: Floor, durable: Durable) -> bytes:
    raw = {"reserved": floor.reserved, "durable": to_json(durable), "ahead": floor.ahead}
    return json.dumps(raw).encode("utf-8")
