"""Events that join on to each other (R8), and those that only look so: who holds, and for how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.command import TERMINAL, Command
from agent.core.durable import CommandRecord
from agent.core.params import S
from tests.core.home import WALL_MS, Home, arriving, command
from tests.core.test_dispatch import CANCEL
from tests.core.test_lifecycle import event, ready


def held_s(home: Home, seconds: int) -> Counter[str | None]:
    """By command, for how long it was the one to act."""
    found: Counter[str | None] = Counter()
    for _ in range(seconds):
        home.tick()
        found[home.decision.command_id] += 1
    return found


def sentence(home: Home, number: int) -> str:
    return [str(a["sentence"]) for a in home.acks if a["command_id"] == f"{number:032x}"][-1]


# --- of another rank, issuer or mode: no joining ----------------------------------------------------------------------
@pytest.mark.parametrize("draw", [0, 30_000, 100_000, 300_000])
@pytest.mark.parametrize("other", [{"primacy": 200}, {"issuer": "other", "primacy": 2}])
def test_the_draw_of_an_event_of_the_lowest_rank_takes_nothing_from_the_highest(draw: int, other: Any) -> None:
    home = ready()
    first = event(1, 330, 100, primacy=0)
    home.tick(arriving(first), arriving(event(2, 430, 100, power_w=-1000, randomize_s=-300, draw=draw, **other)))
    record = home.disk.commands[0]
    assert record.end_ns - record.start_ns == 100 * S
    assert held_s(home, 600)[first.id] in (99, 100, 101)
    assert home.states(1)[-2:] == ["started", "completed"]
    assert sentence(home, 1) == "its time is over"


@pytest.mark.parametrize("draw", [20_000, 100_000])
def test_a_late_draw_of_another_issuer_lengthens_nothing(draw: int) -> None:
    home = ready()
    home.tick(arriving(event(1, 30, 60)), arriving(event(2, 90, 60, randomize_s=100, draw=draw, issuer="other")))
    record = home.disk.commands[0]
    assert record.end_ns - record.start_ns == 60 * S


@pytest.mark.parametrize(("first", "then", "joins"), [(None, None, True), (None, 900, True), (900, None, False)])
def test_joined_is_what_takes_over_all_modes_of_the_one_before(
    first: int | None, then: int | None, joins: bool
) -> None:
    home = ready()
    second = event(2, 160, 60, export_limit_w=then, randomize_s=-60, draw=20_000)
    home.tick(arriving(event(1, 100, 60, export_limit_w=first)), arriving(second))
    record = home.disk.commands[0]
    assert (record.end_ns - record.start_ns) // S == (40 if joins else 60)


# --- of one issuer and rank -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("moved_s", [100, 150, 200])
def test_no_event_ends_before_it_begins(moved_s: int) -> None:
    home = ready()
    first, second = event(1, 300, 100), event(2, 400, 30, randomize_s=-300, draw=moved_s * 1000)
    home.tick(arriving(first), arriving(second))
    record = home.disk.commands[0]
    assert record.end_ns - record.start_ns == 100 * S
    held = held_s(home, 450)
    assert held[second.id] in (29, 30, 31)
    assert held[first.id] >= (69 if moved_s == 100 else 99)
    assert home.states(1)[-1] == home.states(2)[-1] == "completed"


@pytest.mark.parametrize(
    ("randomize_s", "said"),
    [
        (-60, ", 40 s before its own end: there the event that joins on begins"),
        (60, ", 40 s after its own end: there the event that joins on begins"),
    ],
)
def test_what_was_shorter_or_longer_than_asked_for_says_why(randomize_s: int, said: str) -> None:
    home = ready()
    home.tick(arriving(event(1, 100, 60)), arriving(event(2, 160, 60, randomize_s=randomize_s, draw=40_000)))
    home.run(240)
    assert sentence(home, 1) == "its time is over" + said
    home.run(60)
    assert sentence(home, 2) == "its time is over"


def test_the_first_of_two_that_join_on_counts_and_then_the_other() -> None:
    home = ready()
    early, late = (event(n, 160, 60, randomize_s=r, draw=20_000) for n, r in ((2, 60), (3, 59)))
    late = replace(late, draw=50_000)
    home.tick(arriving(event(1, 100, 60)), arriving(late), arriving(early))
    assert (home.disk.commands[0].end_ns - home.disk.commands[0].start_ns) // S == 80
    home.tick(arriving(command(9, target=early.id, **CANCEL)))
    assert (home.disk.commands[0].end_ns - home.disk.commands[0].start_ns) // S == 110


# --- any of them ------------------------------------------------------------------------------------------------------
@st.composite
def events(draw: st.DrawFn) -> list[Command]:
    """Two or three, each joining on to the one before or not, in any order of signing."""
    found: list[Command] = []
    at_s, count = 160, draw(st.integers(2, 3))
    created = draw(st.permutations(range(count)))
    for n in range(count):
        duration_s = draw(st.integers(5, 90))
        c = event(
            n + 1,
            at_s,
            duration_s,
            primacy=draw(st.sampled_from([0, 1, 1, 200])),
            issuer=draw(st.sampled_from(["agg", "agg", "other"])),
            created_ms=WALL_MS + created[n],
            randomize_s=draw(st.sampled_from([0, -150, -40, 30, 120])),
            draw=draw(st.integers(0, 200)) * 1000,
            power_w=draw(st.sampled_from([3000, 1000, -2000])),
            export_limit_w=draw(st.sampled_from([None, None, 4000])),
        )
        found.append(c)
        at_s += duration_s + draw(st.sampled_from([0, 0, 0, 7, -3]))
    return draw(st.permutations(found))


def ends_ns(record: CommandRecord, records: list[CommandRecord]) -> int:
    """By the rule, said another way."""
    c, best = record.command, record.start_ns + record.command.duration_s * S
    followers = []
    for other in records:
        o = other.command
        meant = (o.issuer, o.primacy, o.start_ms) == (c.issuer, c.primacy, (c.start_ms or 0) + c.duration_s * 1000)
        wider = o.export_limit_w is not None or c.export_limit_w is None
        if meant and wider and other.start_ns > record.start_ns:
            followers.append(other.start_ns)
    return min(followers, default=best)


def rank(record: CommandRecord) -> tuple[int, int]:
    return record.command.primacy, -record.command.created_ms


@settings(max_examples=60, deadline=None)
@given(events())
def test_at_each_second_precedence_says_who_holds_and_none_is_cut_without_a_word(commands: list[Command]) -> None:
    home = ready()
    home.tick(*[arriving(c) for c in commands])
    assert all(r.state not in TERMINAL for r in home.disk.commands)
    held: Counter[str | None] = Counter()
    outranked: Counter[str] = Counter()
    over: set[str] = set()
    for _ in range(650):
        before = [r for r in home.state.book.durable.commands if r.command.id not in over]
        home.tick()
        now_ns = home.now_ns
        records = {r.command.id: r for r in home.state.book.durable.commands}
        mine = [records[r.command.id] for r in before]  # an early start (R4) has moved it in this cycle
        now = [r for r in mine if r.start_ns <= now_ns < ends_ns(r, mine)]
        holder = min(now, key=rank, default=None)
        assert home.decision.command_id == (holder.command.id if holder is not None else None)
        held[home.decision.command_id] += 1
        outranked.update(r.command.id for r in now if r is not holder)
        over |= {r.command.id for r in mine if r.state in TERMINAL}
    assert over == {c.id for c in commands}
    for c in commands:
        number = int(c.id, 16)
        if home.states(number)[-1] == "completed" and held[c.id] < c.duration_s - 1:
            told = " before its own end: " in sentence(home, number)
            assert told or held[c.id] + outranked[c.id] >= c.duration_s - 1
        if c.primacy == 0 and sum(o.primacy == 0 for o in commands) == 1:
            assert held[c.id] >= c.duration_s - 1, "nobody ranks above it"
