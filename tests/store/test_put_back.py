"""A disk that was put back to an older image: the settlement chain goes on, for home and aggregator alike."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent import mail
from agent.core.decision import Record
from agent.link import jws, upward
from agent.mail import OutboxRow
from agent.store import archive
from agent.store.store import Store
from agent.tools.evidence import examine
from agent.tools.findings import Line
from hil.aggregator.settlement import Chain
from tests.store.home import at
from tests.store.test_ledger import MONTH_MS, RUNNING, SENDER, commit, interval, kept, store

CHECKPOINT = Record("settlement", {"record": "checkpoint", "day": "2023-11-14"})
KEY = jws.verifier(SENDER.signer.key.public_key().public_bytes_raw())
NOW_MS = 1_700_000_000_000


def gap() -> Record:
    return Record("settlement", {"record": "gap", "reason": "not_running", "era": 0})


def rows_of(made: Store) -> list[OutboxRow]:
    return [row for row in made._vault.after(0, 10_000) if row.kind == "settlement"]


def hears(chain: Chain, rows: Sequence[OutboxRow]) -> None:
    for row in rows:
        found = archive.payload(upward.row_token(SENDER, row))
        assert found is not None
        chain.enter(found[1], hashlib.sha256(found[0]).hexdigest())


def gone(directory: Path) -> None:
    RUNNING.pop(directory)._vault.abandon(damaged=False)


def two_lives(tmp_path: Path, written: int) -> tuple[Chain, Path, int]:
    """A home whose aggregator has all of it; an image from before the last `written` records; the highest row."""
    image = tmp_path / "image"
    home = tmp_path / "home"
    home.mkdir()
    made, chain = store(home), Chain()
    list(made.handle(mail.Anchor(0), at(0)))
    commit(made, 1, interval(1), interval(2))
    gone(home)
    shutil.copytree(home, image)
    made = store(home)
    list(made.handle(mail.Anchor(made._vault.last), at(2)))
    for number in range(3, 3 + written):
        commit(made, number, interval(number))
    hears(chain, rows_of(made))
    assert (chain.at, chain.findings) == (2 + written, [])
    return chain, image, made._vault.last


def holds(directory: Path) -> list[str]:
    lines = [
        Line(path.name, line)
        for path in archive.Archive(directory / "ledger").months()
        for line in archive.lines(path)
    ]  # fmt: skip
    return [finding.sentence for finding in examine(lines, {KEY.kid: KEY}, {}).findings]


@pytest.mark.parametrize("starts", [1, 2])
@pytest.mark.parametrize("month", [0, 1])
def test_records_of_before_the_aggregators_word_are_chained_anew(tmp_path: Path, starts: int, month: int) -> None:
    chain, image, last = two_lives(tmp_path, 2)
    made = store(image)
    commit(made, 4, gap(), interval(30))
    if starts == 2:
        made = store(image)
    commit(made, 5, interval(31), Record("event", {"event": "x"}), CHECKPOINT, wall_ms=NOW_MS + month * MONTH_MS)
    list(made.handle(mail.Anchor(last), at(6)))
    commit(made, 7, interval(32), CHECKPOINT, wall_ms=NOW_MS + month * MONTH_MS)
    rows = [row for row in rows_of(made) if row.seq > last]
    bodies = [json.loads(row.payload) for row in rows]
    assert [(b["record"], b["n"]) for b in bodies] == [
        ("chain", 6), ("gap", 7), ("interval", 8), ("interval", 9), ("checkpoint", 10), ("interval", 11),
        ("checkpoint", 12),
    ]  # fmt: skip
    assert (bodies[0]["why"], bodies[0]["known_n"], bodies[0]["known_head"]) == ("restored", 2, bodies[0]["prev"])
    assert (bodies[1]["era"], bodies[1]["perhaps_told"]) == (3, True)
    assert (bodies[4]["first"], bodies[4]["last"], bodies[4]["head"]) == (6, 9, bodies[4]["prev"])
    hears(chain, rows)
    assert (chain.at, [*chain.missing()]) == (12, [])
    assert [f for f in chain.findings if "lost" not in f] == []
    receipt = chain.receipt()
    assert receipt is not None
    assert receipt["n"] == 12
    assert made._vault.receipted(receipt["n"], receipt["head"], b"e30.e30.e30", NOW_MS) is None
    assert [r["n"] for r in kept(image)] == [0, 1, 2, *range(6, 13)]
    assert holds(image) == ["neither a record nor a receipt over the chain"]


def test_all_rows_that_the_aggregator_has_are_a_declared_loss_for_both_verifiers(tmp_path: Path) -> None:
    chain, image, last = two_lives(tmp_path, 2)
    made = store(image)
    commit(made, 4, gap(), interval(30))
    list(made.handle(mail.Anchor(last), at(5)))
    commit(made, 6, interval(31))
    hears(chain, [row for row in rows_of(made) if row.seq > last])
    tokens = [
        line
        for directory in (tmp_path / "home", image)
        for path in archive.Archive(directory / "ledger").months()
        for line in archive.lines(path)
    ]
    lines = [Line("all", token) for token in dict.fromkeys(tokens)]
    verdict = examine(lines, {KEY.kid: KEY}, {})
    assert verdict.ok, verdict.findings
    assert (
        verdict.losses == chain.findings == ["records 3 to 5 were made by a state that is lost, and record 6 says so"]
    )
    assert (chain.losses, verdict.records) == (1, chain.records)


def test_where_nothing_was_written_the_next_record_says_it(tmp_path: Path) -> None:
    chain, image, last = two_lives(tmp_path, 4)
    made = store(image)
    list(made.handle(mail.Anchor(last), at(6)))
    commit(made, 7, interval(32))
    rows = [row for row in rows_of(made) if row.seq > last]
    hears(chain, rows)
    assert chain.at == json.loads(rows[-1].payload)["n"] == 9
    assert holds(image) == []


def test_a_power_cut_between_the_archive_and_the_database_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, image, last = two_lives(tmp_path, 2)
    made = store(image)
    commit(made, 4, gap(), interval(30))

    def dies(_: object) -> None:
        raise OSError("the power goes")

    with monkeypatch.context() as patch:
        patch.setattr(made._vault, "commit", dies)
        list(made.handle(mail.Anchor(last), at(6)))
    assert [r["n"] for r in kept(image)] == [0, 1, 2]
    made = store(image)
    commit(made, 5, interval(31))
    assert [r["n"] for r in kept(image)] == [0, 1, 2, 3, 4, 5]
    list(made.handle(mail.Anchor(last), at(8)))
    hears(chain, [row for row in rows_of(made) if row.seq > last])
    assert chain.at == 9
    assert holds(image) == []


def test_an_image_of_before_the_first_record(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    made, chain = store(home), Chain()
    list(made.handle(mail.Anchor(0), at(0)))
    commit(made, 1, interval(1), interval(2))
    hears(chain, rows_of(made))
    image = tmp_path / "image"
    image.mkdir()
    made = store(image)
    commit(made, 1, interval(9))
    list(made.handle(mail.Anchor(3), at(2)))
    commit(made, 2, CHECKPOINT)
    hears(chain, [row for row in rows_of(made) if row.seq > 3])
    assert chain.receipt() is not None
    assert holds(image) == []
