"""The aggregator's own verifier of settlement chains, on chains of the shipped store; receipts meet the store again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from agent.core.decision import Record
from agent.link import jws, upward
from agent.store import archive
from agent.tools.evidence import examine
from agent.tools.findings import Line
from hil.aggregator.settlement import Chain
from tests.store.test_ledger import SENDER, commit, interval, store

CHECKPOINT = Record("settlement", {"record": "checkpoint", "day": "2023-11-14"})


def heard(directory: Path) -> list[tuple[dict[str, Any], str]]:
    found = []
    for path in archive.Archive(directory / "ledger").months():
        for line in archive.lines(path):
            part = archive.record(line)
            if part is not None:
                found.append((part[1], hashlib.sha256(part[0]).hexdigest()))
    return found


def chain_of(rows: list[tuple[dict[str, Any], str]]) -> Chain:
    chain = Chain()
    for claims, digest in rows:
        chain.enter(claims, digest)
    return chain


def written(directory: Path) -> list[tuple[dict[str, Any], str]]:
    made = store(directory)
    for number in range(1, 6):
        commit(made, number, interval(number))
    commit(made, 6, CHECKPOINT)
    commit(made, 7, interval(7))
    return heard(directory)


def test_it_agrees_with_the_store_and_countersigns_each_checkpoint_once(tmp_path: Path) -> None:
    rows = written(tmp_path)
    for order in (rows, rows[::-1], rows[3:] + rows[:3]):
        chain = chain_of(order)
        assert chain.findings == []
        assert chain.at == 7
        assert chain.receipt() == {"n": 6, "head": rows[7][0]["prev"]}
        assert chain.receipt() is None


def test_the_countersigned_receipt_is_kept_and_verified_offline(tmp_path: Path) -> None:
    chain = chain_of(written(tmp_path))
    found = chain.receipt()
    assert found is not None
    service = jws.signer(b"\7" * 32)
    token = jws.sign(service, "battery-receipt+jws", json.dumps({"upto": 1, "checkpoint": found}).encode())
    running = store(tmp_path)
    running._vault.receipted(found["n"], found["head"], token, 1_700_000_000_000)
    lines = [
        Line(path.name, line)
        for path in archive.Archive(tmp_path / "ledger").months()
        for line in archive.lines(path)
    ]  # fmt: skip
    device, services = (
        {signer.kid: jws.verifier(signer.key.public_key().public_bytes_raw())} for signer in (SENDER.signer, service)
    )
    verdict = examine(lines, device, services)
    assert verdict.ok, verdict.findings
    assert verdict.receipted == 6


def test_flaws_are_found_and_not_countersigned(tmp_path: Path) -> None:
    rows = written(tmp_path)
    altered = [(claims, "ab" * 32 if claims["n"] == 3 else digest) for claims, digest in rows]
    forked = [*rows, ({**rows[2][0]}, "cd" * 32)]
    for name, order, words in (
        ("altered", altered, "does not follow on record 3"),
        ("forked", forked, "forked"),
        ("no link", [({"n": "1"}, ""), *rows], "no link"),
        ("root", [({**rows[0][0], "prev": "1" * 64}, rows[0][1])], "record 0 follows"),
        ("checkpoint", [*rows[:6], ({**rows[6][0], "head": "0" * 64}, rows[6][1])], "checkpoint 6"),
    ):
        chain = chain_of(order)
        assert any(words in finding for finding in chain.findings), name
        if name != "forked":
            assert chain.receipt() is None, name


def test_a_dropped_record_is_awaited_and_a_declared_loss_is_told(tmp_path: Path) -> None:
    rows = written(tmp_path)
    chain = chain_of([*rows[:3], *rows[4:]])
    assert (chain.at, list(chain.missing())) == (2, [3])
    chain.enter(*rows[3])
    assert (chain.at, list(chain.missing())) == (7, [])
    lost = (
        {"record": "chain", "why": "restored", "n": 12, "prev": "e" * 64, "known_n": 11, "known_head": "e" * 64},
        "",
    )
    chain.enter(*lost)
    assert chain.at == 12
    assert "never came" in chain.findings[0]


def test_one_that_begins_late_waits_for_its_root_or_takes_what_the_device_says(tmp_path: Path) -> None:
    rows = written(tmp_path)
    chain = chain_of(rows[2:5])
    assert chain.at == -1
    for row in rows[:2]:
        chain.enter(*row)
    assert chain.at == 4


def test_the_agents_row_is_what_the_aggregator_hashes(tmp_path: Path) -> None:
    made = store(tmp_path)
    commit(made, 1, interval(1))
    (row, *_) = [r for r in made._vault.after(0, 9) if r.kind == "settlement"]
    token = upward.row_token(SENDER, row)
    payload = jws.unb64(token.split(b".")[1])
    assert payload is not None
    assert heard(tmp_path)[0][1] == hashlib.sha256(payload).hexdigest()


def test_a_flaw_costs_one_countersignature_and_a_loss_that_is_declared_none(tmp_path: Path) -> None:
    rows = written(tmp_path)
    commit(store(tmp_path), 8, CHECKPOINT)
    later = heard(tmp_path)[len(rows) :]
    chain = chain_of([(claims, "ab" * 32 if claims["n"] == 3 else digest) for claims, digest in rows])
    assert chain.receipt() is None
    for row in later:
        chain.enter(*row)
    assert chain.receipt() is not None
    (tmp_path / "anew").mkdir()
    anew = written(tmp_path / "anew")
    first = {**anew[0][0], "why": "store_lost"}
    chain.enter(first, "cd" * 32)
    assert (chain.at, chain.losses) == (0, 1)
