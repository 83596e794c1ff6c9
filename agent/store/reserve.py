"""The homeowner's reserve, in a file of its own outside SQLite. When in doubt it is 100 %: the battery is left full."""

from __future__ import annotations

import json
from pathlib import Path

from agent.core.inputs import Reserve
from agent.store.slots import Slots

FULL = 1000


class ReserveFile:
    """Two mirrored slots, each {"permille", "by"}."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slots = Slots(path, size=4096, mirror=True)

    def read(self) -> Reserve:
        """The reserve. `source`: "file"; or "new" or "unreadable", and then it is 1000 permille."""
        try:
            content = self._slots.read()
        except OSError:
            return Reserve(FULL, "unreadable")
        if content.payload is None:
            return Reserve(FULL, "new" if content.fresh else "unreadable")
        permille = _permille(content.payload)
        return Reserve(FULL, "unreadable") if permille is None else Reserve(permille, "file")

    def write(self, permille: int, by: str) -> str | None:
        """None when both slots hold it durably; else a sentence. `by` says who asked for it."""
        if not 0 <= permille <= FULL:
            return f"a reserve of {permille} permille is not between 0 and {FULL}"
        try:
            self._slots.write(json.dumps({"permille": permille, "by": by[:200]}).encode("utf-8"))
        except OSError as error:
            return f"{self._path}: {error.strerror or error}; the reserve in the file may still be the old one"
        return None

    def heal(self) -> None:
        """Give a value that stands in one slot only its second place again, after damage or a power cut."""
        try:
            content = self._slots.read()
            if content.payload is not None and not content.whole:
                self._slots.write(content.payload)
        except OSError:
            pass  # the value is as it was; the next write reports


def _permille(payload: bytes) -> int | None:
    try:
        value = json.loads(payload)["permille"]
    except (ValueError, KeyError, TypeError):
        return None
    return value if type(value) is int and 0 <= value <= FULL else None
