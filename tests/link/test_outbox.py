"""The outbox against a store and an aggregator that forget, delay and break off: nothing lost, nothing unbounded."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.link.outbox import BULK_IN_FLIGHT, GAP_NS, IN_FLIGHT, PACE_NS, UNRECEIPTED, URGENT_ROWS, Load, Outbox
from agent.mail import OutboxRow

S = 1_000_000_000


def row(seq: int, kind: str = "batch") -> OutboxRow:
    return OutboxRow(seq, kind, "boot", seq, seq, "synced", b"{}")


@dataclass
class World:
    """A store, a broker and an aggregator around one outbox."""

    outbox: Outbox = field(default_factory=lambda: Outbox(60 * S, 900 * S))
    rows: dict[int, OutboxRow] = field(default_factory=dict)
    last: int = 0
    now: int = 0
    up: bool = False
    flying: list[OutboxRow] = field(default_factory=list)
    load: Load | None = None
    had: set[int] = field(default_factory=set)  # by the aggregator
    published: list[int] = field(default_factory=list)
    held: int | None = None
    hide_first: bool = False

    def pump(self) -> None:
        rows, load = self.outbox.due(self.now)
        assert self.up or not rows
        for published in rows:
            assert published.seq in self.rows, "a row that the aggregator has receipted must not go out"
            assert published.seq not in {r.seq for r in self.flying}, "a row goes out once at a time"
            self.published.append(published.seq)
        self.flying += rows
        assert len(self.flying) <= IN_FLIGHT
        assert sum(r.kind == "batch" for r in self.flying) <= BULK_IN_FLIGHT
        if load is not None:
            assert self.load is None, "one question at a time"
            self.load = load

    def store(self, kind: str = "batch", skip: int = 0) -> None:
        self.last += 1 + skip
        self.rows[self.last] = row(self.last, kind)
        self.outbox.stored((self.rows[self.last],))
        self.pump()

    def answer(self) -> None:
        if self.load is not None:
            load, self.load = self.load, None
            mine = [s for s in sorted(self.rows) if (self.rows[s].kind == "batch") == load.batches]
            found = [self.rows[s] for s in mine if s > load.after][: load.limit]
            first = None if self.hide_first else min(self.rows, default=self.last + 1)
            self.outbox.backlog(tuple(found), self.last, first, self.held)
            self.pump()

    def connect(self) -> None:
        if not self.up:
            self.up = True
            self.outbox.connected()
            self.pump()

    def break_off(self) -> None:
        if self.up:
            self.up = False
            self.flying.clear()
            self.outbox.disconnected()
            self.pump()

    def puback(self, index: int = 0, heard: bool = True) -> None:
        """The broker has it; `heard`: and so has the aggregator."""
        if self.flying:
            got = self.flying.pop(index % len(self.flying))
            if heard:
                self.had.add(got.seq)
            self.outbox.acked(got.seq, self.now)
            self.pump()

    def receipt(self) -> None:
        upto = 0
        while upto + 1 in self.had:
            upto += 1
        also = sorted(self.had - set(range(upto + 1)))
        self.outbox.receipted(upto, also)
        for seq in [s for s in self.rows if s <= upto or s in also]:
            del self.rows[seq]
        self.flying = [r for r in self.flying if r.seq in self.rows]
        self.pump()

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * S)
        self.pump()

    def ready(self) -> None:
        """A good line, and both streams of the store have been read to their ends."""
        self.connect()
        for _ in range(4):
            self.answer()

    def drain(self, heard: bool = True) -> None:
        """All that may go out goes, and the broker takes it."""
        for _ in range(4000):
            before = len(self.published)
            self.answer()
            while self.flying:
                self.puback(heard=heard)
            self.wait(PACE_NS / S)
            if len(self.published) == before and not self.flying and self.load is None:
                return

    def settle(self) -> None:
        """A quiet hour on a good line."""
        self.connect()
        for _ in range(2000):
            self.drain()
            self.receipt()
            if not self.rows and self.load is None:
                break
            self.wait(30)


def test_a_row_goes_out_at_once_when_the_line_is_good() -> None:
    world = World()
    world.ready()
    world.store()
    world.store("ack")
    assert world.published == [1, 2]


def test_what_the_last_boot_left_goes_out_in_order() -> None:
    world = World()
    for seq in range(1, 101):
        world.rows[seq] = row(seq)
    world.last = 100
    world.pump()
    assert world.load == Load(0, URGENT_ROWS, batches=False)
    world.settle()
    assert world.published == list(range(1, 101))


def test_an_ack_of_now_overtakes_the_telemetry_of_a_week() -> None:
    world = World()
    for seq in range(1, 1001):
        world.rows[seq] = row(seq)
    world.last = 1000
    world.pump()
    world.ready()
    for _ in range(10):
        world.wait(PACE_NS / S)
    assert len(world.published) == BULK_IN_FLIGHT
    world.store("ack")
    assert world.published[-1] == 1001
    world.settle()
    assert world.published.count(1001) == 1


def test_acks_and_events_of_an_earlier_start_go_before_its_telemetry() -> None:
    world = World()
    for seq in range(1, 1001):
        world.rows[seq] = row(seq, "batch" if seq % 100 else "settlement")
    world.last = 1000
    world.pump()
    world.ready()
    assert world.published[:10] == list(range(100, 1001, 100))
    world.settle()
    assert [seq for seq in world.published if seq % 100] == [seq for seq in range(1, 1000) if seq % 100]


def test_telemetry_of_the_past_leaves_half_of_the_line() -> None:
    """A PUBACK that takes a second is followed by a pause of a second."""
    world = World()
    for seq in range(1, 101):
        world.rows[seq] = row(seq)
    world.last = 100
    world.pump()
    world.ready()
    while len(world.flying) < BULK_IN_FLIGHT:
        world.wait(PACE_NS / S)
    sent = len(world.published)
    world.wait(1)
    world.puback()
    assert world.outbox.wake_ns is not None
    assert world.now + 1 * S <= world.outbox.wake_ns <= world.now + 2 * S
    world.wait(0.9)
    assert len(world.published) == sent
    world.wait(1)
    assert len(world.published) == sent + 1


def test_rows_of_a_start_that_nobody_has_anchored_wait_and_the_rest_goes() -> None:
    world = World(held=5)
    for seq in range(1, 8):
        world.rows[seq] = row(seq, "ack" if seq % 2 else "batch")
    world.last = 7
    world.pump()
    world.ready()
    world.store("ack")
    world.drain()
    assert sorted(world.published) == [1, 2, 3, 4]
    assert world.outbox.holds
    world.rows = {seq + 100: row(seq + 100, r.kind) for seq, r in world.rows.items() if seq >= 5}
    world.last, world.held = 108, None
    world.outbox.anchored(100, 108)
    world.settle()
    assert set(world.published) == {1, 2, 3, 4, 105, 106, 107, 108}
    assert world.outbox.span == (1, 108)


@pytest.mark.parametrize(("upto", "also"), [(10**12, ()), (2**63 - 1, (2**63 - 2,)), (0, (999, 10**9, 2**63 - 1))])
def test_a_hostile_receipt_makes_nothing_go_away(upto: int, also: tuple[int, ...]) -> None:
    """Beyond what there is, in the past, junk in `also`."""
    world = World()
    world.ready()
    for _ in range(4):
        world.store("ack")
    while world.flying:
        world.puback(heard=False)
    world.outbox.receipted(upto, also)
    assert world.outbox.unsent == 4
    world.wait(61)
    world.settle()
    assert world.had == {1, 2, 3, 4}


def test_telemetry_stops_ahead_of_receipts_that_do_not_come_but_acks_do_not() -> None:
    world = World()
    for seq in range(1, 1001):
        world.rows[seq] = row(seq)
    world.last = 1000
    world.pump()
    world.connect()
    world.drain()
    assert len(world.published) == UNRECEIPTED
    world.store("ack")
    assert world.published[-1] == 1001


def test_a_puback_without_a_receipt_is_no_end_it_goes_out_again_more_and_more_seldom() -> None:
    world = World()
    world.ready()
    world.store()
    times = []
    for _ in range(4 * 3600):
        if world.published:
            times.append(world.now // S)
            world.published.clear()
        world.puback(heard=False)
        world.wait(1)
        world.answer()
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps[:4] == pytest.approx([60, 120, 240, 480], abs=3)
    assert max(gaps) <= 903


def test_wake_is_asked_for_exactly_when_a_row_is_to_go_out_again() -> None:
    world = World()
    world.ready()
    world.store()
    assert world.outbox.wake_ns is None
    world.puback(heard=False)
    assert world.outbox.wake_ns == world.now + 60 * S


def test_after_a_break_everything_without_a_receipt_goes_out_again_but_not_at_every_flap() -> None:
    world = World()
    world.ready()
    for _ in range(4):
        world.store()
    world.drain(heard=False)
    world.break_off()
    world.published.clear()
    for _ in range(3):
        world.connect()
        world.drain(heard=False)
        world.break_off()
    assert world.published == [1, 2, 3, 4]


def test_an_answer_that_a_break_overtook_loses_no_row() -> None:
    """Load is under way, the line breaks and comes back: the late answer must not move the cursor past lost rows."""
    world = World()
    for seq in range(1, 41):
        world.rows[seq] = row(seq)
    world.last = 40
    world.connect()
    world.answer()
    world.answer()
    world.break_off()
    world.connect()
    world.settle()
    assert set(world.published) == set(range(1, 41))


def test_unsent_counts_what_waits_for_a_receipt() -> None:
    world = World()
    world.pump()
    world.answer()
    for n in range(30):
        world.store("ack" if n % 3 else "batch")
    assert world.outbox.unsent == 30
    world.settle()
    assert world.outbox.unsent == 0


def test_memory_stays_bounded_over_a_week_without_a_line() -> None:
    world = World()
    world.pump()
    world.answer()
    for n in range(10_000):
        world.store("batch" if n % 10 else "ack")
    held = len(world.outbox._urgent.rows) + len(world.outbox._bulk.rows) + len(world.outbox._flying)
    assert held <= 512
    assert world.outbox.unsent == 10_000


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["connect", "break_off", "answer", "receipt"]), st.just(0)),
        st.tuples(st.sampled_from(["batch", "batch", "ack", "event", "skip"]), st.just(0)),
        st.tuples(st.sampled_from(["puback", "deaf"]), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.sampled_from([0.06, 1, 30, 61, 1000])),
    ),
    max_size=150,
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), steps)
def test_whatever_happens_every_row_is_had_in_the_end(before: int, script: list[tuple[str, int]]) -> None:
    world = World()
    for seq in range(1, before + 1):
        world.rows[seq] = row(seq, "ack" if seq % 5 == 0 else "batch")
    world.last = before
    world.pump()
    for word, value in script:
        if word in ("batch", "ack", "event"):
            world.store(word)
        elif word == "skip":
            world.store(skip=1000)
        elif word in ("puback", "deaf"):
            world.puback(value, heard=word == "puback")
        elif word == "wait":
            world.wait(value)
        else:
            getattr(world, word)()
    everything = set(world.rows) | world.had
    world.settle()
    assert world.rows == {}
    assert world.had == everything
    assert world.outbox.unsent == 0


def test_a_long_random_life_ends_with_everything_delivered() -> None:
    """Seeded, so that a failure repeats: 5,000 steps of a bad line."""
    draw = random.Random(7)
    world = World()
    world.pump()
    for _ in range(5000):
        acts: list[Callable[[], None]] = [
            world.connect, world.break_off, world.answer, world.receipt, world.puback, world.store,
            lambda: world.store("ack"), lambda: world.puback(3, heard=False), lambda: world.wait(5),
        ]  # fmt: skip
        draw.choices(acts, [3, 1, 6, 2, 20, 6, 2, 1, 3])[0]()
    world.settle()
    assert world.had == set(range(1, world.last + 1))


@pytest.mark.parametrize("kind", ["ack", "batch"])
def test_a_row_that_was_receipted_while_it_waited_is_not_sent(kind: str) -> None:
    world = World()
    world.ready()
    for _ in range(IN_FLIGHT + 5):
        world.store(kind)
    waiting = [seq for seq in world.rows if seq not in world.published]
    world.outbox.receipted(waiting[0], waiting[2:3])
    for seq in [s for s in world.rows if s <= waiting[0] or s == waiting[2]]:
        del world.rows[seq]
    world.flying.clear()
    world.published.clear()
    for seq in list(world.outbox._flying):
        world.outbox.acked(seq, world.now)
    world.drain()
    assert [seq for seq in world.published if seq in waiting][:2] == [waiting[1], waiting[3]]


@pytest.mark.parametrize("kind", ["batch", "ack"])
def test_a_row_that_a_receipt_skips_does_not_wait_for_the_pause(kind: str) -> None:
    world = World()
    world.ready()
    world.store(kind)
    world.store(kind)
    world.drain(heard=False)  # the broker took both and nobody was subscribed
    world.store(kind)
    world.puback()
    world.receipt()
    assert world.outbox.wake_ns is not None
    assert world.now < world.outbox.wake_ns <= world.now + GAP_NS
    world.pump()
    assert world.published == [1, 2, 3], "a row that is only late is not sent twice"
    world.wait(2)
    world.drain()
    assert world.published == [1, 2, 3, 1, 2]


def test_receipts_make_the_next_pause_short_again() -> None:
    world = World()
    world.ready()
    world.store()
    world.puback(heard=False)
    world.wait(60)
    world.answer()
    assert len(world.published) == 2
    world.puback()
    assert world.outbox.wake_ns == world.now + 120 * S
    world.receipt()
    world.wait(1)
    world.store()
    world.puback(heard=False)
    assert world.outbox.wake_ns == world.now + 60 * S


def test_the_first_row_that_can_still_come_is_known_after_the_first_answer() -> None:
    empty, left = World(last=7), World(last=9, rows={8: row(8), 9: row(9)})
    for world in (empty, left):
        world.hide_first = not world.rows
        assert world.outbox.span[0] is None
        world.pump()
        world.answer()
    assert empty.outbox.span == (8, 7)
    assert left.outbox.span == (8, 9)
