"""A database that is lost: what the archive gives back of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from agent import mail
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.kept import kept_of
from agent.link import jws, upward
from agent.store.archive import Archive, payload
from agent.store.database import Change
from agent.store.salvage import gaps
from hil.aggregator.ledger import Ledger
from hil.aggregator.settlement import Chain
from tests.store.home import CLOCK, at, posted
from tests.store.test_ledger import SENDER, commit, interval, kept, store, whole

OTHER = upward.Sender("home-2", "fleet", jws.signer(b"\1" * 32))


def energy(number: int) -> Record:
    wh = dict.fromkeys(("charge_wh", "discharge_wh", "import_wh", "export_wh", "pv_wh"), number)
    body: dict[str, Any] = {"record": "interval", "t0_ms": number, "t1_ms": number + 1, "era": 2, "time": "synced"}
    return Record("settlement", body | {"end": wh, "estimated": ["charge_wh", "discharge_wh", "pv_wh"]})


def lose(directory: Path) -> None:
    for path in directory.glob("state.db*"):
        path.unlink()


def line(body: dict[str, Any]) -> bytes:
    return f"h.{jws.b64(json.dumps(body).encode())}.s".encode()


def told(rows: list[mail.OutboxRow]) -> tuple[Ledger, Chain]:
    """What an aggregator makes of them that has heard nothing before."""
    ledger, chain = Ledger(), Chain()
    for row in rows:
        token = upward.row_token(SENDER, row)
        ledger.count(row.seq, token)
        body = json.loads(row.payload)
        if body.get("event") == "gap":
            ledger.lose(body["first"] or 1, body["last"])
        if row.kind == "settlement":
            chain.enter(body, hashlib.sha256((payload(token) or (b"", {}))[0]).hexdigest())
    return ledger, chain


def test_records_that_nobody_has_receipted_come_again_as_they_were(tmp_path: Path) -> None:
    made = store(tmp_path)
    list(made.handle(mail.Anchor(0), at(0)))
    commit(made, 1, interval(1))
    head = made._vault.ledger.head
    list(made.handle(mail.Receipted(1, (), (head.n, head.hash), line({"checkpoint": {"n": head.n}})), at(1)))
    (before,) = posted(commit(made, 2, Record("event", {"event": "x"}), interval(2)), mail.Stored)
    commit(made, 3, Record("ack", {"command_id": "x"}), interval(3))
    lose(tmp_path)
    made = store(tmp_path)
    assert posted(made.handle(mail.LoadBacklog(0, 64, False), at(3)), mail.Backlog) == [], "it waits for them"
    effects = commit(made, 4, interval(4))
    (backlog,) = posted(effects, mail.Backlog)
    assert backlog.rows[0] == before.rows[1]
    found = [(row.seq, json.loads(row.payload)) for row in backlog.rows]
    assert [(seq, b["n"]) for seq, b in found if row_is(b, "interval")] == [(4, 2), (6, 3), (1007, 5)]
    assert [(b["first"], b["last"]) for _, b in found if b.get("event") == "gap"] == [(None, 3), (5, 5), (7, 1002)]
    ledger, chain = told(list(backlog.rows))
    assert (ledger.upto, ledger.missing(), ledger.gone) == (1007, (), 3 + 1 + 996)
    assert (chain.at, chain.findings) == (5, [])
    assert whole(kept(tmp_path))


def row_is(body: dict[str, Any], kind: str) -> bool:
    return body.get("record") == kind


def test_rows_of_another_name_and_lines_of_another_form_do_not_come_again(tmp_path: Path) -> None:
    made = store(tmp_path, OTHER)
    commit(made, 1, interval(1))
    odd = line({"n": 9, "prev": "x", "record": "interval", "seq": "9", "end": 3})
    (month,) = Archive(tmp_path / "ledger").months()
    month.write_bytes(month.read_bytes() + odd + b"\n" + line({}) + b"\n")
    lose(tmp_path)
    made = store(tmp_path)
    commit(made, 3, Record("event", {"event": "x"}))
    assert [row.kind for row in made._vault.after(0, 9)] == ["event", "event"]


def test_accounts_go_on_after_the_newest_record_that_tells_of_energy(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, energy(1000), energy(2000), Record("settlement", {"record": "availability"}))
    lose(tmp_path)
    durable = store(tmp_path)._vault.durable
    found = kept_of(durable.account)
    assert (found.now_ms, found.trusted, found.era) == (2001, True, 2)
    assert found.stand.registers[:4] == (None, None, 2000, 2000)
    assert found.stand.integrals.wh() == (2000, 2000, 0, 0, 2000)
    assert found.open is not None


def test_a_month_that_cannot_be_read_gives_nothing_back_and_a_store_starts(tmp_path: Path) -> None:
    commit(store(tmp_path), 1, interval(1))
    (month,) = Archive(tmp_path / "ledger").months()
    lose(tmp_path)
    month.unlink()
    (tmp_path / f"{month.name}.gz").write_bytes(b"no")
    made = store(tmp_path)
    assert made._vault.durable == Durable()
    assert posted(commit(made, 2, interval(2)), mail.Stored)


def test_the_gap_around_what_is_kept() -> None:
    def cut(first: int | None, last: int, *kept: int) -> list[tuple[object, object]]:
        return [(g["first"], g["last"]) for g in gaps({"first": first, "last": last, "reason": "x"}, kept)]

    assert cut(None, 9) == [(None, 9)]
    assert cut(None, 9, 1, 2, 5) == [(3, 4), (6, 9)]
    assert cut(None, 9, 4, 9, 4) == [(None, 3), (5, 8)]
    assert cut(3, 9, 3, 5) == [(4, 4), (6, 9)]


def test_a_loss_is_told_though_a_restart_came_before_the_first_row_behind_it(tmp_path: Path) -> None:
    """The Durable of now is written at once, by the write that proves that the disk takes one."""
    made = store(tmp_path)
    made._vault.write(None, [("event", b"{}")] * 1001, CLOCK, 1, Change())
    made._vault.abandon(damaged=True)
    made._vault.reopen()
    made = store(tmp_path)
    (stored,) = posted(commit(made, 1, Record("event", {"event": "x"})), mail.Stored)
    assert stored.rows[0].seq > 1001
    assert json.loads(stored.rows[0].payload)["reason"] == "store_replaced"
