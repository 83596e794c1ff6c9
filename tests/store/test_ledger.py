"""The settlement chain of the store: whole over restarts, losses and receipts, and every change of it found."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from agent import mail
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust, PutBack
from agent.link import jws, upward
from agent.runtime.part import Effect, Log, Post, Start
from agent.store import archive, chain
from agent.store.ledger import MOST_AHEAD
from agent.store.store import Store
from agent.tools.chainfiles import read_lines
from agent.tools.evidence import examine
from tests.store.home import BOOT, at, config, posted

SENDER = upward.Sender("home-1", "fleet", jws.signer(b"\1" * 32))
MONTH_MS = 31 * 86_400_000


RUNNING: dict[Path, Store] = {}


def store(directory: Path, sender: upward.Sender | None = SENDER) -> Store:
    """A start; whoever ran there before is gone, as by kill -9."""
    if directory in RUNNING:
        RUNNING.pop(directory)._vault.abandon(damaged=False)
    made = RUNNING[directory] = Store(config(directory))
    made.load()
    if sender is not None:
        made.sign(lambda row: upward.row_token(sender, row), {"agent": "1"})
    list(made.handle(Start(), at(0)))
    return made


def interval(number: int) -> Record:
    return Record("settlement", {"record": "interval", "t0_ms": number})


def commit(made: Store, number: int, *records: Record, wall_ms: int = 1_700_000_000_000) -> list[Effect]:
    clock = Clock(wall_ms, ClockTrust.SYNCED, "kernel", BOOT)
    request = mail.CommitRequest(number, Durable(day_mwh=number), records, clock, number * 1000)
    return list(made.handle(request, at(number)))


def kept(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in archive.Archive(directory / "ledger").months():
        for line in archive.lines(path):
            part = archive.record(line)
            if part is not None:
                found.append({**part[1], "_bytes": part[0]})
    return found


def whole(records: list[dict[str, Any]]) -> bool:
    head = chain.NONE
    for n, record in enumerate(records):
        if record["n"] != n or record["prev"] != head:
            return False
        head = chain.link(head, record["_bytes"])
    return True


def test_records_are_links_of_one_chain_and_the_outbox_has_the_same_bytes(tmp_path: Path) -> None:
    made = store(tmp_path)
    effects = commit(made, 1, interval(1), Record("event", {"event": "x"}), interval(2))
    (stored,) = posted(effects, mail.Stored)
    assert [row.kind for row in stored.rows] == ["settlement", "settlement", "event", "settlement"]
    records = kept(tmp_path)
    assert [r["record"] for r in records] == ["chain", "interval", "interval"]
    assert records[0]["why"] == "new"
    assert whole(records)
    tokens = [upward.row_token(SENDER, row) for row in stored.rows if row.kind == "settlement"]
    assert list(archive.lines(next(iter(archive.Archive(tmp_path / "ledger").months())))) == tokens
    assert records[1]["versions"] == {"agent": "1"}


def test_a_checkpoint_names_what_it_covers(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    commit(made, 2, Record("settlement", {"record": "checkpoint", "day": "2023-11-14"}))
    commit(made, 3, interval(2))
    commit(made, 4, Record("settlement", {"record": "checkpoint", "day": "2023-11-15"}))
    records = kept(tmp_path)
    first, second = [r for r in records if r["record"] == "checkpoint"]
    assert (first["first"], first["last"], first["head"]) == (0, 1, first["prev"])
    assert (second["first"], second["last"], second["head"]) == (3, 3, second["prev"])


def test_a_restart_goes_on_without_a_word(tmp_path: Path) -> None:
    commit(store(tmp_path), 1, interval(1))
    again = store(tmp_path)
    commit(again, 2, interval(2))
    records = kept(tmp_path)
    assert [r["record"] for r in records] == ["chain", "interval", "interval"]
    assert whole(records)


def test_what_the_archive_did_not_take_comes_with_the_next_start(tmp_path: Path, monkeypatch: Any) -> None:
    made = store(tmp_path)
    list(made.handle(mail.Anchor(0), at(0)))
    commit(made, 1, interval(1))

    def refuse(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(archive.Archive, "append", refuse)
        effects = commit(made, 2, interval(2))
    assert any(isinstance(e, Log) and "no space" in e.text for e in effects)
    list(made.handle(mail.Receipted(99, ()), at(3)))
    assert [r["t0_ms"] for r in kept(tmp_path)[1:]] == [1]
    commit(store(tmp_path), 4, interval(3))
    records = kept(tmp_path)
    assert [r["t0_ms"] for r in records[1:]] == [1, 2, 3]
    assert whole(records)


def test_what_the_archive_did_not_take_comes_with_the_next_record(tmp_path: Path, monkeypatch: Any) -> None:
    made = store(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(archive.Archive, "append", refuse)
        commit(made, 1, interval(1))
    commit(made, 2, interval(2))
    assert whole(kept(tmp_path))
    assert len(kept(tmp_path)) == 3


def test_a_receipt_lets_go_only_of_what_the_archive_has(tmp_path: Path) -> None:
    made = store(tmp_path)
    list(made.handle(mail.Anchor(0), at(0)))
    (stored,) = posted(commit(made, 1, interval(1)), mail.Stored)
    last = stored.rows[-1].seq
    batch = mail.AppendBatch(b"x", Clock(1, ClockTrust.SYNCED, "kernel", BOOT), 1, 60)
    made._vault.ledger.archived_seq = 0
    list(made.handle(mail.Receipted(last, ()), at(2)))
    list(made.handle(batch, at(700)))
    assert len(made._vault.after(0, 99)) == 3
    made._vault.ledger.archived_seq = last
    list(made.handle(batch, at(1400)))
    assert [row.kind for row in made._vault.after(0, 99)] == ["batch", "batch"]


def test_a_torn_line_is_cut_off_and_written_again(tmp_path: Path) -> None:
    commit(store(tmp_path), 1, interval(1), interval(2))
    (path,) = archive.Archive(tmp_path / "ledger").months()
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    commit(store(tmp_path), 2, interval(3))
    records = kept(tmp_path)
    assert [r["n"] for r in records] == [0, 1, 2, 3]
    assert whole(records)


def test_a_lost_database_goes_on_where_the_archive_ends_and_says_so(tmp_path: Path) -> None:
    commit(store(tmp_path), 1, interval(1))
    for name in ("state.db", "state.db-wal"):
        (tmp_path / name).unlink(missing_ok=True)
    commit(store(tmp_path), 2, interval(2))
    records = kept(tmp_path)
    assert [r["record"] for r in records] == ["chain", "interval", "chain", "interval"]
    assert (records[2]["why"], records[2]["known_n"], records[2]["known_head"]) == ("store_lost", 1, records[2]["prev"])
    assert whole(records)


def test_a_lost_archive_goes_on_where_the_database_stands_and_says_so(tmp_path: Path) -> None:
    made = store(tmp_path)
    list(made.handle(mail.Anchor(0), at(0)))
    (stored,) = posted(commit(made, 1, interval(1)), mail.Stored)
    list(made.handle(mail.Receipted(stored.rows[-1].seq, ()), at(2)))
    list(made.handle(mail.AppendBatch(b"x", Clock(1, ClockTrust.SYNCED, "k", BOOT), 1, 60), at(700)))
    for path in archive.Archive(tmp_path / "ledger").months():
        path.unlink()
    commit(store(tmp_path), 3, interval(2))
    records = kept(tmp_path)
    assert [(r["n"], r["record"], r.get("why")) for r in records] == [
        (2, "chain", "archive_lost"),
        (3, "interval", None),
    ]
    assert records[0]["known_n"] == 1


def test_all_lost_begins_anew_and_says_so(tmp_path: Path) -> None:
    commit(store(tmp_path), 1, interval(1))
    for path in [*archive.Archive(tmp_path / "ledger").months(), *tmp_path.glob("state.db*")]:
        path.unlink()
    commit(store(tmp_path), 2, interval(2))
    records = kept(tmp_path)
    assert (records[0]["n"], records[0]["why"]) == (0, "store_lost")


def test_an_older_image_of_the_database_goes_on_after_the_archive(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    made._vault.close()
    image = (tmp_path / "state.db").read_bytes()
    commit(store(tmp_path), 2, interval(2))
    RUNNING.pop(tmp_path)._vault.abandon(damaged=False)
    (tmp_path / "state.db-wal").unlink(missing_ok=True)
    (tmp_path / "state.db").write_bytes(image)
    gap = Record("settlement", {"record": "gap", "reason": "not_running", "perhaps_told": False, "era": 4})
    made = store(tmp_path)
    assert Post("control", PutBack(1)) in commit(made, 3, gap, gap)
    assert not [effect for effect in commit(made, 4, gap) if isinstance(getattr(effect, "event", None), PutBack)]
    records = kept(tmp_path)
    assert records[-4]["why"] == "restored"
    assert [r["perhaps_told"] for r in records[-3:]] == [True, False, False]  # the archive may have told that time
    assert [r["era"] for r in records[-3:]] == [5, 5, 4]  # the accounts, which rise by 1, are not of this test
    assert whole(records)


def receipt(made: Store, n: int, head: str) -> list[Effect]:
    payload = jws.b64(json.dumps({"upto": 0, "checkpoint": {"n": n, "head": head}}).encode())
    token = f"e30.{payload}.e30".encode()
    return list(made.handle(mail.Receipted(0, (), (n, head), token), at(5)))


def test_a_receipt_over_our_chain_is_kept_beside_it(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1), interval(2))
    ours = kept(tmp_path)[2]["prev"]
    assert not [e for e in receipt(made, 1, ours) if isinstance(e, Log)]
    (path,) = archive.Archive(tmp_path / "ledger").months()
    assert archive.payload(list(archive.lines(path))[-1]) is not None
    commit(made, 2, interval(3))
    again = store(tmp_path)
    commit(again, 3, interval(4))
    assert whole(kept(tmp_path))


def test_a_receipt_that_comes_again_and_again_is_kept_once(tmp_path: Path) -> None:
    """Also after a restart, and behind another one."""
    made = store(tmp_path)
    commit(made, 1, interval(1), interval(2))
    first, second = [r["prev"] for r in kept(tmp_path)[1:]]
    for _ in range(3):
        for n, ours in ((1, second), (0, first), (1, second)):
            assert not [e for e in receipt(made, n, ours) if isinstance(e, Log)]
        made = store(tmp_path)
    (path,) = archive.Archive(tmp_path / "ledger").months()
    assert sorted(map(archive.receipted, archive.lines(path))) == [-1, -1, -1, 0, 1]


def test_receipts_over_old_records_have_nothing_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the key of `service` signs them as fast as they like: commits wait behind each."""
    monkeypatch.setattr(archive, "RECENT", 20, raising=False)
    first = store(tmp_path)
    for month in range(12):
        commit(first, month, *[interval(n) for n in range(10)], wall_ms=1_700_000_000_000 + month * MONTH_MS)
    records = kept(tmp_path)
    made = store(tmp_path)
    newest = chain.link(records[120]["prev"], records[120]["_bytes"])
    assert not [e for e in receipt(made, 120, newest) if isinstance(e, Log)]
    read: list[str] = []

    def counted(name: str, plain: Any) -> None:
        def count(*args: Any) -> Any:
            read.append(name)
            return plain(*args)

        monkeypatch.setattr(archive, name, count)

    counted("lines", archive.lines)
    counted("record", archive.record)
    for n in range(120):
        receipt(made, n % 90, "0" * 64)
    receipt(made, 119, records[120]["prev"])
    assert read.count("record") <= 20
    assert read.count("lines") <= 3
    assert kept_receipts(tmp_path) == {119, 120}
    commit(made, 99, interval(99))
    assert [r.get("why") for r in kept(tmp_path)[121:]] == [None], "a word over what is not looked at disputes nothing"


def kept_receipts(directory: Path) -> set[int]:
    found = {archive.receipted(x) for p in archive.Archive(directory / "ledger").months() for x in archive.lines(p)}
    return found - {-1}


@pytest.mark.parametrize("n", [0, 100, 118])
def test_a_receipt_over_one_of_the_newest_records_is_judged_and_one_over_an_older_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    """Over a packed month, records that came since, and receipts between them."""
    monkeypatch.setattr(archive, "RECENT", 20, raising=False)
    made = store(tmp_path)
    for month in range(11):
        commit(made, month, *[interval(n) for n in range(10)], wall_ms=1_700_000_000_000 + month * MONTH_MS)
    receipt(made, 105, kept(tmp_path)[106]["prev"])
    commit(made, 50, *[interval(n) for n in range(10)], wall_ms=1_700_000_000_000 + 10 * MONTH_MS)
    records = kept(tmp_path)
    said = [e.text for e in receipt(made, n, records[n + 1]["prev"]) if isinstance(e, Log)]
    assert kept_receipts(tmp_path) == ({105} if n < 101 else {105, n})
    assert any("too old there" in text for text in said) is (n < 101)


def test_a_month_of_any_size_is_read_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_RECENT_BYTES", 3000)
    made = store(tmp_path)
    commit(made, 1, *[interval(n) for n in range(40)])
    records = kept(tmp_path)
    again = store(tmp_path)
    for n in (3, 39):
        receipt(again, n, records[n + 1]["prev"])
    assert kept_receipts(tmp_path) == {39}


def test_complaints_about_receipts_are_paced(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    wrong = [mail.Receipted(0, (), (0, "ab" * 32), b"x"), mail.Receipted(10**12 + 7, (), (0, "cd" * 32), b"x")]
    effects = [e for second in range(59) for e in made.handle(wrong[second % 2], at(second))]
    assert len([e for e in effects if isinstance(e, Log)]) == 1
    assert [e for e in made.handle(wrong[0], at(61)) if isinstance(e, Log)]


def test_a_receipt_over_another_chain_is_told_and_recorded(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    assert any("another than ours" in e.text for e in receipt(made, 0, "a" * 64) if isinstance(e, Log))
    commit(made, 2, interval(2))
    records = kept(tmp_path)
    assert (records[2]["why"], records[2]["known_n"], records[2]["known_head"]) == ("disputed", 0, "a" * 64)
    assert whole(records)


def test_a_receipt_beyond_our_chain_is_one_of_a_later_state(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    assert any("put back" in e.text for e in receipt(made, 7, "a" * 64) if isinstance(e, Log))
    commit(made, 2, interval(2))
    later = kept(tmp_path)[-2:]
    assert [(r["n"], r["record"]) for r in later] == [(8, "chain"), (9, "interval")]
    assert (later[0]["why"], later[0]["prev"]) == ("restored", "a" * 64)
    own = SENDER.signer.key.public_key().public_bytes_raw()
    months = archive.Archive(tmp_path / "ledger").months()
    verdict = examine(read_lines(months, []), {SENDER.signer.kid: jws.verifier(own)}, {})
    assert verdict.ok, verdict.findings
    assert later[0]["own_n"] == 1


def test_a_receipt_over_more_records_than_a_home_can_have_is_not_believed(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    said = [e.text for e in receipt(made, 2 + MOST_AHEAD, "a" * 64) if isinstance(e, Log)]
    assert "no home has so many" in said[0]
    commit(made, 2, interval(2))
    assert [r["n"] for r in kept(tmp_path)] == [0, 1, 2]


def test_a_first_restart_before_the_first_record_has_lost_nothing(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1)
    made._vault.close()
    RUNNING.pop(tmp_path)
    commit(store(tmp_path), 2, interval(1))
    assert [(r["record"], r.get("why")) for r in kept(tmp_path)] == [("chain", "new"), ("interval", None)]


def test_a_new_key_is_a_link_of_the_chain(tmp_path: Path) -> None:
    commit(store(tmp_path), 1, interval(1))
    other = upward.Sender("home-1", "fleet", jws.signer(b"\2" * 32))
    commit(store(tmp_path, other), 2, interval(2))
    records = kept(tmp_path)
    assert [(r["record"], r.get("why")) for r in records] == [
        ("chain", "new"), ("interval", None), ("chain", "key"), ("interval", None)
    ]  # fmt: skip
    assert records[2]["old_kid"] == SENDER.signer.kid
    assert whole(records)


def test_a_home_without_a_key_has_a_chain_all_the_same(tmp_path: Path) -> None:
    commit(store(tmp_path, None), 1, interval(1))
    commit(store(tmp_path, None), 2, interval(2))
    assert whole(kept(tmp_path))
    assert [r["record"] for r in kept(tmp_path)] == ["chain", "interval", "interval"]


def test_months_that_are_over_are_packed_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "KEPT_BYTES", 1)
    made = store(tmp_path)
    for number in range(1, archive.KEPT_MONTHS + 4):
        commit(made, number, interval(number), wall_ms=1_700_000_000_000 + number * MONTH_MS)
    names = [path.name for path in archive.Archive(tmp_path / "ledger").months()]
    assert len(names) == archive.KEPT_MONTHS
    assert all(name.endswith(".gz") for name in names[:-1])
    records = kept(tmp_path)
    assert [r["n"] for r in records] == list(range(4, archive.KEPT_MONTHS + 4))
    commit(store(tmp_path), 99, interval(99), wall_ms=1_700_000_000_000)  # a clock that went back opens no older file
    assert [r["n"] for r in kept(tmp_path)][-1] == records[-1]["n"] + 1


def test_the_head_is_read_strictly() -> None:
    head = chain.Head(3, "ab" * 32, 2)
    assert chain.head_of(head.text()) == head
    assert chain.head_of(None) == chain.Head()
    for text in ("", "[]", '[1,"zz",0]', '["1","' + "a" * 64 + '",0]', "3"):
        with pytest.raises(ValueError, match="not readable"):
            chain.head_of(text)


def test_lines_that_are_no_record() -> None:
    good = base64.urlsafe_b64encode(b'{"n":1,"prev":"' + b"0" * 64 + b'"}').rstrip(b"=")
    assert archive.record(b"." + good + b".") is not None
    for line in (b"", b"a.b", b"..", b".!!.", b".W10.", b"." + good[:-4] + b"\0\0\0\0."):
        assert archive.record(line) is None


def test_packing_gives_every_byte_back(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1), interval(2))
    place = archive.Archive(tmp_path / "ledger")
    place.open()
    odd = [b"no token", b".W10.", b"e30.e30.\xff"]
    place.append(odd, archive.Stamp(3, 1_700_000_000_000, believed=True))
    (path,) = place.months()
    before = list(archive.lines(path))
    archive._pack(path)
    (packed,) = place.months()
    assert packed.suffix == ".gz"
    after = list(archive.lines(packed))
    assert after == before
    assert place.open() is not None
