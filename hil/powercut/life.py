"""A home's store at work: commands accepted, acted on and ended by the core's own book; telemetry, receipts, reserve.

Everything goes through `Store.handle`, as the runtime does it, and every answer is noted where it came.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from agent import mail
from agent.core import dispatch
from agent.core.book import WAITING, Book, Cycle, committed, committing
from agent.core.command import TERMINAL, Command, CommandKind, CommandState
from agent.core.decision import Record
from agent.core.durable import Durable, Overlay
from agent.core.inputs import Clock, ClockTrust, CommandIn
from agent.core.params import Params, Site, Timers
from agent.link.replay import admit
from agent.runtime.part import Effect, Now, Start, Stop, Wake, WakeAt
from agent.store.config import StoreConfig
from agent.store.store import Store
from drivers.events import Identity, Remember
from drivers.memory import Kept, Memory
from hil.powercut.disk import Disk
from hil.powercut.ledger import Asked, Ledger, Told, deflated

S = 1_000_000_000
WALL_MS = 1_767_286_800_000
STREAM = "agg:bench|kid|dev:home-0001"
PARAMS = Params(Site(10_000, 10_000, 20_000, 24_000, 10_000), Timers())
DEVICES = ("battery", "inverter", "meter")
KERNEL = "kernel"
KEPT_TELEMETRY = 40  # rows: the limit is reached within one life
FORGET_NS = 20 * S


def store_config(directory: Path) -> StoreConfig:
    """Where the store of a life is, and limits that a life reaches."""
    return StoreConfig(
        directory / "state.db",
        directory / "reserve",
        telemetry_rows=KEPT_TELEMETRY,
        forget_ns=FORGET_NS,
        kernel_boot=KERNEL,
    )


class Life:
    """One boot of the store, from `start` to the end of what it is told to do."""

    def __init__(self, directory: Path, disk: Disk, rng: Random, ledger: Ledger, boot: int) -> None:
        self._disk, self._rng, self._ledger = disk, rng, ledger
        self._store = Store(store_config(directory))
        self._boot = boot
        self._mono_ns = (1 + boot * 10_000) * S
        self._wake_ns: int | None = None
        self._commit = 0
        self._book = Book(Durable())
        self._number = boot * 1_000_000
        self._anchored = False

    def start(self) -> None:
        """As the daemon does it."""
        durable = self._store.load()
        self._store.reserve()
        self._book = Book(durable)
        self._number += len(self._ledger.sent)
        self._hand(Start())

    def work(self, events: int) -> None:
        """That many things happen."""
        doings: tuple[tuple[int, Callable[[], None]], ...] = (
            (6, self._telemetry),
            (5, self._command),
            (4, self._begin),
            (3, self._end),
            (3, self._receipt),
            (2, self._reserve),
            (2, self._memory),
            (1, self._pins),
            (1, self._trust),
            (1, self._documents),
            (1, self._latch),
            (4, self._settle),
        )
        weights, acts = zip(*doings, strict=True)
        for act in self._rng.choices(acts, weights, k=events):
            self._pass(self._rng.choice((50_000_000, 300_000_000, 2 * S)))
            act()

    def stop(self) -> None:
        """A clean stop."""
        self._hand(Stop())

    def end(self) -> None:
        """The process is gone; what it had not handed over never comes."""
        self._disk.seal()
        self._store._vault.abandon(damaged=False)

    # --- what happens ------------------------------------------------------------------------------------------------
    def _telemetry(self) -> None:
        self._number += 1
        body = deflated(f'{{"n":{self._number},"noise":"{self._rng.randbytes(self._rng.randrange(400)).hex()}"}}')
        self._hand(mail.AppendBatch(body, self._clock(), self._mono_ns // 1_000_000, 60))

    def _command(self) -> None:
        self._number += 1
        name = hashlib.sha256(f"{self._number}".encode()).hexdigest()
        window = admit(dict(self._book.durable.windows).get(STREAM), self._number)
        if window is None:
            return
        now_ms = self._clock().wall_ms
        power_w = self._rng.randrange(-9000, 9001)
        command = Command(
            name[:32], CommandKind.DISPATCH, "agg:bench", name, now_ms, now_ms + 60_000, None, 600, power_w
        )
        self._ledger.sent[command.id] = (STREAM, self._number, command)
        self._turn(lambda book, cycle: dispatch.receive(book, CommandIn(command, ((STREAM, window),)), cycle))

    def _begin(self) -> None:
        waiting = [r for r in self._book.durable.commands if not r.started and r.state not in TERMINAL]
        if waiting:
            chosen = self._rng.choice(waiting).command
            self._turn(lambda book, cycle: dispatch.begun(book, chosen.id, chosen.power_w or 0, cycle))

    def _end(self) -> None:
        running = [r for r in self._book.durable.commands if r.started and r.state not in TERMINAL]
        if running:
            record = self._rng.choice(running)
            self._turn(
                lambda book, cycle: dispatch.end(book, record, CommandState.COMPLETED, None, "its time is over", cycle)
            )

    def _receipt(self) -> None:
        told = sorted(seq for seq in self._ledger.rows if seq > self._ledger.upto)
        if not self._anchored:
            self._anchored = True
            self._hand(mail.Anchor(0))  # a start's rows go out from here on
        if told:
            place = self._rng.randrange(len(told))
            also = tuple(seq for seq in told[place + 1 :] if self._rng.random() < 0.2)
            self._hand(mail.Receipted(told[place], also))

    def _reserve(self) -> None:
        self._hand(mail.WriteReserve(self._rng.randrange(1001), "homeowner"))

    def _memory(self) -> None:
        spent = tuple((self._mono_ns - n * S, 1 + n) for n in range(self._rng.randrange(1, 20)))
        owner = (Kept(None, 40_000 + self._rng.randrange(100), (self._rng.randrange(0x10000),)),)
        what = Remember(self._rng.choice(DEVICES), self._rng.randrange(1 << 20), Memory(spent, 0, owner))
        self._hand(mail.WriteMemory("rs485", what))

    def _pins(self) -> None:
        serial = f"{self._rng.getrandbits(32):08x}"
        self._hand(mail.WritePins({name: Identity("maker", "model", "1", serial) for name in DEVICES}))

    def _trust(self) -> None:
        """Whom to believe, now and then with the record of a consent before it."""
        event = {"event": "consent", "number": self._number} if self._rng.random() < 0.5 else None
        self._hand(mail.WriteTrust(self._state("trust"), event, self._clock(), self._mono_ns // 1_000_000))

    def _documents(self) -> None:
        """What was set from afar, with a record of each change."""
        events = tuple({"event": "config", "number": self._number, "place": n} for n in range(self._rng.randrange(3)))
        self._hand(mail.WriteDocuments(self._state("documents"), events, self._clock(), self._mono_ns // 1_000_000))

    def _settle(self) -> None:
        """A settlement record: its number and the hash before it are the store's to give."""
        self._number += 1
        body = {"record": "interval", "number": self._number, "noise": self._rng.randbytes(200).hex()}
        self._turn(lambda book, cycle: _recorded(book, cycle, Record("settlement", body)))

    def _latch(self) -> None:
        """A change of the Durable that has no row of its own."""
        until = self._clock().wall_ms + 3_600_000
        raised = Overlay("storm", "storm", 500, "homeowner", "bench", "storm", 0, until, 3600, 3600, 0, KERNEL)
        durable = self._book.durable
        durable = replace(
            durable,
            latches=() if durable.latches else ("sign_flip",),
            overlays=() if durable.overlays else (raised,),
            day_mwh=durable.day_mwh + 1,
        )
        self._turn(lambda book, cycle: replace(book, durable=durable))

    # --- inside ------------------------------------------------------------------------------------------------------
    def _state(self, name: str) -> bytes:
        """Some content of that file, as long as one in use: a cut may tear it anywhere."""
        self._number += 1
        noise = self._rng.randbytes(self._rng.randrange(20, 4000)).hex()
        return json.dumps({name: self._number, "noise": noise}).encode()

    def _turn(self, change: Callable[[Book, Cycle], Book]) -> None:
        """A cycle of the core: what it makes of the book goes to the disk, and counts once that answered."""
        cycle = Cycle(self._mono_ns, self._clock(), PARAMS, True, True, None)
        self._commit += 1
        book = change(self._book, cycle)
        if any(live.commit == WAITING for live in book.live):
            book = committing(book, self._commit)
        if book.durable == self._book.durable and not cycle.records:
            return
        request = mail.CommitRequest(
            self._commit, book.durable, tuple(cycle.records), cycle.clock, self._mono_ns // 1_000_000
        )
        self._hand(request)
        self._book = committed(book, self._commit)

    def _pass(self, ns: int) -> None:
        """Time goes by; the store is woken as it asked."""
        self._mono_ns += ns
        if self._wake_ns is not None and self._wake_ns <= self._mono_ns:
            self._wake_ns = None
            self._hand(Wake())

    def _hand(self, event: object) -> None:
        asked = Asked(event)
        self._disk.mark(asked)
        self._ledger.note(asked)
        effects: list[Effect] = list(self._store.handle(event, Now(self._mono_ns, self._clock().wall_ms)))
        self._wake_ns = next((e.at_ns for e in effects if isinstance(e, WakeAt)), self._wake_ns)
        told = Told(event, effects)
        self._disk.mark(told)
        self._ledger.note(told)

    def _clock(self) -> Clock:
        wall_ms = WALL_MS + self._mono_ns // 1_000_000
        return Clock(wall_ms, ClockTrust.SYNCED, KERNEL, f"{self._boot:032x}")


def _recorded(book: Book, cycle: Cycle, record: Record) -> Book:
    cycle.records.append(record)
    return book
