"""The PKI of a run: chains, names, modes, and what the trust files say."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from hil.aggregator.keys import kid_of, load_keyring, load_signing_key
from hil.pki import OFFLINE, ROLES, Authority, Pki, Tls, make_pki


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return make_pki(tmp_path, "demo", ["home-1", "home-2"], ["south"])


def _cert(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _verify_server(tls: Tls, name: str, when: datetime | None = None) -> None:
    builder = PolicyBuilder().store(Store([_cert(tls.ca)])).time(when or datetime.now(UTC))
    builder.build_server_verifier(x509.DNSName(name)).verify(_cert(tls.cert), [])


def test_the_broker_chains_to_the_ca_under_its_name(pki: Pki) -> None:
    _verify_server(pki.broker, "localhost")
    with pytest.raises(VerificationError):
        _verify_server(pki.broker, "elsewhere")
    with pytest.raises(VerificationError):
        _verify_server(pki.broker, "localhost", datetime.now(UTC) + timedelta(days=400))


def test_clients_chain_to_the_ca_and_carry_their_id(pki: Pki) -> None:
    for tls, name in [(pki.aggregator, "aggregator"), *((d.tls, i) for i, d in pki.devices.items())]:
        cert = _cert(tls.cert)
        assert [a.value for a in cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [name]
        usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        cert.verify_directly_issued_by(_cert(pki.broker.ca))


def test_another_authority_is_another_chain(pki: Pki, tmp_path: Path) -> None:
    stranger = Authority().issue(tmp_path / "x", "home-1")
    with pytest.raises(InvalidSignature):
        _cert(stranger.cert).verify_directly_issued_by(_cert(pki.broker.ca))


def test_expired_certificates_have_their_life_behind_them(tmp_path: Path) -> None:
    tls = Authority(life=timedelta(hours=-1)).issue(tmp_path, "broker", ["localhost"])
    cert = _cert(tls.cert)
    assert cert.not_valid_before_utc < cert.not_valid_after_utc < datetime.now(UTC)


def test_private_keys_are_for_their_owner_only(pki: Pki, tmp_path: Path) -> None:
    keys = [path for path in tmp_path.rglob("*") if path.suffix in (".key", ".pem")]
    assert len(keys) == 4 + len(ROLES) + len(OFFLINE) + 2
    for path in keys:
        assert path.stat().st_mode & 0o777 == 0o600
        load_pem_private_key(path.read_bytes(), None)


def test_no_two_parties_share_a_secret(pki: Pki, tmp_path: Path) -> None:
    secrets = [p.read_bytes() for p in tmp_path.rglob("*") if p.suffix in (".key", ".pem")]
    assert len(set(secrets)) == len(secrets)


def test_trust_file_and_keyring_name_the_same_keys(pki: Pki, tmp_path: Path) -> None:
    [envelope] = json.loads(pki.devices["home-1"].trust.read_text())["bundles"]
    trust = json.loads(base64.urlsafe_b64decode(envelope["payload"] + "=="))
    ring = load_keyring(tmp_path / "aggregator")

    assert (trust["version"], trust["fleet"], trust["groups"]) == (1, "demo", ["south"])
    for role in set(ROLES) - {"homeowner"}:
        entries = trust["roles"][role]["keys"]
        assert [entry["kid"] for entry in entries] == [ring.roles[role].kid]  # by hand there, by joserfc here
        assert entries[0]["x"] == ring.roles[role].key.as_dict(private=False)["x"]
    device = load_signing_key(pki.devices["home-1"].sign_key)
    assert list(ring.devices["home-1"]) == [device.kid]
    assert kid_of(ring.devices["home-1"][device.kid]) == device.kid


def test_a_kid_that_lies_is_refused(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "aggregator" / "devices.json"
    known = json.loads(path.read_text())
    known["devices"]["home-1"][0]["kid"] = "A" * 16
    path.write_text(json.dumps(known))
    with pytest.raises(ValueError, match="does not belong to its key"):
        load_keyring(tmp_path / "aggregator")


@pytest.mark.parametrize("name", ["", "group", "a/b", "a+", "#", "ü", ".."])
def test_names_that_cannot_stand_in_a_topic(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a fleet, device or group"):
        make_pki(tmp_path, "demo", [name])


def test_made_again_replaces_everything(pki: Pki, tmp_path: Path) -> None:
    before = pki.devices["home-1"].sign_key.read_bytes()
    make_pki(tmp_path, "demo", ["home-1", "home-2"])
    assert pki.devices["home-1"].sign_key.read_bytes() != before
