"""Values as a person reads them: the one place where a number becomes a word. No imports: batteryctl shares it.

Power is positive when it flows toward the house bus (battery + = discharge, grid + = import). None = not known.
"""

from __future__ import annotations

UNKNOWN = "unknown"


def watts(value: int | None) -> str:
    """`5000 W`."""
    return UNKNOWN if value is None else f"{value} W"


def battery_flow(value: int | None) -> str:
    """`discharge 5000 W`, `charge 300 W`, `0 W`."""
    return _flow(value, "discharge", "charge")


def grid_flow(value: int | None) -> str:
    """`import 1240 W`, `export 300 W`, `0 W`."""
    return _flow(value, "import", "export")


def _flow(value: int | None, plus: str, minus: str) -> str:
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0 W"
    return f"{plus if value > 0 else minus} {abs(value)} W"


def percent(permille: int | None) -> str:
    """`31.2 %`."""
    return UNKNOWN if permille is None else f"{permille // 10}.{permille % 10} %"


def scaled(value: int | None, scale: int, digits: int, unit: str) -> str:
    """`value / scale` with `digits` decimals: `scaled(3281, 1000, 3, "V")` is `3.281 V`."""
    return UNKNOWN if value is None else f"{value / scale:.{digits}f} {unit}"


def span(low: int | None, high: int | None, scale: int, digits: int, unit: str) -> str:
    """`3.281..3.305 V`."""
    if low is None or high is None:
        return UNKNOWN
    return f"{low / scale:.{digits}f}..{high / scale:.{digits}f} {unit}"


def lasting(seconds: int) -> str:
    """`42 s`, `5 min 20 s`, `3 h 4 min`, `2 d 3 h`."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600} h"


def short_id(text: str) -> str:
    """A command id or a source that holds one, with 32 hex digits cut to 8: enough to tell two apart on a screen."""
    kind, colon, ident = text.rpartition(":")
    if len(ident) == 32:
        ident = ident[:8]
    return f"{kind} {ident}" if colon else ident
