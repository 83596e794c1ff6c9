"""Which stop of a key is news, and what is on record once a key is revoked. Numbers do not tell: whoever stole the key
could use them up. Pure.

A stop of a key is news if it was signed after the last one taken. That one counts as signed no later than it came: a
date of tomorrow does not make the home deaf until then. In the same millisecond the id tells them apart.
"""

from __future__ import annotations

from agent.core.durable import Window
from agent.link.messages import Halt


def stream(kid: str) -> str:
    """Under which name the last stop of a key is kept; no issuer can be called so."""
    return f"#stop|{kid}"


def gone(kid: str) -> str:
    """Under which name it is kept that what that revoked key began was ended."""
    return f"#gone|{kid}"


def newer(last: Window | None, body: Halt, now_ms: int | None) -> bool:
    """Whether that stop is news. `now_ms` None: nobody knows the time."""
    if last is None:
        return True
    high = last.high if now_ms is None else min(last.high, now_ms)
    return body.iat > high or (body.iat == high and last.bitmap != _tag(body))


def taken(last: Window | None, body: Halt, now_ms: int | None) -> Window | None:
    """What is kept of it; None: nothing, since nobody knows the time, and its own could be any."""
    return None if now_ms is None else Window(min(body.iat, now_ms), _tag(body))


def _tag(body: Halt) -> int:
    return int(body.id[16:], 16)
