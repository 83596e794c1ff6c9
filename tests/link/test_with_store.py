"""Link, store, broker and aggregator together in virtual time: bad lines, kills, and a ledger that must add up."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent import mail
from agent.core.decision import Record
from agent.core.durable import SIGNED_AFTER, Durable, Window
from agent.core.inputs import Clock, ClockTrust, CommandIn, Committed, Outdated
from agent.link.session import Session
from agent.runtime.part import Effect, Now, Post, Start, Stop, Stopped, Wake, WakeAt
from agent.runtime.virtual import VirtualRuntime
from agent.store.config import StoreConfig
from agent.store.store import Store
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.claims import COLUMNS
from hil.aggregator.virtual import VirtualAggregator
from hil.virtual_broker import VirtualBroker
from tests.link.home import WALL, S, config
from tests.link.test_forgeries import keyring


class Control:
    """A stand-in: a sample a second, and one commit with an ack for each command."""

    def __init__(self, boot: str, durable: Durable) -> None:
        self._boot = boot
        self._windows = dict(durable.windows)
        self._ids = itertools.count(1)
        self.committed: list[int] = []
        self.state: mail.LinkState | None = None

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        clock = Clock(now.wall_ms, ClockTrust.SYNCED, "kernel", self._boot)
        if isinstance(event, Start | Wake):
            values: dict[str, object] = dict.fromkeys(sorted(COLUMNS), now.mono_ns // S % 997)
            return [
                Post("link", mail.Sample(clock, now.mono_ns // 1_000_000, values, False)),
                WakeAt(now.mono_ns + S),
            ]
        if isinstance(event, CommandIn):
            self._windows |= dict(event.windows)
            ack = Record("ack", {"command_id": event.command.id, "state": "received", "reason": None})
            durable = Durable(windows=tuple(sorted(self._windows.items())))
            request = mail.CommitRequest(next(self._ids), durable, (ack,), clock, now.mono_ns // 1_000_000)
            return [Post("store", request)]
        if isinstance(event, Outdated):
            self._windows[SIGNED_AFTER] = Window(event.signed_ms, 0)
            durable = Durable(windows=tuple(sorted(self._windows.items())))
            return [Post("store", mail.CommitRequest(next(self._ids), durable, (), clock, now.mono_ns // 1_000_000))]
        if isinstance(event, Committed):
            self.committed.append(event.commit_id)
        if isinstance(event, mail.LinkState):
            self.state = event
        return [Post("runtime", Stopped("control"))] if isinstance(event, Stop) else []


class Fleet:
    """One home, one broker, one aggregator."""

    def __init__(self, directory: Path, seed: int = 1) -> None:
        self.directory = directory
        self.runtime = VirtualRuntime(WALL)
        self.broker = VirtualBroker(self.runtime.at, lambda: self.runtime.mono_ns)
        self.runtime.attach_broker(self.broker)
        self.draw = random.Random(seed)
        self.aggregator = Aggregator(keyring(), self.draw.randbytes)
        self.driver = VirtualAggregator(self.aggregator, self.broker, self.runtime.at, self.runtime.now)
        self.boots = 0
        self.bytes = 0
        self.store: Store | None = None
        self.control: Control | None = None

    def boot(self) -> None:
        self.boots += 1
        boot = hashlib.sha256(b"boot %d" % self.boots).hexdigest()[:32]
        self.store = Store(StoreConfig(self.directory / "state.db", self.directory / "reserve"))
        durable = self.store.load()
        self.control = Control(boot, durable)
        link = config(block_s=5, backoff_floor_ns=S // 2, backoff_cap_ns=4 * S)
        self.runtime.add("control", self.control)
        self.runtime.add("store", self.store, post_delay_ns=3_000_000)
        self.runtime.add("link", Session(link, boot, self.draw.randbytes, durable.windows, (), self.store.held))
        self.runtime.start()

    def kill(self) -> None:
        self.runtime.kill()
        assert self.store is not None
        self.store._vault.abandon(damaged=False)  # the kernel closes the file

    def run(self, seconds: float) -> None:
        self.runtime.run_until(self.runtime.mono_ns + int(seconds * S))

    def dispatch(self) -> str:
        signed = self.aggregator.dispatch("home1", 5000, 60, self.runtime.now())
        self.driver.publish(signed.publish)
        return signed.id

    @property
    def ledger(self) -> dict[str, object]:
        return self.aggregator.score()


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_a_quiet_quarter_of_an_hour(fleet: Fleet) -> None:
    fleet.boot()
    fleet.run(2)
    id_ = fleet.dispatch()
    fleet.run(900)
    book = fleet.aggregator.books["home1"]
    assert [ack.state for ack in book.acks[id_]] == ["received"]
    assert len(book.batches) == 180
    assert fleet.ledger["duplicates"] == fleet.ledger["refused"] == fleet.ledger["conflicts"] == 0
    assert fleet.control is not None
    assert fleet.control.state is not None
    assert fleet.control.state.unsent <= 1
    assert fleet.control.state.fresh


def test_the_broker_is_gone_for_twenty_seconds_and_each_row_counts_once(fleet: Fleet) -> None:
    fleet.boot()
    fleet.run(60)
    fleet.broker.set_up(False)
    fleet.run(20)
    fleet.broker.set_up(True)
    fleet.run(60)
    book = fleet.aggregator.books["home1"]
    assert book.ledger.upto >= 26
    assert (fleet.ledger["missing"], fleet.ledger["conflicts"], fleet.ledger["refused"]) == (0, 0, 0)


def test_a_kill_at_any_moment_starts_nothing_twice_and_loses_no_committed_row(fleet: Fleet) -> None:
    committed = 0
    for _ in range(12):
        fleet.boot()
        fleet.run(6 + 3 * fleet.draw.random())
        tokens = [fleet.aggregator.dispatch("home1", 5000, 60, fleet.runtime.now()) for _ in range(3)]
        for signed in tokens:
            fleet.driver.publish(signed.publish)
        fleet.run(0.04 * fleet.draw.random())
        assert fleet.control is not None
        committed += len(fleet.control.committed)
        fleet.kill()
        fleet.run(1)
    fleet.boot()
    fleet.run(200)
    book = fleet.aggregator.books["home1"]
    acked = sum(len(acks) for acks in book.acks.values())
    assert all(len(acks) == 1 for acks in book.acks.values())
    assert acked >= committed > 10
    assert (fleet.ledger["missing"], fleet.ledger["conflicts"], fleet.ledger["refused"]) == (0, 0, 0)
    assert len(book.boots) == 13


def test_the_captured_traffic_of_an_hour_played_back_moves_nothing(fleet: Fleet) -> None:
    fleet.boot()
    fleet.run(3)
    signed = [fleet.aggregator.dispatch("home1", 1, 60, fleet.runtime.now()) for _ in range(5)]
    for one in signed:
        fleet.driver.publish(one.publish)
    fleet.run(2)
    assert fleet.control is not None
    before = list(fleet.control.committed)
    assert len(before) == 5
    for one in signed:
        fleet.driver.publish(one.publish)
    fleet.run(2)
    fleet.kill()
    fleet.run(1)
    fleet.boot()
    fleet.run(5)
    for one in signed:
        fleet.driver.publish(one.publish)
    fleet.run(2)
    assert fleet.control.committed == []
    assert fleet.control.state is not None
    assert fleet.control.state.counters == {"replay": 5}


def test_a_clean_stop_delivers_the_last_block_and_the_next_boot_sends_nothing_twice(fleet: Fleet) -> None:
    fleet.boot()
    fleet.run(32.5)
    fleet.runtime.post("link", Stop())
    fleet.run(2)
    assert fleet.runtime.stopped == {"link"}
    book = fleet.aggregator.books["home1"]
    assert sum(len(b.claims["rows"]) for b in book.batches) == 33
    assert book.presence is not None
    assert book.presence["state"] == "stopped"
    fleet.runtime.post("store", Stop())
    fleet.run(6)
    fleet.runtime.kill()
    fleet.boot()
    fleet.run(100)
    assert (fleet.ledger["missing"], fleet.ledger["conflicts"]) == (0, 0)


def trace(directory: Path, seed: int) -> str:
    fleet = Fleet(directory, seed)
    seen = hashlib.sha256()
    fleet.runtime.on_publish = lambda now, publish: seen.update(repr((now, publish)).encode())
    fleet.boot()
    for n in range(6):
        fleet.run(7)
        fleet.broker.set_up(n % 2 == 1)
        fleet.dispatch()
    fleet.run(30)
    return seen.hexdigest()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.mkdir()
    one, two, three = trace(paths[0], 1), trace(paths[1], 1), trace(paths[2], 2)
    assert one == two != three
