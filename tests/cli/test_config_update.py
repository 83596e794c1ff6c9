"""`batteryctl config` and `update`: whose word a setting is, an export without secrets, and whether now is the time."""

from __future__ import annotations

import hashlib
import json
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import remote as remotes
from agent.cli import config as config_verb
from agent.cli import talk
from agent.cli import update as update_verb
from agent.cli.main import _parser
from agent.config import EXAMPLE, load
from agent.core.params import DefaultControl
from agent.local.settings import config_json
from agent.remote import Fate, Held, InForce, Remote, Settings
from agent.store.documents import DocumentsFile
from agent.store.trust import TrustFile
from agent.tools import config as config_tool
from agent.tools import update
from hil.bundles import DAY_MS, entry
from hil.protocol.vectors_documents import FIRMWARE
from tests.link.home import jose_sign, seed_of
from tests.link.roots import anchored, draft, key, listed

NOW = time.time_ns() // 1_000_000
PACKAGE = b"!<arch>\nnot a real one\n"
FINE: dict[str, Any] = {
    "v": 1, "code": 0, "command": None, "grid": {"state": "connected"}, "battery": {"soc_lo_permille": 500},
    "reserve": {"effective_permille": 300},
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A gateway that has been told of release 7000, and runs no daemon."""
    path = tmp_path / "batteryd.toml"
    pin = '[local]\nhomeowner_pin_hash = "scrypt$16384$8$1$00$00"\n'
    path.write_text(EXAMPLE.replace("[site]", f'state_dir = "{tmp_path / "state"}"\n\n[site]', 1) + pin, "utf-8")
    (tmp_path / "state").mkdir()
    trusted(path)
    told(path)
    (tmp_path / "batteryd.deb").write_bytes(PACKAGE)
    return path


def trusted(config: Path, **changes: Any) -> None:
    held = anchored(draft(issued_ms=NOW - DAY_MS, **changes))
    assert TrustFile(config.parent / "state" / "trust").write(held.dump()) is None


def told(config: Path, state: Remote | None = None, **changes: Any) -> None:
    """Of that release."""
    package = {"arch": "amd64", "url": "https://r.example/x.deb", "size": len(PACKAGE)}
    package["sha256"] = hashlib.sha256(PACKAGE).hexdigest()
    body: dict[str, Any] = {
        "v": 1, "id": "0" * 32, "iss": "release", "aud": "fleet:fleet", "seq": 1, "iat": NOW - 60_000,
        **FIRMWARE, "exp": NOW + DAY_MS, "min_version": 1000, "packages": [package], **changes,
    }  # fmt: skip
    payload = json.dumps(body).encode()
    tokens = [jose_sign(seed_of(name), "battery-firmware+jws", payload).decode() for name in ("firmware1", "firmware2")]
    parts = [token.split(".") for token in tokens]
    raw = {"payload": parts[0][1], "signatures": [{"protected": a, "signature": c} for a, _, c in parts]}
    kept = (state or Remote()).released(json.dumps(raw)).seen("firmware", 7000, "d")
    assert DocumentsFile(config.parent / "state" / "documents").write(kept.dump()) is None


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")

    def go(tool: Any, *words: str, status: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        answer = status or talk.failure(3, "not running", "start it")
        monkeypatch.setattr(talk, "ask", lambda *_: answer)
        more = ["--socket", "x"] if tool is update else []
        code = tool.main([*words, "--config", str(config), "--json", *more])
        return code, json.loads(capsys.readouterr().out)

    return go


# --- update -----------------------------------------------------------------------------------------------------------
def test_a_release_is_shown_and_its_package_is_taken(config: Path, run: Run) -> None:
    code, body = run(update, "status")
    assert code == 0
    assert [row["name"] for row in body["rows"]] == ["installed", "known", "verdict", "package"]
    assert "newer" in body["rows"][2]["text"]
    code, body = run(update, "check", "--file", str(config.parent / "batteryd.deb"), status=FINE)
    assert (code, [row["level"] for row in body["rows"]]) == (0, ["ok", "ok", "ok"])
    assert "apt install" in body["next"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": NOW - 1}, "expired"),
        ({"version": 1000, "min_version": 999}, "not newer"),
        ({"min_version": 6000}, "replaces release 6000"),
        ({"packages": [FIRMWARE["packages"][0]]}, "has none for amd64"),
        ({"packages": [FIRMWARE["packages"][0] | {"arch": "amd64"}]}, "has 23 bytes"),
        ({"packages": [FIRMWARE["packages"][0] | {"arch": "amd64", "size": len(PACKAGE)}]}, "SHA-256"),
    ],
)
def test_what_is_not_the_release_or_must_not_be_installed(config: Path, run: Run, changes: Any, why: str) -> None:
    told(config, **changes)
    code, body = run(update, "check", "--file", str(config.parent / "batteryd.deb"))
    assert code == 4
    assert why in body["next"]


@pytest.mark.parametrize(
    ("firmware", "why"),
    [
        ([entry(key("firmware1")), entry(key("firmware3"))], "1 of 2 signatures"),
        ([{**entry(key("firmware1")), "exp": NOW - 1}, entry(key("firmware2"))], "outside its time"),
    ],
)
def test_a_key_that_was_revoked_or_has_had_its_time_since(config: Path, run: Run, firmware: Any, why: str) -> None:
    trusted(config, keys={**listed(), "firmware": firmware})
    code, body = run(update, "check", "--file", str(config.parent / "batteryd.deb"))
    assert code == 4
    assert why in json.dumps(body)


def test_an_expired_bundle_installs_nothing(config: Path, run: Run) -> None:
    trusted(config, life_ms=DAY_MS // 2)
    code, body = run(update, "check", "--file", str(config.parent / "batteryd.deb"))
    assert code == 4
    assert "trust bundle 1 has expired" in body["next"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"command": {"text": "dispatch 5000 W"}}, "a command runs"),
        ({"grid": {"state": "islanded"}}, "the grid is islanded"),
        ({"battery": {"soc_lo_permille": 299}}, "below the reserve"),
        ({"battery": {"soc_lo_permille": None}}, "not known"),
    ],
)
def test_not_during_an_event_nor_as_an_island_nor_below_the_reserve(
    config: Path, run: Run, changes: Any, why: str
) -> None:
    package = str(config.parent / "batteryd.deb")
    code, body = run(update, "check", "--file", package, status=FINE | changes)
    assert code == 4
    assert why in body["next"]
    told(config, security=True)
    code, body = run(update, "check", "--file", package, status=FINE | changes)
    assert code == 0
    assert "for security" in body["rows"][2]["text"]


def test_a_daemon_that_does_not_answer_is_no_good_moment(config: Path, run: Run) -> None:
    status = talk.failure(6, "no answer in time", "look")
    code, body = run(update, "check", "--file", str(config.parent / "batteryd.deb"), status=status)
    assert code == 4
    assert "no answer in time" in body["next"]


def test_without_a_release_a_trust_or_a_file(config: Path, run: Run) -> None:
    package = str(config.parent / "batteryd.deb")
    (config.parent / "state" / "trust").unlink()
    assert "no signed trust bundle" in run(update, "check", "--file", package)[1]["error"]["text"]
    (config.parent / "state" / "documents").unlink()
    assert "no release is known" in run(update, "check", "--file", package)[1]["error"]["text"]
    assert run(update, "check")[0] == 2
    assert run(update, "status")[1]["rows"][1]["level"] == "none"
    (config.parent / "state" / "documents").write_bytes(b"\xff" * 70_000)
    assert run(update, "status")[0] == 5
    config.unlink()
    assert run(update, "status")[0] == 2


def test_a_package_that_is_not_there(config: Path, run: Run) -> None:
    assert run(update, "check", "--file", str(config.parent / "none.deb"))[0] == 5


# --- config -----------------------------------------------------------------------------------------------------------
KEPT = Remote(
    {"config": {"": (4, "d")}},
    settled=Held(3, Settings(export_limit_w=9000), 600),
    trial=Held(4, Settings(export_limit_w=5000, import_limit_w=90_000, batch_s=30, groups=("north",)), 600),
    default=DefaultControl(2, "idle", None, 7000),
    fate=Fate(4, remotes.APPLIED, "configuration 4 is on probation"),
)  # fmt: skip


def test_each_setting_says_whose_word_it_is(config: Path, run: Run) -> None:
    told(config, KEPT)
    code, body = run(config_tool, "show")
    assert code == 0
    rows = {row["name"]: row for row in body["settings"]}
    assert rows["export_limit_w"]["value"] == 5000
    assert rows["export_limit_w"]["by"] == "configuration 4, on probation"
    assert "default control 2" in rows["export_limit_w"]["text"]
    assert (rows["import_limit_w"]["value"], rows["import_limit_w"]["by"]) == (24_000, "commissioned")
    assert "configuration 4" in rows["import_limit_w"]["text"]
    assert rows["charge_limit_w"]["value"] is None
    assert rows["groups"]["value"] == ["north"]
    assert body["default"]["text"] == "default control 2: idle, neither way"
    assert body["known"] == {"config": 4, "firmware": 7000}
    printed = "\n".join(config_verb.lines(body))
    assert "5000 W" in printed
    assert "commissioned: 11400 W" in " ".join(printed.split())


def test_nothing_from_afar_reads_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "state" / "documents").unlink()
    assert config_tool.main(["show", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert "what was commissioned holds" in said
    assert "the factory's" in said


def test_what_the_default_sets_is_the_defaults() -> None:
    site = load_example()
    control = DefaultControl(2, "self_consumption", None, 7000)
    kept = Remote(default=control, settled=Held(1, Settings(soc_floor_permille=80)))
    body: Any = config_json(InForce(site, remotes.effective(site, kept), kept))
    rows = {row["name"]: row for row in body["settings"]}
    assert rows["export_limit_w"]["by"] == "default control 2: self-consumption"
    assert (rows["soc_floor_permille"]["value"], rows["soc_floor_permille"]["by"]) == (80, "configuration 1, confirmed")
    assert "8 %" in "\n".join(config_verb.lines(body))


def load_example() -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.toml"
        path.write_text(EXAMPLE, "utf-8")
        return load(path).params


def test_an_export_has_a_hash_and_no_secret(config: Path, run: Run) -> None:
    out = config.parent / "out.json"
    code, body = run(config_tool, "export", str(out))
    assert code == 0
    sealed = json.loads(out.read_text())
    text = json.dumps(sealed["config"], indent=1, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == sealed["sha256"] == body["sha256"]
    assert "scrypt" not in out.read_text()
    assert sealed["config"]["file"]["site"]["export_limit_w"] == 11_400
    assert out.stat().st_mode & 0o777 == 0o600
    assert run(config_tool, "export")[0] == 2


def test_an_export_by_anybody_and_onto_no_disk(config: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(config_tool, "export", str(config / "where.json"))[0] == 5
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    assert run(config_tool, "export", str(config.parent / "out.json"))[0] == 4


# --- the verbs themselves ---------------------------------------------------------------------------------------------
def arguments(*words: str) -> Namespace:
    return _parser(list(words)).parse_args([*words])


class Became(Exception):
    """The process would be the tool now."""


def test_verbs_become_their_tools(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def become(_: str, argv: list[str]) -> None:
        raise Became(*argv[1:])

    monkeypatch.setattr("os.execv", become)
    for verb, words in (
        (config_verb, ("config", "--json")), (config_verb, ("config", "export", "x.json", "--json")),
        (update_verb, ("update",)), (update_verb, ("update", "check", "--file", "x.deb", "--json")),
    ):  # fmt: skip
        with pytest.raises(Became) as became:
            verb.run(arguments(*words, "--socket", "/nowhere/x.sock"))
        assert f"agent.tools.{words[0]}" in became.value.args
        assert ("--json" in became.value.args) is ("--json" in words)
    assert config_verb.run(arguments("config", "export")) == 2
    assert update_verb.run(arguments("update", "check")) == 2
    assert "which package" in capsys.readouterr().err


def test_a_daemon_that_runs_answers_for_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = load_example()
    reply = config_json(InForce(site, site, Remote()))
    monkeypatch.setattr(talk, "ask", lambda *_: reply)
    assert config_verb.run(arguments("config")) == 0
    assert "what was commissioned holds" in capsys.readouterr().out
