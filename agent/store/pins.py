"""Who each device was when it was commissioned, in a small file of its own beside the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from agent.store.slots import Slots
from drivers.events import Identity

SIZE = 16_384
CONFIGURED = "configured"  # the serial number that the configuration gave when the pin was made


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
                str(name): Identity(**{key: str(value) for key, value in words.items() if key != CONFIGURED})
                for name, words in raw.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def pinned(self, name: str, serial: str | None) -> Identity | None:
        """Who device `name` must be, where the configuration now says `serial`. A serial number that was written into
        the file since the device was settled rules; one that stood there already gives way to who was adopted."""
        found = self.read().get(name)
        if serial is None or (found is not None and self._configured(name) == serial):
            return found
        return Identity("", "", "", serial)

    def _configured(self, name: str) -> str | None:
        try:
            payload = self._slots.read().payload
            found = json.loads(payload or b"{}").get(name, {}).get(CONFIGURED)
        except (OSError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    def write(self, pins: Mapping[str, Identity], serials: Mapping[str, str]) -> str | None:
        """None, or the sentence that says why it is not on the disk. `serials`: those of the configuration."""
        body = {name: asdict(who) | {CONFIGURED: serials.get(name, "")} for name, who in pins.items()}
        try:
            self._slots.write(json.dumps(body).encode())
        except OSError as error:
            return f"the identities of the devices could not be stored: {error.strerror or error}"
        return None
