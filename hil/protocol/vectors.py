"""Golden vectors: tokens, and what must become of each. Made with joserfc from published TEST keys; nothing is random.

A vector of `down` is sent to a home that has just started and has heard `before`, in order, at `now_ms`. Its verdict is
"accepted", or the counter that rises. `signature`: what Ed25519 says of the first two parts under the key of that kid;
null = there is nothing that it could be asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from joserfc.jwk import OKPKey

from hil.aggregator.token import b64url, encode, sign
from hil.protocol.deflate import pack

NOW = 1_700_000_000_000
DEVICE, FLEET, GROUP = "home1", "fleet", "north"
BOOT = "b0" * 16
ROOT = f"battery/v1/{FLEET}/{DEVICE}"
DAY_MS = 86_400_000
ONLINE = ("dispatch", "service", "operations")
ROOTS = ("root1", "root2", "root3")
KEYS = (*ONLINE, "homeowner", *ROOTS, "firmware1", "firmware2", "device", "device2", "stranger")
WEAK = bytes([1]) + bytes(31)  # the neutral element: a "public key" under which anybody can sign
ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Vector:
    """One message and its fate. `about` says what is special in it."""

    name: str
    about: str
    topic: str
    token: bytes
    signature: bool | None
    verdict: str
    retained: bool = False
    before: tuple[str, ...] = ()
    claims: Mapping[str, Any] | None = None
    holds: int | None = None  # of a bundle: how many signatures hold under keys of the home's root

    def json(self) -> dict[str, Any]:
        """As the file has it; a token that is no text stands there in hex."""
        told: dict[str, Any] = {"name": self.name, "about": self.about, "topic": self.topic}
        if self.retained:
            told["retained"] = True
        if self.before:
            told["before"] = list(self.before)
        try:
            told["token"] = self.token.decode("ascii")
        except UnicodeDecodeError:
            told["token_hex"] = self.token.hex()
        told |= {"signature": self.signature} if self.holds is None else {"holds": self.holds}
        told["verdict"] = self.verdict
        return told | ({"claims": self.claims} if self.claims is not None else {})


def seed(name: str) -> bytes:
    """The private half of a test key: no secret."""
    return hashlib.sha256(f"batteryd TEST KEY, never trust it: {name}".encode()).digest()


@cache
def key(name: str) -> OKPKey:
    """A test key by name: a role, "device", or a stranger."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(seed(name)).public_key().public_bytes_raw()
    jwk: dict[str, Any] = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": b64url(seed(name)).decode(),
        "x": b64url(public).decode(),
    }
    return OKPKey.import_key(jwk)


def kid(name: str) -> str:
    """First 16 characters of the thumbprint."""
    return str(key(name).thumbprint())[:16]


def weak_kid() -> str:
    """Of the key that must verify nothing."""
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{b64url(WEAK).decode()}"}}'
    return b64url(hashlib.sha256(jwk.encode()).digest()).decode()[:16]


def bundle(version: int = 1, **changes: Any) -> dict[str, Any]:
    """The payload of a trust bundle; `changes` replace members."""
    roles: dict[str, Any] = {role: {"threshold": 1, "keys": [public(role)]} for role in ONLINE}
    roles["operations"]["keys"].append({"kid": weak_kid(), "x": b64url(WEAK).decode()})
    roles["root"] = {"threshold": 2, "keys": [public(name) for name in ROOTS]}
    roles["firmware"] = {"threshold": 2, "keys": [public("firmware1"), public("firmware2")]}
    return {
        "v": 1, "version": version, "fleet": FLEET, "iat": NOW - DAY_MS, "exp": NOW + 80 * DAY_MS, "roles": roles,
        "groups": [GROUP], "revoked": [],
    } | changes  # fmt: skip


def general(body: Mapping[str, Any], *names: str, typ: str = "trust") -> dict[str, Any]:
    """A JWS in general JSON form, signed by the test keys of `names`."""
    payload = encode(body)
    parts = [sign(key(name), encode(header(typ, name)), payload).decode().split(".") for name in names]
    signatures = [{"protected": head, "signature": signature} for head, _, signature in parts]
    return {"payload": b64url(payload).decode(), "signatures": signatures}


def chain(*bundles: Mapping[str, Any]) -> bytes:
    """What travels on down/trust."""
    return encode({"bundles": bundles})


def home() -> dict[str, Any]:
    """Who the home is, and what it trusts when it starts."""
    first = general(bundle(), "root1", "root2")
    return {
        "device": DEVICE,
        "fleet": FLEET,
        "groups": [GROUP],
        "boot": BOOT,
        "trust": first,
        "root_hash": hashlib.sha256(encode(bundle())).hexdigest(),
        "homeowner": [public("homeowner")],
    }


def public(name: str) -> dict[str, str]:
    """As a bundle lists it."""
    return {"kid": kid(name), "x": str(key(name).as_dict(private=False)["x"])}


def header(typ: str, role: str, **more: Any) -> dict[str, Any]:
    """The protected header."""
    return {"alg": "Ed25519", "kid": kid(role), "typ": f"battery-{typ}+jws"} | more


def token(head: Mapping[str, Any] | bytes, body: Mapping[str, Any] | bytes, role: str) -> bytes:
    """Signed by the test key of `role`, whatever header and body say."""
    head_bytes = head if isinstance(head, bytes) else encode(head)
    return sign(key(role), head_bytes, body if isinstance(body, bytes) else encode(body))


def claims(n: int, /, **body: Any) -> dict[str, Any]:
    """Of a message down; `n` makes id and seq."""
    common = {
        "v": 1, "id": f"{n:032x}", "iss": f"agg:{FLEET}", "aud": f"dev:{DEVICE}", "seq": NOW + n,
        "iat": NOW, "exp": NOW + 60_000,
    }  # fmt: skip
    return common | body


def up_claims(n: int, /, **body: Any) -> dict[str, Any]:
    """Of a message up."""
    common = {
        "v": 1, "id": f"{n:032x}", "iss": f"dev:{DEVICE}", "aud": f"agg:{FLEET}", "seq": n, "iat": NOW,
        "exp": NOW + 90 * 86_400_000, "boot": BOOT, "mono_ms": 1000, "clock": "synced",
    }  # fmt: skip
    return common | body


def batch(body: Mapping[str, Any] | bytes) -> bytes:
    """A deflated token of the device."""
    data = body if isinstance(body, bytes) else pack(encode(body))
    return token(header("batch", "device", zip="DEF"), data, "device")


def document() -> dict[str, Any]:
    """The whole file."""
    from hil.protocol import vectors_documents, vectors_down, vectors_home, vectors_up

    down = (*vectors_down.vectors(), *vectors_home.vectors(), *vectors_documents.vectors())

    return {
        "about": "Golden vectors of the batteryd link. The private keys (d) are published here: TEST KEYS, never trust"
        " them. How to run them: docs/vectors.md.",
        "protocol": 1,
        "now_ms": NOW,
        "home": home(),
        "keys": {name: _private(name) for name in KEYS},
        "down": [vector.json() for vector in down],
        "up": [vector.json() for vector in vectors_up.vectors()],
    }


def _private(name: str) -> dict[str, Any]:
    return {"use": "TEST KEY, never trust it", "kid": kid(name), **key(name).as_dict(private=True)}


def text() -> str:
    """The file: a vector a line."""
    found = document()
    lines = ["{"]
    for name, value in found.items():
        end = "" if name == "up" else ","
        if isinstance(value, list):
            rows = ",\n".join("    " + json.dumps(row, ensure_ascii=True) for row in value)
            lines.append(f'  "{name}": [\n{rows}\n  ]{end}')
        else:
            lines.append(f'  "{name}": {json.dumps(value, ensure_ascii=True)}{end}')
    return "\n".join([*lines, "}"]) + "\n"
