"""The signed trust bundle: which keys have which role, and how one bundle follows another. Pure: bytes and a time in.

On the wire, in files and on the disk it is a JWS in general JSON form (RFC 7515, 7.2.1), so that several root keys sign
one payload: {"payload", "signatures": [{"protected", "signature"}, ...]}; or {"bundles": [...]} of such, in order, for
homes that missed some. The rules are those of TUF for its root role (specification 5.3):

- a new bundle has exactly the next version, and is signed by a threshold of the root it replaces AND of its own;
- who missed versions walks through all of them; only the last one must not be expired;
- an older version is a rollback, the same version with other content is a fork; both are refused;
- a revoked key stays revoked: no later bundle can list it again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType

from agent.link.jws import HEADER_MAX, Refused, Verifier, listed_key, parse_object, peek, prove, unb64
from agent.link.roles import BUNDLED, ROLES, TRUST

MAX_BYTES = 60 * 1024  # of a chain: it must fit into one packet of the link
CHAIN_MAX = 32
SIGNATURES_MAX = 8
SIGNATURE_LEN = 86  # of 64 bytes
KEYS_MAX: Mapping[str, int] = MappingProxyType({"root": 5, "firmware": 4})  # any other role: the old and the new one
ONLINE_KEYS = 2
REVOKED_MAX = 128
DAY_MS = 86_400_000
LIFE_MAX_MS = 90 * DAY_MS
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}\Z")
_KID = re.compile(r"[A-Za-z0-9_-]{16}\Z")
_LAST_MS = 1 << 53
CLAIM = "another root takes a claim, a technician and the homeowner's consent"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One bundle as it came: nothing of it is proven. `tokens` are its signatures, each as a compact JWS."""

    payload: bytes = field(repr=False)
    tokens: tuple[bytes, ...] = field(repr=False)
    raw: Mapping[str, object] = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the payload, hex: what a claim names, and what tells two bundles apart."""
        return hashlib.sha256(self.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a role by kid, and how many must sign together. `valid`: kid -> (from, until) in UTC ms."""

    threshold: int
    keys: Mapping[str, Verifier]
    valid: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose payload is well formed. Times are UTC ms; `digest` is that of its envelope."""

    version: int
    fleet: str
    issued_ms: int
    expires_ms: int
    roles: Mapping[str, Keys]
    groups: tuple[str, ...]
    revoked: frozenset[str]
    envelope: Envelope

    @property
    def digest(self) -> str:
        """SHA-256 of the payload, hex."""
        return self.envelope.digest

    @property
    def roots(self) -> Keys:
        """Who signs the next one, with others."""
        return self.roles["root"]


def parse_chain(data: bytes) -> tuple[Envelope, ...] | str:
    """The envelopes of a message or a file, or a sentence. Looks at no payload."""
    if len(data) > MAX_BYTES:
        return f"{len(data)} bytes, at most {MAX_BYTES} expected"
    try:
        raw = parse_object(data)
    except ValueError as error:
        return f"not strict JSON ({error})"
    listed = raw["bundles"] if set(raw) == {"bundles"} else [raw]
    if not isinstance(listed, list) or not 1 <= len(listed) <= CHAIN_MAX:
        return f"bundles is not a list of 1 to {CHAIN_MAX}"
    found = []
    for each in listed:
        envelope = _envelope(each)
        if isinstance(envelope, str):
            return envelope
        found.append(envelope)
    return tuple(found)


def _envelope(raw: object) -> Envelope | str:
    if not isinstance(raw, dict) or set(raw) != {"payload", "signatures"}:
        return "not a JWS in general JSON form: its keys are not exactly payload, signatures"
    part, signatures = raw["payload"], raw["signatures"]
    payload = unb64(part.encode("utf-8")) if isinstance(part, str) else None
    if payload is None:
        return "payload is not base64url without padding"
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= SIGNATURES_MAX:
        return f"signatures is not a list of 1 to {SIGNATURES_MAX}"
    tokens = []
    for one in signatures:
        if not isinstance(one, dict) or set(one) != {"protected", "signature"}:
            return "a signature is not exactly {protected, signature}"
        if not all(isinstance(word, str) and unb64(word.encode("utf-8", "replace")) for word in one.values()):
            return "a signature is not base64url without padding"  # what nobody signed is kept with the rest
        if len(one["protected"]) > HEADER_MAX or len(one["signature"]) != SIGNATURE_LEN:
            return f"a signature is not of {SIGNATURE_LEN} characters, or its header of more than {HEADER_MAX}"
        tokens.append(f"{one['protected']}.{part}.{one['signature']}".encode("ascii"))
    return Envelope(payload, tuple(tokens), raw)


def signers(envelope: Envelope, keys: Mapping[str, Verifier], typ: str = TRUST) -> frozenset[str]:
    """The kids among `keys` whose signature of that typ holds. A kid that stands there twice counts for nothing."""
    seen: dict[str, bool] = {}
    for token in envelope.tokens:
        header = peek(token, MAX_BYTES)
        if isinstance(header, Refused) or header.typ != typ or header.kid not in keys:
            continue
        twice = header.kid in seen
        seen[header.kid] = not twice and not isinstance(prove(token, header, keys[header.kid]), Refused)
    return frozenset(kid for kid, holds in seen.items() if holds)


def parse(envelope: Envelope) -> Bundle | str:
    """What the payload says, or a sentence. Proves no signature."""
    try:
        raw = parse_object(envelope.payload)
    except ValueError as error:
        return f"payload: not strict JSON ({error})"
    expected = {"v", "version", "fleet", "iat", "exp", "roles", "groups", "revoked"}
    if set(raw) != expected or raw["v"] != 1 or type(raw["v"]) is not int:
        return f"payload: keys are {sorted(raw)}, expected exactly {', '.join(sorted(expected))}, and v = 1"
    version, fleet, issued, expires = raw["version"], raw["fleet"], raw["iat"], raw["exp"]
    if type(version) is not int or not 1 <= version < 1 << 31:
        return f"version is {version!r}, expected a whole number from 1"
    if not isinstance(fleet, str) or not _ID.match(fleet):
        return f"fleet is {fleet!r}, expected letters, digits, '.', '_' and '-'"
    if type(issued) is not int or type(expires) is not int or not 0 <= issued < expires <= issued + LIFE_MAX_MS:
        return f"exp is not after iat by at most {LIFE_MAX_MS // DAY_MS} days"
    groups, revoked = _words(raw["groups"], _ID, 64), _words(raw["revoked"], _KID, REVOKED_MAX)
    if groups is None:
        return "groups is not a list of at most 64 names"
    if revoked is None:
        return f"revoked is not a list of at most {REVOKED_MAX} kids"
    roles = _roles(raw["roles"], frozenset(revoked))
    if isinstance(roles, str):
        return roles
    return Bundle(version, fleet, issued, expires, roles, groups, frozenset(revoked), envelope)


def _words(raw: object, form: re.Pattern[str], most: int) -> tuple[str, ...] | None:
    if not isinstance(raw, list) or len(raw) > most or not all(isinstance(w, str) and form.match(w) for w in raw):
        return None
    return tuple(raw) if len(set(raw)) == len(raw) else None


def _roles(raw: object, revoked: frozenset[str]) -> Mapping[str, Keys] | str:
    if not isinstance(raw, dict) or set(raw) != set(BUNDLED):
        return f"roles are not exactly {', '.join(BUNDLED)}"
    listed: set[str] = set()
    found = {}
    for role in BUNDLED:
        keys = _keys(role, raw[role], listed)
        if isinstance(keys, str):
            return f"role {role}: {keys}"
        found[role] = keys
    again = sorted(listed & revoked)
    return f"key {again[0]} is listed and revoked" if again else MappingProxyType(found)


def _keys(role: str, raw: object, listed: set[str]) -> Keys | str:
    if not isinstance(raw, dict) or set(raw) != {"threshold", "keys"}:
        return "not exactly {threshold, keys}"
    threshold, entries = raw["threshold"], raw["keys"]
    least, most = ROLES[role][0], KEYS_MAX.get(role, ONLINE_KEYS)
    if type(threshold) is not int or (threshold != 1 if least == 1 else threshold < least):
        return f"threshold is {threshold!r}, expected {'1' if least == 1 else f'{least} or more'}"
    if not isinstance(entries, list) or len(entries) > most:
        return f"expected a list of at most {most} keys"
    if len(entries) < threshold and (role == "root" or entries):
        return f"{len(entries)} keys cannot meet a threshold of {threshold}"
    keys: dict[str, Verifier] = {}
    valid: dict[str, tuple[int, int]] = {}
    for entry in entries:
        wrong = _key(entry, role, keys, valid, listed)
        if wrong:
            return wrong
    return Keys(threshold, MappingProxyType(keys), MappingProxyType(valid))


def _key(
    entry: object, role: str, keys: dict[str, Verifier], valid: dict[str, tuple[int, int]], listed: set[str]
) -> str | None:
    if not isinstance(entry, dict) or set(entry) - {"nbf", "exp"} != {"kid", "x"}:
        return "a key is not exactly {kid, x} with or without nbf, exp"
    key = listed_key(entry)
    if isinstance(key, str):
        return key
    if key.kid in listed:
        return f"key {key.kid} is listed twice; a key has one role"
    begin, end = entry.get("nbf", 0), entry.get("exp", _LAST_MS)
    if type(begin) is not int or type(end) is not int or not 0 <= begin < end <= _LAST_MS:
        return f"key {key.kid}: nbf and exp are not UTC ms, nbf before exp"
    if role == "root" and set(entry) != {"kid", "x"}:
        return f"key {key.kid}: a root key has no nbf and exp of its own"
    listed.add(key.kid)
    keys[key.kid] = key
    valid[key.kid] = (begin, end)
    return None


def first(chain: Sequence[Envelope], root_hash: str, wall_ms: int | None) -> Bundle | Refused:
    """First trust: the bundle with that hash, signed by its own root, and what follows it in the chain."""
    for at, envelope in enumerate(chain):
        if envelope.digest == root_hash:
            found = own(envelope)
            return found if isinstance(found, Refused) else follow(found, chain[at + 1 :], wall_ms, anew=True)
    seen = ", ".join(envelope.digest for envelope in chain)
    return Refused("trust_root", f"no bundle here has the hash {root_hash}; there are {seen}")


def own(envelope: Envelope) -> Bundle | Refused:
    """A bundle signed by a threshold of its own root. That alone proves nothing: the caller knows its hash."""
    found = parse(envelope)
    if isinstance(found, str):
        return Refused("bad_body", found)
    return _short(envelope, found, "its own") or found


def follow(
    now: Bundle, chain: Sequence[Envelope], wall_ms: int | None, anew: bool = False, rooted: Set[str] | None = None
) -> Bundle | Refused:
    """What the chain leads to from `now`; `now` itself if it holds nothing new. All of it holds, or nothing is taken.

    `wall_ms` None: the time is not known, and expiry cannot be judged. `anew`: `now` too must not be expired. `rooted`:
    kids of the root keys without which no bundle may ever be signed; None: any root that follows.
    """
    at = next((i for i, envelope in enumerate(chain) if envelope.digest == now.digest), -1)
    found = now
    for envelope in chain[at + 1 :]:
        after = _next(found, envelope)
        if isinstance(after, Refused):
            return after
        if rooted is not None and len(after.roots.keys.keys() - rooted) >= after.roots.threshold:
            return Refused(
                "trust_root", "its root could do without the keys that this home was enrolled with; " + CLAIM
            )
        found = after
    if wall_ms is not None and wall_ms > found.expires_ms and (anew or found is not now):
        return Refused("trust_expired", f"version {found.version} expired {wall_ms - found.expires_ms} ms ago")
    return found


def _next(now: Bundle, envelope: Envelope) -> Bundle | Refused:
    """The bundle that follows `now`, by every rule but expiry."""
    short = _short(envelope, now, "the present")
    if short is not None:
        return short
    new = parse(envelope)
    if isinstance(new, str):
        return Refused("bad_body", new)
    if new.version < now.version:
        return Refused("trust_rollback", f"version {new.version}, and {now.version} is here")
    if new.version == now.version:
        return Refused("trust_fork", f"version {new.version} again, with other content")
    if new.version != now.version + 1:
        return Refused("trust_gap", f"version {new.version}, and {now.version + 1} must come first")
    if new.fleet != now.fleet:
        return Refused("trust_fleet", f"of fleet {new.fleet}, and this home is of {now.fleet}")
    if new.issued_ms < now.issued_ms:
        return Refused("trust_rollback", "issued before the bundle that it follows")
    missing = sorted(now.revoked - new.revoked)
    if missing:
        return Refused("trust_revoked", f"it would take back the revocation of {missing[0]}")
    return _short(envelope, new, "the new") or new


def _short(envelope: Envelope, of: Bundle, whose: str) -> Refused | None:
    root = of.roles["root"]
    count = len(signers(envelope, root.keys))
    if count >= root.threshold:
        return None
    return Refused("trust_threshold", f"{count} of {root.threshold} signatures of {whose} root hold")
