"""Secrets are looked for wherever something is told: each is put in once, and then searched for in every form it has.

The claim's secret, both private keys of the gateway, the homeowner's PIN. Searched: all that the tools print, the
request, the export for another gateway, the state directory, the link's messages, logs and reprs. Core dumps: the unit
sets LimitCORE=0.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from agent.link import keys as link_keys
from agent.link.anchor import Anchor
from agent.link.config import LinkConfig
from agent.link.trust import of_bundle
from agent.runtime.part import Effect, MqttPublish
from hil.registrar_server import Serving
from tests.cli.test_keys import PIN
from tests.cli.test_keys_online import Online
from tests.link.home import Home

ROOT = Path(__file__).parents[2]


def forms(secret: bytes) -> set[bytes]:
    """As raw bytes, hex, base64 with both alphabets: whole, and its first 12 bytes at each alignment of base64."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for text in (base64.b64encode(secret), base64.urlsafe_b64encode(secret)):
        found.add(text.rstrip(b"=")[:40])
    for shift in range(3):
        found.add(base64.b64encode(b"\0" * shift + secret[: 12 + 3])[(4 if shift else 0) : 16])
    return found


def secrets_of(gateway: Online) -> dict[str, bytes]:
    seed = link_keys.load_seed(gateway.own / "sign.pem")
    assert isinstance(seed, bytes)
    tls = serialization.load_pem_private_key((gateway.own / "tls.key").read_bytes(), None)
    number = tls.private_numbers().private_value  # type: ignore[union-attr]  # a P-256 key
    return {"claim": bytes.fromhex(str(gateway.body["secret"])), "sign": seed, "tls": number.to_bytes(32, "big")}


def told_nothing(secrets: dict[str, bytes], where: str, data: bytes) -> None:
    for name, secret in secrets.items():
        assert not [form for form in forms(secret) if form in data], f"the secret {name} is in {where}"


@pytest.fixture
def gateway(tmp_path: Path) -> Online:
    made = Online(tmp_path)
    made.config = made.write(pin=PIN)
    return made


def test_the_search_finds_what_is_there() -> None:
    secret = bytes(range(100, 132))
    for text in (secret.hex(), base64.b64encode(b"x" + secret).decode(), base64.b64encode(b"xy" + secret).decode()):
        with pytest.raises(AssertionError, match="is in here"):
            told_nothing({"s": secret}, "here", b"..." + text.encode() + b"...")


def test_no_tool_prints_or_writes_a_secret(gateway: Online, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from agent.tools import replace

    said: list[tuple[str, str]] = []

    def run(*words: object, stdin: str = "") -> None:
        done = gateway.ctl(*words, stdin=stdin)
        said.append((" ".join(map(str, words[:2])), done.stdout + done.stderr))

    with Serving(gateway.desk, gateway.server) as there:
        run("enrol", "--claim", gateway.claim, "--url", there.url)
        run("rotate", "tls")
        run("enrol", "--claim", gateway.claim, "--bundle", gateway.bundle, "--out", gateway.root / "request")
    old = secrets_of(gateway)
    run("rotate", "sign", "--out", gateway.root / "announcement")
    run("show")
    run("show", "--json")
    gateway.claim.write_text(json.dumps(gateway.body | {"root_hash": "0" * 64}))
    run("enrol", "--claim", gateway.claim, "--bundle", gateway.bundle, "--pin-stdin", stdin="wrong\n")
    every = {f"old {name}": secret for name, secret in old.items()} | secrets_of(gateway)
    for what, text in said:
        told_nothing(every, what, text.encode())
        assert PIN not in text
    out = tmp_path / "export.json"
    monkeypatch.setattr("sys.argv", ["replace"])
    assert replace.main(["export", str(out), "--config", str(gateway.config)]) == 0
    own = {gateway.own / "sign.pem", gateway.own / "tls.key", gateway.claim}
    for path in [out, *gateway.root.rglob("*")]:
        if path.is_file() and path not in own and "pki" not in path.parts and "registrar" not in path.parts:
            told_nothing(every, str(path), path.read_bytes())


def test_two_gateways_have_no_secret_in_common(tmp_path: Path) -> None:
    """Nothing that is secret comes with the program: each makes its own."""
    homes = [Online(tmp_path / name) for name in "ab"]
    for home in homes:
        home.config = home.write(pin=PIN)
        with Serving(home.desk, home.server) as there:
            assert home.ask(there.url).returncode == 0
    (one, two), (held, other) = homes, map(secrets_of, homes)
    assert not set(held.values()) & set(other.values())
    for gateway, secrets in ((one, other), (two, held)):
        for name, data in gateway.files().items():
            told_nothing(secrets, name, data)


def test_the_link_says_and_shows_no_secret(gateway: Online) -> None:
    with Serving(gateway.desk, gateway.server) as there:
        assert gateway.ask(there.url).returncode == 0
    secrets = secrets_of(gateway)
    held: Anchor = gateway.anchor()
    home = Home(trust=of_bundle(held.bundle, held.homeowner), anchor=held, seed=secrets["sign"])
    effects: list[Effect] = [*home.up(), *home.store("event", event="start"), *home.sample()]
    assert any(isinstance(effect, MqttPublish) for effect in effects)
    told_nothing(secrets, "what the link does", repr(effects).encode())
    for effect in effects:
        if isinstance(effect, MqttPublish):
            told_nothing(secrets, effect.topic, effect.payload)
            for part in effect.payload.split(b".") if effect.payload.count(b".") == 2 else ():
                told_nothing(secrets, effect.topic, base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    config: LinkConfig = home.session._config
    told_nothing(secrets, "its configuration", repr(config).encode())
    told_nothing(secrets, "its trust", held.dump())


def test_no_secret_is_ever_an_argument_of_a_process() -> None:
    """Arguments stand in the process list, and in the shell's history: files and stdin do not."""
    from agent.cli.verbs import VERBS

    assert "keys" in VERBS
    source = (ROOT / "agent" / "cli" / "verbs.py").read_text("utf-8")
    assert "--pin-stdin" in source
    assert '"--pin"' not in source
    assert '"--secret"' not in source


def test_the_unit_dumps_no_core() -> None:
    unit = (ROOT / "systemd" / "batteryd.service").read_text("utf-8")
    assert "LimitCORE=0" in unit
