"""Who each device was when it was commissioned, in a small file of its own beside the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from agent.store.slots import Slots
from drivers.events import Identity

SIZE = 16_384


class Pins:
    """Device name -> Identity. A file that cannot be read counts as none: the devices are then taken as they answer."""

    def __init__(self, path: Path) -> None:
        self._slots = Slots(path, size=SIZE)

    def read(self) -> dict[str, Identity]:
        """What is remembered; empty if there is nothing readable."""
        try:
            payload = self._slots.read().payload
            raw = json.loads(payload) if payload is not None else {}
            return {
                str(name): Identity(**{key: str(value) for key, value in words.items()}) for name, words in raw.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def write(self, pins: Mapping[str, Identity]) -> str | None:
        """None, or the sentence that says why it is not on the disk."""
        try:
            self._slots.write(json.dumps({name: asdict(identity) for name, identity in pins.items()}).encode())
        except OSError as error:
            return f"the identities of the devices could not be stored: {error.strerror or error}"
        return None
