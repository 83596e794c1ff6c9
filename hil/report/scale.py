"""Axes: where a value lies, where the ticks are, how a number and a time are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from `[low, high]` to pixels `[at, to]`; what lies outside is drawn at the rim."""

    low: float
    high: float
    at: float
    to: float

    def __call__(self, value: float) -> float:
        """In pixels."""
        span = self.high - self.low
        share = (value / span - self.low / span) if span > 0 else 0.5
        return self.at + min(1.0, max(0.0, share)) * (self.to - self.at)


def around(values: Iterable[float], least: float, padding: float = 0.06) -> tuple[float, float]:
    """A range that shows all finite values with some air, at least `least` wide. Nothing known: 0 .. least."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, least
    low, high = min(known), max(known)
    missing = max(0.0, least - (high - low)) / 2
    low, high = low - missing, high + missing
    air = (high - low) * padding
    return (low - air, high + air) if math.isfinite(air) else (low / 2, high / 2)


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round values inside the range."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / max(1, most)
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(ten * factor for factor in (1, 2, 5, 10) if ten * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(end: float, most: int) -> list[float]:
    """Round seconds from 0 to `end`, at most `most` steps."""
    step = next((s for s in _TIME_STEPS if end / s <= most), None)
    if step is None:
        step = 86_400 * math.ceil(end / 86_400 / max(1, most))
    return [float(i * step) for i in range(int(end / step + 1e-9) + 1)]


def prefix(low: float, high: float) -> tuple[float, str]:
    """By what to divide so that the numbers stay short, and the prefix of the unit."""
    most = max(abs(low), abs(high))
    return next(((by, name) for by, name in _PREFIXES if most >= 1.5 * by), (1.0, ""))


def plain(value: float, step: float = 0.0) -> str:
    """A number for a tick: as many decimals as its step needs, a real minus."""
    decimals = 0 if step <= 0 else max(0, min(6, -math.floor(math.log10(step) + 1e-9)))
    text = f"{value:.{decimals}f}" if abs(value) < 1e7 else f"{value:.3g}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def relative(seconds: float) -> str:
    """ "1:05", "2:03:00"; tenths only below 10 s and when there are any."""
    if seconds < 10 and round(seconds, 1) != round(seconds):
        return f"0:0{seconds:.1f}"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def absolute(wall_ms: int, seconds: float, with_seconds: bool = True) -> str:
    """UTC time of day."""
    day = (wall_ms // 1000 + round(seconds)) % 86_400
    text = f"{day // 3600:02}:{day // 60 % 60:02}"
    return f"{text}:{day % 60:02}" if with_seconds else text


def lasting(seconds: float) -> str:
    """A length of time in words: "5.3 s", "2 min 5 s", "1 h 3 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole // 60 % 60} min" if whole // 60 % 60 else f"{whole // 3600} h"
