"""Whom this home believes: no cut and no rot brings back a bundle from before a revocation. What it means:
`agent.link.anchor`. The bundles that were believed before stand beside it, a line each: old receipts are under their
keys."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from agent.store.mirrored import MirroredFile

FORMER = 100  # bundles; one of them lives 90 days at most, and records are kept for 30 months
_MOST = 4 << 20


class TrustFile(MirroredFile):
    """The trust of this home."""

    unsure = "; the trust in the file may still be the old one"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._former = former_path(path)

    def write(self, state: bytes) -> str | None:
        """See MirroredFile. A bundle that goes is kept aside first."""
        before = self.read()
        if isinstance(before, bytes):
            with contextlib.suppress(OSError, ValueError):  # what is believed counts for more than what was
                self._leave(json.loads(before), json.loads(state))
        return super().write(state)

    def _leave(self, before: dict[str, object], after: dict[str, object]) -> None:
        gone = before.get("bundle")
        if gone is None or gone == after.get("bundle"):
            return
        line = json.dumps(gone, separators=(",", ":")).encode("ascii")
        lines = [each for each in former(self._path) if each != line][1 - FORMER :]
        part = self._former.with_name(f"{self._former.name}.part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(b"".join(each + b"\n" for each in [*lines, line]))
            file.flush()
            os.fsync(fd)
        part.rename(self._former)


def former_path(path: Path) -> Path:
    """Where the bundles from before those in `path` are."""
    return path.with_name(f"{path.name}-former")


def former(path: Path) -> list[bytes]:
    """The bundles that `path` held before, the oldest first; none where there is no such file. OSError."""
    place = former_path(path)
    if not place.exists():
        return []
    with place.open("rb") as file:
        return [line for line in file.read(_MOST).split(b"\n") if line]
