"""What is found after a cut, by the shipped store on Python's own SQLite, held against what had been told."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import mail
from agent.core import dispatch
from agent.core.book import Book, Cycle
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust, CommandIn, Reserve
from agent.link.replay import admit
from agent.runtime.part import Log, Now, Post, Start
from agent.store.archive import lines, record
from agent.store.chain import NONE, link
from agent.store.documents import DocumentsFile
from agent.store.floor import FloorFile
from agent.store.memories import Memories
from agent.store.pins import Pins
from agent.store.store import Store
from agent.store.trust import TrustFile
from drivers.events import Identity
from drivers.memory import Memory
from hil.powercut.ledger import Ledger, asked_rows, gaps, plain
from hil.powercut.life import KERNEL, PARAMS, WALL_MS, S, store_config
from hil.powercut.tally import CHAIN, DAMAGED, ELSE, LOST, NUMBERS, RESERVE, TWICE

MANY = 100_000
CLOCK = Clock(WALL_MS, ClockTrust.SYNCED, KERNEL, "f" * 32)
NOW = Now(10_000_000 * S, WALL_MS)


@dataclass(frozen=True, slots=True)
class Found:
    """What the store says after a cut."""

    durable: Durable
    rows: dict[int, tuple[str, bytes]]
    reserve: Reserve
    pins: dict[str, Identity]
    memory: dict[str, Memory]
    trust: bytes | str | None  # a sentence: what it cannot be read for
    documents: bytes | str | None
    floor: int | None  # number up to which seq is reserved
    next_seq: int | None  # of the first row that is written now; None = it could not be
    complaints: tuple[str, ...]
    chain: tuple[tuple[bytes, dict[str, Any]], ...] = ()  # the archive's records: payload, body


def look(directory: Path) -> Found:
    """Open as the daemon does, read all, write one row, and leave as a crash does."""
    config = store_config(directory)
    reserve = Store(config).reserve()  # heals, as every start does
    floor = FloorFile(config.floor_path).read()
    store = Store(config)
    durable = store.load()
    effects = [*store.handle(Start(), NOW), *store.handle(mail.LoadBacklog(0, MANY), NOW)]
    wrote = list(store.handle(mail.AppendBatch(b"after", CLOCK, 0, 60), NOW))
    settle = mail.CommitRequest(0, durable, (Record("settlement", {"record": "after"}),), CLOCK, 0)
    settled = list(store.handle(settle, NOW))
    posts = [e.event for e in effects if isinstance(e, Post)]
    rows = {r.seq: (r.kind, r.payload) for p in posts if isinstance(p, mail.Backlog) for r in p.rows}
    stored = [e.event for e in wrote if isinstance(e, Post) and isinstance(e.event, mail.Stored)]
    complaints = tuple(e.text for e in [*effects, *wrote, *settled] if isinstance(e, Log) and e.level != "info")
    archived = tuple((r[0], r[1]) for p in store._vault.ledger.archive.months() for x in lines(p) if (r := record(x)))
    store._vault.abandon(damaged=False)  # a crash folds nothing in and keeps no lock
    return Found(
        durable,
        rows,
        reserve,
        Pins(config.pins_path).read(),
        Memories(config.memories_path, KERNEL).read(),
        TrustFile(config.trust_path).read(),
        DocumentsFile(config.documents_path).read(),
        None if floor is None else floor.reserved,
        stored[0].rows[0].seq if stored else None,
        complaints,
        archived,
    )


def judge(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    """(kind, sentence) of everything that is not as it was told."""
    wrong = [(DAMAGED, text) for text in found.complaints]
    wrong += _durable(ledger, found) + _rows(ledger, found) + _numbers(ledger, found)
    wrong += _twice(ledger, found) + _small(ledger, found) + _chain(ledger, found)
    return wrong


def _chain(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    """The archive is one chain from its first record to one that was written after the cut, and has all that was told,
    receipted or not."""
    wrong: list[tuple[str, str]] = []
    head, kept = NONE, {}
    for place, (data, body) in enumerate(found.chain):
        if (body["n"], body["prev"]) != (place, head):
            wrong.append((CHAIN, f"record {body['n']} stands at place {place} of the chain, or follows on another"))
            break
        head, kept[body["seq"]] = link(head, data), body
    if not found.chain or found.chain[-1][1].get("record") != "after":
        wrong.append((CHAIN, "no record could be written after the cut"))
    for seq, (kind, payload) in ledger.rows.items():
        if kind == "settlement" and not json.loads(payload).items() <= kept.get(seq, {}).items():
            wrong.append((CHAIN, f"settlement row {seq} was told, and the archive has it not, or another"))
    return wrong


def _durable(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    """The Durable is the last that was told, or the one on its way, and then with its rows."""
    asked = ledger.asking
    if found.durable == ledger.durable:
        return []
    if isinstance(asked, mail.CommitRequest) and found.durable == asked.durable:
        missing = _unaccounted(ledger, found, asked_rows(asked))
        return [(LOST, f"a transaction came apart: its Durable is there, {missing[0]} is not")] if missing else []
    return [(LOST, f"the Durable of commit {_name(ledger.durable)} was told, {_name(found.durable)} is there")]


def _rows(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    wrong: list[tuple[str, str]] = []
    for seq, row in ledger.rows.items():
        there = found.rows.get(seq)
        if there is None and not ledger.may_miss(seq, found.rows):
            wrong.append((LOST, f"row {seq} ({row[0]}) was told and is gone"))
        elif there is not None and there != row:
            wrong.append((NUMBERS, f"row {seq} has another content than was told"))
    extra = Counter(plain(row) for seq, row in found.rows.items() if seq not in ledger.rows)
    extra -= Counter(row for row in extra if b'"record":"chain"' in row[1])  # the store's own word of its chain
    fine = Counter([*asked_rows(ledger.asking), *(row for row in extra if gaps([row]))])
    if not ledger.rows:  # a floor file that came before any row: the store says that it cannot know of earlier ones
        fine += Counter(row for row in extra if b'"store_replaced"' in row[1])
    for row in extra - fine:
        wrong.append((ELSE, f"nobody asked for a row {row[0]} {row[1][:60]!r}"))
    return wrong


def _unaccounted(ledger: Ledger, found: Found, rows: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    new = Counter(plain(row) for seq, row in found.rows.items() if seq not in ledger.rows)
    return list((Counter(rows) - new).elements())


def _numbers(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    top = max([ledger.top, *found.rows])
    if found.next_seq is None:
        return [(DAMAGED, "the store takes no row")]
    if found.next_seq <= top:
        return [(NUMBERS, f"the next row is {found.next_seq}, and {top} was used")]
    if ledger.rows and (found.floor is None or found.floor <= ledger.top):
        return [(NUMBERS, f"the floor file reserves up to {found.floor}, and {ledger.top} was used")]
    return []


def _twice(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    """Every command that acted, sent once more by whoever recorded it: through the window, then through the book."""
    wrong: list[tuple[str, str]] = []
    windows = dict(found.durable.windows)
    for stream, seq, command in ledger.acts.values():
        window = admit(windows.get(stream), seq)
        known = any(r.command.id == command.id for r in found.durable.commands)
        if window is None and known:
            continue
        cycle = Cycle(NOW.mono_ns, CLOCK, PARAMS, True, True, None)
        late = CommandIn(command, ((stream, window),)) if window is not None else None
        book = Book(found.durable) if late is None else dispatch.receive(Book(found.durable), late, cycle)
        if window is not None and any(live.id == command.id for live in book.live):
            wrong.append((TWICE, f"command {command.id[:8]} (seq {seq}) acted before the cut and would act again"))
        else:
            wrong.append((LOST, f"command {command.id[:8]} (seq {seq}) acted before the cut and is half forgotten"))
    return wrong


def _small(ledger: Ledger, found: Found) -> list[tuple[str, str]]:
    """The files of two slots: reserve, identities, memories."""
    wrong: list[tuple[str, str]] = []
    asked = ledger.asking
    allowed = {ledger.reserve} | ({asked.permille} if isinstance(asked, mail.WriteReserve) else set())
    value = found.reserve.permille if found.reserve.source == "file" else None
    if value not in allowed:
        wrong.append((RESERVE, f"{ledger.reserve} permille was told, {found.reserve} is there"))
    pins = [ledger.pins] + ([dict(asked.pins)] if isinstance(asked, mail.WritePins) else [])
    if found.pins not in pins:
        wrong.append((LOST, "the identities of the devices are others than were told"))
    memory = [ledger.memory]
    if isinstance(asked, mail.WriteMemory):
        memory.append({**ledger.memory, asked.what.device: asked.what.memory})
    if found.memory not in memory:
        wrong.append((LOST, "what must be remembered of the devices is other than was told"))
    trust = (ledger.trust, asked.state) if isinstance(asked, mail.WriteTrust) else (ledger.trust,)
    documents = (ledger.documents, asked.state) if isinstance(asked, mail.WriteDocuments) else (ledger.documents,)
    for name, told, there in (("trust", trust, found.trust), ("documents", documents, found.documents)):
        if there not in told:
            wrong.append((LOST, f"{name}: {_short(told[0])} was told, {_short(there)} is there"))
    return wrong


def _short(content: bytes | str | None) -> str:
    return content if isinstance(content, str) else repr((content or b"nothing")[:20])


def _name(durable: Durable) -> str:
    return f"{len(durable.commands)} commands, day {durable.day_mwh}"


def lived_on(ledger: Ledger, found: Found) -> Ledger:
    """The measure for the next boot: what was found is now told."""
    after = ledger.copy()
    after.durable, after.asking = found.durable, None
    after.rows.update(found.rows)
    after.pins, after.memory = dict(found.pins), dict(found.memory)
    after.trust = found.trust if isinstance(found.trust, bytes) else None
    after.documents = found.documents if isinstance(found.documents, bytes) else None
    after.reserve = found.reserve.permille if found.reserve.source == "file" else None
    there = {record.command.id for record in found.durable.commands}
    after.acts.update({name: sent for name, sent in after.sent.items() if name in there})
    return after
