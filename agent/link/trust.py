"""Whom this device believes: public keys by role, as they stand now. Frozen; a new bundle makes a new one.

Made of a signed bundle (`of_bundle`, see `bundle`), or of a plain file that somebody with root's rights put there:
{"version": 1, "fleet": ID, "roles": {ROLE: [{"kid", "x"}, ...]}, "groups": [ID, ...]} with `x` the base64url public key
(OKP, Ed25519) and `kid` the first 16 characters of its RFC 7638 thumbprint. A plain file never expires, and nothing but
another file takes a key out of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from agent.link import files, roles
from agent.link.bundle import Bundle
from agent.link.jws import Verifier, b64, listed_key, parse_object, verifier

ROLES = ("dispatch", "service", "operations", "homeowner")
KEYS_PER_ROLE = 2  # the old and the new one, while they overlap
TRUST_MAX = 64 * 1024
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}\Z")
_ALWAYS = (0, 1 << 53)

# typ (and kind of a command) -> the roles that may sign it
MAY_SIGN: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType({key: row[0] for key, row in roles.LINK.items()})


@dataclass(frozen=True, slots=True)
class Trust:
    """`keys` and `role_of` by kid; `groups` = those that this device may be addressed through. Times are UTC ms."""

    version: int
    fleet: str
    keys: Mapping[str, Verifier]
    role_of: Mapping[str, str]
    groups: tuple[str, ...]
    issued_ms: int = 0
    expires_ms: int | None = None  # None: a plain file
    valid: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # from, until; a kid that is not here: always

    def may(self, kid: str, typ: str, kind: str = "") -> bool:
        """Whether the role of that key may sign this typ (and kind of command)."""
        return roles.may_sign(self.role_of.get(kid), typ, kind)

    def expired(self, wall_ms: int) -> bool:
        """Whether no new dispatch may be taken on the word of this bundle any more."""
        return self.expires_ms is not None and wall_ms > self.expires_ms

    def current(self, kid: str, wall_ms: int) -> bool:
        """Whether that key is inside its own time."""
        begin, end = self.valid.get(kid, _ALWAYS)
        return begin <= wall_ms <= end


def of_bundle(bundle: Bundle, homeowner: Mapping[str, Verifier]) -> Trust:
    """The trust of a bundle, and of the keys that were named at home: those are the homeowner's alone, whatever a
    bundle lists or revokes. (At home no key is named that the bundle of that day lists: `batteryctl keys
    homeowner`.)"""
    keys: dict[str, Verifier] = {}
    role_of: dict[str, str] = {}
    valid: dict[str, tuple[int, int]] = {}
    for role in ("dispatch", "service", "operations"):
        of_role = bundle.roles[role]
        keys |= of_role.keys
        valid |= of_role.valid
        role_of |= dict.fromkeys(of_role.keys, role)
    for kid, key in homeowner.items():
        keys[kid], role_of[kid] = key, "homeowner"
        valid.pop(kid, None)
    return Trust(
        bundle.version,
        bundle.fleet,
        MappingProxyType(keys),
        MappingProxyType(role_of),
        bundle.groups,
        bundle.issued_ms,
        bundle.expires_ms,
        MappingProxyType(valid),
    )


def load(path: Path) -> Trust | str:
    """The trust of a plain file, or a sentence that says what is wrong and what is expected."""
    data = read(path)
    if isinstance(data, str):
        return data
    found = parse(data)
    return f"{path}: {found}" if isinstance(found, str) else found


def read(path: Path) -> bytes | str:
    """A regular file's bytes, at most one more than may be there; or a sentence."""
    found = files.read(path, TRUST_MAX)
    return f"{path}: {found}; expected the trust file that the aggregator gave" if isinstance(found, str) else found


def is_plain(data: bytes) -> bool:
    """Whether these bytes are a plain file's rather than signed bundles. Proves nothing."""
    try:
        return "roles" in parse_object(data)
    except ValueError:
        return False


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
        key = listed_key(entry)
        if isinstance(key, str):
            return key
        if key.kid in keys:
            return f"key {key.kid} is listed twice; a key has one role"
        keys[key.kid] = key
        role_of[key.kid] = role
    return None


def entry(public: bytes) -> dict[str, str]:
    """A public key (32 raw bytes) as the trust file lists it."""
    return {"kid": verifier(public).kid, "x": b64(public)}
