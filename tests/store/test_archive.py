"""The archive of settlement keeps what it has: under damage, failing disks, power cuts and clocks that lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import mail
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.runtime.part import Effect, Log
from agent.store import archive
from agent.store.store import Store
from tests.store.home import BOOT, at
from tests.store.test_ledger import MONTH_MS, commit, interval, kept, receipt, store, whole

NOW_MS = 1_700_000_000_000


def numbers(directory: Path) -> list[int]:
    return [r["n"] for r in kept(directory)]


def spoil(directory: Path, number: int) -> None:
    """One byte of one line."""
    (path,) = archive.Archive(directory / "ledger").months()
    parts = path.read_bytes().split(b"\n")
    at_byte = parts[number].find(b".") + 5
    parts[number] = parts[number][:at_byte] + b"!" + parts[number][at_byte + 1 :]
    path.write_bytes(b"\n".join(parts))


def forget(made: Store) -> None:
    """All that was written is receipted, and let go of."""
    list(made.handle(mail.Anchor(0), at(50)))
    list(made.handle(mail.Receipted(made._vault.last, ()), at(50)))
    clock = Clock(NOW_MS, ClockTrust.SYNCED, "kernel", BOOT)
    list(made.handle(mail.AppendBatch(b"z", clock, 700_000, 60), at(1000)))


def test_a_line_that_was_spoilt_costs_no_other(tmp_path: Path) -> None:
    made = store(tmp_path)
    for number in range(1, 13):
        commit(made, number, interval(number))
    forget(made)
    assert numbers(tmp_path) == list(range(13))
    spoil(tmp_path, 4)
    commit(store(tmp_path), 50, interval(50))
    assert numbers(tmp_path) == [*range(4), *range(5, 14)]
    assert [r["record"] for r in kept(tmp_path)].count("chain") == 1, "nothing that the chain must tell"


def test_a_spoilt_line_that_the_database_still_has_is_written_again(tmp_path: Path) -> None:
    made = store(tmp_path)
    for number in range(1, 6):
        commit(made, number, interval(number))
    spoil(tmp_path, 3)
    commit(store(tmp_path), 6, interval(6))
    assert numbers(tmp_path) == list(range(7))
    assert whole(kept(tmp_path))


def logs(effects: list[Effect]) -> list[str]:
    return [e.text for e in effects if isinstance(e, Log)]


@pytest.mark.parametrize("undone", [True, False])
def test_a_line_that_was_not_synced_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undone: bool
) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        if not undone:
            patch.setattr(os, "ftruncate", fails)
        assert any("Input/output" in text for text in logs(commit(made, 2, interval(2))))
    commit(made, 3, interval(3))
    assert numbers(tmp_path) == [0, 1, 2, 3]
    commit(store(tmp_path), 4, interval(4))
    assert numbers(tmp_path) == [0, 1, 2, 3, 4]
    assert whole(kept(tmp_path))


def test_a_month_whose_file_fails_is_begun_with_the_next_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1), wall_ms=NOW_MS)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "sync_directory", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        commit(made, 2, interval(2), wall_ms=NOW_MS + MONTH_MS)
    commit(made, 3, interval(3), wall_ms=NOW_MS + MONTH_MS)
    assert numbers(tmp_path) == [0, 1, 2, 3]
    assert len(archive.Archive(tmp_path / "ledger").months()) == 2


def test_a_month_that_cannot_be_packed_costs_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1), wall_ms=NOW_MS)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "_pack", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
        assert any("packed" in text for text in logs(commit(made, 2, interval(2), wall_ms=NOW_MS + MONTH_MS)))
    commit(made, 3, interval(3), wall_ms=NOW_MS + MONTH_MS)
    assert numbers(tmp_path) == [0, 1, 2, 3]
    commit(store(tmp_path), 4, interval(4), wall_ms=NOW_MS + MONTH_MS)
    assert [p.suffix for p in archive.Archive(tmp_path / "ledger").months()] == [".gz", ""]
    assert whole(kept(tmp_path))


@pytest.mark.parametrize("packed_whole", [True, False])
def test_the_power_goes_between_packing_and_letting_go(tmp_path: Path, packed_whole: bool) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1), wall_ms=NOW_MS)
    (plain,) = archive.Archive(tmp_path / "ledger").months()
    data = plain.read_bytes()
    commit(made, 2, interval(2), wall_ms=NOW_MS + MONTH_MS)
    plain.write_bytes(data)
    packed = plain.with_name(plain.name + ".gz")
    if not packed_whole:
        packed.write_bytes(packed.read_bytes()[:40])
    else:
        assert numbers(tmp_path) == [0, 1, 2]
    commit(store(tmp_path), 3, interval(3), wall_ms=NOW_MS + MONTH_MS)
    assert numbers(tmp_path) == [0, 1, 2, 3]
    assert not plain.exists()


def test_a_packed_month_that_is_damaged_is_an_error_of_the_disk_and_stops_nothing(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1), wall_ms=NOW_MS)
    first = archive.Archive(tmp_path / "ledger")
    digest = first.hash_of(1)
    commit(made, 2, interval(2), wall_ms=NOW_MS + MONTH_MS)
    packed = first.months()[0]
    packed.write_bytes(packed.read_bytes()[:40])
    with pytest.raises(OSError, match="damaged"):
        list(archive.lines(packed))
    assert digest is not None
    assert any("not in the archive" in text for text in logs(receipt(made, 1, digest)))
    commit(store(tmp_path), 3, interval(3), wall_ms=NOW_MS + MONTH_MS)
    assert archive.Archive(tmp_path / "ledger").hash_of(3) is not None


def test_a_clock_that_lies_about_months_lets_go_of_none(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    for number in range(2, 45):
        commit(made, number, interval(number), wall_ms=NOW_MS + number * MONTH_MS)
    commit(made, 45, interval(45), wall_ms=10**18)
    commit(made, 46, interval(46))
    assert numbers(tmp_path) == list(range(47))
    names = [p.name for p in archive.Archive(tmp_path / "ledger").months()]
    assert names[-1] == "ledger-0000000046-2023-11", "a far time is one file, and the next record is back in its month"
    assert names[-2] == "ledger-0000000045-9999-12.gz"
    again = store(tmp_path)
    commit(again, 47, interval(47))
    assert whole(kept(tmp_path))


def test_a_clock_that_nobody_believes_begins_no_month(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    clock = Clock(5, ClockTrust.UNTRUSTED, "kernel", BOOT)
    list(made.handle(mail.CommitRequest(2, Durable(day_mwh=2), (interval(2),), clock, 2000), at(2)))
    assert len(archive.Archive(tmp_path / "ledger").months()) == 1
    assert numbers(tmp_path) == [0, 1, 2]


def test_names_of_before_are_the_oldest(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    (path,) = archive.Archive(tmp_path / "ledger").months()
    path.rename(tmp_path / "ledger-2023-11")
    again = store(tmp_path)
    commit(again, 2, interval(2))
    commit(again, 3, interval(3), wall_ms=NOW_MS + MONTH_MS)
    assert [p.name for p in archive.Archive(tmp_path / "ledger").months()] == [
        "ledger-2023-11.gz",
        "ledger-0000000003-2023-12",
    ]
    assert whole(kept(tmp_path))
