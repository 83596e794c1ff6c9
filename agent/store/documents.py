"""What the operator set from afar, in a small file of its own beside the store: two mirrored slots, so that a power cut
at any byte leaves the settings before or the ones after. What it means: `agent.remote`."""

from __future__ import annotations

from pathlib import Path

from agent.store.slots import Slots

SIZE = 32_768


class DocumentsFile:
    """Bytes in, bytes out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slots = Slots(path, size=SIZE, mirror=True)

    def read(self) -> bytes | str | None:
        """What is kept; None = nothing yet; a sentence if it cannot be read."""
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
            return f"{self._path}: {error.strerror or error}"
        return None
