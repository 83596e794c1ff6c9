"""Claims behind a good signature, from a signer that has gone mad: what is taken for a message keeps every bound.

The seeds are the golden vectors of every kind that comes down. Strict JSON and what each kind may say are judged by
readings of our own (`plain_json`, `said`).
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Mapping
from random import Random
from typing import Any

from agent.core.command import Command
from agent.link import jws
from agent.link.documents import DOCUMENTS, parse_document
from agent.link.homeowner import parse_homeowner
from agent.link.messages import parse_command, parse_receipt, parse_time, to_core
from hil.fuzz import said, structure
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run
from hil.fuzz.plain_json import judged
from hil.protocol import vectors_documents, vectors_down, vectors_home

KINDS = tuple(said.KINDS)
_GOLDEN = {
    v.name: dict(v.claims)
    for part in (vectors_down, vectors_home, vectors_documents)
    for v in part.vectors()
    if v.claims is not None
}
_MORE: Mapping[str, Mapping[str, Any]] = {  # members that no golden vector has
    "time": {"live_s": 60, "last": 9},
    "receipt": {"checkpoint": {"n": 3, "head": "ab" * 32}},
    "dispatch": {"import_limit_w": 1000},
    "dispatch_event": {"randomize_both": True},
    "cancel": {"randomize_s": 60},
    "price": {"export_micro_per_kwh": [60_000, 40_000, 0]},
    "home_opt_out": {"for_s": 3600},
    "home_consent": {"withdrawn": True},
    "config": {"settings": {"groups": ["north"], "soc_floor_permille": 100, "batch_s": 60, "live_s": 5}},
    "firmware": {"security": True},
}
_CLAIMS = (*_GOLDEN.values(), *({**_GOLDEN[name], **more} for name, more in _MORE.items()))
SEEDS = tuple(dict.fromkeys(json.dumps(claims, separators=(",", ":")).encode() for claims in _CLAIMS))
_HONEST = frozenset(SEEDS)
WORDS = tuple(
    word.encode()
    for word in (
        *(f'"kind":"{kind}"' for kind in ("schedule", "session", "price", "storm", "consent")),
        *(
            f'"{name}":'
            for name in ("power_w", "start", "duration_s", "upto", "nonce", "settings", "version", "packages")
        ),
        *("null", "-1", "1e3", "1.0", "true", "NaN", "9223372036854775807", "9223372036854775808", "0"),
        *('"', "{", "}", "[", "]", ",", ":", "\\u0030", "\\ud800", '"v":1', '"ramp":"direct"'),
    )
)
CLOSELY = 8  # one input in so many is given to the parsers of every topic, and to our reader though it was refused
_OWN = {"config": "settings", "default": "mode", "firmware": "packages"}
_UNNAMED = {"Time": "time", "Receipt": "receipt", "Config": "config", "Default": "default", "Firmware": "firmware"}


def one(data: bytes) -> str | bool:
    """As the link does it after the signature: strict JSON, then every kind of message. The kind that it was."""
    claims: dict[str, object] | None
    try:
        claims = jws.parse_object(data)
    except ValueError:
        claims = None
    closely = zlib.crc32(data) % CLOSELY == 0
    if claims is not None or closely:
        judged(data, claims)
    found = {} if claims is None else _taken(claims, closely)
    if not found and data in _HONEST:
        raise Forbidden("an honest message was refused")
    for kind, message in found.items():
        assert claims is not None, "something was found in it"
        wrong = said.forbids(kind, claims)
        if wrong is not None:
            raise Forbidden(wrong)
        if message.__class__.__module__ == "agent.link.messages" and "kind" in claims:
            _carried(claims, to_core(message, "0" * 64))
    return next(iter(found), False)


def _taken(claims: dict[str, object], everywhere: bool) -> dict[str, Any]:
    """What the parsers make of it: kind -> message. Not `everywhere`: those of topics that it is meant for, by a member
    that only they have."""
    every = [
        parse_command(claims),
        parse_homeowner(claims),
        parse_time(claims) if everywhere or "nonce" in claims else "",
        parse_receipt(claims) if everywhere or "upto" in claims else "",
        *(parse_document(name, claims) for name in DOCUMENTS if everywhere or _OWN[name] in claims),
    ]
    found = {_UNNAMED.get(type(m).__name__) or str(claims.get("kind")): m for m in every if not isinstance(m, str)}
    if len(found) > 1:
        raise Forbidden(f"one message is {' and '.join(found)}")
    return found


def _carried(claims: Mapping[str, Any], core: Command) -> None:
    """The core is asked for what the message says."""
    said_in = {
        "id": "id", "kind": "kind", "issuer": "iss", "created_ms": "iat", "exp_ms": "exp", "start_ms": "start",
        "import_limit_w": "import_limit_w", "export_limit_w": "export_limit_w", "target": "target",
        "session": "session", "primacy": "primacy", "randomize_both": "randomize_both", "lo_w": "lo_w", "hi_w": "hi_w",
        "seq_from": "seq_from", "seq_to": "seq_to", "interval_s": "interval_s",
    }  # fmt: skip
    wrong = [name for name, member in said_in.items() if member in claims and getattr(core, name) != claims[member]]
    if core.kind in ("dispatch", "quote") and core.power_w != claims.get("power_w"):
        wrong.append("power_w")
    if core.randomize_s != claims.get("randomize_start_s", claims.get("randomize_s", 0)):
        wrong.append("randomize_s")
    values = claims.get("powers_w", claims.get("prices_micro_per_kwh", []))
    if core.values != tuple(values) or core.exports != tuple(claims.get("export_micro_per_kwh") or ()):
        wrong.append("values")
    if core.duration_s != claims.get("duration_s", claims.get("interval_s", 0) * len(values)):
        wrong.append("duration_s")
    if wrong:
        raise Forbidden(f"{', '.join(wrong)} of {core} is not what was said")


def spoil(rng: Random, data: bytes) -> bytes:
    """A message that is spoiled in its structure."""
    return structure.spoiled(rng, data, SEEDS)


run = functools.partial(_run, "message")
