"""The device's key file: what openssl and `cryptography` write is read; what others can read is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from agent.link.keys import dump_seed, load_seed

SEED = bytes(range(32))


def put(path: Path, text: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())


def test_it_reads_what_cryptography_writes_and_the_other_way(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    assert load_seed(put(tmp_path / "a", pem(key))) == SEED
    other = ser.load_pem_private_key(dump_seed(SEED).encode(), None)
    assert isinstance(other, ed25519.Ed25519PrivateKey)
    assert other.private_bytes_raw() == SEED
    assert load_seed(put(tmp_path / "b", dump_seed(SEED))) == SEED


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700 | 0o001])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    found = load_seed(put(tmp_path / "key", dump_seed(SEED), mode))
    assert isinstance(found, str)
    assert "0600" in found


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        pem(ec.generate_private_key(ec.SECP256R1())), SEED, base64.b64encode(SEED), dump_seed(SEED + b"x").encode(),
    ],
)  # fmt: skip
def test_another_file_is_a_sentence_without_its_content(tmp_path: Path, text: bytes) -> None:
    found = load_seed(put(tmp_path / "key", text))
    assert isinstance(found, str)
    assert str(tmp_path / "key") in found
    assert base64.b64encode(SEED).decode() not in found


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    assert "cannot be read" in str(load_seed(tmp_path / "none"))
