"""Messages for people: one line each, as wide as the terminal. Whatever a device says is made printable."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Mapping
from typing import Any

from hil.aggregator.aggregator import Verdict
from hil.aggregator.book import Ack, Message

Claims = Mapping[str, Any]


def verdict(found: Verdict, wall_ms: int) -> list[str]:
    """What was heard, and what is alarming in it."""
    lines = [f"{_clock(wall_ms)}  !! {found.device}: {sentence}" for sentence in found.alarms]
    head = f"{_clock(wall_ms)} {found.device or '?':<10.24} "
    if found.refused is not None:
        return [f"{head}xx refused {found.refused.reason}: {found.refused.sentence}", *lines]
    if found.message is None:
        state = (found.presence or {}).get("state")
        return [f"{head}   state   {state} (unsigned)", *lines]
    kind = found.message.kind
    mark = {"new": "  ", "duplicate": "==", "conflict": "!!"}[str(found.fate)]
    row = f"#{found.message.seq} " if kind not in ("birth", "live") else ""
    return [f"{head}{mark} {kind:<7} {row}{_SAYS[kind](found.message)}".rstrip(), *lines]


def ack(found: Ack) -> str:
    """A step of a command's life."""
    return f"{_clock(found.heard.wall_ms)}  {_ack(found.claims)}"


def sent(claims: Claims, topic: str) -> str:
    """What went out, and to whom."""
    common = ("v", "iss", "aud", "seq", "iat", "exp", "id", "kind")
    body = ", ".join(f"{name} {value}" for name, value in claims.items() if name not in common)
    kind = claims.get("kind", topic.rpartition("/")[2])
    return f"->  {kind} to {claims['aud']}: {body or 'nothing more'}\n    id {claims['id']}"


def score(found: Mapping[str, Any]) -> str:
    """The sum of a watch."""
    parts = [f"{value} {name}" for name, value in found.items() if isinstance(value, int)]
    return "--  " + ", ".join(parts)


def fit(line: str, columns: int) -> list[str]:
    """Printable, and no longer than the terminal: at most three lines of it."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    lines = textwrap.wrap(clean, columns, subsequent_indent=" " * min(23, columns // 3), drop_whitespace=True)
    return [*lines[:2], lines[2][: columns - 3] + "..."] if len(lines) > 3 else lines or [""]


def _clock(wall_ms: int) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(wall_ms // 1000))
    except (OverflowError, ValueError, OSError):  # a device may name any number up to 2^63
        return f"{wall_ms} ms"


def _object(value: object) -> Claims:
    """A member that should be an object: upward it may be anything."""
    return value if isinstance(value, Mapping) else {}


def _ack(claims: Claims) -> str:
    asked, given, reason = claims.get("asked_w"), claims.get("given_w"), claims.get("reason")
    power = "" if asked is None else f"asked {asked} W" if given is None else f"{given} of {asked} W"
    words = [str(claims.get("state")), power, str(reason) if reason else "", str(claims.get("sentence") or "")]
    return f"{str(claims.get('command_id'))[:8]} " + "  ".join(word for word in words if word)


def _birth(claims: Claims) -> str:
    outbox = _object(claims.get("outbox"))
    reserve = claims.get("reserve_permille")
    share = f", reserve {reserve / 10:g} %" if type(reserve) is int else ""
    return (
        f"protocols {claims.get('protocols')}, trust {claims.get('trust_version')}, rows to {outbox.get('last')}{share}"
    )


def _live(claims: Claims) -> str:
    soc = claims.get("soc_permille")
    charge = f"{soc / 10:g} %" if type(soc) is int else "?"
    limit = claims.get("limit") or "no limit"
    return (
        f"{charge}, battery {claims.get('battery_w')} W, grid {claims.get('grid_w')} W, {claims.get('mode')}, {limit}"
    )


def _batch(claims: Claims) -> str:
    refused = {name: n for name, n in _object(claims.get("counters")).items() if n}
    return f"{len(claims['rows'])} s of telemetry from {_clock(claims['t0_ms'])}" + (
        f", refused {refused}" if refused else ""
    )


def _event(claims: Claims) -> str:
    known = ("fault", "kind", "kid", "reason", "by", "sentence")
    return ", ".join([str(claims.get("event")), *(str(claims[name]) for name in known if claims.get(name))])


def _settlement(claims: Claims) -> str:
    return f"{claims.get('record', 'record')} {claims.get('n', '')}".strip()


_SAYS: dict[str, Callable[[Message], str]] = {
    "birth": lambda m: _birth(m.claims),
    "live": lambda m: _live(m.claims),
    "batch": lambda m: _batch(m.claims),
    "ack": lambda m: _ack(m.claims),
    "event": lambda m: _event(m.claims),
    "settlement": lambda m: _settlement(m.claims),
}
