"""The settlement chain: h_n = SHA-256(h_(n-1) || SHA-256(record n)), each record naming its number and h_(n-1).

The bytes of a record are those that are signed: the payload of its token. What is kept of the chain beside the records
is its newest number and hash, in the transaction that writes the record.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

NONE = "0" * 64  # before the first record


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record: its number (-1 = there is none), its hash, and the first number after the last checkpoint."""

    n: int = -1
    hash: str = NONE
    first: int = 0

    def after(self, record: bytes, is_checkpoint: bool) -> Head:
        """The head once `record` is part of the chain."""
        return Head(self.n + 1, link(self.hash, record), self.n + 2 if is_checkpoint else self.first)

    def text(self) -> str:
        """As the store keeps it."""
        return json.dumps([self.n, self.hash, self.first])


def head_of(text: str | None) -> Head:
    """Inverse of `Head.text`; None: no chain was begun. ValueError for anything else."""
    if text is None:
        return Head()
    try:
        n, digest, first = json.loads(text)
        if type(n) is not int or type(first) is not int or len(bytes.fromhex(digest)) != 32:
            raise ValueError("number, hash and number expected")
    except (TypeError, ValueError) as error:
        raise ValueError(f"the head of the settlement chain is not readable: {error}") from error
    return Head(n, digest, first)


def link(before: str, record: bytes) -> str:
    """h_n, hex."""
    return hashlib.sha256(bytes.fromhex(before) + hashlib.sha256(record).digest()).hexdigest()


def begins(why: str, known: Head | None, own: Head | None = None) -> dict[str, object]:
    """The first record of a chain, or of its continuation on a store that lost something: what is known of before, and
    `own`, the last record that is here where that is another one: what lies between is lost, and nothing else.
    `why`: "new" | "store_lost" | "archive_lost" | "restored" | "disputed" | "key"."""
    body: dict[str, object] = {"record": "chain", "why": why, "known_n": None, "known_head": None}
    if known is not None and known.n >= 0:
        body |= {"known_n": known.n, "known_head": known.hash}
    if own is not None and own.n >= 0:
        body |= {"own_n": own.n, "own_head": own.hash}
    return body
