"""Numbers after an image of the disk was put back, and receipts that are not of this life."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from agent import mail
from agent.core.durable import SIGNED_AFTER, Window
from agent.runtime.part import Log, Wake
from agent.store.receipts import MOST_AHEAD, MOST_ALSO
from agent.store.store import Store
from tests.store.home import CLOCK, at, durable, online, posted, request, rows, started


def batch(number: int) -> mail.AppendBatch:
    return mail.AppendBatch(bytes([number % 256]) * 50, CLOCK, number * 1000, 60)


def kill(store: Store) -> None:
    store._vault.abandon(damaged=False)


def refuses(change: object) -> None:
    raise OSError("no space")


def test_a_restored_image_goes_on_above_what_the_aggregator_has(tmp_path: Path) -> None:
    """What was written since it was put back has never gone out: it gets numbers above all that were ever used, behind
    the record of the settlement chain that says so."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.Anchor(0), at(1)))
    image = shutil.copytree(tmp_path, tmp_path / "image")
    old = started(image)
    assert [row.seq for n in (2, 3) for row in rows(old.handle(request(n), at(n)))] == [2, 3]  # nobody can know yet
    (backlog,) = posted(old.handle(mail.LoadBacklog(0, 9), at(4)), mail.Backlog)
    assert (backlog.held, backlog.first, backlog.last) == (2, 1, 3)
    effects = list(old.handle(mail.Anchor(5_000), at(5)))
    assert posted(effects, mail.Anchored) == [mail.Anchored(2, 5_001 - 2 + 1, 5_003, 1)]
    assert any("was put back to an older image" in e.text for e in effects if isinstance(e, Log))
    gap, later = rows(old.handle(request(4), at(6)))
    assert (gap.seq, json.loads(gap.payload)["first"], json.loads(gap.payload)["last"], later.seq) == (
        5_004, 2, 5_000, 5_005,
    )  # fmt: skip
    (backlog,) = posted(old.handle(mail.LoadBacklog(0, 9), at(7)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [1, 5_001, 5_002, 5_003, 5_004, 5_005]
    assert json.loads(backlog.rows[1].payload)["why"] == "restored"
    assert backlog.held is None


def test_numbers_are_put_in_order_only_once_it_is_on_the_disk_what_is_not_taken_any_more(tmp_path: Path) -> None:
    """The other way round, a power cut in between would leave a home that cannot tell any more."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    assert store.held == 1
    assert posted(store.handle(mail.Anchor(5_000, 700), at(2)), mail.Anchored) == []
    assert posted(store.handle(request(2), at(3)), mail.Anchored) == []
    knows = dataclasses.replace(durable(3), windows=((SIGNED_AFTER, Window(700, 0)),))
    assert posted(store.handle(request(3, knows), at(4)), mail.Anchored)


@pytest.mark.parametrize("last", [None, 0, 1, 3])
def test_what_the_aggregator_has_of_an_ordinary_start_changes_no_number(tmp_path: Path, last: int | None) -> None:
    store = started(tmp_path)
    list(store.handle(mail.Anchor(0), at(0)))
    rows_before = [row.seq for n in (1, 2, 3) for row in rows(store.handle(request(n), at(n)))]
    kill(store)
    store = started(tmp_path)
    (row,) = rows(store.handle(request(4), at(4)))
    (anchored,) = posted(store.handle(mail.Anchor(last), at(5)), mail.Anchored)
    assert (anchored.held, anchored.shift, anchored.last, row.seq) == (4, 0, 4, 4)
    assert rows_before == [1, 2, 3]


def test_a_start_that_nobody_anchored_is_held_by_the_next_one_too(tmp_path: Path) -> None:
    """Put back, offline, killed: its rows went to nobody, and must not go out under their old numbers."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.Anchor(0), at(2)))
    for n in (2, 3):
        kill(store)
        store = started(tmp_path)
        list(store.handle(request(n), at(n)))
    (anchored,) = posted(store.handle(mail.Anchor(100), at(9)), mail.Anchored)
    assert (anchored.held, anchored.last) == (2, 103)


def test_once_anchored_a_start_stays_so_over_a_kill(tmp_path: Path) -> None:
    """Else rows that went out would come again under other numbers."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.Anchor(0), at(2)))
    list(store.handle(request(2), at(3)))
    kill(store)
    store = started(tmp_path)
    (anchored,) = posted(store.handle(mail.Anchor(2), at(4)), mail.Anchored)
    assert (anchored.shift, anchored.last) == (0, 2)


def test_many_rows_are_moved_above_in_their_order(tmp_path: Path) -> None:
    store = started(tmp_path)
    for n in range(1, 21):
        list(store.handle(request(n), at(n)))
    list(store.handle(mail.Anchor(3), at(30)))  # in the midst of them
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 99), at(31)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == list(range(21, 42))
    assert [int(json.loads(row.payload)["command_id"], 16) for row in backlog.rows[1:]] == list(range(1, 21))


def test_a_disk_that_refuses_holds_the_rows_until_it_takes_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    with monkeypatch.context() as patch:
        patch.setattr(store._vault, "commit", refuses)
        assert posted(store.handle(mail.Anchor(7), at(2)), mail.Anchored) == []
    (anchored,) = posted(store.handle(Wake(), at(600)), mail.Anchored)
    assert anchored.last == 9


@pytest.mark.parametrize(
    ("upto", "also"), [(10**12, ()), (0, (7, 2**62)), (0, tuple(range(2, 258))), (-1, ()), (2**63 - 1, (2**63 - 1,))]
)
def test_a_hostile_receipt_deletes_no_row_and_costs_no_memory(tmp_path: Path, upto: int, also: tuple[int, ...]) -> None:
    """Beyond what any home has, in the past, junk in `also`."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.Anchor(0), at(2)))
    for n in range(50):
        list(store.handle(mail.Receipted(upto, tuple(seq + 300 * n for seq in also)), at(3)))
    assert store._receipts.also == set()
    list(store.handle(batch(1), at(700)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 9), at(701)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [1, 2]


def test_receipts_for_numbers_that_were_passed_over_cost_no_memory(tmp_path: Path) -> None:
    """A stolen service key moves the numbers up first, so that any number was given."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.Anchor(0), at(2)))
    list(store.handle(mail.Receipted(MOST_AHEAD, ()), at(3)))
    list(store.handle(batch(1), at(4)))
    kept = store._vault.last
    for n in range(50):
        list(store.handle(mail.Receipted(1, (kept, *range(10 + 255 * n, 265 + 255 * n))), at(5)))
    assert store._receipts.also == {kept}


def test_rows_that_are_receipted_out_of_turn_are_remembered_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the others stay until `upto` is there."""
    assert MOST_ALSO < 10_000
    monkeypatch.setattr("agent.store.receipts.MOST_ALSO", 4)
    store = started(tmp_path)
    list(store.handle(mail.Anchor(0), at(0)))
    for n in range(1, 9):
        list(store.handle(request(n), at(n)))
    for also in ((3, 5, 7), (3, 4, 6, 8), (8,)):
        list(store.handle(mail.Receipted(1, also), at(10)))
    assert store._receipts.also == {3, 4, 5, 7}
    list(store.handle(mail.Receipted(4, (8,)), at(11)))
    assert store._receipts.also == {5, 7, 8}
    list(store.handle(batch(1), at(700)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 9), at(701)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [6, 9]


def test_receipts_of_one_start_move_the_numbers_up_so_far_and_no_further(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(mail.Anchor(0), at(0)))
    list(store.handle(request(1), at(1)))
    for n in range(50):
        list(store.handle(mail.Receipted(store._vault.last + MOST_AHEAD // 2, ()), at(2 + n)))
    assert store._vault.last == 1 + MOST_AHEAD


@pytest.mark.parametrize("upto", [2, 3, 1 << 60])
def test_a_receipt_while_there_is_no_database_takes_no_row_whatever_comes_later(tmp_path: Path, upto: int) -> None:
    store = started(tmp_path)
    list(store.handle(mail.Anchor(0), at(0)))
    list(store.handle(request(1), at(1)))
    store._vault.abandon(damaged=False)
    list(store.handle(mail.Receipted(upto, (1, 50)), at(2)))
    store._vault.reopen()
    for n in (2, 3, 4):
        list(store.handle(request(n), at(n)))
    list(store.handle(batch(1), at(700)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 9), at(701)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("receipt", [mail.Receipted(9, ()), mail.Receipted(1, tuple(range(2, 10)))])
def test_a_receipt_of_the_lost_life_takes_no_row_that_is_held(tmp_path: Path, receipt: mail.Receipted) -> None:
    """It passes before any signed time: the broker plays it again, or had it in its queue."""
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.Anchor(0), at(1)))
    store = started(shutil.copytree(tmp_path, tmp_path / "image"))
    for n in range(2, 12):
        list(store.handle(request(n), at(n)))
    list(store.handle(receipt, at(20)))
    list(store.handle(batch(1), at(700)))
    list(store.handle(mail.Anchor(59), at(701)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(1, 99), at(702)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == list(range(60, 72)), "restored, ten acks, telemetry"


def test_a_receipt_of_another_life_sets_numbers_above_it_deletes_nothing_and_is_told_once_a_minute(
    tmp_path: Path,
) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    held = list(store.handle(mail.Receipted(40, ()), at(2)))  # the signed time will settle it
    assert not any(isinstance(e, Log) for e in held)
    list(store.handle(mail.Anchor(None), at(3)))
    logs = [e for n in range(30) for e in store.handle(mail.Receipted(5_000 + n, ()), at(4 + n)) if isinstance(e, Log)]
    assert len(logs) == 1
    gap, later = rows(store.handle(request(3), at(40)))
    assert (gap.seq, json.loads(gap.payload)["last"], later.seq) == (5_030, 5_029, 5_031)
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 9), at(41)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [1, 5_030, 5_031]


def gaps_of(found: list[mail.OutboxRow]) -> list[tuple[object, object]]:
    bodies = [json.loads(row.payload) for row in found]
    return [(body["first"], body["last"]) for body in bodies if body.get("event") == "gap"]


def test_numbers_that_were_passed_over_are_a_gap_behind_the_last_row_of_ours(tmp_path: Path) -> None:
    """What is kept and not yet sent comes: whoever believes the gap would receipt it away."""
    store = online(tmp_path)
    for n in range(1, 8):
        list(store.handle(batch(n), at(n)))
    for upto in (500, 600):
        list(store.handle(mail.Receipted(upto, ()), at(20)))
    assert gaps_of(rows(store.handle(request(8), at(21)))) == [(8, 600)]
    list(store.handle(mail.Receipted(700, ()), at(22)))
    assert gaps_of(rows(store.handle(request(9), at(23)))) == [(603, 700)]
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 99), at(24)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [*range(1, 8), 601, 602, 701, 702]


def test_a_gap_that_was_not_told_yet_and_one_behind_rows_that_are_kept_are_two(tmp_path: Path) -> None:
    store = online(tmp_path)
    list(store.handle(request(1), at(1)))
    store = started(shutil.copytree(tmp_path, tmp_path / "image"))
    list(store.handle(request(2), at(2)))
    list(store.handle(mail.Anchor(5_000), at(3)))
    list(store.handle(mail.Receipted(6_000, ()), at(4)))
    assert gaps_of(rows(store.handle(request(3), at(5)))) == [(2, 5_000), (5_003, 6_000)]
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 99), at(6)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [1, 5_001, 5_002, 6_001, 6_002, 6_003]


def test_a_lost_database_leaves_one_gap_with_what_was_passed_over_behind_it(tmp_path: Path) -> None:
    store = online(tmp_path)
    list(store.handle(request(1), at(1)))
    kill(store)
    for side in ("", "-wal"):
        (tmp_path / f"state.db{side}").unlink(missing_ok=True)
    store = online(tmp_path)
    list(store.handle(mail.Receipted(9_000, ()), at(2)))
    assert gaps_of(rows(store.handle(request(2), at(3)))) == [(None, 9_000)]
