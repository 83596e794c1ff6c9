"""Which stop of a key is news, and what is on record once a key is revoked. Numbers do not tell: whoever stole the key
could use them up. Pure.

A stop of a key is news if it was signed after the last one taken. That one counts as signed no later than it came: a
date of tomorrow does not make the home deaf until then. So a date does not tell that a stop which was dated ahead came
already: each such one is remembered itself, by date and id, until a stop is taken that counts as signed later. In the
same millisecond, too, the id tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.durable import Window
from agent.link.messages import Halt

MOST = 16  # that are remembered themselves, of each key; of more, all ahead of the time at once, the latest
Named = tuple[str, Window]


def stream(kid: str) -> str:
    """Under which name the last stop of a key is kept; no issuer can be called so."""
    return f"#stop|{kid}"


def gone(kid: str) -> str:
    """Under which name it is kept that what that revoked key began was ended."""
    return f"#gone|{kid}"


def newer(windows: Mapping[str, Window], kid: str, body: Halt, now_ms: int | None) -> bool:
    """Whether that stop is news. `now_ms` None: nobody knows the time."""
    last, own = windows.get(stream(kid)), _own(body)
    if own == last or own in _themselves(windows, kid):
        return False
    return last is None or body.iat >= (last.high if now_ms is None else min(last.high, now_ms))


def taken(windows: Mapping[str, Window], kid: str, body: Halt, now_ms: int | None) -> tuple[Named, ...]:
    """What changes in `windows` with it. Where nobody knows the time, it is only remembered itself: its date could be
    any."""
    last, own = windows.get(stream(kid)), _own(body)
    kept = _themselves(windows, kid)
    if now_ms is None:
        return _slots(windows, kid, [own, *kept])
    counts = Window(min(body.iat, now_ms), own.bitmap)
    kept = [each for each in ([last] if last is not None else []) + kept if each.high >= counts.high]
    if own != counts:
        kept = [own, *kept]
    return ((stream(kid), counts), *_slots(windows, kid, kept))


def _themselves(windows: Mapping[str, Window], kid: str) -> list[Window]:
    """Date and id of what is remembered itself, the latest first."""
    found = [windows.get(_slot(kid, i)) for i in range(MOST)]
    return [each for each in found if each is not None]


def _slots(windows: Mapping[str, Window], kid: str, kept: list[Window]) -> tuple[Named, ...]:
    """Those, as far as there is room, where another stood. What is left behind them was taken as well."""
    named = [(_slot(kid, i), each) for i, each in enumerate(dict.fromkeys(kept[:MOST]))]
    return tuple([(name, each) for name, each in named if windows.get(name) != each])


def _slot(kid: str, i: int) -> str:
    return f"#ahead|{kid}|{i}"


def _own(body: Halt) -> Window:
    """Its date, and the half of its id that is drawn."""
    return Window(body.iat, int(body.id[16:], 16))
