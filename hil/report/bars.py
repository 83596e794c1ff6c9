"""One figure as bars: what was measured, its peers in the same unit, and the line that it must not cross."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape

from hil.figures import Figure, Scalar
from hil.report.frame import LETTER, text
from hil.report.scale import Scale, plain, ticks

WIDTH, NAMES, ROW, FOOT = 920.0, 210.0, 22.0, 20.0
HEAD = 16.0
EDGE = 52.0  # room for a value behind the longest bar
UNITS = ("MB", "KiB", "ms", "us", "s")  # last words of names beside a figure, by which they are compared


def bars(figure: Figure) -> str:
    """SVGs: the figure with its limit and peers, and what stands beside it in a unit of its own ("daemon MB", "bare
    MB"). "" when there is nothing to compare."""
    measured, limit = _number(figure.value), _limit(figure)
    peers = [(name, value, "peer") for name in figure.peers if (value := _number(figure.beside.get(name))) is not None]
    out = ""
    if measured is not None and (limit or peers) and _worth_drawing(figure):
        mine = "mine" if figure.holds else "mine missed"
        out = _drawn(figure.name, [("measured", measured, mine), *peers], limit, figure.reach or "")
    known = [(name, value) for name in figure.beside if (value := _number(figure.beside[name])) is not None]
    for unit in UNITS:
        alike = [row for row in known if row[0].split()[-1] == unit]
        rows = [(name, value, "peer" if i else "mine") for i, (name, value) in enumerate(alike)]
        out += _drawn(f"{figure.name}, in {unit}", rows, None, "") if len(rows) > 1 else ""
    return out


def room(figure: Figure) -> str:
    """How far from its limit, in words; "" where that says nothing."""
    value, limit = _number(figure.value), _limit(figure)
    if value is None or not limit:
        return ""
    if not _worth_drawing(figure):
        return ""
    share = (1 - value / limit) if (figure.reach or "").startswith("<=") else (value / limit - 1)
    if share >= 9.5:
        return f"{1 + share:.0f} times what is asked"
    if share < -1:
        return f"{1 - share:.1f} times the limit"
    return f"{abs(share):.1%} {'to spare' if share >= 0 else 'beyond it'}"


def _drawn(name: str, rows: Sequence[tuple[str, float, str]], limit: float | None, reach: str) -> str:
    high = max([abs(value) for _, value, _ in rows] + ([limit] if limit else [])) * 1.04
    x = Scale(0.0, high or 1.0, NAMES, WIDTH - EDGE)
    top = HEAD if limit else 2.0
    bottom = top + ROW * len(rows)
    out = []
    for mark in ticks(0.0, x.high, 5):
        out.append(f'<path class="grid" d="M{x(mark):.1f} {top:g}V{bottom:g}"/>')
        out.append(text(x(mark), bottom + 14, plain(mark, x.high / 5), "tick", "middle"))
    for index, (who, value, kind) in enumerate(rows):
        y = top + ROW * index
        width = max(1.5, x(abs(value)) - NAMES)
        out.append(text(NAMES - 8, y + 15, who if len(who) < 29 else f"{who[:27]}…", "name", "end"))
        out.append(f'<rect class="hbar {kind}" x="{NAMES:g}" y="{y + 3:g}" width="{width:.1f}" height="{ROW - 7:g}"/>')
        begin = NAMES + width + 5
        if limit and begin - 5 <= x(limit) < begin + LETTER * len(_short(value)):  # the line would stand in the number
            begin = x(limit) + 5
        out.append(text(begin, y + 15, _short(value), "tick"))
    if limit:
        out.append(f'<path class="limit" d="M{x(limit):.1f} {top - 2:g}V{bottom + 3:g}"/>')
        word = "at most" if reach.startswith("<=") else "at least"
        anchor = "end" if x(limit) > WIDTH / 2 else "start"
        out.append(text(x(limit), 11, f"{word} {_short(limit)}", "limited", anchor))
    label = f"{name}: " + ", ".join(f"{who} {_short(value)}" for who, value, _ in rows)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {bottom + FOOT:g}" role="img" aria-label="{escape(label)}">{"".join(out)}</svg>'
    )


def _worth_drawing(figure: Figure) -> bool:
    """Not a count of which there must be one."""
    return bool(figure.peers) or figure.reach not in (">= 0", ">= 1")


def _limit(figure: Figure) -> float | None:
    """The number of "<= 250" and ">= 0.97"."""
    word, _, bound = (figure.reach or "").partition(" ")
    return _number(json.loads(bound)) if word in ("<=", ">=") else None


def _number(value: Scalar) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.4g}"
