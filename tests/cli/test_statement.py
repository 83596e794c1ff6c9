"""`batteryctl statement` and `verify-chain` on a gateway's own records: plain totals, files, keys, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent import config as configuration
from agent.core.command import CommandState
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.link import jws, upward
from agent.link.keys import load_seed
from agent.mail import CommitRequest
from agent.store.archive import Archive, Stamp, lines, record
from agent.store.chain import link
from agent.store.config import StoreConfig
from agent.store.store import Store
from agent.tools import chainfiles, statement, verify
from agent.tools.evidence import examine
from agent.tools.findings import Line
from agent.tools.totals import ENERGIES, Totals
from hil.bundles import entry
from tests.cli.test_keys import Gateway
from tests.core.test_accounts import QUARTER_MS, Tally, drive, running, take_up
from tests.store.home import BOOT, at

MONTH = "2023-11"
PARTS = {"discharge": 1486, "charge": 1490}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """An enrolled gateway with a day of records, one event among them."""
    home = Gateway(tmp_path_factory.mktemp("home"))
    assert home.enrol().returncode == 0
    write(home, [(int(str(r.get("t1_ms") or r.get("ended_ms") or 1_700_000_000_000)), r) for r in day()])
    return home


def write(home: Gateway, records: Sequence[tuple[int, dict[str, object]]], receipts: Sequence[bytes] = ()) -> None:
    """One life of the daemon: each record at its wall time, then receipts as they came."""
    config = configuration.load(home.config)
    section = config.file.link
    assert section is not None
    seed = load_seed(config.resolve(section.sign_key))
    assert isinstance(seed, bytes)
    sender = upward.Sender(config.file.agent.id, config.file.agent.fleet, jws.signer(seed))
    store = Store(StoreConfig(config.state_dir / "store.db", config.state_dir / "reserve"))
    store.load()
    store.sign(lambda row: upward.row_token(sender, row), {"agent": "1"})
    for number, (wall_ms, body) in enumerate(records, 1):
        clock = Clock(wall_ms, ClockTrust.SYNCED, "kernel", BOOT)
        request = CommitRequest(number, Durable(day_mwh=wall_ms), (Record("settlement", body),), clock, number)
        list(store.handle(request, at(number)))
    for line in receipts:
        store._vault.ledger.archive.append([line], Stamp(0, records[-1][0], believed=False))
    store._vault.close()


def day() -> list[dict[str, object]]:
    tally = Tally(registers=True)
    tally.put(0)
    take_up(tally, running())
    drive(tally, 600, 3000)
    done = replace(running(), state=CommandState.COMPLETED, delivered_mwh=500_000)
    tally.durable, tally.due = replace(tally.durable, commands=(done,)), None
    for _ in range(200):
        tally.put(-1800, 2000, s=9)
    tally.offset_ms += 86_400_000
    tally.put(0)
    tally.put(0)
    return tally.records


def run(tool: object, gateway: Gateway, *words: str) -> int:
    main = tool.main  # type: ignore[attr-defined]  # one of the two tools
    return int(main([*words, "--config", str(gateway.config)]))


def test_a_month_on_one_screen(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(statement, gateway, "--month", MONTH) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= 80
    page = "\n".join(lines)
    assert f"STATEMENT {MONTH}" in page
    assert "1, for 0 h 10 min: asked to give 0.60 kWh, to take 0.00 kWh" in page
    assert "0.50 kWh to the grid and the house" in page
    assert "kept on all of 1 days" in page
    assert "completed" in page


def test_a_clock_that_was_beyond_the_year_9999_for_a_while_keeps_no_month_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally, ahead_ms = Tally(registers=True), 8_000_000_000_000_000
    for step_ms in (0, ahead_ms, 86_400_000, -ahead_ms):
        tally.offset_ms += step_ms
        for _ in range(100):
            tally.put(0, s=9)
    days = {str(r["day"]) for r in tally.records if r["record"] == "reserve"}
    assert max(map(len, days)) == len("255484-01-01")
    home = Gateway(tmp_path)
    assert home.enrol().returncode == 0
    events = [{**r, "started_ms": ahead_ms} for r in day() if r["record"] == "performance"]
    write(home, [(1_700_000_000_000, r) for r in [*tally.records, *events]])
    for words in ((), ("--month", MONTH), ("--month", MONTH, "--csv"), ("--export", str(tmp_path / "all.jws"))):
        capsys.readouterr()
        assert run(statement, home, *words) == 0, capsys.readouterr().err
        assert words or f"STATEMENT {MONTH}" in capsys.readouterr().out
    assert run(verify, home) == 0


def test_json_and_csv_have_the_same_sums(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(statement, gateway, "--month", MONTH, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["v"], body["ok"], body["events"], body["given_wh"]) == (1, True, 1, 500)
    assert run(statement, gateway, "--month", MONTH, "--csv") == 0
    head, *rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    charged = [int(row[head.index("charge_wh")]) for row in rows]
    assert sum(charged) == body["energy"]["charge_wh"] > 0
    assert len(rows) == body["intervals"]
    assert int(rows[1][0]) % QUARTER_MS == 0


def test_a_month_without_records(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(statement, gateway, "--month", "2020-01") == 0
    assert "nothing is on record" in capsys.readouterr().out
    assert run(statement, gateway, "--month", "2020-13") == 2
    assert "no month" in capsys.readouterr().err
    assert run(statement, gateway) == 0  # the newest month
    assert f"STATEMENT {MONTH}" in capsys.readouterr().out


def test_the_gateways_own_records_are_whole(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verify, gateway) == 0
    out = capsys.readouterr().out
    assert "the records are whole" in out
    assert "only the gateway has signed" in out
    assert run(verify, gateway, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] and body["signed"] == body["records"] > 3


def test_an_export_is_checked_anywhere_with_its_public_keys(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "november.jws"
    assert run(statement, gateway, "--month", MONTH, "--export", str(out)) == 0
    keys = f"{out}.keys.json"
    assert "PRIVATE" not in Path(keys).read_text("utf-8")
    capsys.readouterr()
    nowhere = Gateway.__new__(Gateway)
    nowhere.config = tmp_path / "none.toml"
    assert run(verify, nowhere, str(out), "--keys", keys) == 0
    assert "records of home-0001" in capsys.readouterr().out
    Path(keys).write_text(Path(keys).read_text("utf-8").replace("home-0001", "home-0002"), "utf-8")
    assert run(verify, nowhere, str(out), "--keys", keys) == 1
    assert "it is of dev:home-0001, dev:home-0002 was expected" in " ".join(capsys.readouterr().out.split())
    Path(keys).write_text(Path(keys).read_text("utf-8").replace("home-0002", "home-0001"), "utf-8")
    assert run(verify, nowhere, str(out), "--keys", keys) == 0
    head = capsys.readouterr().out.splitlines()[-1].split()[-1]
    assert run(verify, nowhere, str(out), "--keys", keys, "--known", head) == 0
    assert run(verify, nowhere, str(out), "--keys", keys, "--known", f"999:{'a' * 64}") == 1
    assert "truncated: record 999" in capsys.readouterr().out
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join([*lines[:1], *lines[2:]]))
    assert run(verify, nowhere, str(out), "--keys", keys) == 1
    assert "dropped: record 2" in " ".join(capsys.readouterr().out.split())
    assert run(verify, nowhere, str(out), "--keys", keys, "--json") == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["kind"] == "dropped"
    assert run(statement, nowhere, str(out), "--month", MONTH) == 0


def test_old_records_and_receipts_hold_after_every_key_has_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Gateway(tmp_path)
    assert home.enrol().returncode == 0
    service = seed_at(home.pki.role_keys["service"])
    draft = home.pki.draft
    for turn in range(6):  # more than the announcements that are told
        stamp = 1_700_006_400_000 + turn * 1000
        write(home, [(stamp, {"record": "consent", "at_ms": stamp, "what": "x"})])
        body = json.dumps({"upto": 1, "iat": stamp, "checkpoint": newest(home)}).encode()
        receipt = jws.sign(jws.signer(service), "battery-receipt+jws", body)
        write(home, [(stamp, {"record": "consent", "at_ms": stamp, "what": "y"})], [receipt])
        assert home.ctl("rotate", "sign").returncode == 0
        service = bytes([turn + 1]) * 32
        key = Ed25519PrivateKey.from_private_bytes(service)
        draft = draft.next(keys={**draft.keys, "service": [entry(key)]})
        assert home.ctl("enrol", "--bundle", home.follow(draft)).returncode == 0
    out = tmp_path / "all.jws"
    assert run(statement, home, "--month", MONTH, "--export", str(out)) == 0
    capsys.readouterr()
    for words in ((), (str(out), "--keys", f"{out}.keys.json")):
        assert run(verify, home, *words, "--json") == 0, capsys.readouterr().out
        assert json.loads(capsys.readouterr().out)["receipts"] == 6


def kept_lines(home: Gateway) -> list[bytes]:
    return [line for path in Archive(home.root / "state" / "ledger").months() for line in lines(path)]


def newest(home: Gateway) -> dict[str, object]:
    """What a receipt over the newest record says."""
    signed, body, _ = [found for line in kept_lines(home) if (found := record(line))][-1]
    return {"n": body["n"], "head": link(str(body["prev"]), signed)}


def seed_at(path: Path) -> bytes:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.private_bytes_raw()


def test_an_archive_that_lacks_what_the_database_holds_is_not_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Gateway(tmp_path)
    assert home.enrol().returncode == 0
    write(home, [(1_700_006_400_000 + i, {"record": "consent", "at_ms": i, "what": "x"}) for i in range(4)])
    assert run(verify, home) == 0
    path = Archive(tmp_path / "state" / "ledger").months()[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    capsys.readouterr()
    assert run(verify, home) == 1
    assert "database of this gateway goes up to record 4, the file ends with 2" in " ".join(
        capsys.readouterr().out.split()
    )


DEC_MS = 1_701_388_800_000


def quarter(t0_ms: int, wh: int) -> dict[str, object]:
    """One in which every register went from `wh` to 100 more."""
    start, end = dict.fromkeys(ENERGIES, wh), dict.fromkeys(ENERGIES, wh + 100)
    of = {"jumps": [], "estimated": [], "partial": False, "lasted_s": 900, "missing_s": 0, "dispatched_s": 0}
    of |= {"opted_out_s": 0, "islanded_s": 0, "unavailable": [], "limited": [], "time": "synced", "quality": "ok"}
    return {"record": "interval", "t0_ms": t0_ms, "t1_ms": t0_ms + QUARTER_MS, "start": start, "end": end, **of}


def test_an_exported_month_tells_what_the_gateway_tells_to_its_last_minute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Gateway(tmp_path)
    assert home.enrol().returncode == 0
    began = [DEC_MS - 2 * QUARTER_MS, DEC_MS - QUARTER_MS]
    told = [(at_ms + QUARTER_MS + 200, quarter(at_ms, at_ms % 1000)) for at_ms in began]
    below = {"record": "reserve", "day": "2023-11-30", "outage_s": 0, "outage_served_wh": 0}
    below |= {"below": [{"reason": "dispatch", "lasted_s": 60}]}
    checkpoint: dict[str, object] = {"record": "checkpoint", "day": "2023-11-30", "end": {}}
    write(home, [*told, (DEC_MS + 200, below), (DEC_MS + 200, checkpoint)])
    body = json.dumps({"upto": 9, "iat": DEC_MS + 5000, "checkpoint": newest(home)}).encode()
    receipt = jws.sign(jws.signer(seed_at(home.pki.role_keys["service"])), "battery-receipt+jws", body)
    write(home, [(DEC_MS + QUARTER_MS + 200, quarter(DEC_MS, 0))], [receipt])
    out = tmp_path / "november.jws"
    assert run(statement, home, "--month", MONTH, "--export", str(out)) == 0
    capsys.readouterr()
    assert run(verify, home, str(out), "--keys", f"{out}.keys.json", "--json") == 0
    proof = json.loads(capsys.readouterr().out)
    assert (proof["receipts"], proof["receipted"]) == (1, proof["last"])
    pages = []
    for files in ((), (str(out),), (str(out), str(out))):
        assert run(statement, home, *files, "--month", MONTH, "--capacity", "10000") == 0
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1] == pages[2]
    assert "0.20 kWh bought" in pages[0]
    assert "NOT KEPT" in pages[0]
    assert run(statement, home, str(out)) == 0  # the month that it tells of, not that of its receipt
    assert f"STATEMENT {MONTH}" in capsys.readouterr().out
    assert run(statement, home, "--export", str(tmp_path / "all.jws"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["lines"] == len(kept_lines(home))
    assert run(statement, home, "--month", "2024-05", "--export", str(out)) == 2
    assert "nothing is on record" in capsys.readouterr().err
    odd = tmp_path / "odd.jws"
    odd.write_bytes(jws.sign(jws.signer(bytes(32)), "x", b'{"n":0,"prev":"","record":"interval","t0_ms":1}') + b"\n")
    assert run(statement, home, str(odd)) == 2
    assert "not of the form" in capsys.readouterr().err


def test_a_damaged_month_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Gateway(tmp_path)
    assert home.enrol().returncode == 0
    months = [DEC_MS - 30 * 86_400_000, DEC_MS + QUARTER_MS]
    write(home, [(at_ms + QUARTER_MS + 200, quarter(at_ms, 0)) for at_ms in months])
    assert run(verify, home) == 0
    packed = next(path for path in Archive(tmp_path / "state" / "ledger").months() if path.suffix == ".gz")
    packed.write_bytes(packed.read_bytes()[:-9])
    capsys.readouterr()
    assert run(statement, home, "--month", "2023-12") == 0
    told = capsys.readouterr()
    assert "0.10 kWh bought" in told.out
    assert f"{packed.name} is left out: packed, and damaged" in told.err
    assert run(verify, home) == 1
    assert f"unreadable: a file at {packed.name}" in capsys.readouterr().out
    packed.unlink()  # whoever takes a month away takes the homeowner's own evidence of it too
    assert run(verify, home, "--known", f"0:{'0' * 64}") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "truncated: record 2 at ledger-0000000002-2023-12:1: this gateway's records begin with 2: records 0" in said
    assert "what was written down is of record 0, which is not here: it cannot be compared" in said
    assert run(statement, home, "--month", MONTH) == 0
    assert "nothing is on record for this month; what is before record 2 is not here" in capsys.readouterr().out


def test_a_stretch_says_what_it_does_not_cover(gateway: Gateway) -> None:
    newest_month = [Line(str(i), line) for i, line in enumerate(kept_lines(gateway)[2:7])]
    keys = chainfiles.own_keys(configuration.load(gateway.config)).device
    page = " ".join(" ".join(verify.page(examine(newest_month, keys, {}))).split())
    assert "the records from 2 on are whole" in page
    assert "what is before record 2 is not here, and was not looked at" in page


def test_what_is_asked_wrongly_says_what_to_do(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["missing.jws"], ["--known", "x"], ["--keys", str(tmp_path / "no")], [str(tmp_path / "bad.gz")]):
        (tmp_path / "bad.gz").write_bytes(b"no gzip")
        assert run(verify, gateway, *words) == 2, words
        assert "next" in capsys.readouterr().err
    for known in (f"\u00b2:{'0' * 64}", f"1:{'z' * 64}", f"-1:{'0' * 64}", f"1{'0' * 64}", f"{'9' * 19}:{'0' * 64}"):
        assert run(verify, gateway, f"--known={known}") == 2, known
        assert "expected NUMBER:HASH" in capsys.readouterr().err
    for month in ("0000-01", "1969-12", "2023-\u00b2", "2023-011", "2023-11-01", "-1", "\uff12023-11", "2023-00"):
        assert run(statement, gateway, f"--month={month}") == 2, month
        assert f"--month {month}: no month" in capsys.readouterr().err
    assert run(statement, gateway, "--month", "9999-12") == 0
    for capacity in ("-5", "0"):
        assert run(statement, gateway, f"--capacity={capacity}") == 2
        assert "above 0" in capsys.readouterr().err
    deep = b".".join(jws.b64(part).encode() for part in (b"[" * 100_000, b'{"n":0,"prev":"%064d"}' % 0, b""))
    (tmp_path / "deep.jws").write_bytes(deep + b"\n" + b"[" * 100_000)
    assert run(verify, gateway, str(tmp_path / "deep.jws")) == 1
    for text in ("[", '{"device": [{"kid": "x"}]}', '{"device": [{"kid": "x", "x": "y"}]}'):
        (tmp_path / "keys").write_text(text, "utf-8")
        assert run(verify, gateway, "--keys", str(tmp_path / "keys")) == 2
    capsys.readouterr()
    assert run(verify, gateway, "--known", "x", "--json") == 2
    assert json.loads(capsys.readouterr().out)["code"] == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_changes_no_verdict(gateway: Gateway, tmp_path: Path, unbuffered: str) -> None:
    """`| head`: no traceback, and the code is what it would have been."""
    out = tmp_path / "november.jws"
    assert run(statement, gateway, "--month", MONTH, "--export", str(out)) == 0
    keys = f"{out}.keys.json"
    cut = tmp_path / "cut.jws"
    cut.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[2:4] * 2))
    common = ["--config", str(gateway.config)]
    for words, code in (
        (["verify", str(out), "--keys", keys], 0),
        (["verify", str(cut), "--keys", keys], 1),
        (["verify", str(cut), "--keys", keys, "--json"], 1),
        (["statement", str(out)], 0),
        (["statement", str(out), "--csv"], 0),
        (["statement", str(out), "--json"], 0),
    ):
        reader, writer = os.pipe()
        os.close(reader)
        argv = [sys.executable, "-m", f"agent.tools.{words[0]}", *words[1:], *common]
        env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, env=env, check=False)
        os.close(writer)
        assert (done.returncode, done.stderr) == (code, b""), words


def test_a_page_of_many_findings_ends() -> None:
    lines = [Line(f"f:{n}", b"nonsense") for n in range(40)]
    page = verify.page(examine(lines, {}, {}))
    assert len(page) < 40
    assert any("28 more" in line for line in page)


def test_what_one_command_gave_and_took_is_told_both_ways_and_nothing_is_less_than_none() -> None:
    """Also from a record of before both were in it: then its quarters tell."""
    sums = {f"{what}_{way}_wh": wh for what in ("requested", "delivered") for way, wh in PARTS.items()}
    common = {"ended_ms": 9, "started_ms": 1, "received_ms": 1, "reason": None, "state": "completed"}
    quarters = [{"requested_wh": wh, "delivered_wh": wh} for wh in (-1490, 1486)]
    event = {**common, "requested_wh": -4, "delivered_wh": -4, "quarters": quarters}
    for r in ({**event, **sums}, event):
        totals = Totals("2023-11", events=[r], intervals=1)
        body = totals.body(None)
        assert (body["given_wh"], body["taken_wh"], body["asked_wh"]) == (1486, 1490, 2976)
        rows = "\n".join(statement.page(totals, None))
        assert "asked to give 1.49 kWh, to take 1.49 kWh" in rows
        assert "1.49     1.49     1.49     1.49  completed" in rows
        assert "1, for 0 h 00 min: asked" in rows
        assert "for never" not in rows
    early = {**event, "quarters": quarters[1:]}  # its first quarters went out before it
    assert Totals("2023-11", events=[early]).taken_wh == 1490
    assert statement.kwh(-4) == "0.00 kWh"
