"""Settlement rows on their way into the store: each gets its number, the hash before it and, in the archive, its
signature. Knows where the chain stands; `agent.store.vault` puts it into the transaction.

What was lost, put back or signed with another key is a record of the chain itself, before any other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.mail import OutboxRow
from agent.store.archive import Archive, Last, Stamp, payload, record
from agent.store.chain import Head, begins

Seal = Callable[[OutboxRow], bytes]
KIND = "settlement"
MOST_AHEAD = 1_000_000  # records: a home makes about 100 a day


def unsigned(row: OutboxRow) -> bytes:
    """The form of a token, of a home that has no key yet: neither header nor signature."""
    body = {"seq": row.seq, "iat": row.wall_ms, "boot": row.boot, "mono_ms": row.mono_ms, "clock": row.clock}
    return b"." + _b64(json.dumps(body | json.loads(row.payload), separators=(",", ":")).encode()) + b"."


@dataclass(frozen=True, slots=True)
class Restored:
    """How the chain goes on in a store that was put back: the record that says so, what it follows on, the rows behind
    it, and by how much the era has risen in them."""

    begins: dict[str, object]
    base: Head
    rows: tuple[OutboxRow, ...]
    eras: int


class Ledger:
    """`head` is what the database is known to hold. `open` before the first row."""

    def __init__(self, path: Path) -> None:
        self.archive = Archive(path)
        self.seal: Seal = unsigned
        self.versions: Mapping[str, object] = {}
        self.head = Head()
        self.archived_seq = 0  # rows above it must stay in the database
        self.eras = 0  # by which the accounts' era must rise: a lost state may have used those below
        self.notes: list[str] = []
        self._pending: dict[str, object] | None = None  # the record that goes before any other
        self._base = Head()  # what that record continues
        self._last: Last | None = None
        self.opened = False
        self._keyed = False
        self._countersigned = -1  # the receipt over this record is in the archive
        self._unwritten: list[tuple[OutboxRow, bytes]] = []  # what the archive did not take; the database has it

    # --- where the chain stands --------------------------------------------------------------------------------------
    def open(self, kept: Head, rows: Callable[[int], Sequence[OutboxRow]], was_there: bool) -> None:
        """`kept`: the database's; `rows`: its settlement rows above a number. What the archive lacks of them is added.
        OSError; then it is open all the same, and goes on from what the database knows."""
        self.opened, self.head = True, kept
        if kept.n < 0:
            self._go_on("store_lost" if was_there else "new", None)
        last = self._last = self.archive.open(lambda: _numbers(rows(0)))
        self.archived_seq = last.seq if last is not None else 0
        found = rows(self.archived_seq)
        behind = [row for row in found if json.loads(row.payload)["n"] > (last.head.n if last is not None else -1)]
        self.archived_seq = max([self.archived_seq, *(row.seq for row in found if row not in behind)])
        if behind:
            self.archive.append([self.seal(row) for row in behind], _stamp(behind))
            last = self._last = self.archive.open()
            self.archived_seq = behind[-1].seq
        there = last.head if last is not None else Head()
        if there.n == kept.n:
            if there.hash != kept.hash:
                self._go_on("disputed", kept)
        elif kept.n < 0:
            self._go_on("store_lost", there)
        elif there.n < kept.n:
            self._go_on("archive_lost", kept)
        else:
            self._go_on("restored", there)
            self.eras += there.n - kept.n

    def _go_on(self, why: str, known: Head | None) -> None:
        self._pending = begins(why, known)
        self._base = Head(known.n, known.hash, known.n + 1) if known is not None else Head()
        if why != "new" and known is not None:
            self.notes.append(f"the settlement chain goes on after {self._base.n}: {why}; the next record says so")

    def put_back(self, held: int, rows: Sequence[OutboxRow], lost: int) -> Restored:
        """The store is that of an older day: at most `lost` rows from `held` on, which the aggregator has, are those of
        a later state. `rows` of settlement were written in their place and told to nobody: they leave the archive, and
        are to be chained anew, behind what is known to both sides, under numbers and in an era above all that the lost
        state can have used. `went_back` once that is on the disk."""
        known = self._base if self._pending is not None else self.head
        if rows:
            first = json.loads(rows[0].payload)
            known = Head(first["n"] - 1, first["prev"])
            try:
                self.archive.cut(first["n"])
            except OSError as error:
                self.notes.append(f"the archive of settlement still has records that are chained anew: {error}")
        self._unwritten.clear()
        self.archived_seq = min(self.archived_seq, held - 1)
        bodies = unchained([json.loads(row.payload) for row in rows], lost + 1)
        anew = tuple(replace(row, payload=_encoded(body)) for row, body in zip(rows, bodies, strict=True))
        base = Head(known.n + lost + 1, known.hash, known.n + lost + 2)  # a hole, whatever came of the lost ones
        return Restored(begins("restored", known), base, anew, lost + 1)

    def went_back(self, restored: Restored) -> None:
        """It is on the disk that the chain goes on from `restored`; its record comes before any other."""
        self._pending, self._base = restored.begins, restored.base
        self.eras += restored.eras
        known_n = restored.begins["known_n"]
        self.notes.append(f"the settlement chain goes on after {known_n}, with number {self._base.n + 1}: restored")

    # --- rows --------------------------------------------------------------------------------------------------------
    def before(self) -> list[dict[str, object]]:
        """Records that must come before the next one."""
        out = [self._pending] if self._pending is not None else []
        if not self._keyed:
            kid = _kid_of(self.seal)
            old = self._last.kid if self._last is not None else None
            if self._last is not None and kid != old:
                out.append({"record": "chain", "why": "key", "known_n": None, "known_head": None, "old_kid": old})
        return out

    def chained(
        self, rows: Sequence[OutboxRow], base: Head | None = None
    ) -> tuple[tuple[OutboxRow, ...], list[bytes], Head]:
        """The same rows, those of settlement as links of the chain, after `base` if given; their tokens; and the head
        after them."""
        head = base or (self._base if self._pending is not None else self.head)
        restored = first_gap = self._pending is not None and self._pending["why"] == "restored"
        out: list[OutboxRow] = []
        tokens: list[bytes] = []
        for row in rows:
            if row.kind != KIND:
                out.append(row)
                continue
            body = json.loads(row.payload)
            checkpoint = body.get("record") == "checkpoint"
            if body.get("record") == "chain" and body["why"] != "restored" and body["known_n"] is None and head.n >= 0:
                body |= {"known_n": head.n, "known_head": head.hash}
            if checkpoint:
                body |= {"first": head.first, "last": head.n, "head": head.hash}
            if body.get("record") in ("interval", "chain"):
                body |= {"versions": dict(self.versions)}
            if restored and isinstance(body.get("era"), int):
                body["era"] += self.eras  # the accounts are told after this commit
            if first_gap and body.get("record") == "gap" and body.get("reason") == "not_running":
                body["perhaps_told"], first_gap = True, False  # the time since the image: the archive may have told it
            body |= {"n": head.n + 1, "prev": head.hash}
            out.append(replace(row, payload=_encoded(body)))
            tokens.append(self.seal(out[-1]))
            signed = payload(tokens[-1])
            assert signed is not None
            head = head.after(signed[0], checkpoint)
        return tuple(out), tokens, head

    def committed(self, rows: Sequence[OutboxRow], tokens: Sequence[bytes], head: Head) -> None:
        """The database has them: into the archive. What that does not take comes with the next start."""
        if not tokens:
            return
        self.head, self._pending, self._keyed = head, None, True
        self._unwritten += zip([row for row in rows if row.kind == KIND], tokens, strict=True)
        try:
            self.archive.append([token for _, token in self._unwritten], _stamp([row for row, _ in self._unwritten]))
        except OSError as error:
            self.notes.append(f"a settlement record is in the store, and its archive takes nothing: {error}")
        else:
            self.archived_seq = self._unwritten[-1][0].seq
            self._unwritten.clear()
            self._tidy()

    def _tidy(self) -> None:
        if self.archive.untidy:
            try:
                self.archive.tidy()
            except OSError as error:
                self.notes.append(f"a month of settlement that is over cannot be packed: {error}")

    # --- the aggregator's word ---------------------------------------------------------------------------------------
    def receipted(self, n: int, digest: str, token: bytes, wall_ms: int) -> str | None:
        """A signed receipt over the chain up to `n`: kept when it is ours; else a sentence, and the next record says
        what is known. Whatever `n` is, no more of the archive is read for it than once a start. OSError."""
        if n > self.head.n + MOST_AHEAD:
            return f"the aggregator's receipt is over record {n}, this store ends at {self.head.n}: no home has so many"
        if n > self.head.n:
            self.eras += n - self.head.n + 1
            self._pending, self._base = begins("restored", Head(n, digest), self.head), Head(n, digest, n + 1)
            return f"the aggregator has settlement records up to {n}, this store up to {self.head.n}: was it put back?"
        ours = self.head.hash if n == self.head.n else self.archive.hash_of(n)
        if ours is None:
            return f"a receipt over settlement record {n}, which is not in the archive, or too old there"
        if ours != digest:
            self._pending, self._base = begins("disputed", Head(n, digest)), self.head
            return f"the aggregator's settlement record {n} is another than ours"
        if n != self._countersigned and not self.archive.has_receipt(n):
            self.archive.append([token], Stamp(n, wall_ms, believed=False))
        self._countersigned = n
        return None


def unchained(bodies: Sequence[dict[str, object]], eras: int) -> list[dict[str, object]]:
    """Records as they were before they were links, in an era that is `eras` higher. The first gap is the time since the
    image: records of the lost state may have told its energy."""
    out: list[dict[str, object]] = []
    restored = False
    for body in bodies:
        new = {name: value for name, value in body.items() if name not in ("n", "prev")}
        if new.get("record") == "chain" and (new["known_n"], new["known_head"]) == (_before(body), body["prev"]):
            new |= {"known_n": None, "known_head": None}
        if isinstance(era := new.get("era"), int):
            new["era"] = era + eras
        if new.get("record") == "gap" and not restored:
            new["perhaps_told"], restored = True, True
        out.append(new)
    return out


def _before(body: dict[str, object]) -> int:
    n = body["n"]
    assert isinstance(n, int)
    return n - 1


def _encoded(body: dict[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("utf-8")


def _kid_of(seal: Seal) -> str | None:
    probe = OutboxRow(0, KIND, "", 0, 0, "untrusted", b'{"n":0,"prev":""}')
    found = record(seal(probe))
    return found[2] if found is not None else None


def _stamp(rows: Sequence[OutboxRow]) -> Stamp:
    """Of rows of settlement, by the newest of them."""
    return Stamp(json.loads(rows[0].payload)["n"], rows[-1].wall_ms, rows[-1].clock != "untrusted")


def _numbers(rows: Sequence[OutboxRow]) -> set[int]:
    return {int(json.loads(row.payload)["n"]) for row in rows}


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
