from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from agent import mail
from agent.core.durable import Durable
from agent.core.inputs import CommitFailed, Committed
from agent.runtime.part import Log, Now, Start, Stop, Stopped, Wake, WakeAt
from agent.store import vault
from agent.store.database import Change
from agent.store.store import Store
from hil.aggregator.ledger import Ledger
from tests.store.home import CLOCK, S, at, config, durable, online, posted, record, request, rows, started


def batch(number: int) -> mail.AppendBatch:
    return mail.AppendBatch(bytes([number % 256]) * 50, CLOCK, number * 1000, 60)


def test_a_commit_is_answered_after_it_is_on_disk_and_its_rows_follow(tmp_path: Path) -> None:
    store = started(tmp_path)
    effects = list(store.handle(request(7), at(1)))
    assert posted(effects, Committed) == [Committed(7)]
    (row,) = rows(effects)
    assert (row.seq, row.kind, row.boot, row.clock) == (1, "ack", CLOCK.boot, "synced")
    assert json.loads(row.payload)["command_id"] == f"{7:032x}"
    shutil.copytree(tmp_path, tmp_path / "image")  # what a crash at this moment leaves
    assert Store(config(tmp_path / "image")).load() == durable(7)


def test_sequence_numbers_go_on_over_a_clean_stop_a_crash_and_receipts(tmp_path: Path) -> None:
    store = online(tmp_path)
    seen = [row.seq for n in range(3) for row in rows(store.handle(batch(n), at(n)))]
    store.handle(mail.Receipted(3, ()), at(4))
    list(store.handle(Stop(), at(5)))
    store = started(tmp_path)
    seen += [row.seq for n in range(3) for row in rows(store.handle(batch(n), at(n)))]
    store._vault.abandon(damaged=False)  # as kill -9 leaves it: nothing flushed, nothing folded in
    store = started(tmp_path)
    seen += [row.seq for n in range(3) for row in rows(store.handle(batch(n), at(n)))]
    assert seen == list(range(1, 10))


def test_an_unchanged_durable_is_not_written_again(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    changes: list[Change] = []
    assert store._vault._db is not None
    original = store._vault._db.commit

    def watched(change: Change) -> None:
        changes.append(change)
        original(change)

    store._vault._db.commit = watched  # type: ignore[method-assign]  # counts commits
    list(store.handle(mail.CommitRequest(2, durable(1), (), CLOCK, 0), at(2)))
    list(store.handle(request(3), at(3)))
    assert [change.durable is None for change in changes] == [True, False]


def test_backlog_leaves_out_what_was_receipted_and_tells_the_highest(tmp_path: Path) -> None:
    store = online(tmp_path)
    for n in range(10):
        list(store.handle(batch(n), at(n)))
    list(store.handle(mail.Receipted(3, (5, 8)), at(11)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 4), at(12)), mail.Backlog)
    assert ([row.seq for row in backlog.rows], backlog.last) == ([4, 6, 7, 9], 10)
    (backlog,) = posted(store.handle(mail.LoadBacklog(9, 4), at(12)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [10]


def test_receipted_rows_are_deleted_in_bulk_with_later_telemetry(tmp_path: Path) -> None:
    store = online(tmp_path, forget_ns=600 * S)
    for n in range(5):
        list(store.handle(batch(n), at(n)))
    list(store.handle(mail.Receipted(4, ()), at(6)))
    list(store.handle(batch(6), at(10)))
    assert store._vault._db is not None
    assert len(store._vault._db.after(0, 100)) == 6
    list(store.handle(batch(7), at(601)))
    assert [row.seq for row in store._vault._db.after(0, 100)] == [5, 6, 7]


def test_the_oldest_telemetry_gives_way_and_leaves_a_gap_record_but_acks_stay(tmp_path: Path) -> None:
    store = started(tmp_path, telemetry_rows=64)
    list(store.handle(request(1), at(0)))
    effects = [list(store.handle(batch(n), at(n))) for n in range(65)]
    events = [row for row in rows(effects[-1]) if row.kind == "event"]
    assert json.loads(events[0].payload) == {
        "event": "gap", "reason": "telemetry_limit", "kind": "batch", "first": 2, "last": 2,
    }  # fmt: skip
    assert store._vault._db is not None
    kept = store._vault._db.after(0, 200)
    assert kept[0].kind == "ack"
    assert sum(1 for row in kept if row.kind == "batch") == 64


def test_a_gap_of_telemetry_spans_no_row_that_is_kept(tmp_path: Path) -> None:
    """Else an aggregator that believes it receipts an ack that it never had."""
    store = online(tmp_path, telemetry_rows=192)
    gone: list[mail.OutboxRow] = []
    for number in range(193):
        if number in (1, 3):
            list(store.handle(request(number), at(number)))
        gone = rows(store.handle(batch(number), at(number)))
    (acks, found) = ([2, 5], [json.loads(row.payload) for row in gone if row.kind == "event"])
    assert [(gap["first"], gap["last"]) for gap in found] == [(1, 1), (3, 4)]
    ledger = Ledger()
    for row in store._vault.after(0, 999):
        if row.kind != "ack":
            ledger.count(row.seq, b"")
    for gap in found:
        ledger.lose(gap["first"], gap["last"])
    assert ledger.missing() == tuple(acks)
    list(store.handle(mail.Receipted(ledger.upto, ()), at(900)))
    list(store.handle(batch(0), at(1800)))
    assert [row.seq for row in store._vault.after(0, 999) if row.kind == "ack"] == acks


def test_a_full_disk_fails_the_commit_says_so_and_recovers(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    assert store._vault._db is not None
    pages = store._vault._db._db.execute("PRAGMA page_count").fetchone()[0]
    store._vault._db._db.execute(f"PRAGMA max_page_count = {pages}")
    big = mail.AppendBatch(b"x" * 100_000, CLOCK, 0, 60)
    effects = list(store.handle(big, at(2)))
    (state,) = posted(effects, mail.DiskState)
    assert not state.ok
    assert "full" in state.detail
    assert rows(effects) == []
    store._vault._db._db.execute("PRAGMA max_page_count = 1000000")
    recovered = list(store.handle(Wake(), at(600)))
    assert store._bad is None
    assert [s.ok for s in posted(recovered, mail.DiskState)] in ([True], [])
    found = rows(store.handle(batch(3), at(601)))
    assert [(row.seq, row.kind) for row in found] == [(2, "batch"), (3, "event")]
    body = {"event": "not_stored", "blocks": 1, "samples": 60, "from_ms": CLOCK.wall_ms, "to_ms": CLOCK.wall_ms}
    assert json.loads(found[1].payload) == body
    assert [row.kind for row in rows(store.handle(batch(4), at(602)))] == ["batch"]


def test_telemetry_gives_way_on_a_full_disk(tmp_path: Path) -> None:
    """The oldest of it, to newer rows and to what counts more; nothing else does."""
    store = started(tmp_path, telemetry_rows=640)
    list(store.handle(request(1), at(1)))
    for number in range(40):
        list(store.handle(mail.AppendBatch(b"x" * 1000, CLOCK, number, 60), at(number)))
    assert store._vault._db is not None
    pages = store._vault._db._db.execute("PRAGMA page_count").fetchone()[0]
    store._vault._db._db.execute(f"PRAGMA max_page_count = {pages}")
    effects = list(store.handle(mail.AppendBatch(b"y" * 12_000, CLOCK, 50, 60), at(50)))
    for number in range(2, 30):
        effects += store.handle(request(number), at(50 + number))
    assert posted(effects, CommitFailed) == []
    assert posted(effects, mail.DiskState) == []
    there = store._vault.after(0, 999)
    assert sum(row.kind == "ack" for row in there) == 29
    gone = [json.loads(row.payload) for row in there if row.kind == "event"]
    batches = [row.seq for row in there if row.kind == "batch"]
    assert [seq for gap in gone for seq in range(gap["first"], gap["last"] + 1)] == list(range(2, batches[0]))
    effects += store.handle(mail.AppendBatch(b"z" * 99_000, CLOCK, 60, 60), at(99))
    assert not posted(effects, mail.DiskState)[-1].ok, "one row that is larger than all telemetry"
    assert store._vault.batches == len(batches)


class Broken:
    """A database whose commit fails like a disk does."""

    def __init__(self, real: object, code: int) -> None:
        self._real, self._code = real, code

    def commit(self, change: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = self._code
        raise error

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def test_an_io_error_fails_the_commit_and_a_later_write_opens_anew(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    store._vault._db = Broken(store._vault._db, sqlite3.SQLITE_IOERR)  # type: ignore[assignment]  # a disk that fails
    effects = list(store.handle(request(2), at(2)))
    assert posted(effects, CommitFailed)[0].commit_id == 2
    assert not posted(effects, mail.DiskState)[0].ok
    assert any(isinstance(e, WakeAt) for e in effects)
    effects = list(store.handle(Wake(), at(10)))
    assert posted(effects, mail.DiskState)[0].ok
    assert [row.seq for row in rows(store.handle(request(3), at(11)))] == [2]


def test_what_a_failed_commit_left_in_the_file_is_never_seen(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    database = store._vault._db
    assert database is not None
    real = database.commit

    def late_error(change: object) -> None:
        real(change)  # type: ignore[arg-type]
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    database.commit = late_error  # type: ignore[method-assign]
    assert posted(store.handle(request(2), at(2)), CommitFailed)
    list(store.handle(Wake(), at(10)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 16), at(11)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [1]
    assert [row.seq for row in rows(store.handle(request(3), at(12)))] == [2]


def test_a_read_only_directory_is_a_sentence_and_the_second_copy_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(Wake(), at(2)))  # the floor follows
    list(store.handle(Stop(), at(3)))

    def refuse(path: Path) -> None:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    monkeypatch.setattr(vault, "Database", refuse)
    store = Store(config(tmp_path))
    assert store.load().windows == durable(1).windows
    effects = list(store.handle(Start(), at(0)))
    assert "read-only" in posted(effects, mail.DiskState)[0].detail
    asked = list(store.handle(mail.LoadBacklog(0, 16), at(1)))
    assert posted(asked, mail.Backlog) == []
    monkeypatch.undo()
    effects = list(store.handle(Wake(), at(100)))
    assert posted(effects, mail.DiskState)[0].ok
    assert [row.seq for row in posted(effects, mail.Backlog)[0].rows] == [1]
    assert [row.seq for row in rows(store.handle(batch(1), at(101)))] == [2]


@pytest.mark.parametrize("damage", ["header", "middle", "text", "empty_page"])
def test_a_damaged_file_is_kept_aside_and_numbers_are_skipped_never_reused(tmp_path: Path, damage: str) -> None:
    store = started(tmp_path)
    for n in range(60):
        list(store.handle(request(n), at(n)))
    list(store.handle(Wake(), at(100)))
    list(store.handle(Stop(), at(101)))
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:16] = b"not a database.."
    elif damage == "middle":
        data[512:] = bytes(b ^ 0xA5 for b in data[512:])
    elif damage == "text":
        data = bytearray(b"hello\n" * 500)
    else:
        data[1024:1536] = bytes(512)
    path.write_bytes(bytes(data))
    store = Store(config(tmp_path))
    loaded = store.load()
    assert loaded.windows == durable(59).windows  # from the second copy
    effects = list(store.handle(Start(), at(0)))
    assert any(isinstance(e, Log) and "damaged" in e.text for e in effects)
    assert posted(effects, mail.DiskState)[0].ok
    assert (tmp_path / "state.db.damaged-1").exists()
    first = rows(store.handle(batch(1), at(1)))
    assert [row.kind for row in first] == ["event", "batch"]
    assert first[0].seq > 60
    told = json.loads(first[0].payload)
    assert (told["event"], told["first"], told["last"]) == ("gap", None, first[0].seq - 1)


def test_a_damaged_file_without_a_floor_starts_above_every_second_that_has_passed(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(Stop(), at(2)))
    (tmp_path / "state.db").write_bytes(b"x" * 4096)
    (tmp_path / "floor").write_bytes(b"y" * 300)
    store = Store(config(tmp_path))
    assert store.load() == Durable()
    assert rows(store.handle(batch(1), at(1)))[0].seq == CLOCK.wall_ms // 1000


def test_damage_found_while_running_costs_one_commit_and_no_number_twice(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    store._vault._db = Broken(store._vault._db, sqlite3.SQLITE_CORRUPT)  # type: ignore[assignment]
    assert posted(store.handle(request(2), at(2)), CommitFailed)
    list(store.handle(Wake(), at(10)))
    after = rows(store.handle(request(3), at(11)))
    assert [(row.seq, row.kind) for row in after] == [(2, "event"), (3, "ack")]
    list(store.handle(Stop(), at(12)))
    assert Store(config(tmp_path)).load() == durable(3)


def test_quarantined_files_are_bounded(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / "state.db").write_bytes(b"junk" * 200)
        store = started(tmp_path)
        list(store.handle(Stop(), at(n)))
    kept = sorted(p.name for p in tmp_path.glob("state.db.damaged-*"))
    assert kept == ["state.db.damaged-4", "state.db.damaged-5"]


def test_after_stop_nothing_is_written_and_commits_fail(tmp_path: Path) -> None:
    store = started(tmp_path)
    assert posted(store.handle(Stop(), at(1)), Stopped) == [Stopped("store")]
    assert posted(store.handle(request(1), at(2)), CommitFailed)
    assert rows(store.handle(batch(1), at(3))) == []


def test_write_reserve_is_answered_with_what_the_file_holds(tmp_path: Path) -> None:
    store = started(tmp_path)
    assert store.reserve().permille == 1000
    (done,) = posted(store.handle(mail.WriteReserve(300, "owner"), at(1)), mail.ReserveStored)
    assert done == mail.ReserveStored(300, None)
    (done,) = posted(store.handle(mail.WriteReserve(2000, "owner"), at(2)), mail.ReserveStored)
    assert done.permille == 300
    assert done.error is not None
    assert Store(config(tmp_path)).reserve().permille == 300


def test_an_event_that_is_not_ours_moves_nothing(tmp_path: Path) -> None:
    assert list(started(tmp_path).handle(object(), Now(0, 0))) == []


def fill(directory: Path, count: int) -> Store:
    """`count` rows and no clean stop."""
    store = started(directory)
    for n in range(0, count, 111):
        records = tuple(record(m) for m in range(n, min(n + 111, count)))
        assert posted(store.handle(mail.CommitRequest(n, Durable(), records, CLOCK, 0), at(n)), Committed)
    store._vault.abandon(damaged=False)
    return store


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2500])
def test_no_number_is_used_twice_however_far_the_lost_store_had_come(tmp_path: Path, count: int) -> None:
    fill(tmp_path, count)
    for side in ("", "-wal", "-shm"):
        (tmp_path / f"state.db{side}").unlink(missing_ok=True)
    first = rows(started(tmp_path).handle(batch(1), at(1)))
    assert count < first[0].seq <= count + 2 * 1000
    assert json.loads(first[0].payload)["last"] == first[0].seq - 1


def test_a_lost_floor_is_made_again_and_costs_no_number(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    (tmp_path / "floor").unlink()
    assert [row.seq for row in rows(started(tmp_path).handle(batch(1), at(1)))] == [6]
    assert (tmp_path / "floor").exists()


def test_a_first_start_that_ended_before_its_first_row_has_lost_nothing(tmp_path: Path) -> None:
    started(tmp_path)._vault.abandon(damaged=False)
    assert (tmp_path / "state.db").exists()
    (tmp_path / "floor").unlink(missing_ok=True)
    assert [(row.seq, row.kind) for row in rows(started(tmp_path).handle(batch(1), at(1)))] == [(1, "batch")]


def test_an_empty_database_after_a_damaged_one_has_lost_what_nobody_can_tell(tmp_path: Path) -> None:
    (tmp_path / "state.db.damaged-1").write_bytes(b"")
    started(tmp_path)._vault.abandon(damaged=False)
    (tmp_path / "floor").unlink(missing_ok=True)
    first = rows(started(tmp_path).handle(batch(1), at(1)))[0]
    assert first.seq >= CLOCK.wall_ms // 1000
    assert json.loads(first.payload)["last"] == first.seq - 1


def test_without_a_floor_a_damaged_file_still_tells_how_far_it_had_come(tmp_path: Path) -> None:
    store = started(tmp_path)
    for n in range(300):
        list(store.handle(batch(n), at(n)))
    list(store.handle(Stop(), at(301)))
    (tmp_path / "floor").unlink()
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    data[512 * 2 + 3 : 512 * 2 + 5] = b"\xff\xff"  # the cell count of one page
    path.write_bytes(bytes(data))
    store = Store(config(tmp_path))
    store.load()
    assert (tmp_path / "state.db.damaged-1").exists()
    first = rows(store.handle(batch(1), at(1)))[0].seq
    assert first in (300 + 1000, CLOCK.wall_ms // 1000)


def test_a_durable_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(Wake(), at(2)))
    assert store._vault._db is not None
    store._vault._db._db.execute("UPDATE state SET json = '{}'")
    list(store.handle(Stop(), at(3)))
    again = Store(config(tmp_path))
    assert again.load().windows == durable(1).windows
    assert (tmp_path / "state.db.damaged-1").exists()


def test_a_store_of_a_later_version_is_not_overwritten_but_kept_aside(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("PRAGMA user_version = 9")
    other.close()
    started(tmp_path)
    assert (tmp_path / "state.db.damaged-1").exists()


def test_the_floor_follows_its_part_of_durable_soon_and_only_when_it_changed(tmp_path: Path) -> None:
    store = started(tmp_path)
    effects = list(store.handle(request(1), at(1)))
    (wake,) = [e.at_ns for e in effects if isinstance(e, WakeAt)]
    assert wake == at(1.2).mono_ns
    before = (tmp_path / "floor").read_bytes()
    list(store.handle(Wake(), Now(wake - 1, 0)))
    assert (tmp_path / "floor").read_bytes() == before
    list(store.handle(Wake(), Now(wake, 0)))
    after = (tmp_path / "floor").read_bytes()
    assert after != before
    only_commands = dataclasses.replace(durable(1), commands=())
    effects = list(store.handle(request(2, only_commands), at(2)))
    assert [e for e in effects if isinstance(e, WakeAt)] == []
    list(store.handle(Wake(), at(3)))
    assert (tmp_path / "floor").read_bytes() == after


def test_the_directory_is_made(tmp_path: Path) -> None:
    store = started(tmp_path / "new" / "place")
    assert posted(store.handle(request(1), at(1)), Committed)


def test_receipts_that_come_late_or_twice_change_nothing(tmp_path: Path) -> None:
    store = online(tmp_path)
    for n in range(6):
        list(store.handle(batch(n), at(n)))
    for receipt in (mail.Receipted(3, (5,)), mail.Receipted(1, (2, 3)), mail.Receipted(3, (5,)), mail.Receipted(0, ())):
        list(store.handle(receipt, at(7)))
    (backlog,) = posted(store.handle(mail.LoadBacklog(0, 16), at(8)), mail.Backlog)
    assert [row.seq for row in backlog.rows] == [4, 6]
    assert store._receipts.also == {5}


@pytest.mark.parametrize(
    "asked", [mail.LoadBacklog(0, 9), mail.Receipted(0, (1,)), mail.Receipted(0, (), (0, "0" * 64), b"x")]
)
def test_a_disk_that_is_full_is_no_better_for_being_read(tmp_path: Path, asked: object) -> None:
    store = online(tmp_path)
    list(store.handle(request(1), at(0)))
    store._vault._db = Broken(store._vault._db, sqlite3.SQLITE_FULL)  # type: ignore[assignment]  # a disk that fails
    assert [state.ok for state in posted(store.handle(request(2), at(1)), mail.DiskState)] == [False]
    assert posted(store.handle(asked, at(2)), mail.DiskState) == []
    store._vault._db = store._vault._db._real  # type: ignore[union-attr]  # and it is well again
    assert [state.ok for state in posted(store.handle(Wake(), at(3)), mail.DiskState)] == [True]


def test_a_retry_waits_its_time_and_longer_each_time(tmp_path: Path) -> None:
    store = started(tmp_path)
    store._vault._db = Broken(store._vault._db, sqlite3.SQLITE_FULL)  # type: ignore[assignment]
    assert posted(store.handle(request(1), at(0)), CommitFailed)
    waits = []
    now = at(0)
    for _ in range(8):
        (wake,) = [e.at_ns for e in store.handle(object(), now) if isinstance(e, WakeAt)]
        waits.append((wake - now.mono_ns) // S)
        assert posted(store.handle(Wake(), Now(wake - 1, 0)), mail.DiskState) == []
        now = Now(wake, 0)
        list(store.handle(Wake(), now))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


# --- what a database that takes nothing would forget ------------------------------------------------------------------
def full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the database is refused, the files beside it are not."""

    def refused(_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    assert store._vault._db is not None
    monkeypatch.setattr(store._vault._db, "commit", refused)


def stopped(number: int) -> Durable:
    return dataclasses.replace(durable(number), stopped_by="ada")


def test_a_stop_that_the_database_does_not_take_survives_in_the_second_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    full(store, monkeypatch)
    assert posted(store.handle(request(2), at(2)), CommitFailed)
    assert not [e for e in store.handle(mail.KeepAside(stopped(1)), at(3)) if isinstance(e, Log)]
    image = shutil.copytree(tmp_path, tmp_path / "image")  # the power goes

    assert Store(config(shutil.copytree(image, tmp_path / "twice"))).load() == stopped(1)
    later = started(image)
    assert later._vault.durable == stopped(1)
    assert Store(config(shutil.copytree(image, tmp_path / "again"))).load() == stopped(1)  # until the database has it
    assert posted(later.handle(mail.CommitRequest(1, stopped(1), (), CLOCK, 0), at(4)), Committed)
    list(later.handle(mail.CommitRequest(2, durable(1), (), CLOCK, 0), at(5)))  # resumed
    assert Store(config(shutil.copytree(image, tmp_path / "last"))).load() == durable(1)


def test_numbers_that_are_reserved_meanwhile_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(1)))
    list(store.handle(mail.KeepAside(stopped(1)), at(3)))
    monkeypatch.setattr(store._vault, "_reserved", 0)
    assert rows(store.handle(batch(1), at(4)))  # telemetry goes through again before the core is heard
    assert Store(config(shutil.copytree(tmp_path, tmp_path / "image"))).load() == stopped(1)


def test_one_that_is_too_large_for_it_goes_without_its_commands(tmp_path: Path) -> None:
    store = started(tmp_path)
    many = dataclasses.replace(stopped(1), commands=durable(1).commands * 400)
    list(store.handle(mail.KeepAside(many), at(1)))
    left = Store(config(shutil.copytree(tmp_path, tmp_path / "image"))).load()
    assert left == dataclasses.replace(many, commands=())


def test_where_the_second_file_takes_nothing_either_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = started(tmp_path)

    def refused(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pwrite", refused)
    (log,) = (e for e in store.handle(mail.KeepAside(stopped(1)), at(1)) if isinstance(e, Log))
    assert (log.level, "a restart would forget what was stopped" in log.text) == ("error", True)


def test_a_second_file_that_fails_once_the_database_has_it_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = started(tmp_path)
    list(store.handle(request(1), at(0)))  # numbers are reserved
    list(store.handle(mail.KeepAside(stopped(1)), at(1)))
    with monkeypatch.context() as patch:
        patch.setattr(store._vault._floor, "write", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert posted(store.handle(request(2), at(2)), Committed)
    list(store.handle(Wake(), at(3)))
    assert Store(config(shutil.copytree(tmp_path, tmp_path / "image"))).load() == durable(2)
