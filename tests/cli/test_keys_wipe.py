"""`batteryctl replace wipe`: nothing secret and nothing of the homeowner's is left, and the aggregator can know it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from agent.link.keys import load_seed
from agent.store.reserve import ReserveFile
from agent.tools import wipe
from tests.cli.test_keys import Gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path)
    assert made.enrol().returncode == 0
    assert ReserveFile(tmp_path / "state" / "reserve").write(250, "owner") is None
    (tmp_path / "state" / "ledger").mkdir()
    (tmp_path / "state" / "ledger" / "ledger-2026-11").write_text("records")
    made.config.rename(tmp_path / "etc.toml")
    (tmp_path / "etc").mkdir()
    text = (tmp_path / "etc.toml").read_text().replace('"state"', f'"{tmp_path / "state"}"')
    made.config = tmp_path / "etc" / "batteryd.toml"
    made.config.write_text(text)
    (tmp_path / "etc.toml").unlink()
    return made


def ran(gateway: Gateway, *more: str, out: str = "word.jws") -> int:
    return wipe.main([str(gateway.root / out), "--config", str(gateway.config), *more])


def seed_of(gateway: Gateway) -> bytes:
    seed = load_seed(gateway.own / "sign.pem")
    assert isinstance(seed, bytes)
    return seed


def left(gateway: Gateway) -> set[str]:
    """Names of what the gateway still has."""
    return {
        name
        for name, path in {
            **{file: gateway.own / file for file in ("sign.pem", "tls.key", "tls.crt", "trust.json")},
            "config": gateway.config,
            **{path.name: path for path in (gateway.root / "state").iterdir()},
        }.items()
        if path.exists()
    }


def test_keys_state_and_configuration_are_gone_and_the_word_verifies(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = seed_of(gateway)
    key = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "d": _b64(seed), "x": _b64(_public(seed))},
    )
    assert {"sign.pem", "tls.key", "reserve", "trust", "ledger", "config"} <= left(gateway)
    assert ran(gateway, "--sure", "home-0001", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert left(gateway) == set()
    found = jws.deserialize_compact((gateway.root / "word.jws").read_text().strip(), key, algorithms=["Ed25519"])
    claims = json.loads(found.payload)
    assert found.headers() == {"alg": "Ed25519", "kid": said["kid"], "typ": "battery-decommission+jws"}
    assert (claims["device"], claims["fleet"], claims["kid"]) == ("home-0001", "bench", said["kid"])
    assert seed not in (gateway.root / "word.jws").read_bytes()


def test_a_key_is_overwritten_before_its_name_is_gone(gateway: Gateway) -> None:
    os.link(gateway.own / "sign.pem", gateway.root / "witness")
    assert ran(gateway, "--sure", "home-0001") == 0
    assert set((gateway.root / "witness").read_bytes()) == {0}


@pytest.mark.parametrize(
    ("more", "code"),
    [((), 2), (("--sure", "home-0002"), 2), (("--sure", "home-0001", "--running"), 4)],
    ids=["not sure", "another home", "running"],
)
def test_what_is_not_meant_erases_nothing(gateway: Gateway, more: tuple[str, ...], code: int) -> None:
    before = left(gateway)
    assert ran(gateway, *more) == code
    assert left(gateway) == before
    assert not (gateway.root / "word.jws").exists()


@pytest.mark.parametrize("out", ["state/word.jws", "etc/word.jws"])
def test_the_word_must_outlive_what_is_erased(gateway: Gateway, out: str) -> None:
    before = left(gateway)
    assert ran(gateway, "--sure", "home-0001", out=out) == 2
    assert left(gateway) == before


def test_it_may_break_off_and_goes_on(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(wipe, "_sync", full)
    assert ran(gateway, "--sure", "home-0001") == 5
    assert "sign.pem" not in left(gateway), "keys go first"
    monkeypatch.undo()
    word = (gateway.root / "word.jws").read_bytes()
    assert ran(gateway, "--sure", "home-0001") == 0
    assert left(gateway) == set()
    assert (gateway.root / "word.jws").read_bytes() == word


def test_a_disk_that_does_not_take_the_word_erases_nothing(gateway: Gateway) -> None:
    before = left(gateway)
    (gateway.root / "file").write_text("in the way")
    assert ran(gateway, "--sure", "home-0001", out="file/word.jws") == 5
    assert left(gateway) == before


def _b64(data: bytes) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _public(seed: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
