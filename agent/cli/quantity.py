"""A point's value in the unit that its name ends with, as a technician reads it off a display."""

from __future__ import annotations

from agent.local import words

_UNITS = (
    ("_permille", 10, 1, "%"),
    ("_mah", 1000, 1, "Ah"),
    ("_mhz", 1000, 2, "Hz"),
    ("_mv", 1000, 3, "V"),
    ("_ma", 1000, 2, "A"),
    ("_wh", 1000, 2, "kWh"),
    ("_dc", 10, 1, "C"),
    ("_w", 1, 0, "W"),
    ("_s", 1, 0, "s"),
)


def text(name: str, value: object) -> str:
    """`soc_permille` 312 -> `31.2 %`. None is not known."""
    if value is None:
        return words.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value) or "none"
    if not isinstance(value, int):
        return str(value)
    for ending, scale, digits, unit in _UNITS:
        if name.endswith(ending):
            return words.scaled(value, scale, digits, unit)
    return str(value)
