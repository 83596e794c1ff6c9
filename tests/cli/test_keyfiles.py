"""Files of keys: what a power cut leaves between key and certificate, and whose a file becomes."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.tools import keyfiles, online
from agent.tools.keyfiles import Owner
from agent.tools.lines import Refused

OURS = Owner(os.getuid(), os.getgid())
PEM = serialization.Encoding.PEM


class CutError(Exception):
    """The power went."""


class Cut(Owner):
    """Its `left`th step is not done any more."""

    left = 99

    def step(self) -> None:
        Cut.left -= 1
        if Cut.left < 0:
            raise CutError

    def put(self, path: Path, data: bytes, mode: int) -> None:
        self.step()
        super().put(path, data, mode)


def certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Of itself: which CA signed is judged elsewhere."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "home1")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(begin).not_valid_after(begin + dt.timedelta(900))
    return made.sign(key, hashes.SHA256())


@pytest.fixture
def rotating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, x509.Certificate]:
    """A gateway with key and certificate, and the certificate of the key that waits."""
    first = keyfiles.tls_key(tmp_path / "key", OURS, anew=False)
    (tmp_path / "cert").write_bytes(certificate(first).public_bytes(PEM))
    new = certificate(keyfiles.tls_key(tmp_path / "key", OURS, anew=True))
    monkeypatch.setattr(Cut, "left", 99)
    return SimpleNamespace(path=lambda name: tmp_path / name, owner=Cut(OURS.uid, OURS.gid)), new


def usable(home: Any) -> bool:
    try:
        ssl.create_default_context().load_cert_chain(home.path("cert"), home.path("key"))
    except ssl.SSLError:
        return False
    return True


@pytest.mark.parametrize("steps", range(4))
def test_a_power_cut_leaves_a_certificate_that_fits_its_key_or_settle_makes_it_fit(
    rotating: tuple[Any, x509.Certificate], steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, cert = rotating
    pem = cert.public_bytes(PEM)
    monkeypatch.setattr(Cut, "left", steps)
    rename = Path.rename

    def cut(path: Path, target: Path) -> Path:
        if not path.name.endswith(".new"):  # that one is part of a `put`
            home.owner.step()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(CutError):
        online.put_files(home, cert, pem, pem)
    monkeypatch.undo()
    online.settle(home)
    assert usable(home)
    monkeypatch.setattr(Cut, "left", 99)
    online.put_files(home, cert, pem, pem)  # asked for again
    assert usable(home)
    assert home.path("cert").read_bytes() == pem


def test_a_certificate_of_nobodys_key_changes_nothing(rotating: tuple[Any, x509.Certificate]) -> None:
    home, _ = rotating
    other = certificate(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(Refused, match="not of a key of this gateway"):
        online.put_files(home, other, b"x", b"x")
    assert usable(home)
    assert not home.path("ca").exists()


def test_root_gives_away_a_link_and_never_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "lchown", lambda *args: given.append(args))
    monkeypatch.setattr(os, "chown", None)
    Owner(5, 6).take(tmp_path / "link")
    assert given == [(tmp_path / "link", 5, 6)]
