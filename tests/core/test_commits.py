"""The desk before the store: one transaction per change, nothing lost by a failed one."""

from __future__ import annotations

from dataclasses import replace

from agent.core.book import aside
from agent.core.commits import MAX_BACKLOG, Desk, answered, keep, propose
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.params import S
from tests.core.home import Home, arriving, command

BEFORE, AFTER = Durable(), Durable(starts_ms=(1,))
ACK, EVENT = Record("ack", {"n": 1}), Record("event", {"n": 2})


def test_nothing_new_nothing_committed() -> None:
    desk = Desk(stored=BEFORE)
    assert propose(desk, BEFORE, (), True, 0) == (desk, None)
    assert propose(desk, replace(BEFORE), (), True, 0)[1] is None  # equal is enough


def test_a_change_or_a_record_is_one_commit_with_the_next_id() -> None:
    desk, commit = propose(Desk(stored=BEFORE, next_id=7), AFTER, (ACK,), True, 5)
    assert commit is not None
    assert (commit.id, commit.durable, commit.records) == (7, AFTER, (ACK,))
    assert (desk.next_id, desk.stored, desk.asked_ns) == (8, AFTER, 5)
    assert answered(desk, 7, True, 6).outstanding == ()


def test_an_unfit_disk_keeps_records_waiting_in_order() -> None:
    desk, commit = propose(Desk(stored=BEFORE), AFTER, (ACK,), False, 0)
    assert commit is None
    desk, commit = propose(desk, AFTER, (EVENT,), False, 1)
    assert commit is None
    desk, commit = propose(desk, AFTER, (), True, 2)
    assert commit is not None
    assert commit.records == (ACK, EVENT)
    assert desk.backlog == ()


def test_a_failed_commit_gives_its_records_back_and_rests() -> None:
    desk, commit = propose(Desk(stored=BEFORE), AFTER, (ACK,), True, 0)
    assert commit is not None
    desk = answered(desk, commit.id, False, 1 * S)
    desk, commit = propose(desk, AFTER, (EVENT,), True, 5 * S)
    assert commit is None  # five seconds from the failure
    desk, commit = propose(desk, AFTER, (), True, 6 * S)
    assert commit is not None
    assert commit.records == (ACK, EVENT)
    desk = answered(desk, commit.id, True, 7 * S)
    assert desk.failed_ns is None


def test_a_failed_commit_without_records_is_proposed_again() -> None:
    desk, commit = propose(Desk(stored=BEFORE), AFTER, (), True, 0)
    assert commit is not None
    desk = answered(desk, commit.id, False, 0)
    assert propose(desk, AFTER, (), True, 6 * S)[1] is not None


def test_an_answer_to_another_commit_changes_nothing_here() -> None:
    desk, _ = propose(Desk(stored=BEFORE), AFTER, (ACK,), True, 0)
    assert answered(desk, 99, True, 0).outstanding == desk.outstanding


def test_of_too_many_records_events_go_first_and_the_newest_stay() -> None:
    acks = tuple(Record("ack", {"n": n}) for n in range(MAX_BACKLOG))
    assert keep((EVENT, *acks)) == acks
    assert keep((*acks, EVENT, Record("ack", {"n": -1})))[-1].body == {"n": -1}
    assert keep((EVENT, EVENT, *acks[1:])) == (EVENT, *acks[1:])
    more = tuple(Record("ack", {"n": n}) for n in range(MAX_BACKLOG + 3))
    assert keep(more) == more[3:]
    assert keep((ACK,)) == (ACK,)


def test_settlement_that_is_dropped_leaves_one_record_of_it() -> None:
    told = tuple(Record("settlement", {"record": "interval", "t0_ms": 900 + n}) for n in range(MAX_BACKLOG))
    lost, *rest = kept = keep((ACK, *told))
    assert rest == list(told[1:])
    assert (lost.body["from_ms"], lost.body["records"]) == (900, 1)
    for n in range(3):
        kept = keep((*kept, Record("settlement", {"record": "reserve", "n": n})))
    lost, *rest = kept
    assert len(kept) == MAX_BACKLOG
    assert rest[0] == told[4]
    assert (lost.body["from_ms"], lost.body["records"]) == (900, 4)
    assert "4 records" in str(lost.body["what"])


def test_what_is_kept_aside_has_no_command_that_no_disk_knows_and_does_not_change_with_energy() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    assert aside(home.state.book)[0].commands == ()
    home.run(30)
    durable, plain = aside(home.state.book)
    assert [r.command.id for r in durable.commands] == [command().id]
    record = replace(durable.commands[0], delivered_mwh=5000)
    later = replace(home.state.book, durable=replace(durable, commands=(record,), day_mwh=7))
    assert aside(later)[0].commands[0].delivered_mwh == 5000
    assert aside(later)[1] == plain
