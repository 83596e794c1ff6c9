"""What the aggregator has heard of one device, each message verified before it came here."""

from __future__ import annotations

import collections
import hashlib
import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.runtime.part import Now
from hil.aggregator.claims import DURABLE, TERMINAL
from hil.aggregator.ledger import Fate, Ledger
from hil.aggregator.settlement import Chain
from hil.aggregator.token import encode

_PER_SENDING = ("id", "iat", "exp")  # a row that is signed again after a restart may differ in these
_LIVES_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Message:
    """One verified message of a device."""

    device: str
    kind: str
    claims: Mapping[str, Any]
    heard: Now
    bytes: int
    digest: str = ""  # SHA-256 of the signed payload, hex

    @property
    def seq(self) -> int:
        """Of the outbox for durable kinds, of this boot for birth and live."""
        return int(self.claims["seq"])


@dataclass(frozen=True, slots=True)
class Ack:
    """One step of a command's life, with the time at which the aggregator heard of it."""

    state: str
    reason: str | None
    seq: int
    heard: Now
    claims: Mapping[str, Any]

    @property
    def terminal(self) -> bool:
        """Nothing follows it."""
        return self.state in TERMINAL


@dataclass(slots=True)
class DeviceBook:
    """All that is known of one device. Counted rows appear once in `acks`, `events`, `settlements`, `batches`."""

    device: str
    ledger: Ledger = field(default_factory=Ledger)
    presence: Mapping[str, Any] | None = None  # unsigned: a hint for the eye
    birth: Message | None = None
    boots: list[str] = field(default_factory=list)  # in the order in which a birth or live of each was first heard
    lives: collections.deque[Message] = field(default_factory=lambda: collections.deque(maxlen=_LIVES_KEPT))
    acks: dict[str, list[Ack]] = field(default_factory=dict)  # by command id, in order of seq
    events: list[Message] = field(default_factory=list)
    settlements: list[Message] = field(default_factory=list)
    batches: list[Message] = field(default_factory=list)
    chain: Chain = field(default_factory=Chain)  # of the settlements
    verified: dict[str, int] = field(default_factory=dict)  # by kind, duplicates included
    stale: int = 0  # births and lives whose seq did not rise within their boot
    back_from: int = 0  # births and lives of a boot after one that came later: two of them live
    boot_counters: dict[str, dict[str, int]] = field(default_factory=dict)  # refused by the device: boot -> reason
    unreceipted: set[int] = field(default_factory=set)  # heard since a receipt last named them
    receipt_sent_ns: int = 0
    _last_seq: dict[tuple[str, str], int] = field(default_factory=dict)

    def enter(self, message: Message) -> Fate:
        """Take a verified message."""
        kind, claims = message.kind, message.claims
        self.verified[kind] = self.verified.get(kind, 0) + 1
        if kind not in DURABLE:
            return self._enter_passing(message)
        content = {name: value for name, value in claims.items() if name not in _PER_SENDING}
        fate = self.ledger.count(message.seq, hashlib.sha256(encode([kind, content])).digest())
        if fate is Fate.NEW:
            self._enter_row(message)
        if fate is not Fate.CONFLICT:  # a duplicate too: our last receipt did not arrive
            self.unreceipted.add(message.seq)
        return fate

    def next_receipt(self, limit: int) -> tuple[int, tuple[int, ...]]:
        """(upto, also) to send now; `also` names at most `limit` rows, those left over come with the next one."""
        upto = self.ledger.upto
        also = tuple(heapq.nsmallest(limit, (seq for seq in self.unreceipted if seq > upto)))
        self.unreceipted = {seq for seq in self.unreceipted if seq > upto}.difference(also)
        return upto, also

    def last_state(self, command_id: str) -> str | None:
        """The latest state that was acknowledged for a command."""
        acks = self.acks.get(command_id)
        return acks[-1].state if acks else None

    @property
    def counters(self) -> dict[str, int]:
        """Messages that the device refused, by reason, over all its boots: what its counted rows say."""
        total: collections.Counter[str] = collections.Counter()
        for counted in self.boot_counters.values():
            total.update(counted)
        return dict(total)

    def samples(self) -> list[dict[str, Any]]:
        """Every second of the counted batches, with `wall_ms`, in order of time."""
        rows: dict[int, dict[str, Any]] = {}
        for message in self.batches:
            body = message.claims
            for values in body["rows"]:
                row = dict(zip(body["cols"], values, strict=True))
                wall_ms = body["t0_ms"] + row.pop("dt_ms")
                rows[wall_ms] = {"wall_ms": wall_ms, **row}
        return [rows[wall_ms] for wall_ms in sorted(rows)]

    def faults(self) -> dict[str, Message]:
        """Faults that were raised and not cleared since, by id, as the device's events say."""
        active: dict[str, Message] = {}
        for message in sorted(self.events, key=lambda event: event.seq):
            fault = str(message.claims.get("fault"))
            if message.claims.get("event") == "fault_raised":
                active[fault] = message
            elif message.claims.get("event") == "fault_cleared":
                active.pop(fault, None)
        return active

    def _enter_passing(self, message: Message) -> Fate:
        key = (message.claims["boot"], message.kind)
        last = self._last_seq.get(key, 0)
        if message.seq <= last:  # a retained birth that came again, or a live out of order
            self.stale += 1
            return Fate.DUPLICATE
        self._last_seq[key] = message.seq
        # Rows do not count here: those of a start that had no line come after the birth of the next.
        if message.claims["boot"] not in self.boots:
            self.boots.append(message.claims["boot"])
        self.back_from += message.claims["boot"] != self.boots[-1]
        if message.kind == "birth":
            self.birth = message
            self.ledger.begin(first_row(message.claims))
        else:
            self.lives.append(message)
        return Fate.NEW

    def _enter_row(self, message: Message) -> None:
        claims = message.claims
        self._take_counters(claims["boot"], claims.get("counters"))
        if message.kind == "ack":
            acks = self.acks.setdefault(claims["command_id"], [])
            acks.append(Ack(claims["state"], claims["reason"], message.seq, message.heard, claims))
            acks.sort(key=lambda ack: ack.seq)
        elif message.kind == "event":
            self.events.append(message)
            first, last = claims.get("first"), claims.get("last")
            if claims.get("event") == "gap" and type(last) is int and (first is None or type(first) is int):
                self.ledger.lose(1 if first is None else first, last)
        elif message.kind == "settlement":
            self.settlements.append(message)
            self.chain.enter(claims, message.digest)
        else:
            self.batches.append(message)

    def _take_counters(self, boot: str, counters: object) -> None:
        if isinstance(counters, Mapping):
            known = self.boot_counters.setdefault(boot, {})
            for reason, count in counters.items():
                if type(count) is int:
                    known[str(reason)] = max(count, known.get(str(reason), 0))


def first_row(birth: Mapping[str, Any]) -> int:
    """The lowest seq that the device still keeps, by its birth; 1 if it does not say."""
    outbox = birth.get("outbox")
    first = outbox.get("first") if isinstance(outbox, Mapping) else None
    return first if type(first) is int else 1
