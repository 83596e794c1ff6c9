"""Whom this device believes: public keys by role, and which role may say what. Loaded once, frozen.

The trust file is JSON: {"version": 1, "fleet": ID, "roles": {ROLE: [{"kid", "x"}, ...]}, "groups": [ID, ...]} with `x`
the base64url public key (OKP, Ed25519) and `kid` the first 16 characters of its RFC 7638 thumbprint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from agent.link.jws import Verifier, b64, parse_object, unb64, verifier

ROLES = ("dispatch", "service", "operations", "homeowner")
KEYS_PER_ROLE = 2  # the old and the new one, while they overlap
TRUST_MAX = 64 * 1024
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}\Z")

# typ (and kind of a command) -> the roles that may sign it; the one matrix for what comes over the link
MAY_SIGN: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType(
    {
        ("battery-command+jws", "dispatch"): frozenset({"dispatch"}),
        ("battery-command+jws", "cancel"): frozenset({"dispatch", "operations"}),
        ("battery-command+jws", "stop"): frozenset({"dispatch", "operations"}),
        ("battery-command+jws", "schedule"): frozenset({"dispatch"}),
        ("battery-command+jws", "session"): frozenset({"dispatch"}),
        ("battery-command+jws", "price"): frozenset({"dispatch"}),
        ("battery-command+jws", "quote"): frozenset({"dispatch"}),
        ("battery-command+jws", "resend"): frozenset({"dispatch", "service", "operations"}),
        ("battery-time+jws", ""): frozenset({"service"}),
        ("battery-receipt+jws", ""): frozenset({"service"}),
    }
)


@dataclass(frozen=True, slots=True)
class Trust:
    """`keys` and `role_of` by kid; `groups` = those that this device may be addressed through."""

    version: int
    fleet: str
    keys: Mapping[str, Verifier]
    role_of: Mapping[str, str]
    groups: tuple[str, ...]

    def may(self, kid: str, typ: str, kind: str = "") -> bool:
        """Whether the role of that key may sign this typ (and kind of command)."""
        return self.role_of.get(kid) in MAY_SIGN.get((typ, kind), frozenset())


def load(path: Path) -> Trust | str:
    """The trust of a file, or a sentence that says what is wrong and what is expected."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); expected the trust file that the aggregator gave"
    found = parse(data)
    return f"{path}: {found}" if isinstance(found, str) else found


def parse(data: bytes) -> Trust | str:
    """The trust of a file's bytes, or a sentence."""
    if len(data) > TRUST_MAX:
        return f"{len(data)} bytes, at most {TRUST_MAX} expected"
    try:
        raw = parse_object(data)
    except ValueError as error:
        return f"not strict JSON ({error})"
    if set(raw) != {"version", "fleet", "roles", "groups"}:
        return f"keys are {sorted(raw)}, expected exactly fleet, groups, roles, version"
    version, fleet, roles, groups = raw["version"], raw["fleet"], raw["roles"], raw["groups"]
    if type(version) is not int or version < 1:
        return f"version is {version!r}, expected a whole number from 1"
    if not isinstance(fleet, str) or not _ID.match(fleet):
        return f"fleet is {fleet!r}, expected letters, digits, '.', '_' and '-'"
    if not isinstance(groups, list) or not all(isinstance(g, str) and _ID.match(g) for g in groups):
        return "groups is not a list of names"
    if not isinstance(roles, dict):
        return "roles is not an object of role: keys"
    keys: dict[str, Verifier] = {}
    role_of: dict[str, str] = {}
    for role, entries in roles.items():
        wrong = _role(role, entries, keys, role_of)
        if wrong:
            return f"role {role}: {wrong}"
    return Trust(version, fleet, MappingProxyType(keys), MappingProxyType(role_of), tuple(groups))


def _role(role: str, entries: object, keys: dict[str, Verifier], role_of: dict[str, str]) -> str | None:
    if role not in ROLES:
        return f"unknown; there are {', '.join(ROLES)}"
    if not isinstance(entries, list) or len(entries) > KEYS_PER_ROLE:
        return f"expected a list of at most {KEYS_PER_ROLE} keys"
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"kid", "x"}:
            return "a key is not exactly {kid, x}"
        x = entry["x"]
        public = unb64(x.encode("utf-8")) if isinstance(x, str) else None
        if public is None or len(public) != 32:
            return "x is not 32 bytes in base64url without padding"
        key = verifier(public)
        if entry["kid"] != key.kid:
            return f"kid {entry['kid']!r} does not belong to its x (expected {key.kid})"
        if key.kid in keys:
            return f"key {key.kid} is listed twice; a key has one role"
        keys[key.kid] = key
        role_of[key.kid] = role
    return None


def entry(public: bytes) -> dict[str, str]:
    """A public key (32 raw bytes) as the trust file lists it."""
    return {"kid": verifier(public).kid, "x": b64(public)}
