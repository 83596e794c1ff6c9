"""What the store answers to a resend: each row that is kept, or a record that it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent import mail
from tests.store.home import CLOCK, at, online, posted, request, rows, started


def batch() -> mail.AppendBatch:
    return mail.AppendBatch(b"x" * 50, CLOCK, 1000, 60)


def resend(first: int, last: int) -> mail.Resend:
    return mail.Resend("c" * 32, first, last, CLOCK, 5)


def test_a_resend_tells_what_is_gone_and_keeps_the_rest_until_it_was_read(tmp_path: Path) -> None:
    store = online(tmp_path)
    for n in range(1, 11):
        list(store.handle(request(n), at(n)))
    list(store.handle(mail.Receipted(4, (6,)), at(11)))
    list(store.handle(batch(), at(700)))  # 1 to 4 and 6 are deleted with it
    list(store.handle(mail.Receipted(9, ()), at(701)))  # 7 to 9 could be
    effects = list(store.handle(resend(3, 9), at(702)))
    first, second, ack = (json.loads(row.payload) for row in rows(effects))
    assert [(g["reason"], g["first"], g["last"]) for g in (first, second)] == [("not_kept", 3, 4), ("not_kept", 6, 6)]
    assert (ack["state"], ack["command_id"]) == ("received", "c" * 32)
    assert posted(effects, mail.Resending) == [mail.Resending("c" * 32, 3, 9)]
    list(store.handle(batch(), at(1400)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(2, 16, upto=9), at(1401)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [5, 7, 8, 9]
    assert backlog.again
    list(store.handle(batch(), at(2400)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(2, 16, upto=9), at(2401)), mail.Backlog)
    assert backlog.rows == (), "and then they are forgotten"


@pytest.mark.parametrize(
    ("first", "last", "state", "gaps"), [(3, 3, "rejected_not_applicable", []), (2, 2**63 - 1, "received", [])]
)
def test_a_resend_of_what_is_not_there_yet(
    tmp_path: Path, first: int, last: int, state: str, gaps: list[object]
) -> None:
    store = started(tmp_path)
    for n in (1, 2):
        list(store.handle(request(n), at(n)))
    *told, ack = (json.loads(row.payload) for row in rows(store.handle(resend(first, last), at(3))))
    assert (ack["state"], told) == (state, gaps)


def test_a_resend_of_shreds_is_answered_in_parts(tmp_path: Path) -> None:
    """However the rows lie, one request leaves at most 17 rows."""
    store = online(tmp_path)
    for n in range(1, 101):
        list(store.handle(request(n), at(n)))
    list(store.handle(mail.Receipted(0, tuple(range(2, 101, 2))), at(101)))
    list(store.handle(batch(), at(701)))
    effects = list(store.handle(resend(1, 100), at(702)))
    *gone, ack = (json.loads(row.payload) for row in rows(effects))
    assert [g["first"] for g in gone] == list(range(2, 33, 2))
    assert ack["sentence"].endswith("ask again from 33")
    assert posted(effects, mail.Resending)[0].last == 32
