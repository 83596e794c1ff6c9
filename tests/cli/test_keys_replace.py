"""`batteryctl replace`: a gateway dies, another takes its place; no private key travels, the reserve is the owner's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent import config as configuration
from agent.link.keys import load_seed
from agent.store.pins import Pins
from agent.store.reserve import ReserveFile
from agent.store.trust import TrustFile
from agent.tools import keys, replace
from drivers.events import Identity
from tests.cli.test_keys import BROKEN, PIN, Gateway, _public, refused

WHO = Identity("Acme", "H11", "1.0", "A123")


@pytest.fixture
def old(tmp_path: Path) -> Gateway:
    """An enrolled gateway with a reserve of 25 % and one known device."""
    gateway = Gateway(tmp_path)
    assert gateway.enrol().returncode == 0
    assert ReserveFile(tmp_path / "state" / "reserve").write(250, "owner") is None
    assert Pins(tmp_path / "state" / "pins").write({"inverter": WHO}, {}) is None
    return gateway


def export(old: Gateway, *more: str) -> Path:
    out = old.root / "export.json"
    assert replace.main(["export", str(out), "--config", str(old.config), *more]) == 0
    return out


def taken(file: Path, place: Path, monkeypatch: pytest.MonkeyPatch, pin: str = "") -> int:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pin}\n"))
    return replace.main(["import", str(file), "--config", str(place / "batteryd.toml"), "--pin-stdin"])


def test_with_the_pin_all_is_as_it_was_but_the_keys(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    assert taken(export(old), new, monkeypatch, PIN) == 0
    config = configuration.load(new / "batteryd.toml")
    assert config.file == configuration.load(old.config).file
    assert ReserveFile(new / "state" / "reserve").read().permille == 250
    assert Pins(new / "state" / "pins").read() == {"inverter": WHO}
    assert {path.name for path in (new / "state").iterdir()} == {"reserve", "pins"}
    out = capsys.readouterr().out
    assert "enrol --claim" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_what_the_old_gateway_heard_of_the_homeowner_the_new_one_has_heard(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = _public(tmp_path / "phone.json", "phone")
    old.ctl("homeowner", "--key", key, "--pin-stdin", stdin=f"{PIN}\n")
    [kid] = old.anchor().homeowner
    assert TrustFile(tmp_path / "state" / "trust").write(old.anchor().spoken(kid, 1_800).dump()) is None
    new = Gateway(tmp_path / "new")
    new.config.unlink()
    assert taken(export(old), tmp_path / "new", monkeypatch, PIN) == 0
    new.config.write_bytes(new.write(pin=PIN).read_bytes())
    assert new.enrol().returncode == 0
    assert new.ctl("homeowner", "--key", key, "--pin-stdin", stdin=f"{PIN}\n").returncode == 0
    assert (list(new.anchor().homeowner), new.anchor().heard) == ([kid], {kid: 1_800})
    (tmp_path / "new" / "state" / "heard").write_text("[]")
    refused(new.ctl("show"), 2, "not the numbers")


def test_without_the_pin_the_reserve_is_full(old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken(export(old), tmp_path / "new", monkeypatch) == 0
    found = ReserveFile(tmp_path / "new" / "state" / "reserve").read()
    assert (found.permille, found.source) == (1000, "new")


def test_a_wrong_pin_takes_nothing(old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken(export(old), tmp_path / "new", monkeypatch, "0000") == 4
    assert not (tmp_path / "new" / "batteryd.toml").exists()


def test_no_private_key_and_no_claim_is_in_it(old: Gateway) -> None:
    import base64

    text = export(old).read_bytes()
    assert (old.root / "export.json").stat().st_mode & 0o777 == 0o600
    seed = load_seed(old.own / "sign.pem")
    assert isinstance(seed, bytes)
    secret = json.loads(old.claim.read_text())["secret"].encode()
    tls = (old.own / "tls.key").read_bytes().splitlines()[1]
    for hidden in (seed, seed.hex().encode(), base64.b64encode(seed).rstrip(b"="), secret, tls, b"PRIVATE"):
        assert hidden not in text


def test_a_configuration_that_holds_a_private_key_is_not_exported(old: Gateway) -> None:
    old.config.write_text(old.config.read_text() + "# -----BEGIN PRIVATE KEY-----\n")
    assert replace.main(["export", str(old.root / "e"), "--config", str(old.config)]) == 2
    assert not (old.root / "e").exists()


def test_a_dead_gateway_is_read_from_its_card(old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc and /var/lib as the card has them, mounted somewhere; the configuration names the gateway's own paths."""
    card = tmp_path / "card"
    text = old.config.read_text().replace('"state"', '"/var/lib/batteryd"')
    text = text.replace(str(old.own / "sign.pem"), "/etc/batteryd/keys/sign.pem")
    (card / "etc/batteryd/keys").mkdir(parents=True)
    (card / "etc/batteryd/batteryd.toml").write_text(text)
    shutil.copytree(tmp_path / "state", card / "var/lib/batteryd")
    shutil.copy2(old.own / "sign.pem", card / "etc/batteryd/keys")
    out = tmp_path / "rescued.json"
    words = ["export", str(out), "--root", str(card), "--config", "/etc/batteryd/batteryd.toml", "--json"]
    assert replace.main(words) == 0
    body = json.loads(out.read_text())["gateway"]
    assert (body["reserve"], list(body["pins"])) == (250, ["inverter"])
    assert body["old_kid"] is not None
    assert replace.main([*words[:2], "--root", str(tmp_path / "empty"), *words[4:]]) == 2


def test_a_reserve_that_cannot_be_read_is_not_guessed(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / "reserve"
    path.write_bytes(b"\xff" * path.stat().st_size)
    assert taken(export(old), tmp_path / "new", monkeypatch, PIN) == 0
    assert ReserveFile(tmp_path / "new" / "state" / "reserve").read().permille == 1000


@pytest.mark.parametrize("break_it", BROKEN)
def test_a_broken_export_is_a_sentence(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], break_it: object
) -> None:
    file = export(old)
    assert callable(break_it)
    break_it(file)
    if file.stat(follow_symlinks=False).st_size > 50_000 if file.is_file() else False:
        file.write_bytes(file.read_bytes() + b" " * replace.MOST)
    capsys.readouterr()
    assert taken(file, tmp_path / "new", monkeypatch, PIN) == 2
    assert "next" in capsys.readouterr().err
    assert not (tmp_path / "new" / "batteryd.toml").exists()


@pytest.mark.parametrize(
    "change",
    [{"reserve": 100}, {"reserve": -1}, {"pins": {"x": []}}, {"profiles": {"../x.toml": ""}}, {"configuration": 1}],
    ids=str,
)
def test_a_changed_export_is_refused_by_its_sum_and_a_wrong_one_by_its_form(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    import hashlib

    file = export(old)
    raw = json.loads(file.read_text())
    raw["gateway"] |= change
    file.write_text(json.dumps(raw, indent=1))
    assert taken(file, tmp_path / "new", monkeypatch, PIN) == 2
    if change != {"reserve": 100}:  # that one is well formed: the sum is all that guards against rot
        raw["sha256"] = hashlib.sha256(json.dumps(raw["gateway"], indent=1).encode()).hexdigest()
        file.write_text(json.dumps(raw, indent=1))
        assert taken(file, tmp_path / "new", monkeypatch, PIN) == 2


def test_nothing_that_is_there_is_overwritten(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export(old)
    before = old.config.read_text()
    assert replace.main(["import", str(file), "--config", str(old.config)]) == 2
    assert old.config.read_text() == before
    (tmp_path / "new" / "state").mkdir(parents=True)
    (tmp_path / "new" / "state" / "reserve").write_bytes(b"x")
    capsys.readouterr()
    assert taken(file, tmp_path / "new", monkeypatch, PIN) == 2
    assert "another gateway's state: reserve" in " ".join(capsys.readouterr().err.split())
    assert list((tmp_path / "new").glob(".replace*")) == []


def _with_profiles(old: Gateway) -> tuple[Path, Path]:
    """An export with two profiles of the site's own; and where the new gateway has them, which is not there yet."""
    place = old.root / "profiles"
    place.mkdir()
    for name in ("mine.toml", "yours.toml"):
        (place / name).write_text(f"# {name} of the export\n")
    (place / "notes.txt").write_text("not a profile")
    old.config.write_text(old.config.read_text().replace("[agent]", '[agent]\nprofiles = "profiles"', 1))
    return export(old), old.root / "new" / "profiles"


def test_profiles_of_the_sites_own_come_along(old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, place = _with_profiles(old)
    assert taken(file, tmp_path / "new", monkeypatch, PIN) == 0
    assert {path.name: path.read_text() for path in place.iterdir()} == {
        name: f"# {name} of the export\n" for name in ("mine.toml", "yours.toml")
    }
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o644}


@pytest.mark.parametrize("there", ["other", "link", "folder", "where"])
def test_a_profile_that_is_there_is_not_overwritten(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    file, place = _with_profiles(old)
    place.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mine = place / "mine.toml"
    if there == "where":
        place.symlink_to(elsewhere)
    else:
        place.mkdir()
        (place / "yours.toml").write_text("# yours.toml of the export\n")
    if there == "other":
        mine.write_text("# commissioned here\n")
    elif there == "link":
        mine.symlink_to(elsewhere / "target")
    elif there == "folder":
        mine.mkdir()
    capsys.readouterr()
    assert taken(file, tmp_path / "new", monkeypatch, PIN) == 2
    flat = " ".join(capsys.readouterr().err.split())
    assert ("symbolic link" if there == "where" else "of the same name: mine.toml next move them away") in flat
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "new" / "batteryd.toml").exists()
    assert not any((tmp_path / "new" / "state").glob("*"))
    if there == "other":
        assert mine.read_text() == "# commissioned here\n"


def test_a_profile_that_says_the_same_stands_in_nobodys_way(
    old: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an import that broke off has left it."""
    file, place = _with_profiles(old)
    shutil.copytree(old.root / "profiles", place)
    assert taken(file, tmp_path / "new", monkeypatch, PIN) == 0
    assert (place / "mine.toml").read_text() == "# mine.toml of the export\n"


def test_a_running_daemon_is_left_alone(old: Gateway, tmp_path: Path) -> None:
    words = ["import", str(export(old)), "--config", str(tmp_path / "n.toml"), "--running"]
    assert replace.main(words) == 4
    claim = ["--claim", str(old.claim), "--bundle", str(old.bundle), "--config", str(old.config), "--running"]
    assert keys.main(["enrol", *claim]) == 4
