"""`resend`: verified like a command, answered by link and store, and no way to keep a home busy."""

from __future__ import annotations

import json

import pytest

from agent import mail
from agent.core.inputs import CommandIn
from agent.link.again import Again, token_of
from agent.link.outbox import LOAD_ROWS, PACE_NS
from agent.runtime.part import MqttAcked, MqttDown, MqttPublish, MqttUp, Wake
from tests.link.home import Home, S, posted, published


def home_of(rows: int) -> Home:
    home = Home()
    home.ready()
    for n in range(rows):
        home.ack(*home.store("ack" if n % 2 else "event", command_id=f"{n:032x}"))
    home.send(home.agg.receipt(home.now, rows))
    return home


def serve(home: Home, seen: int = 0, rows: int = 100) -> list[MqttPublish]:
    """Everything that the store and the broker answer to effects from that one on, until nothing more comes."""
    sent: list[MqttPublish] = []
    for _ in range(rows):
        home.later(PACE_NS / S)
        home.send(Wake())
        seen, effects = len(home.effects), home.effects[seen:]
        for load in posted(effects, mail.LoadBacklog):
            if load.upto is not None:
                found = [r for r in home.disk if load.after < r.seq <= load.upto][: load.limit]
                home.send(mail.Backlog(tuple(found), len(home.disk), 1, None, True))
        again = [p for p in published(effects) if p.token >= token_of(0)]
        assert len(again) <= 1, "one at a time"
        for publish in again:
            sent.append(publish)
            home.send(MqttAcked((publish.token,)))
    return sent


def ask(home: Home, first: int, last: int, **body: str) -> mail.Resend:
    (asked,) = posted(home.send(home.agg.command(home.now, kind="resend", first=first, last=last, **body)), mail.Resend)
    return asked


def test_rows_come_again_byte_for_byte_one_at_a_time_though_they_were_receipted() -> None:
    home = home_of(40)
    once = {p.token: p.payload for p in published(home.effects) if p.token > 0}
    asked = ask(home, 3, 38, id="f" * 32)
    assert (asked.command, asked.first, asked.last) == ("f" * 32, 3, 38)
    assert posted(home.effects, CommandIn) == [], "the core has nothing to do with it"
    home.send(mail.Resending(asked.command, 3, 38))
    again = serve(home)
    assert [p.token - token_of(0) for p in again] == list(range(3, 39))
    assert [p.payload for p in again] == [once[seq] for seq in range(3, 39)]
    (done,) = posted(home.effects, mail.Append)
    assert (done.records[0].body["command_id"], done.records[0].body["state"]) == ("f" * 32, "completed")


def test_a_broken_line_loses_no_row_of_a_resend() -> None:
    home = home_of(10)
    ask(home, 1, 10)
    home.send(mail.Resending("f" * 32, 1, 10))
    home.later(1)
    home.send(mail.Backlog(tuple(home.disk), 10, 1, None, True))
    home.send(MqttDown("gone"))
    home.later(400)
    home.send(Wake())
    before = len(home.effects)
    home.send(MqttUp())
    assert [p.token - token_of(0) for p in serve(home, before)] == list(range(1, 11))


def test_it_is_taken_four_at_once_and_then_once_a_minute() -> None:
    home = home_of(4)
    for _ in range(4):
        ask(home, 1, 4)
    message = home.agg.command(home.now, kind="resend", first=1, last=4)
    assert posted(home.send(message), mail.Resend) == []
    assert home.session._counters == {"flood": 1}
    home.later(59)
    assert posted(home.send(home.agg.command(home.now, kind="resend", first=1, last=4)), mail.Resend) == []
    home.later(2)
    ask(home, 1, 4)


def test_it_passes_without_dispatch_and_not_without_a_fresh_time() -> None:
    home = Home()
    home.up()
    assert posted(home.send(home.agg.command(home.now, kind="resend", first=1, last=4)), mail.Resend) == []
    assert home.session._counters == {"not_fresh": 1}


@pytest.mark.parametrize("role", ["dispatch", "service", "operations"])
def test_who_may_ask(role: str) -> None:
    home = home_of(2)
    (asked,) = posted(home.send(home.agg.command(home.now, role, kind="resend", first=1, last=2)), mail.Resend)
    assert asked.last == 2


@pytest.mark.parametrize("role", ["homeowner", "firmware", "root"])
def test_who_may_not(role: str) -> None:
    home = home_of(2)
    assert posted(home.send(home.agg.command(home.now, role, kind="resend", first=1, last=2)), mail.Resend) == []


def test_the_same_resend_again_is_a_duplicate_with_its_ack() -> None:
    home = home_of(2)
    message = home.agg.command(home.now, kind="resend", first=1, last=2, id="f" * 32)
    assert len(posted(home.send(message), mail.Resend)) == 1
    home.ack(*home.store("ack", command_id="f" * 32, state="received"))
    effects = home.send(message)
    assert posted(effects, mail.Resend) == []
    assert [p.token for p in published(effects, "/ack")] == [3]


def test_a_request_that_finds_nothing_any_more_ends() -> None:
    again = Again()
    again.connected(up=True)
    again.ask("f", 1, 100)
    _, load, _ = again.due(0)
    assert load == mail.LoadBacklog(0, LOAD_ROWS, upto=100)
    again.loaded(())
    _, load, done = again.due(0)
    assert load is None
    assert done is not None
    assert done.sent == 0


def test_the_numbers_of_kept_acks_move_with_the_rows() -> None:
    """A repeated command must not get its ack under the old number."""
    home = Home()
    home.up()
    home.send(mail.Backlog((), 0, None, 1))
    message = home.agg.command(home.now, kind="stop", id="a" * 32)
    home.send(message)
    assert published(home.store("ack", command_id="a" * 32, state="completed"), "/ack") == []
    home.send(home.agg.time(home.now, last=500))
    effects = home.send(mail.Anchored(1, 500, 501))
    assert published(effects, "/birth") == []  # within two seconds of the last one
    (ack,) = published(home.send(message), "/ack")
    assert ack.token == 501
    assert json.loads(home.disk[0].payload)["state"] == "completed"
