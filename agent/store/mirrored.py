"""A small file of its own beside the store: two mirrored slots, so that a power cut at any byte leaves the content
before or the one after, and rot in one slot neither loses it nor brings back an older one."""

from __future__ import annotations

from pathlib import Path

from agent.store.slots import Slots

SIZE = 32_768


class MirroredFile:
    """Bytes in, bytes out. `unsure`: what to add when a write fails, of which either content may be left."""

    unsure = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slots = Slots(path, size=SIZE, mirror=True)

    def read(self) -> bytes | str | None:
        """What is kept; None = nothing yet; a sentence if it cannot be read: that is never taken for nothing."""
        try:
            content = self._slots.read()
        except OSError as error:
            return f"{self._path}: {error.strerror or error}"
        if content.payload is None and not content.fresh:
            return f"{self._path}: both copies are damaged"
        return content.payload

    def write(self, state: bytes) -> str | None:
        """None when both slots hold it durably, else a sentence: then either may hold it."""
        try:
            self._slots.write(state)
        except OSError as error:
            return f"{self._path}: {error.strerror or error}{self.unsure}"
        return None
