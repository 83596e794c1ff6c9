"""What the store has told, and what it was last asked for: the measure of what must be found after a cut."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent import mail
from agent.core.command import Command
from agent.core.durable import Durable
from agent.core.inputs import Committed
from agent.runtime.part import Effect, Post
from drivers.events import Identity, Remembered
from drivers.memory import Memory


@dataclass(frozen=True, slots=True)
class Asked:
    """The store was given this; nothing is told of it yet."""

    event: object


@dataclass(frozen=True, slots=True)
class Told:
    """The store was done with it and said this."""

    event: object
    effects: Sequence[Effect]


@dataclass(slots=True)
class Ledger:
    """Grows by notes, in order. `copy` before a cut that the home then lives on from."""

    durable: Durable = field(default_factory=Durable)
    rows: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    upto: int = 0  # receipted
    also: set[int] = field(default_factory=set)
    acts: dict[str, tuple[str, int, Command]] = field(default_factory=dict)  # id -> stream, seq: these have acted
    sent: dict[str, tuple[str, int, Command]] = field(default_factory=dict)  # handed in, by id
    reserve: int | None = None
    pins: dict[str, Identity] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    trust: bytes | None = None
    documents: bytes | None = None
    asking: object = None

    def copy(self) -> Ledger:
        """An own one."""
        return Ledger(
            self.durable,
            dict(self.rows),
            self.upto,
            set(self.also),
            dict(self.acts),
            dict(self.sent),
            self.reserve,
            dict(self.pins),
            dict(self.memory),
            self.trust,
            self.documents,
            self.asking,
        )

    def note(self, note: object) -> None:
        """One note of the recording."""
        if isinstance(note, Asked):
            self.asking = note.event
            if isinstance(note.event, mail.Receipted):  # from here on those rows may go
                self.upto = max(self.upto, note.event.upto)
                self.also |= set(note.event.also)
            return
        assert isinstance(note, Told), "there are no other notes"
        self.asking = None
        for effect in note.effects:
            if isinstance(effect, Post):
                self._told(note.event, effect.event)
        if isinstance(note.event, mail.WritePins):
            self.pins = dict(note.event.pins)

    def _told(self, event: object, answer: object) -> None:
        if isinstance(answer, Committed) and isinstance(event, mail.CommitRequest):
            self.durable = event.durable
            for record in event.durable.commands:
                known = self.sent.get(record.command.id)
                if known is not None:
                    self.acts[record.command.id] = known
        elif isinstance(answer, mail.Stored):
            self.rows.update((row.seq, (row.kind, row.payload)) for row in answer.rows)
        elif isinstance(answer, mail.ReserveStored) and answer.error is None:
            self.reserve = answer.permille
        elif isinstance(answer, mail.TrustStored) and isinstance(event, mail.WriteTrust) and answer.error is None:
            self.trust = event.state
        elif isinstance(answer, mail.DocumentsStored) and isinstance(event, mail.WriteDocuments) and not answer.error:
            self.documents = event.state
        elif isinstance(answer, Remembered) and isinstance(event, mail.WriteMemory):
            self.memory[answer.device] = event.what.memory

    @property
    def top(self) -> int:
        """The highest number that anyone was told."""
        return max(self.rows, default=0)

    def may_miss(self, seq: int, found: dict[int, tuple[str, bytes]]) -> bool:
        """Whether a row that was told may be gone: receipted, or named by a gap record that was told or is there."""
        if seq <= self.upto or seq in self.also:
            return True
        if self.rows[seq][0] != "batch":
            return False
        return any(first <= seq <= last for first, last in gaps([*self.rows.values(), *found.values()]))


def gaps(rows: list[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """First and last of every gap that telemetry's limit made."""
    bodies = [json.loads(payload) for kind, payload in rows if kind == "event" and b"telemetry_limit" in payload]
    return [(body["first"], body["last"]) for body in bodies]


def plain(row: tuple[str, bytes]) -> tuple[str, bytes]:
    """A settlement row without what the store puts into it; any other as it is."""
    if row[0] != "settlement":
        return row
    body = {k: v for k, v in json.loads(row[1]).items() if k not in ("n", "prev", "versions")}
    return row[0], json.dumps(body, separators=(",", ":")).encode()


def asked_rows(event: object) -> list[tuple[str, bytes]]:
    """The rows that a request in flight would leave, without gap records."""
    if isinstance(event, mail.AppendBatch):
        return [("batch", event.payload)]
    if isinstance(event, mail.CommitRequest):
        return [(r.kind, json.dumps(r.body, separators=(",", ":"), default=str).encode()) for r in event.records]
    if isinstance(event, mail.WriteTrust | mail.WriteDocuments):
        told = event.events if isinstance(event, mail.WriteDocuments) else (event.event,) if event.event else ()
        return [("event", json.dumps(body, separators=(",", ":")).encode()) for body in told]
    return []


def deflated(text: str) -> bytes:
    """A telemetry body as the outbox has it."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(text.encode()) + packer.flush()
