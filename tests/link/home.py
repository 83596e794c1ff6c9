"""The other side of the link for its tests: an aggregator that signs with joserfc, and a scripted session."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from joserfc import jws as jose
from joserfc.jwk import OKPKey
from joserfc.registry import HeaderParameter

from agent import mail
from agent.core.durable import Window
from agent.core.inputs import Clock, ClockTrust
from agent.link import jws, trust
from agent.link.config import LinkConfig
from agent.link.session import Session
from agent.runtime.part import Effect, MqttAcked, MqttMessage, MqttPublish, MqttUp, Now, Post, Start
from hil.aggregator.keys import OVER

S = 1_000_000_000
WALL = 1_700_000_000_000
BOOT = "b0" * 16
DEVICE_SEED = bytes(range(32))
ROOT = "battery/v1/fleet/home1"
T = TypeVar("T")

jose_registry = jose.JWSRegistry(
    header_registry={"zip": HeaderParameter("compression", "str")}, algorithms=["Ed25519", "EdDSA"]
)


def seed_of(role: str) -> bytes:
    return hashlib.sha256(role.encode()).digest()


def okp(seed: bytes) -> OKPKey:
    public = jws.signer(seed).key.public_key().public_bytes_raw()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": jws.b64(seed), "x": jws.b64(public)})


def kid_of(seed: bytes) -> str:
    return okp(seed).thumbprint()[:16]


def trust_file(**roles: Iterable[str]) -> bytes:
    """The trust of the tests: one key a role, named by the role."""
    names: Mapping[str, Iterable[str]] = roles or {r: (r,) for r in trust.ROLES}
    listed = {
        role: [trust.entry(jws.signer(seed_of(n)).key.public_key().public_bytes_raw()) for n in keys]
        for role, keys in names.items()
    }
    return json.dumps({"version": 3, "fleet": "fleet", "roles": listed, "groups": ["north"]}).encode()


def trusted() -> trust.Trust:
    """One key a role, and one of dispatch whose time is over."""
    found = trust.parse(trust_file(**{r: (r, OVER) if r == "dispatch" else (r,) for r in trust.ROLES}))
    assert isinstance(found, trust.Trust)
    return replace(found, valid={kid_of(seed_of(OVER)): (WALL - 2_000, WALL - 1_000)})


def config(**changes: Any) -> LinkConfig:
    values: dict[str, Any] = {
        "device": "home1", "fleet": "fleet", "groups": ("north",), "brokers": 2, "seed": DEVICE_SEED,
        "trust": trusted(), "block_s": 5,
    }  # fmt: skip
    return LinkConfig(**(values | changes))


def jose_sign(seed: bytes, typ: str, payload: bytes, **header: Any) -> bytes:
    """A token made by joserfc."""
    protected = {"alg": "Ed25519", "kid": kid_of(seed), "typ": typ} | header
    return jose.serialize_compact(protected, payload, okp(seed), registry=jose_registry).encode()


def jose_open(token: bytes, seed: bytes = DEVICE_SEED) -> dict[str, Any]:
    """The claims of a token that joserfc verifies."""
    found = jose.deserialize_compact(token.decode(), okp(seed), registry=jose_registry)
    payload = found.payload
    if found.headers().get("zip") == "DEF":
        payload = zlib.decompress(payload, -15)
    claims = json.loads(payload)
    assert isinstance(claims, dict)
    return claims


class Aggregator:
    """Signs what comes down, with one counter for all roles."""

    def __init__(self) -> None:
        self.seqs = itertools.count(1)
        self.ids = itertools.count(1)

    def claims(self, now: Now, **body: Any) -> dict[str, Any]:
        common = {
            "v": 1, "id": f"{next(self.ids):032x}", "iss": "agg:fleet", "aud": "dev:home1", "seq": next(self.seqs),
            "iat": now.wall_ms, "exp": now.wall_ms + 60_000,
        }  # fmt: skip
        return common | body

    def token(self, now: Now, role: str, typ: str, **body: Any) -> bytes:
        return jose_sign(seed_of(role), f"battery-{typ}+jws", json.dumps(self.claims(now, **body)).encode())

    def command(self, now: Now, role: str = "dispatch", **body: Any) -> MqttMessage:
        body = {"kind": "dispatch", "power_w": 5000, "duration_s": 600} | body if "kind" not in body else body
        return down("command", self.token(now, role, "command", **body))

    def time(self, now: Now, nonce: str = BOOT, role: str = "service", **body: Any) -> MqttMessage:
        body = {"nonce": nonce, "wall_ms": now.wall_ms} | body
        return down("time", self.token(now, role, "time", **body))

    def receipt(self, now: Now, upto: int, *also: int) -> MqttMessage:
        return down("receipt", self.token(now, "service", "receipt", upto=upto, also=list(also)))


def down(leaf: str, token: bytes, retain: bool = False) -> MqttMessage:
    return MqttMessage(f"{ROOT}/down/{leaf}", token, 1, retain)


class Home:
    """A session under script: a clock that only `later` moves, and every effect kept."""

    def __init__(self, windows: Iterable[tuple[str, Window]] = (), synced: bool = True, **changes: Any) -> None:
        draws = itertools.count(1)
        random: Callable[[int], bytes] = lambda n: hashlib.sha256(bytes([next(draws) % 256])).digest()[:n]  # noqa: E731 a draw needs no name
        self.known: list[tuple[str, str]] = changes.pop("known", [])
        first: int | None = changes.pop("first", None)
        self.session = Session(config(**changes), BOOT, random, windows, self.known, first)
        self.now = Now(1000 * S, WALL)
        self.agg = Aggregator()
        self.synced = synced
        self.effects: list[Effect] = []
        self.disk: list[mail.OutboxRow] = []

    def send(self, event: object) -> list[Effect]:
        effects = list(self.session.handle(event, self.now))
        self.effects += effects
        return effects

    def later(self, seconds: float) -> Now:
        self.now = Now(self.now.mono_ns + int(seconds * S), self.now.wall_ms + int(seconds * 1000))
        return self.now

    def up(self) -> list[Effect]:
        """Start and connect."""
        return [*self.send(Start()), *self.send(mail.Backlog((), 0)), *self.sample(), *self.send(MqttUp())]

    def ready(self) -> None:
        """Up, birth acked, fresh."""
        self.up()
        self.send(self.agg.time(self.now))

    def sample(self, dispatched: bool = False, **values: object) -> list[Effect]:
        clock = Clock(self.now.wall_ms, ClockTrust.SYNCED if self.synced else ClockTrust.UNTRUSTED, "kernel", BOOT)
        values = {"soc_permille": 500, "battery_w": 0} | values
        return self.send(mail.Sample(clock, self.now.mono_ns // 1_000_000, values, dispatched))

    def row(self, kind: str = "ack", **body: object) -> mail.OutboxRow:
        """The next row of the disk."""
        payload = jws.deflate(b'{"t0_ms":1}') if kind == "batch" else json.dumps(body).encode()
        stamp = (BOOT, self.now.wall_ms, self.now.mono_ns // 1_000_000, "synced")
        self.disk.append(mail.OutboxRow(len(self.disk) + 1, kind, *stamp, payload))
        return self.disk[-1]

    def store(self, kind: str = "ack", **body: object) -> list[Effect]:
        """A row comes to the disk."""
        return self.send(mail.Stored((self.row(kind, **body),)))

    def ack(self, *effects: Effect) -> list[Effect]:
        """The broker acknowledges these publications."""
        return [e for p in published(effects) if p.qos for e in self.send(MqttAcked((p.token,)))]


def published(effects: Iterable[Effect], leaf: str = "") -> list[MqttPublish]:
    return [e for e in effects if isinstance(e, MqttPublish) and e.topic.endswith(leaf)]


def posted(effects: Iterable[Effect], kind: type[T]) -> list[T]:
    return [e.event for e in effects if isinstance(e, Post) and isinstance(e.event, kind)]


def refused(effects: Iterable[Effect], home: Home) -> dict[str, int]:
    """The counters now, and that nothing was posted or published by `effects`."""
    assert not posted(effects, object) or all(isinstance(e, mail.LinkState) for e in posted(effects, object))
    assert not published(effects)
    return dict(home.session._counters)
