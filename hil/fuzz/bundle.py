"""Trust bundles: chains as anybody can send them, and payloads behind good signatures, of an operator gone mad.

A chain is taken only where each payload in it was signed in truth. A payload that all root keys signed is still taken
only by the rules: one version on, one role a key, thresholds, 90 days, nothing unrevoked, and never a root that could
do without the keys of the enrolment. Keys are judged by another library.
"""

from __future__ import annotations

import functools
import json
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.link import anchor as anchors
from agent.link import bundle
from agent.link.anchor import Anchor
from agent.link.jws import Refused
from hil.aggregator.keys import public_key
from hil.bundles import DAY_MS, Draft, Envelope, b64, chain, entry, root_hash, sign
from hil.fuzz import structure
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run
from hil.fuzz.plain_json import strictly

NOW = 1_767_286_800_000
_KEYS = {n: Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 12)}
_ROOTS, _OTHERS = [_KEYS[n] for n in (1, 2, 3)], [_KEYS[n] for n in (4, 5)]  # of the enrolment; of who would take over
_LISTED = {
    "root": [entry(key) for key in _ROOTS],
    "dispatch": [entry(_KEYS[6])],
    "service": [entry(_KEYS[7])],
    "operations": [entry(_KEYS[8])],
    "firmware": [entry(_KEYS[9]), entry(_KEYS[10])],
}
_FIRST = Draft(1, "bench", NOW - DAY_MS, _LISTED, ["north"])
_TURN = _LISTED | {"dispatch": [entry(_KEYS[6]) | {"exp": NOW + DAY_MS}, entry(_KEYS[11]) | {"nbf": NOW}]}
_ROOT = _LISTED | {"root": [entry(_KEYS[n]) for n in (1, 2, 4)]}
_NEXT = (
    _FIRST.next(keys=_TURN),
    _FIRST.next(keys=_LISTED | {"service": []}, revoked=[entry(_KEYS[7])["kid"]]),
    _FIRST.next(keys=_ROOT),
)


def _everybody(draft: Draft) -> Envelope:
    return sign(draft.body(), [*_ROOTS, *_OTHERS])


def _home() -> Anchor:
    made = _everybody(_FIRST)
    found = anchors.enter(chain([made]), None, root_hash(made), "bench")
    assert isinstance(found, Anchor), found
    return found


_HOME = _home()
_TRUE = frozenset(json.dumps(draft.body(), separators=(",", ":")).encode() for draft in (_FIRST, *_NEXT))
_CHAINS = tuple(chain([_everybody(_FIRST), _everybody(draft)]) for draft in _NEXT)
SEEDS = (*_CHAINS, *sorted(_TRUE - {json.dumps(_FIRST.body(), separators=(",", ":")).encode()}))
WORDS = tuple(
    word.encode()
    for word in (
        *(f'"{word}":' for word in ("v", "version", "fleet", "iat", "exp", "nbf", "roles", "groups", "revoked")),
        *(f'"{role}":' for role in (*_LISTED, "threshold", "keys", "payload", "signatures", "kid", "x")),
        *(json.dumps(entry(key)) for key in (_KEYS[1], *_OTHERS, _KEYS[6])),
        *(json.dumps(entry(_KEYS[n])["kid"]) for n in (1, 6)),
        *("2", "3", "1", "0", "-1", "1.0", "true", "null", "{", "}", "[", "]", ",", '"', "\\u0064", "=", str(NOW)),
    )
)  # fmt: skip


_SIGNERS = [
    (b64(json.dumps({"alg": "Ed25519", "kid": entry(key)["kid"], "typ": "battery-trust+jws"}).encode()), key)
    for key in (_KEYS[1], _KEYS[2], _KEYS[4])
]


KINDS = ("chain", "payload")
ENOUGH = 1_000  # inputs; each is signed three times


def one(data: bytes) -> str | bool:
    """A message on `down/trust`; or, if it is none, a payload that everybody signed."""
    if b'"version"' in data:
        envelopes = bundle.parse_chain(json.dumps(_signed(b64(data))).encode())
    else:
        envelopes = bundle.parse_chain(data)
    found: Anchor | Refused | str = envelopes if isinstance(envelopes, str) else anchors.carry(_HOME, envelopes, NOW)
    if not isinstance(found, Anchor):
        if data in SEEDS:
            raise Forbidden(f"an honest bundle was refused: {found}")
        return False
    if found is _HOME:
        return False
    payload_bytes = found.bundle.envelope.payload
    if b'"version"' not in data:
        if payload_bytes not in _TRUE:
            raise Forbidden("a payload that nobody signed")
        _spelling(strictly(data))
    _judge(strictly(payload_bytes))
    return "payload" if b'"version"' in data else "chain"


def _spelling(raw: dict[str, Any]) -> None:
    for envelope in raw.get("bundles", [raw]):
        parts = [envelope["payload"], *(part for one in envelope["signatures"] for part in one.values())]
        if not all(map(structure.canonical, parts)):
            raise Forbidden(f"base64 in another spelling: {envelope}")


def _signed(payload: str) -> dict[str, Any]:
    """A payload as it stands, whatever it says, with signatures enough for the old root and for another."""
    signatures = [
        {"protected": head, "signature": b64(key.sign(f"{head}.{payload}".encode()))} for head, key in _SIGNERS
    ]
    return {"payload": payload, "signatures": signatures}


def _judge(body: dict[str, Any]) -> None:
    kids: list[str] = []
    for role, of in body["roles"].items():
        kids += [public_key(one)[0] for one in of["keys"]]  # ValueError: a kid that is not its key's
        if not all(structure.canonical(one["x"]) for one in of["keys"]):
            raise Forbidden(f"{role}: a key in another spelling")
        if of["threshold"] < (2 if role in ("root", "firmware") else 1):
            raise Forbidden(f"{role}: threshold {of['threshold']}")
    enrolled = {entry(key)["kid"] for key in _ROOTS}
    root = body["roles"]["root"]
    wrong = {
        "version": type(body["version"]) is not int or body["version"] != 2,
        "fleet": body["fleet"] != "bench",
        "life": not 0 < body["exp"] - body["iat"] <= 90 * DAY_MS or body["exp"] < NOW,
        "time": body["iat"] < _FIRST.issued_ms,
        "twice": len(set(kids)) != len(kids),
        "revoked": bool(set(kids) & set(body["revoked"])),
        "root": len({one["kid"] for one in root["keys"]} - enrolled) >= root["threshold"],
    }
    for name, broken in wrong.items():
        if broken:
            raise Forbidden(f"{name}: {body}")


def spoil(rng: Random, data: bytes) -> bytes:
    """A chain or a payload that is spoiled in its structure."""
    return structure.spoiled(rng, data, SEEDS)


run = functools.partial(_run, "bundle")
