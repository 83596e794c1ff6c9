"""The aggregator's own look at a device's settlement chain: rows in any order in, what is wrong and what to countersign
out. Written from docs/protocol.md alone, so that an error of the agent's shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

START = bytes(32)
WAITING_MAX = 4096
LOSSES = ("restored", "archive_lost", "store_lost")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class Chain:
    """Of one device. `findings` are sentences; `at` is the highest record up to which all are here and linked, or said
    to be lost. A flaw costs the countersignature of the checkpoint behind it, and no later one."""

    at: int = -1
    head: bytes = START
    findings: list[str] = field(default_factory=list)
    losses: int = 0  # of the findings, those that the home declared
    records: int = 0
    _seen: dict[int, tuple[str, str]] = field(default_factory=dict)  # n -> (digest of the payload, prev)
    _kinds: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # waiting: what the walk needs of them
    _countersign: tuple[int, str] | None = None
    _settled: int = 0  # so many of the findings are older than the last checkpoint, or the last loss that was declared

    def enter(self, claims: Mapping[str, Any], digest: str) -> None:
        """One verified record; `digest`: SHA-256 of the signed payload, hex."""
        n, prev = claims.get("n"), claims.get("prev")
        if type(n) is not int or n < 0 or not isinstance(prev, str) or not _HASH.fullmatch(prev):
            self.findings.append(f"row {claims.get('seq')} is no link of a chain")
            return
        if n == 0 and self.at >= 0 and _says(claims) == "store_lost" and claims.get("known_n") is None:
            self._begin_anew(digest)
        known = self._seen.get(n)
        if known is not None:
            if known[0] != digest:
                self.findings.append(f"record {n} came twice with different content: the chain is forked")
            return
        if len(self._kinds) >= WAITING_MAX:
            self.findings.append(f"more than {WAITING_MAX} records wait for record {self.at + 1}")
            return
        self._seen[n] = digest, prev
        self._kinds[n] = claims
        self.records += 1
        if self.at < 0 and not self._walked(claims, n, prev):
            return
        while self.at + 1 in self._kinds or self._declared():
            self._step()

    def _begin_anew(self, digest: str) -> None:
        """The home has lost all that it knew, and its chain begins at 0 again."""
        if self._seen.get(0, ("", ""))[0] != digest:
            self.findings.append(f"the home has lost all of its {self.at + 1} records, and begins a new chain")
            self.at, self.head, self._settled = -1, START, len(self.findings)
            self.losses += 1
            self._seen.clear()
            self._kinds.clear()

    def receipt(self) -> dict[str, Any] | None:
        """What the next receipt countersigns: once for each checkpoint that holds."""
        found, self._countersign = self._countersign, None
        return {"n": found[0], "head": found[1]} if found is not None else None

    def missing(self) -> range:
        """Numbers that are awaited while later ones are here."""
        return range(self.at + 1, min(self._kinds)) if self._kinds else range(0)

    def _walked(self, claims: Mapping[str, Any], n: int, prev: str) -> bool:
        """The first record that was heard: of a chain that began before, its own `prev` is what there is."""
        if n == 0 and prev != START.hex():
            self.findings.append("record 0 follows on another")
        if n > 0 and claims.get("record") != "chain" and claims.get("seq") != 1:
            return 0 in self._kinds
        self.at, self.head = n - 1, bytes.fromhex(prev)
        return True

    def _declared(self) -> bool:
        """One that waits says itself that those before it are lost with a store that was put back."""
        for n in sorted(n for n, claims in self._kinds.items() if _says(claims) in LOSSES):
            claims = self._kinds[n]
            known = -1 if claims.get("known_n") is None else claims["known_n"]
            if type(known) is not int:
                continue
            follows = claims.get("known_head") == claims["prev"] or (known == -1 and claims["prev"] == START.hex())
            if n > self.at + 1 and follows and (known == n - 1 or claims["prev"] == self._head_of(known)):
                self._lose(known, n)
                return True
        return False

    def _lose(self, known: int, n: int) -> None:
        last, when = (known, "were made by a state that is lost") if known < n - 1 else (self.at, "never came")
        self.findings.append(f"records {last + 1} to {n - 1} {when}, and record {n} says so")
        self.losses += 1
        self._settled = len(self.findings)
        self.at, self.head = n - 1, bytes.fromhex(self._kinds[n]["prev"])
        for waiting in [x for x in self._kinds if x < n]:
            del self._kinds[waiting]

    def _head_of(self, n: int) -> str | None:
        """Of a record that came with all before it; None: it has not come yet."""
        if n < 0:
            return START.hex()
        found = self._seen.get(n)
        if found is None or n > self.at:
            return None
        return hashlib.sha256(bytes.fromhex(found[1] + found[0])).hexdigest()

    def _step(self) -> None:
        n = self.at + 1
        claims = self._kinds.pop(n)
        digest, prev = self._seen[n]
        if bytes.fromhex(prev) != self.head:
            self.findings.append(f"record {n} does not follow on record {n - 1} as it came here")
        self.at, self.head = n, hashlib.sha256(bytes.fromhex(prev + digest)).digest()
        if claims.get("record") == "checkpoint":
            if (claims.get("last"), claims.get("head")) == (n - 1, prev) and len(self.findings) == self._settled:
                self._countersign = n, self.head.hex()
            else:
                self.findings.append(f"checkpoint {n} names another chain than came here, or that had flaws")
            self._settled = len(self.findings)


def _says(claims: Mapping[str, Any]) -> object:
    """Why the chain is told to begin or to go on; None: it is no such record."""
    return claims.get("why") if claims.get("record") == "chain" else None
