"""A public-key infrastructure made for one run of the bench, each party's files in a directory of its own.

    DIR/broker/              ca.crt tls.crt tls.key
    DIR/aggregator/          ca.crt tls.crt tls.key  dispatch.pem service.pem operations.pem homeowner.pem  devices.json
    DIR/offline/             root1.pem root2.pem root3.pem firmware1.pem firmware2.pem   never needed by the aggregator
    DIR/device/<id>/         ca.crt tls.crt tls.key  sign.pem trust.json claim.json

TLS keys are P-256, signing keys Ed25519 (PKCS8 PEM, mode 0600). `trust.json` is what a device believes, `devices.json`
what the aggregator believes; both hold public keys as {"kid", "x"} with kid = the first 16 characters of the base64url
RFC 7638 thumbprint. `trust.json` is a chain of signed bundles (hil.bundles), `claim.json` what an installer is handed:
a one-time secret and the hash of the first bundle. Nothing here is meant to outlive the run: the CA's key is thrown
away once the certificates exist.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import ipaddress
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hil.bundles import Draft, Entry, Envelope, chain, root_hash, sign

ROLES = ("dispatch", "service", "operations", "homeowner")
OVER = "dispatch_over"
OFFLINE = ("root1", "root2", "root3", "firmware1", "firmware2")
AGGREGATOR = "aggregator"  # CN of the aggregator's client certificate, its user name at the broker
_BACKDATED = timedelta(days=1)  # a gateway whose clock is a little behind must still be able to connect
_LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Tls:
    """Where one party finds its CA, certificate and key."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class DeviceFiles:
    """What one gateway is given."""

    id: str
    tls: Tls
    sign_key: Path
    trust: Path
    claim: Path


@dataclass(frozen=True, slots=True)
class Pki:
    """All that `make_pki` wrote."""

    fleet: str
    groups: tuple[str, ...]
    broker: Tls
    aggregator: Tls
    role_keys: Mapping[str, Path]
    devices_file: Path
    devices: Mapping[str, DeviceFiles]
    offline_keys: Mapping[str, Path]
    draft: Draft  # of the bundle in force: `draft.next(...)`, signed with two offline keys, is the one after it


class Authority:
    """A certificate authority that lives in memory; `life` may be negative to make expired certificates."""

    def __init__(self, name: str = "bench CA", life: timedelta = _LIFE) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._now = datetime.now(UTC)
        self._life = life
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self._cert = (
            self._builder(self._name, self._key.public_key(), _LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def aged(self, age: timedelta) -> Authority:
        """The same authority, whose certificates look as if they had been made that long ago."""
        older = copy.copy(self)
        older._now = self._now - age
        return older

    def issue(self, directory: Path, common_name: str, server_names: Sequence[str] = ()) -> Tls:
        """Write ca.crt, tls.crt, tls.key into `directory`: a server certificate if names are given, else a client's."""
        directory.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server_names else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            self._builder(subject, key.public_key(), self._life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if server_names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(n) for n in server_names]), critical=False
            )
        cert = builder.sign(self._key, hashes.SHA256())
        tls = Tls(directory / "ca.crt", directory / "tls.crt", directory / "tls.key")
        tls.ca.write_bytes(self._cert.public_bytes(serialization.Encoding.PEM))
        tls.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        _write_private(tls.key, key)
        return tls

    @property
    def certificate(self) -> bytes:
        """Of the authority itself, PEM."""
        return self._cert.public_bytes(serialization.Encoding.PEM)

    def certify(self, csr: x509.CertificateSigningRequest, common_name: str) -> bytes:
        """A client's certificate (PEM) for the key of a request, in the name that the authority decided."""
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(subject, public, self._life).add_extension(client, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, life: timedelta
    ) -> x509.CertificateBuilder:
        # An expired certificate is one whose whole life lies in the past.
        start = self._now - _BACKDATED if life > timedelta() else self._now + life - _BACKDATED
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(self._now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def make_pki(
    directory: Path,
    fleet: str,
    devices: Sequence[str],
    groups: Sequence[str] = (),
    authority: Authority | None = None,
    server_names: Sequence[str] = ("localhost", "127.0.0.1"),
    issued_ms: int | None = None,
    over: bool = False,
) -> Pki:
    """Make everything that broker, aggregator and devices need, below `directory`. Existing files are replaced. `over`:
    the bundle lists a dispatch key as well whose time is over, which the aggregator has for attacks.

    Raises ValueError for a name that cannot stand in a topic or a path.
    """
    for word in (fleet, *devices, *groups):
        _check_word(word)
    authority = authority or Authority()
    broker = authority.issue(directory / "broker", "broker", server_names)
    aggregator = authority.issue(directory / AGGREGATOR, AGGREGATOR)
    role_keys = {role: directory / AGGREGATOR / f"{role}.pem" for role in ROLES}
    roles: dict[str, list[Entry]] = {role: [make_sign_key(path)] for role, path in role_keys.items()}
    offline = {name: directory / "offline" / f"{name}.pem" for name in OFFLINE}
    roles |= {name: [make_sign_key(path)] for name, path in offline.items()}
    if issued_ms is None:
        issued_ms = int((datetime.now(UTC) - _BACKDATED).timestamp()) * 1000
    if over:
        spent = make_sign_key(directory / AGGREGATOR / f"{OVER}.pem")
        roles["dispatch"] = [*roles["dispatch"], {**spent, "nbf": 0, "exp": issued_ms}]
    draft = draft_of(fleet, groups, roles, issued_ms)
    envelope = signed(draft, offline)
    files, public = {}, {}
    for device in devices:
        own = directory / "device" / device
        tls = authority.issue(own, device)
        public[device] = [make_sign_key(own / "sign.pem")]
        (own / "trust.json").write_bytes(chain([envelope]))
        secret = secrets.token_hex(16)
        _write_json(own / "claim.json", claim(fleet, device, secret, root_hash(envelope)))
        files[device] = DeviceFiles(device, tls, own / "sign.pem", own / "trust.json", own / "claim.json")
    devices_file = directory / AGGREGATOR / "devices.json"
    _write_json(devices_file, {"version": 1, "fleet": fleet, "groups": list(groups), "devices": public})
    return Pki(fleet, tuple(groups), broker, aggregator, role_keys, devices_file, files, offline, draft)


def draft_of(fleet: str, groups: Sequence[str], keys: Mapping[str, Sequence[Entry]], issued_ms: int) -> Draft:
    """The first bundle over keys by name: ROLES but the homeowner's, which is the home's own, and OFFLINE."""
    of = {role: list(keys[role]) for role in ROLES if role != "homeowner"}
    for role in ("root", "firmware"):
        of[role] = [one for name in OFFLINE if name.startswith(role) for one in keys[name]]
    return Draft(1, fleet, issued_ms, of, groups)


def signed(draft: Draft, offline: Mapping[str, Path], names: Sequence[str] = ("root1", "root2")) -> Envelope:
    """The envelope of a draft, signed with the offline keys of these names."""
    return sign(draft.body(), [_private(offline[name]) for name in names])


def _private(path: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def claim(fleet: str, device: str, secret: str, first_hash: str) -> dict[str, object]:
    """What an installer is handed for one gateway."""
    return {"v": 1, "fleet": fleet, "device": device, "secret": secret, "root_hash": first_hash}


def make_sign_key(path: Path) -> dict[str, str]:
    """Write a new Ed25519 key (PKCS8 PEM, 0600) and return its public half as {"kid", "x"}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    _write_private(path, key)
    return public_key(key.public_key())


def public_key(key: Ed25519PublicKey) -> dict[str, str]:
    """{"kid", "x"} of an Ed25519 public key (RFC 8037, RFC 7638)."""
    x = _b64url(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return {"kid": _b64url(thumbprint)[:16], "x": x}


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _check_word(word: str) -> None:
    # "group" as a device's name would make its topics those of a group.
    if not word or word in ("group", ".", "..") or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in word):
        raise ValueError(f"{word!r} cannot be a fleet, device or group: use letters, digits, '-', '_' and '.'")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def _write_private(path: Path, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)  # so that the mode below is the file's, whoever made an older one
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
