"""How batteryctl prints: one symbol set, readable without colour, at most as wide as the terminal. ASCII only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

_SYMBOLS = {
    "ok": "ok",
    "warn": "!!",
    "warning": "!!",
    "fault": "xx",
    "error": "xx",
    "none": "--",
    "note": "--",
    "info": "--",
}
_UNITS = frozenset(
    ["%", "W", "Wh", "kWh", "V", "mV", "A", "mA", "Hz", "C", "°C", "s", "min", "h", "d", "ms", "permille"]
)
_COLOURS = {"ok": "32", "!!": "33", "xx": "31;1", "--": "2"}


def symbol(level: object) -> str:
    """`ok`, `!!`, `xx` or `--`; coloured on a terminal that wants it."""
    plain = bare_symbol(level)
    return f"\033[{_COLOURS[plain]}m{plain}\033[0m" if _coloured() else plain


def bare_symbol(level: object) -> str:
    return _SYMBOLS.get(str(level), "--")


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def width() -> int:
    """Columns to print in: the terminal's, 80 where there is none."""
    try:
        columns = int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns)
    except (OSError, ValueError):
        columns = 80
    return min(max(columns, 40), 120)


def wrap(text: str, room: int) -> list[str]:
    """Words into lines of at most `room` characters; a longer word is cut. At least one line."""
    lines = [""]
    for word in _words(text):
        while len(word) > room:
            head, word = word[:room], word[room:]
            lines += [head] if lines[-1] else []
            lines[-1] = head
            lines.append("")
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines if lines[-1] or len(lines) == 1 else lines[:-1]


def _words(text: str) -> list[str]:
    """A number and its unit are one word: `20.0 %` is not torn apart."""
    words: list[str] = []
    for word in text.split():
        if words and word.rstrip(",.;:)") in _UNITS and words[-1][-1:].isdigit():
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def hang(head: str, text: str, head_width: int, columns: int | None = None) -> Iterable[str]:
    """`head` (which takes `head_width` columns), then `text`, wrapped under itself."""
    lines = wrap(text, (columns or width()) - head_width)
    yield head + lines[0]
    for line in lines[1:]:
        yield " " * head_width + line
