"""What must not be forgotten of each device, in a small file of its own: wear, and what its owner had set."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agent.store.slots import Slots
from drivers.memory import Kept, Memory

SIZE = 65_536


class Memories:
    """Device name -> Memory. Monotonic times are of one boot of the kernel: after another, all that was spent counts as
    spent at the start. A file that cannot be read counts as none."""

    def __init__(self, path: Path, kernel_boot: str) -> None:
        self._slots = Slots(path, size=SIZE)
        self._kernel_boot = kernel_boot
        self._known: dict[str, Memory] | None = None

    def read(self) -> dict[str, Memory]:
        """What is remembered; empty if there is nothing readable."""
        try:
            payload = self._slots.read().payload
            if payload is None:
                return {}
            raw = json.loads(payload)
            same = raw["boot"] == self._kernel_boot
            return {str(name): _memory(memory, same) for name, memory in raw["devices"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def write(self, device: str, memory: Memory) -> str | None:
        """None, or the sentence that says why it is not on the disk."""
        if self._known is None:
            self._known = self.read()
        known = {**self._known, device: memory}
        raw = {"boot": self._kernel_boot, "devices": {name: asdict(value) for name, value in known.items()}}
        try:
            self._slots.write(json.dumps(raw, separators=(",", ":")).encode())
        except OSError as error:
            return f"what must be remembered of {device} could not be stored: {error.strerror or error}"
        self._known = known
        return None


def _memory(raw: dict[str, Any], same_boot: bool) -> Memory:
    spent = tuple((int(at), int(n)) for at, n in raw["spent"])
    owner = tuple(
        Kept(kept["unit"], int(kept["address"]), tuple(int(word) for word in kept["words"])) for kept in raw["owner"]
    )
    memory = Memory(spent, int(raw["ahead"]), owner)
    if same_boot:
        return memory
    return replace(memory, spent=(), ahead=memory.ahead + sum(n for _, n in spent))
