"""Claims behind a good signature, from a signer that has gone mad: what is taken for a command keeps every bound."""

from __future__ import annotations

import functools
import json
import re

from agent.link import jws
from agent.link.messages import parse_command, parse_receipt, parse_time, to_core
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run

DAY_MS, WEEK_MS = 86_400_000, 7 * 86_400_000
_ID = re.compile(r"[0-9a-f]{32}")
_BASE = {"v": 1, "id": "0" * 32, "iss": "agg:bench", "aud": "dev:home", "seq": 7, "iat": 1_000, "exp": 2_000}
SEEDS = tuple(
    json.dumps({**_BASE, **body}).encode()
    for body in (
        {"kind": "dispatch", "power_w": -5_000, "duration_s": 600},
        {"kind": "dispatch", "power_w": 1, "duration_s": 1, "start": 5_000, "primacy": 3, "ramp": "urgent"},
        {"kind": "cancel", "target": "1" * 32},
        {"kind": "stop"},
        {"kind": "resend", "first": 1, "last": 4},
        {"kind": "quote", "power_w": 3, "duration_s": 60},
    )
)
WORDS = tuple(
    word.encode()
    for word in (
        '"kind":"schedule"',
        '"kind":"session"',
        '"kind":"price"',
        '"power_w":',
        '"start":',
        '"duration_s":',
        "null",
        "-1",
        "1e3",
        "1.0",
        "true",
        "NaN",
        "9223372036854775807",
        "9223372036854775808",
        "0",
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\u0030",
        "\\ud800",
        '"v":1',
        '"ramp":"direct"',
        '"prices_micro_per_kwh":[1]',
        '"currency":"EUR"',
        '"interval_s":60',
        '"nonce":"' + "2" * 32 + '"',
        '"wall_ms":5',
        '"upto":3',
        '"also":[1]',
    )
)


def one(data: bytes) -> bool:
    """As the link does it after the signature: strict JSON, then the kinds of message."""
    try:
        claims = jws.parse_object(data)
    except ValueError:
        if data in SEEDS:
            raise Forbidden("honest JSON was refused") from None
        return False
    if json.loads(data) != claims:
        raise Forbidden(f"another JSON reader sees something else than {claims}")
    for parse in (parse_time, parse_receipt):
        found = parse(claims)
        if not isinstance(found, str):
            _bounds(claims)
    command = parse_command(claims)
    if isinstance(command, str):
        if data in SEEDS:
            raise Forbidden(f"an honest command was refused: {command}")
        return False
    _bounds(claims)
    core = to_core(command, "0" * 64)
    if core.id != claims["id"] or (core.kind == "dispatch" and core.power_w != claims.get("power_w")):
        raise Forbidden(f"{core} is not what was asked")
    if core.kind == "dispatch" and not (1 <= core.duration_s <= DAY_MS // 1000 and abs(core.power_w or 0) < 2**53):
        raise Forbidden(f"{core} is beyond its bounds")
    return True


def _bounds(claims: dict[str, object]) -> None:
    """Of every message downward."""
    if claims.get("v") != 1 or type(claims["v"]) is not int:
        raise Forbidden(f"version {claims.get('v')!r}")
    for name in ("seq", "iat", "exp"):
        number = claims.get(name)
        if type(number) is not int or not 0 <= number < 2**63:
            raise Forbidden(f"{name} is {number!r}")
    iat, exp = claims["iat"], claims["exp"]
    assert isinstance(iat, int) and isinstance(exp, int), "checked above"
    if not iat <= exp <= iat + WEEK_MS:
        raise Forbidden(f"it lives {exp - iat} ms")
    if not isinstance(claims.get("id"), str) or not _ID.fullmatch(str(claims["id"])):
        raise Forbidden(f"id {claims.get('id')!r}")


run = functools.partial(_run, "message")
