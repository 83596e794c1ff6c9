"""What the aggregator sets for good: configuration, default control, releases. Retained, each with its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.runtime.part import Now
from hil.aggregator.aggregator import Aggregator, Publish
from hil.aggregator.claims import ROOT
from hil.aggregator.keys import SigningKey
from hil.aggregator.token import b64url, encode, sign

DAY_MS = 86_400_000
LIFE_MS = 30 * DAY_MS
TYP = "battery-firmware+jws"


def document(
    aggregator: Aggregator, kind: str, device: str, version: int, body: Mapping[str, Any], now: Now
) -> Publish:
    """A "config" or "default" of one device, signed with the operations key. KeyError without that key."""
    topic = f"{ROOT}/{aggregator.keyring.fleet}/{device}/down/{kind}"
    said = {"version": version, **body}
    signed = aggregator.build("operations", kind, topic, f"dev:{device}", said, now, LIFE_MS)
    return Publish(topic, signed.token, True)


def manifest(fleet: str, body: Mapping[str, Any], keys: Sequence[SigningKey], random: bytes, now: Now) -> bytes:
    """A release for a whole fleet: one payload that every key signs. `random`: 16 bytes for its id."""
    claims = {
        "v": 1,
        "id": random.hex(),
        "iss": "release",
        "aud": f"fleet:{fleet}",
        "seq": now.wall_ms,
        "iat": now.wall_ms,
        "exp": now.wall_ms + LIFE_MS,
        **body,
    }
    payload = encode(claims)
    tokens = [sign(key.key, encode({"alg": "Ed25519", "kid": key.kid, "typ": TYP}), payload) for key in keys]
    parts = [token.decode().split(".") for token in tokens]
    signatures = [{"protected": head, "signature": tail} for head, _, tail in parts]
    return encode({"payload": b64url(payload).decode(), "signatures": signatures})


def release_topic(fleet: str, device: str) -> str:
    """Where a device hears of releases."""
    return f"{ROOT}/{fleet}/{device}/down/firmware"
