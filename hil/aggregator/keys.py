"""The aggregator's keys: its own by role, and the public keys of the devices it knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey

ROLES = ("dispatch", "service", "operations", "homeowner")
OVER = "dispatch_over"  # a dispatch key that bundles still list, with a time that is over: for attacks


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private Ed25519 key and its kid: the first 16 characters of the base64url RFC 7638 thumbprint."""

    kid: str
    key: OKPKey


@dataclass(frozen=True, slots=True)
class Keyring:
    """What an aggregator holds and believes. `roles` may lack keys that this operator does not have."""

    fleet: str
    groups: tuple[str, ...]
    roles: Mapping[str, SigningKey]
    devices: Mapping[str, Mapping[str, OKPKey]]  # device -> kid -> public key
    protocols: Mapping[str, int] = field(default_factory=dict)  # device -> the highest that it ever spoke
    rows: Mapping[str, int] = field(default_factory=dict)  # device -> its highest row that was ever heard here
    retired: tuple[tuple[str, str, int, str], ...] = ()  # device, kid, until when (UTC ms), kid of the key that follows


def kid_of(key: OKPKey) -> str:
    """The name that headers use for this key."""
    return key.thumbprint()[:16]


def load_signing_key(path: Path) -> SigningKey:
    """Read a PKCS8 PEM. Raises ValueError if it is not an Ed25519 key."""
    key = OKPKey.import_key(path.read_bytes())
    if not key.is_private or key.as_dict()["crv"] != "Ed25519":
        raise ValueError(f"{path}: expected a private Ed25519 key in PKCS8 PEM")
    return SigningKey(kid_of(key), key)


def fresh_key() -> SigningKey:
    """A key that nobody trusts, for attacks."""
    key = OKPKey.generate_key("Ed25519")
    return SigningKey(kid_of(key), key)


def public_key(entry: Mapping[str, Any]) -> tuple[str, OKPKey]:
    """{"kid", "x"} of a trust file. Raises ValueError if the kid is not that key's own."""
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": str(entry["x"])})
    if kid_of(key) != entry["kid"]:
        raise ValueError(f"kid {entry['kid']!r} does not belong to its key, whose kid is {kid_of(key)!r}")
    return kid_of(key), key


def load_keyring(directory: Path) -> Keyring:
    """Read `devices.json` and whatever role keys lie in the aggregator's directory (see hil.pki)."""
    known = json.loads((directory / "devices.json").read_text())
    paths = {role: directory / f"{role}.pem" for role in (*ROLES, OVER)}
    return Keyring(
        fleet=known["fleet"],
        groups=tuple(known["groups"]),
        roles={role: load_signing_key(path) for role, path in paths.items() if path.exists()},
        devices={name: dict(public_key(entry) for entry in entries) for name, entries in known["devices"].items()},
        protocols=known.get("protocols", {}),
        rows=known.get("rows", {}),
        retired=tuple(
            (name, entry["kid"], entry["until_ms"], entry["next"])
            for name, entries in known["devices"].items()
            for entry in entries
            if "until_ms" in entry
        ),
    )
