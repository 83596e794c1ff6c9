"""Signed trust bundles, made for the bench with `cryptography` alone: what an operator's root ceremony gives.

A bundle is a JWS in general JSON form over {"v", "version", "fleet", "iat", "exp", "roles", "groups", "revoked"}, with
a signature of each root key that took part. `root_hash` of the first one is what a claim carries.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DAY_MS = 86_400_000
LIFE_MS = 89 * DAY_MS
TYP = "battery-trust+jws"
THRESHOLDS: Mapping[str, int] = {"root": 2, "dispatch": 1, "service": 1, "operations": 1, "firmware": 2}

Envelope = dict[str, object]
Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Draft:
    """A bundle before it is signed. `keys`: role -> entries {"kid", "x"} (with or without "nbf", "exp")."""

    version: int
    fleet: str
    issued_ms: int
    keys: Mapping[str, Sequence[Entry]]
    groups: Sequence[str] = ()
    revoked: Sequence[str] = ()
    life_ms: int = LIFE_MS
    thresholds: Mapping[str, int] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        """The payload."""
        wanted = {**THRESHOLDS, **self.thresholds}
        roles = {role: {"threshold": wanted[role], "keys": list(self.keys.get(role, ()))} for role in THRESHOLDS}
        return {
            "v": 1,
            "version": self.version,
            "fleet": self.fleet,
            "iat": self.issued_ms,
            "exp": self.issued_ms + self.life_ms,
            "roles": roles,
            "groups": list(self.groups),
            "revoked": list(self.revoked),
        }

    def next(self, **changes: object) -> Draft:
        """The following version, with changes."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]  # fields of this class


def sign(body: Mapping[str, object], root: Iterable[Ed25519PrivateKey]) -> Envelope:
    """The envelope of a payload, with one signature a key."""
    payload = b64(json.dumps(body, separators=(",", ":")).encode())
    signatures = []
    for key in root:
        protected = b64(json.dumps({"alg": "Ed25519", "kid": entry(key)["kid"], "typ": TYP}).encode())
        signatures.append({"protected": protected, "signature": b64(key.sign(f"{protected}.{payload}".encode()))})
    return {"payload": payload, "signatures": signatures}


def chain(envelopes: Iterable[Envelope]) -> bytes:
    """What goes into a file, or onto `down/trust`."""
    return json.dumps({"bundles": list(envelopes)}, indent=1).encode() + b"\n"


def root_hash(envelope: Envelope) -> str:
    """SHA-256 of the payload, hex."""
    part = str(envelope["payload"])
    return hashlib.sha256(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).hexdigest()


def entry(key: Ed25519PrivateKey) -> dict[str, str]:
    """{"kid", "x"} of the public half (RFC 8037, RFC 7638)."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    x = b64(raw)
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return {"kid": b64(thumbprint)[:16], "x": x}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
