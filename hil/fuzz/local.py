"""Requests on the local socket from somebody who may only look: each is answered, none changes anything."""

from __future__ import annotations

import functools
import json

from agent.local.server import LocalConfig, Server
from agent.mail import Verb
from agent.runtime.part import LocalClosed, LocalReply, LocalRequest, Now, Post
from hil.fuzz.forbidden import Forbidden
from hil.fuzz.guided import run as _run

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
    )
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
_SERVER = Server(LocalConfig("fuzz", own_uid=0))
_conn = 0


def one(data: bytes) -> bool:
    """A connection that says this and goes. True when it was not refused as badly asked."""
    global _conn  # noqa: PLW0603 - connections are numbered for as long as the server lives
    _conn += 1
    effects = list(_SERVER.handle(LocalRequest(_conn, STRANGER, (STRANGER,), data), NOW))
    _SERVER.handle(LocalClosed(_conn), NOW)
    for effect in effects:
        if isinstance(effect, Post) and isinstance(effect.event, Verb):
            raise Forbidden(f"somebody who may only look changed something: {effect.event}")
    replies = [effect for effect in effects if isinstance(effect, LocalReply)]
    if not replies and not any(word in data for word in (b"watch", b"look", b"bus")):
        raise Forbidden("no answer")
    for reply in replies:
        if reply.conn != _conn or reply.data.count(b"\n") > reply.data.endswith(b"\n"):
            raise Forbidden(f"not one line to who asked: {reply.data[:80]!r}")
        body = json.loads(reply.data)
        if not body["ok"] and body["code"] == 2:
            if data in SEEDS:
                raise Forbidden(f"an honest request was refused: {body}")
            return False
    return True


run = functools.partial(_run, "local")
