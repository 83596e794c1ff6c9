"""An operator's keys and bundles for the tests: three root keys, two of firmware, and one a role."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.link import anchor, bundle, jws
from agent.link.anchor import Anchor
from agent.link.bundle import Bundle
from agent.link.config import LinkConfig
from agent.link.trust import Trust as LinkTrust
from agent.link.trust import of_bundle
from hil.bundles import DAY_MS, Draft, Envelope, chain, entry, root_hash, sign
from hil.pki import DeviceFiles
from tests.link.home import WALL, config, seed_of

ISSUED = WALL - DAY_MS


def key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed_of(name))


def keys(names: Iterable[str]) -> list[Ed25519PrivateKey]:
    return [key(name) for name in names]


def kid(name: str) -> str:
    return str(entry(key(name))["kid"])


def listed(**names: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """role -> entries; the usual ones where a role is not given."""
    usual: dict[str, Sequence[str]] = {
        "root": ("root1", "root2", "root3"), "dispatch": ("dispatch",), "service": ("service",),
        "operations": ("operations",), "firmware": ("firmware1", "firmware2"),
    }  # fmt: skip
    return {role: [entry(key(name)) for name in each] for role, each in (usual | names).items()}


def draft(**changes: Any) -> Draft:
    values: dict[str, Any] = {"version": 1, "fleet": "fleet", "issued_ms": ISSUED, "groups": ["north"]}
    values["keys"] = listed()
    return Draft(**(values | changes))


def signed(what: Draft, *names: str) -> Envelope:
    """By root1 and root2 unless named."""
    return sign(what.body(), keys(names or ("root1", "root2")))


def parsed(*envelopes: Envelope) -> tuple[bundle.Envelope, ...]:
    found = bundle.parse_chain(chain(envelopes))
    assert not isinstance(found, str), found
    return found


def first(what: Draft | None = None) -> Bundle:
    """The bundle in force."""
    envelope = signed(what or draft())
    found = bundle.first(parsed(envelope), root_hash(envelope), WALL)
    assert isinstance(found, Bundle), found
    return found


def follow(now: Bundle, *envelopes: Envelope, wall_ms: int | None = WALL) -> Bundle | jws.Refused:
    return bundle.follow(now, parsed(*envelopes), wall_ms)


def reason(found: object) -> str:
    assert isinstance(found, jws.Refused), type(found)
    return found.reason


def anchored(what: Draft | None = None, homeowner: Sequence[str] = ("homeowner",)) -> Anchor:
    found = first(what)
    named = {k.kid: k for k in (jws.verifier(key(n).public_key().public_bytes_raw()) for n in homeowner)}
    return anchor.begin(found, found.digest).named(named)


def enrolled(what: Draft | None = None, **changes: Any) -> LinkConfig:
    """A home whose trust is a signed bundle."""
    held = anchored(what)
    return config(trust=of_bundle(held.bundle, held.homeowner), anchor=held, **changes)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def of_pki(files: DeviceFiles) -> LinkTrust:
    """What a home of the bench's PKI starts with."""
    claim = json.loads(files.claim.read_text("utf-8"))
    found = anchor.enter(files.trust.read_bytes(), None, claim["root_hash"], claim["fleet"])
    assert isinstance(found, Anchor), found
    return of_bundle(found.bundle, found.homeowner)
