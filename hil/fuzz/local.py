"""Requests on the local socket from somebody who may only look: each is answered, none changes anything."""

from __future__ import annotations

import functools
import json
from random import Random

from agent.local.installed import Installed, LineFacts
from agent.local.server import LocalConfig, Server
from agent.mail import Verb
from agent.runtime.part import LocalClosed, LocalReply, LocalRequest, Now, Post
from hil.fuzz import structure
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run
from hil.fuzz.plain_json import NotJson, read

STRANGER = 4242
NOW = Now(10**9, 1_767_286_800_000)
SEEDS = tuple(
    json.dumps({"v": 1, **body}).encode() + b"\n"
    for body in (
        {"verb": "status"},
        {"verb": "watch"},
        {"verb": "why", "side": "charge"},
        {"verb": "log", "lines": 5, "follow": True},
        {"verb": "reserve"},
        {"verb": "reserve", "permille": 300, "pin": "1234"},
        {"verb": "stop"},
        {"verb": "resume"},
        {"verb": "faults"},
        {"verb": "faults", "fault": "inverter_stale"},
        {"verb": "storm", "permille": 800, "for_s": 3600, "reason": "wind", "pin": "1234"},
        {"verb": "storm", "permille": 0},
        {"verb": "storm", "permille": 800, "from_ms": 1_767_286_800_000, "until_ms": 1_767_290_400_000},
        {"verb": "optout", "for_s": 3600},
        {"verb": "optin"},
        {"verb": "override", "watts": -2000, "for_s": 600},
        {"verb": "adopt", "device": "bms"},
        {"verb": "device", "device": "bms"},
        {"verb": "bus"},
        {"verb": "bus", "bus": "rs485"},
        {"verb": "config"},
        {"verb": "look", "device": "bms", "function": 3, "address": 100, "count": 2},
        {
            "verb": "look",
            "bus": "rs485",
            "unit": 1,
            "address": 100,
            "count": 2,
            "response_ms": 200,
            "dialect": "modbus",
        },
    )
)
LATER = ("watch", "look", "bus")  # they are answered when there is something to tell
KINDS = (
    *("status", "watch", "why", "faults", "log", "reserve", "storm", "stop", "resume", "optout", "optin", "override"),
    *("adopt", "device", "bus", "config", "look"),
)
WORDS = tuple(
    word.encode()
    for word in (
        '"verb":',
        '"v":1',
        '"adopt"',
        '"device":',
        '"look"',
        '"unit":',
        '"function":',
        '"address":',
        '"storm"',
        '"for_s":',
        '"pin":',
        '"permille":',
        '"reason":',
        "null",
        "true",
        "-1",
        "1e3",
        "1.0",
        "NaN",
        "99999999999999999999",
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\ud800",
        "\\u0000",
        "\n",
        "\0",
        "\xff",
        '"bus"',
        '"fault":',
        '"count":',
        '"dialect":',
    )
)
_LINE = LineFacts("rs485", "/dev/ttyUSB0", None, 9600, "N", 1)
_SERVER = Server(LocalConfig("fuzz", own_uid=0, installed=Installed(lines={"rs485": _LINE})))
_conn = 0


def one(data: bytes) -> str | bool:
    """A connection that says this and goes. Its verb when it was not refused as badly asked."""
    global _conn  # noqa: PLW0603 - connections are numbered for as long as the server lives
    _conn += 1
    effects = list(_SERVER.handle(LocalRequest(_conn, STRANGER, (STRANGER,), data), NOW))
    _SERVER.handle(LocalClosed(_conn), NOW)
    for effect in effects:
        if isinstance(effect, Post) and isinstance(effect.event, Verb):
            raise Forbidden(f"somebody who may only look changed something: {effect.event}")
    replies = [effect for effect in effects if isinstance(effect, LocalReply)]
    for reply in replies:
        if reply.conn != _conn or reply.data.count(b"\n") > reply.data.endswith(b"\n"):
            raise Forbidden(f"not one line to who asked: {reply.data[:80]!r}")
        body = json.loads(reply.data)
        if not body["ok"] and body["code"] == 2:
            if data in SEEDS:
                raise Forbidden(f"an honest request was refused: {body}")
            return False
    try:
        asked = read(data).value
    except NotJson as error:
        raise Forbidden(f"taken, and {error}") from None
    if not isinstance(asked, dict) or asked.get("verb") not in KINDS:
        raise Forbidden(f"taken, and it asks for nothing: {asked}")
    if not replies and asked["verb"] not in LATER:
        raise Forbidden("no answer")
    return str(asked["verb"])


def spoil(rng: Random, data: bytes) -> bytes:
    """A request that is spoiled in its structure."""
    return structure.spoiled(rng, data, SEEDS)


run = functools.partial(_run, "local")
