"""Upward messages made by hand with `cryptography`: neither agent nor aggregator has a part in them."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.runtime.part import MqttMessage, Now
from hil.aggregator.keys import OVER, ROLES, Keyring, SigningKey, fresh_key, public_key

BOOT = "b0" * 16
COLUMNS = (
    "soc_permille soh_permille battery_w pv_w grid_w load_w grid frequency_mhz cell_min_mv cell_max_mv temp_min_dc "
    "temp_max_dc ccl_ma dcl_ma lo_w hi_w asked_w given_w limit mode reserve_permille import_wh export_wh command_id "
    "age_battery_ms age_inverter_ms age_meter_ms"
)


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def unb64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def counting() -> Any:
    """random(n) for ids, the same each time."""
    state = [0]

    def draw(n: int) -> bytes:
        state[0] += 1
        return state[0].to_bytes(n, "big")

    return draw


class HandDevice:
    """A gateway that consists of a key and a pencil."""

    def __init__(self, name: str = "home-1", fleet: str = "demo", seed: bytes = b"\x01" * 32) -> None:
        self.name = name
        self.fleet = fleet
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.x = b64(self.key.public_key().public_bytes_raw()).decode()
        jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'
        self.kid = b64(hashlib.sha256(jwk.encode()).digest()).decode()[:16]

    def header(self, kind: str) -> dict[str, Any]:
        header = {"alg": "Ed25519", "kid": self.kid, "typ": f"battery-{kind}+jws"}
        return header | ({"zip": "DEF"} if kind == "batch" else {})

    def claims(self, kind: str, seq: int, **body: Any) -> dict[str, Any]:
        common = {
            "v": 1, "id": f"{seq:032x}", "iss": f"dev:{self.name}", "aud": f"agg:{self.fleet}", "seq": seq,
            "iat": 1_700_000_000_000 + seq, "exp": 1_800_000_000_000, "boot": BOOT, "mono_ms": 1000 * seq,
            "clock": "synced",
        }  # fmt: skip
        return common | BODIES[kind] | body

    def token(self, header: Mapping[str, Any], claims: Any) -> bytes:
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        if header.get("zip") == "DEF" and not isinstance(claims, bytes):
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            payload = packer.compress(payload) + packer.flush()
        signing_input = b64(json.dumps(header).encode()) + b"." + b64(payload)
        return signing_input + b"." + b64(self.key.sign(signing_input))

    def topic(self, kind: str) -> str:
        return f"battery/v1/{self.fleet}/{self.name}/up/{kind}"

    def message(self, kind: str, seq: int, retain: bool = False, **body: Any) -> MqttMessage:
        return MqttMessage(self.topic(kind), self.token(self.header(kind), self.claims(kind, seq, **body)), 1, retain)


BODIES: dict[str, dict[str, Any]] = {
    "birth": {"nonce": "0f" * 16, "limits": {}, "reserve_permille": 300},
    "live": dict.fromkeys(COLUMNS.split(), 0) | {"grid": "connected", "limit": "", "mode": "local", "command_id": None},
    "batch": {
        "t0_ms": 1_700_000_000_000,
        "cols": ["dt_ms", "soc_permille", "battery_w", "grid_w"],
        "rows": [[0, 500, 100, -50], [1000, 499, 100, None]],
    },
    "ack": {"command_id": "c0" * 16, "state": "received", "reason": None, "asked_w": 5000, "given_w": None},
    "event": {"event": "boot"},
    "settlement": {"t0_ms": 0},
}


def keyring(*devices: HandDevice) -> Keyring:
    """An aggregator's keyring that knows these devices, with fresh role keys."""
    roles: dict[str, SigningKey] = {role: fresh_key() for role in (*ROLES, OVER)}
    known = {d.name: dict([public_key({"kid": d.kid, "x": d.x})]) for d in devices or (HandDevice(),)}
    return Keyring("demo", ("south",), roles, known)


def at(second: float = 0.0) -> Now:
    """A moment of a test."""
    return Now(int(second * 1e9), 1_700_000_100_000 + int(second * 1000))
