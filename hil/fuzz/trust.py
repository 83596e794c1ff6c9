"""The trust file: whatever is accepted names each key once, by its own thumbprint, in a role that exists."""

from __future__ import annotations

import base64
import functools
import json
from random import Random

from agent.link import trust
from agent.link.jws import b64
from hil.aggregator.keys import public_key
from hil.fuzz import structure
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run
from hil.fuzz.plain_json import strictly

_ROLES = {"dispatch", "service", "operations", "homeowner"}  # those whose keys a home may have
_ENTRIES = [trust.entry(bytes([n]) * 32) for n in (3, 5, 7)]
SEEDS = tuple(
    json.dumps({"version": 1, "fleet": "bench", "roles": roles, "groups": groups}).encode()
    for roles, groups in (
        ({"dispatch": _ENTRIES[:1], "service": _ENTRIES[1:2]}, []),
        ({"dispatch": _ENTRIES[:2], "service": _ENTRIES[2:], "operations": []}, ["street-1", "all"]),
        ({}, []),
    )
)
WORDS = tuple(
    word.encode()
    for word in (
        '"version":',
        '"fleet":',
        '"roles":',
        '"groups":',
        '"kid":',
        '"x":',
        *(f'"{role}":' for role in sorted(_ROLES)),
        json.dumps(_ENTRIES[0]),
        json.dumps(_ENTRIES[2]),
        b64(bytes(32)),
        "{",
        "}",
        "[",
        "]",
        ",",
        '"',
        "1",
        "0",
        "true",
        "null",
        "1.0",
        "1e0",
        "\\u0064",
        "=",
    )
)


def one(data: bytes) -> bool:
    """Parse; keys are checked by another library."""
    found = trust.parse(data)
    if isinstance(found, str):
        if data in SEEDS:
            raise Forbidden(f"an honest file was refused: {found}")
        return False
    raw = strictly(data)
    if type(raw["version"]) is not int or raw["version"] < 1:
        raise Forbidden(f"version {raw['version']!r}")
    listed: dict[str, str] = {}
    for role, entries in raw["roles"].items():
        if role not in _ROLES:
            raise Forbidden(f"role {role!r}")
        for entry in entries:
            kid, _ = public_key(entry)
            x = entry["x"]
            if kid in listed or not structure.canonical(x) or len(base64.urlsafe_b64decode(x + "=")) != 32:
                raise Forbidden(f"key {entry}")
            listed[kid] = role
    if dict(found.role_of) != listed or set(found.keys) != set(listed):
        raise Forbidden(f"{found.role_of} where the file says {listed}")
    return True


def spoil(rng: Random, data: bytes) -> bytes:
    """A file that is spoiled in its structure."""
    return structure.spoiled(rng, data, SEEDS)


run = functools.partial(_run, "trust")
