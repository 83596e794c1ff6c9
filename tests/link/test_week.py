"""Link, real store, broker and aggregator in virtual time: a week without a line, a thin line, rows once more, an old
disk. Nothing is lost without a record that says so, and nobody waits for the past."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.inputs import Clock, ClockTrust
from agent.link.jws import deflate
from agent.link.outbox import LOAD_ROWS, PACE_NS, URGENT_MAX
from agent.runtime.part import MqttPublish, Now
from agent.store.config import StoreConfig
from agent.store.database import Change
from agent.store.store import Store
from hil.aggregator.claims import COLUMNS
from tests.link.home import WALL, S
from tests.link.test_with_store import Fleet

WEEK = 7 * 1440  # minutes
MINUTE_MS = 60_000
EVERY = 90  # every so many minutes something else than telemetry


def minutes(count: int) -> list[tuple[str, bytes]]:
    """What a home without a line writes: its minutes, and now and then an event."""
    found: list[tuple[str, bytes]] = []
    names = sorted(COLUMNS)
    for n in range(count):
        if n % EVERY == 0:
            found.append(
                ("settlement" if n % (2 * EVERY) else "event", b'{"event":"self_test","ok":true,"result":"%d"}' % n)
            )
        t0_ms = WALL - (count - n) * MINUTE_MS
        body = {"t0_ms": t0_ms, "cols": ["dt_ms", *names], "rows": [[0, *[n] * len(names)]], "counters": {}}
        found.append(("batch", deflate(json.dumps(body).encode())))
    return found


def write(directory: Path, rows: list[tuple[str, bytes]]) -> None:
    """By an earlier start, in few transactions: how they came there is another test's business."""
    store = Store(StoreConfig(directory / "state.db", directory / "reserve"))
    store.load()
    clock = Clock(WALL, ClockTrust.SYNCED, "kernel", "e" * 32)
    for n in range(0, len(rows), 2000):
        store._vault.write(None, rows[n : n + 2000], clock, 1, Change())
    store._vault.anchor(0)
    store._vault.close()


class Thin:
    """Between the agent and its broker: so many bytes a second, one after the other, as a modem sends them."""

    def __init__(self, fleet: Fleet, rate: int) -> None:
        self._broker, self._runtime, self._rate = fleet.broker, fleet.runtime, rate
        self._free_ns = 0
        self.waited: dict[str, list[int]] = {}
        fleet.runtime.attach_broker(self)

    def publish(self, client_id: str, token: int, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        now_ns = self._runtime.mono_ns
        self._free_ns = max(self._free_ns, now_ns) + (len(payload) + 100) * S // self._rate
        self.waited.setdefault(topic.rpartition("/")[2], []).append(self._free_ns - now_ns)
        self._runtime.at(self._free_ns, lambda: self._broker.publish(client_id, token, topic, payload, qos, retain))

    def connect(self, client_id: str, will_topic: str, will_payload: bytes, on_event: Callable[[object], None]) -> None:
        self._broker.connect(client_id, will_topic, will_payload, on_event)

    def subscribe(self, client_id: str, topics: tuple[tuple[str, int], ...]) -> None:
        self._broker.subscribe(client_id, topics)

    def disconnect(self, client_id: str) -> None:
        self._broker.disconnect(client_id)

    def vanish(self, client_id: str) -> None:
        self._broker.vanish(client_id)


@pytest.mark.slow
def test_seven_days_offline_are_kept_and_delivered(tmp_path: Path) -> None:
    """10,080 minutes and what happened in them; events and settlement first, each kind in its order, each row once."""
    left = minutes(WEEK)
    write(tmp_path, left)
    fleet = Fleet(tmp_path)
    order: dict[str, list[int]] = {}
    held = [0]

    def sent(now: Now, publish: MqttPublish) -> None:
        if publish.token > 0:
            order.setdefault(publish.topic.rpartition("/")[2], []).append(publish.token)
            link = fleet.runtime._parts["link"]
            outbox = link._rows.outbox  # type: ignore[attr-defined]
            held.append(len(outbox._urgent.rows) + len(outbox._bulk.rows) + len(outbox._flying))

    fleet.runtime.on_publish = sent
    fleet.boot()
    rows = len(left)
    waited = 0
    book = fleet.aggregator.books["home1"]
    while book.ledger.upto < rows and waited < 3600:
        fleet.run(20)
        waited += 20
    assert book.ledger.upto >= rows
    assert (fleet.ledger["missing"], fleet.ledger["conflicts"], fleet.ledger["gone"]) == (0, 0, 0)
    assert waited <= WEEK * PACE_NS / S + 120
    urgent = WEEK // EVERY
    assert max(order["event"][: urgent // 2]) <= rows, "what is left of the week comes before what is new"
    first_batches = order["batch"][:10]
    assert first_batches == sorted(first_batches)
    for kind, numbers in order.items():
        assert numbers == sorted(numbers), kind
        assert len(set(numbers)) == len(numbers), kind
    assert max(held) <= URGENT_MAX + 2 * LOAD_ROWS


def test_events_of_a_week_are_there_before_its_telemetry(tmp_path: Path) -> None:
    write(tmp_path, minutes(3000))
    fleet = Fleet(tmp_path)
    fleet.boot()
    fleet.run(2)
    book = fleet.aggregator.books["home1"]
    settled = len(book.settlements) + sum(1 for event in book.events if event.claims["event"] == "self_test")
    assert settled == -(-3000 // EVERY) + 1, "and the chain's own first record"
    assert len(book.batches) < 50


@pytest.mark.parametrize("rate", [8_000, 40_000], ids=["64 kbit/s", "320 kbit/s"])
def test_catching_up_makes_nobody_wait_longer_than_two_rows_take(tmp_path: Path, rate: int) -> None:
    """A record of now on a thin line, with a week behind it and without: the difference has a bound."""
    worst: dict[bool, int] = {}
    longest = 0
    for behind in (False, True):
        directory = tmp_path / str(behind)
        directory.mkdir()
        if behind:
            write(directory, minutes(3000))
        fleet = Fleet(directory)
        line = Thin(fleet, rate)
        fleet.boot()
        fleet.run(20)
        for _ in range(40):
            fleet.dispatch()
            fleet.run(2)
        book = fleet.aggregator.books["home1"]
        assert sum(len(acks) for acks in book.acks.values()) == 40
        worst[behind] = max(line.waited["ack"])
        longest = max([longest, *line.waited["batch"]])
        if behind:
            assert len(book.batches) > 40, "and it does catch up"
    biggest_ns = 2 * 2500 * S // rate
    assert worst[True] - worst[False] <= biggest_ns


def test_a_resend_brings_every_kept_row_and_names_the_rest(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.boot()
    fleet.run(1300)  # receipted rows were forgotten meanwhile
    book = fleet.aggregator.books["home1"]
    before = book.ledger.duplicates
    highest = book.ledger.highest
    signed = fleet.aggregator.command("home1", {"kind": "resend", "first": 1, "last": highest}, fleet.runtime.now())
    fleet.driver.publish(signed.publish)
    fleet.run(120)
    assert [ack.state for ack in book.acks[signed.id]] == ["received", "completed"]
    gaps = [e.claims for e in book.events if e.claims["event"] == "gap"]
    named = {seq for gap in gaps for seq in range(gap["first"], gap["last"] + 1)}
    came = book.ledger.duplicates - before
    assert {gap["reason"] for gap in gaps} == {"not_kept"}
    assert 0 < len(named) < highest
    assert came == highest - len(named)
    assert fleet.ledger["conflicts"] == 0


@pytest.mark.parametrize("offline", [False, True], ids=["at once", "after two starts without a line"])
def test_a_disk_that_was_put_back_uses_no_number_twice(tmp_path: Path, offline: bool) -> None:
    state = tmp_path / "state"
    state.mkdir()
    fleet = Fleet(state)
    fleet.boot()
    fleet.run(100)
    fleet.kill()
    shutil.copytree(state, tmp_path / "image")
    fleet.boot()
    fleet.run(100)
    fleet.kill()
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "image", state)
    book = fleet.aggregator.books["home1"]
    had = book.ledger.highest
    if offline:
        for _ in range(2):
            fleet.broker.set_up(False)
            fleet.boot()
            fleet.run(60)
            fleet.kill()
        fleet.broker.set_up(True)
    fleet.boot()
    fleet.run(100)
    assert fleet.ledger["conflicts"] == 0
    assert fleet.ledger["missing"] == 0
    (gap,) = [e.claims for e in book.events if e.claims["event"] == "gap"]
    assert gap["last"] >= had
    batches = [m for m in book.batches if m.seq > had]
    assert len(batches) >= (40 if offline else 18)
    starts = [a.claims["t0_ms"] for a in batches]
    assert all(b - a >= 4000 for a, b in itertools.pairwise(sorted(starts)))


def test_two_boots_of_one_name_are_counted_by_the_aggregator(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.boot()
    fleet.run(5)
    assert fleet.ledger["two_boots"] == 0
    fleet.kill()
    fleet.boot()
    fleet.run(5)
    assert fleet.ledger["two_boots"] == 0, "a restart is none"
    # What the copy sends is signed by the same key: one that lives on after the other was heard.
    book = fleet.aggregator.books["home1"]
    book.boots.append("c0" * 16)
    fleet.broker.set_up(False)
    fleet.run(20)
    fleet.broker.set_up(True)
    fleet.run(20)
    assert fleet.ledger["two_boots"] != 0
