"""What the settlement archive gives back of a database that is lost: rows that nobody may have had, and where the
accounts stood."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.core.kept import kept_after
from agent.mail import OutboxRow
from agent.store.archive import Archive, payload, receipted, record
from agent.store.ledger import KIND, Seal

MOST = 1000  # records: ten days
_CLAIMS = ("v", "id", "iss", "aud", "seq", "iat", "exp", "boot", "mono_ms", "clock")


@dataclass(frozen=True, slots=True)
class Salvage:
    """`rows`: with the bytes that were signed, the oldest first. `account`: what `Durable.account` begins with."""

    rows: tuple[tuple[OutboxRow, bytes], ...] = ()
    account: str = ""

    def again(self, seal: Seal, below: int) -> list[OutboxRow]:
        """Those that `seal` signs as they were signed, numbered below `below`."""
        return [row for row, data in self.rows if row.seq < below and (payload(seal(row)) or (b"",))[0] == data]


def salvage(archive: Archive) -> Salvage:
    """Records above the newest receipt over the chain, the newest `MOST` of them; the account after the newest that
    tells of energy. OSError is nobody's: a month that cannot be read is passed over."""
    rows: list[tuple[OutboxRow, bytes]] = []
    known, account, open_ = -1, "", True
    for line in archive.newest():
        part = record(line)
        if part is None:
            known = max(known, receipted(line))
            continue
        data, body, _ = part
        open_ = open_ and len(rows) < MOST and _number(body["n"]) > known
        if open_ and (row := _row(body)) is not None:
            rows.append((row, data))
        account = account or kept_after(body).text()
        if account and not open_:
            break
    return Salvage(tuple(reversed(rows)), account)


def gaps(gap: dict[str, object], kept: Iterable[int]) -> list[dict[str, object]]:
    """The record of a gap as those of the stretches around rows that are kept."""
    first, last = gap["first"], _number(gap["last"])
    found: list[dict[str, object]] = []
    for seq in (*sorted(kept), last + 1):
        if seq > 1 and (first is None or _number(first) < seq):
            found.append({**gap, "first": first, "last": seq - 1})
        first = seq + 1
    return found


def _number(value: object) -> int:
    return value if type(value) is int else -1


def _row(body: dict[str, object]) -> OutboxRow | None:
    """The row that was signed; None: the form is another."""
    said = {name: value for name, value in body.items() if name not in _CLAIMS}
    stamp: Sequence[object] = [body.get(name) for name in ("seq", "boot", "iat", "mono_ms", "clock")]
    seq, boot, wall_ms, mono_ms, clock = stamp
    if not (isinstance(seq, int) and isinstance(wall_ms, int) and isinstance(mono_ms, int)):
        return None
    text = json.dumps(said, separators=(",", ":")).encode()
    return OutboxRow(seq, KIND, str(boot), wall_ms, mono_ms, str(clock), text)
