"""The operator's root ceremony of a bench: the bundle in force and those that follow it, signed with offline keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hil.bundles import LIFE_MS, Draft, Envelope, chain
from hil.pki import signed


class Ceremony:
    """`draft` is the bundle in force, `offline` the root keys' files by name. Each bundle follows the one before it."""

    def __init__(self, draft: Draft, offline: Mapping[str, Path]) -> None:
        self._draft, self.offline = draft, offline
        self._made: list[Envelope] = [signed(draft, offline)]

    @property
    def chain(self) -> bytes:
        """All of them so far, as a file or a message on `down/trust`."""
        return chain(self._made)

    def next(self, issued_ms: int, life_ms: int = LIFE_MS) -> bytes:
        """The chain after one more bundle with the same keys."""
        self._draft = self._draft.next(issued_ms=issued_ms, life_ms=life_ms)
        self._made.append(signed(self._draft, self.offline))
        return self.chain
