"""Outbox, resends, the real store and receipts under any order of events, and what must hold of them.

At least once, in order within a kind, nothing receipted again in the same start but for a resend, nothing unreceipted
lost unless a gap record names it, and no number twice, whatever the line, the process, the disk's image and the
aggregator do.

A receipt costs no write: it is remembered by the start that heard it, and rows leave the disk in bulk, with telemetry,
every `forget_ns`, and at a clean stop. So after a kill, or from an image, a receipted row that is still there comes
once more (docs/integrator.md: count a row once, and answer a duplicate with a receipt); one that is gone never does.
A receipt that goes beyond what this store can have sent, as of a life that was put back, counts for nothing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent import mail
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.link.again import Again, token_of
from agent.link.outbox import Outbox
from agent.runtime.part import Effect, Now, Post, Start
from agent.store.config import StoreConfig
from agent.store.receipts import KEEP_NS
from agent.store.store import Store

S = 1_000_000_000
WALL = 1_700_000_000_000
MOST_BATCHES = 24
FORGET_NS = 600 * S
FAST = Path("/dev/shm")  # thousands of commits, of which none is to outlive a power cut


class Forward(RuleBasedStateMachine):
    """One home; an aggregator that keeps its ledger by number and tells it truly."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="forward-", dir=FAST if FAST.is_dir() else None))
        self.boots = self.written = self.resends = 0
        self.up = self.fresh = False
        self.mono_ns = S
        self.had: dict[int, bytes] = {}  # by the aggregator: number -> content
        self.gone: list[tuple[int, int]] = []  # named by gap records that it has; a range may span billions
        self.upto = 0
        self.receipted: dict[int, int] = {}  # since when: this start counts it, or the disk has let go of it
        self.wanted: set[int] = set()  # asked for again
        self.told: dict[bytes, str] = {}  # content that the store has answered for, by kind
        self.lost_life: set[bytes] = set()  # content that only a disk had that was put back

    @initialize()
    def begin(self) -> None:
        (self.directory / "state").mkdir()
        self._boot()

    def teardown(self) -> None:
        if self.boots:
            self.store._vault.abandon(damaged=False)
            self._settle()
            self.store._vault.abandon(damaged=False)
        shutil.rmtree(self.directory)

    # --- what happens ------------------------------------------------------------------------------------------------
    @rule(kind=st.sampled_from(["batch", "batch", "event", "ack"]))
    def write(self, kind: str) -> None:
        self.written += 1
        body = {"event": "note", "n": self.written}
        clock = Clock(WALL + self.mono_ns // 1_000_000, ClockTrust.SYNCED, "kernel", f"{self.boots:032x}")
        if kind == "batch":
            self._hand(mail.AppendBatch(json.dumps(body).encode(), clock, 1, 60))
            self._forgotten()
        else:
            self._hand(mail.CommitRequest(self.written, Durable(), (Record(kind, body),), clock, 1))

    @rule()
    def connect(self) -> None:
        if not self.up:
            self.up = True
            self.outbox.connected()
            self.again.connected(up=True)
            self._pump()

    @precondition(lambda self: self.boots)
    @rule()
    def hear_of_time(self) -> None:
        """The signed time, with the highest number that was ever heard."""
        if self.up and not self.fresh:
            self.fresh = True
            self._hand(mail.Anchor(max(self.had, default=0)))

    @rule()
    def break_off(self) -> None:
        self.up = False
        self.flying.clear()
        self.outbox.disconnected()
        self.again.connected(up=False)

    @rule(heard=st.booleans(), count=st.integers(1, 6))
    def pubacks(self, heard: bool, count: int) -> None:
        for _ in range(count):
            if self.flying:
                token, row = self.flying.pop(0)
                if heard:
                    self._heard(row)
                self.outbox.acked(token, self.mono_ns)
                self.again.acked(token, self.mono_ns)
                self._pump()

    @rule()
    def receipt(self) -> None:
        self.upto = self._unbroken()
        also = tuple(sorted(seq for seq in self.had if seq > self.upto))[:256]
        sent = self.store._vault.sent
        if self.upto <= sent:
            counted = [seq for seq in self.had if seq <= self.upto or (seq in also and seq <= sent)]
            self.receipted = dict.fromkeys(counted, self.mono_ns) | self.receipted
        self.outbox.receipted(self.upto, also)
        self._hand(mail.Receipted(self.upto, also))

    @rule(upto=st.sampled_from([-1, 0, 10**12, 2**63 - 1]), also=st.lists(st.integers(10**6, 2**63 - 1), max_size=4))
    def hostile_receipt(self, upto: int, also: list[int]) -> None:
        self.outbox.receipted(upto, also)
        self._hand(mail.Receipted(upto, tuple(also)))

    @rule(first=st.integers(1, 60), length=st.integers(0, 60))
    def resend(self, first: int, length: int) -> None:
        if self.fresh and not self.again.full:
            self.resends += 1
            self.keep_ns = self.mono_ns + KEEP_NS
            clock = Clock(WALL, ClockTrust.SYNCED, "kernel", f"{self.boots:032x}")
            self.wanted |= set(range(first, first + length + 1))
            self._hand(mail.Resend(f"{self.resends:032x}", first, first + length, clock, 1))

    @rule(seconds=st.sampled_from([0.05, 1, 61, 700]))
    def wait(self, seconds: float) -> None:
        self.mono_ns += int(seconds * S)
        self._pump()

    @rule(lost=st.integers(0, 2), count=st.integers(1, 6))
    def an_ordinary_while(self, lost: int, count: int) -> None:
        """What single steps would seldom add up to between two kills: rows on a good line, after some that it lost."""
        self.connect()
        self.hear_of_time()
        self.pubacks(False, lost)
        self.wait(0.05)
        self.pubacks(True, count)
        self.receipt()

    @rule()
    def a_quarter_of_an_hour(self) -> None:
        """Long enough for rows to be forgotten, and telemetry to forget them with."""
        self.wait(1000)
        self.write("batch")

    @rule()
    def kill(self) -> None:
        self.store._vault.abandon(damaged=False)
        self._boot()

    @rule()
    def keep_image(self) -> None:
        self.store._vault.abandon(damaged=False)
        shutil.rmtree(self.directory / "image", ignore_errors=True)
        shutil.copytree(self.directory / "state", self.directory / "image")
        self.image_told = dict(self.told)
        self._boot()

    @precondition(lambda self: (self.directory / "image").exists())
    @rule()
    def put_image_back(self) -> None:
        self.store._vault.abandon(damaged=False)
        shutil.rmtree(self.directory / "state")
        shutil.copytree(self.directory / "image", self.directory / "state")
        self.lost_life |= set(self.told) - set(self.image_told)
        self._boot()

    # --- what must hold ----------------------------------------------------------------------------------------------
    @invariant()
    def memory_is_bounded(self) -> None:
        if self.boots:
            assert len(self.outbox._bulk.rows) <= 32
            assert len(self.store._receipts.also) <= self.written + 64

    def _heard(self, row: mail.OutboxRow) -> None:
        content = row.kind.encode() + row.payload
        assert self.had.setdefault(row.seq, content) == content, "a number stands for one row"
        body = json.loads(row.payload)
        if body.get("event") == "gap":
            self.gone.append((body["first"] or 1, body["last"]))

    def _settle(self) -> None:
        """A last start on a good line: everything that is not gone arrives."""
        self._boot()
        self.connect()
        self.hear_of_time()
        quiet = 0
        while quiet < 8:
            before = len(self.had)
            self.wait(0.05 if self.flying else 3)
            self.pubacks(True, 50)
            quiet = quiet + 1 if len(self.had) == before else 0
            if quiet:
                self.receipt()
        missing = {c for c in self.told if c not in set(self.had.values())} - self.lost_life
        numbered = {c for c in missing if not self._named(c)}
        assert not numbered, f"lost without a word: {numbered}"

    def _forgotten(self) -> None:
        """Telemetry has taken with it what has a receipt for so long, unless somebody reads rows again. Settlement
        stays until the archive has it, and this home has no key to keep one with."""
        due = {seq for seq, at_ns in self.receipted.items() if at_ns + FORGET_NS <= self.mono_ns}
        assert self.mono_ns < self.keep_ns or not due & self._on_disk("settlement"), "receipted, and never forgotten"

    def _on_disk(self, but: str = "") -> set[int]:
        """Rows of the store that are not held: numbers of those may still become others."""
        rows = self.store._vault.after(0, 1_000_000, upto=self.store._vault.sent)
        return {row.seq for row in rows if row.kind != but}

    def _named(self, content: bytes) -> bool:
        return any(first <= seq <= last for seq in self.numbers.get(content, ()) for first, last in self.gone)

    def _unbroken(self) -> int:
        """Up to there each row is had or gone."""
        upto = self.upto
        while True:
            after = max([upto, *(last for first, last in self.gone if first <= upto + 1)])
            after = after + 1 if after + 1 in self.had else after
            if after == upto:
                return upto
            upto = after

    # --- inside ------------------------------------------------------------------------------------------------------
    def _boot(self) -> None:
        self.boots += 1
        state = self.directory / "state"
        config = StoreConfig(state / "state.db", state / "reserve", telemetry_rows=MOST_BATCHES, forget_ns=FORGET_NS)
        self.store = Store(config)
        self.store.load()
        still = self._on_disk()
        self.receipted = {seq: at_ns for seq, at_ns in self.receipted.items() if seq not in still}
        self.keep_ns = 0
        self.outbox: Outbox = Outbox(60 * S, 900 * S)
        self.again: Again = Again()
        self.up = self.fresh = False
        self.flying: list[tuple[int, mail.OutboxRow]] = []
        self.order: dict[str, int] = {}
        self.numbers: dict[bytes, set[int]] = getattr(self, "numbers", {})
        self._hand(Start())
        self._pump()

    def _hand(self, event: object) -> None:
        self._take(self.store.handle(event, Now(self.mono_ns, WALL + self.mono_ns // 1_000_000)))
        self._pump()

    def _take(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Post("link", mail.Stored(rows)):
                    for row in rows:
                        content = row.kind.encode() + row.payload
                        self.told[content] = row.kind
                        self.numbers.setdefault(content, set()).add(row.seq)
                    self.outbox.stored(rows)
                case Post("link", mail.Backlog() as found) if found.again:
                    self.again.loaded(found.rows)
                case Post("link", mail.Backlog() as found):
                    self.outbox.backlog(found.rows, found.last, found.first, found.held)
                case Post("link", mail.Anchored() as found):
                    for numbers in self.numbers.values():
                        numbers |= {seq + found.shift for seq in numbers if seq >= found.held}
                    self.outbox.anchored(found.last, found.first)
                case Post("link", mail.Resending() as found):
                    self.again.ask(found.command, found.first, found.last)

    def _pump(self) -> None:
        for _ in range(50):
            rows, load = self.outbox.due(self.mono_ns)
            for row in rows:
                assert row.seq not in self.receipted, "receipted, and sent again unasked"
                self.flying.append((row.seq, row))
            row_again, load_again, _ = self.again.due(self.mono_ns)
            if row_again is not None:
                assert row_again.seq in self.wanted, "nobody asked for it again"
                self.flying.append((token_of(row_again.seq), row_again))
            assert self.up or not (rows or row_again)
            if load is not None:
                self._answer(mail.LoadBacklog(load.after, load.limit, load.batches))
            if load_again is not None:
                self._answer(load_again)
            if load is None and load_again is None and not rows and row_again is None:
                return

    def _answer(self, load: mail.LoadBacklog) -> None:
        if load.upto is not None:
            self.keep_ns = self.mono_ns + KEEP_NS
        self._take(self.store.handle(load, Now(self.mono_ns, WALL)))


TestForward = pytest.mark.slow(Forward.TestCase)
TestForward.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
