"""Durations as people write them in scenarios: "250ms", "90s", "1h30m". A number without a unit is refused."""

from __future__ import annotations

import re

_UNIT_NS = {"ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
MOST_NS = 36_500 * 86_400 * 10**9  # a hundred years
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def duration_ns(text: object) -> int:
    """Nanoseconds >= 0. ValueError with what was seen and what was expected."""
    if not isinstance(text, str):
        raise ValueError(f'{text!r} has no unit; write a duration such as "250ms", "90s" or "1h30m"')
    compact = text.replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f'{text!r} is not a duration; write it such as "250ms", "90s" or "1h30m"')
    ns = sum(float(number) * _UNIT_NS[unit] for number, unit in parts)
    if ns > MOST_NS:
        raise ValueError(f"{text[:40]!r} is longer than 36500d, the longest duration")
    return sum(round(float(number) * _UNIT_NS[unit]) for number, unit in parts)


def duration_text(ns: int) -> str:
    """For a person, to the millisecond: 1500 ms -> "1.5s", 5400 s -> "1h30m"."""
    ns = round(ns, -6)
    if ns == 0:
        return "0s"
    if ns < 10**9:
        return f"{ns / 10**6:g}ms"
    out, rest = "", ns
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNIT_NS[unit])
        out += f"{count}{unit}" if count else ""
    return out + (f"{rest / 10**9:.6g}s" if rest else "")
