"""Bars over time: a ribbon of states, and rows of labelled bars for faults and promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hil.report.frame import LEFT, LETTER, RIGHT, Frame, box, fitting, text, when
from hil.report.recording import Span
from hil.report.scale import lasting, relative

ROW = 20.0
BAR = 13.0
RIBBON = 24.0
FLAG = 18.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `tick` is a moment on it that matters, `bound` the latest allowed one."""

    label: str
    start: float
    end: float
    kind: str
    title: str = ""
    tick: float | None = None
    bound: float | None = None


def ribbons(rows: Sequence[tuple[str, Sequence[Span], str]], frame: Frame, label: str) -> str:
    """Rows of (name, spans, CSS prefix): each span coloured by its own name, with that name where it fits."""
    top = FLAG if frame.marks else 2.0
    body = (_flags(frame) if frame.marks else "") + rows_of_states(rows, frame, top)
    return frame.panel(top + RIBBON * len(rows) + 2, body, label)


def rows_of_states(rows: Sequence[tuple[str, Sequence[Span], str]], frame: Frame, top: float) -> str:
    """The ribbons alone, from `top` down, `RIBBON` each."""
    x, out = frame.x, []
    for name, spans, prefix in rows:
        out.append(text(LEFT - 6, top + 16, name, "tick", "end"))
        for span in spans:
            left, width = x(span.start), x(span.end) - x(span.start)
            kind = state_kind(prefix, span.name)
            words = span.name.replace("_", " ")
            title = f"{words or 'not known'}, {relative(span.start)} to {relative(span.end)}"
            more = when(span.start, span.end)
            out.append(box(left, top, width, RIBBON - 2, f"state {kind}", title, more))
            shown = fitting(words, width - 8)
            if words:
                named = f'{more} data-w="{escape(words)}"'
                out.append(text(left + width / 2, top + 15.5, shown, f"on {kind}-text", "middle", named))
        top += RIBBON
    return "".join(out)


def bars(groups: Sequence[Sequence[Bar]], frame: Frame, label: str) -> str:
    """Bars in rows, as many in a row as do not touch; each with its label on or beside it. Groups share no row."""
    out: list[str] = []
    rows = 0
    for group in groups:
        filled: list[float] = []
        for bar in sorted(group, key=lambda b: b.start):
            place = _placed(bar, frame)
            row = next((i for i, taken in enumerate(filled) if taken + 8 < place.first), len(filled))
            filled[row : row + 1] = [place.last]
            out.append(_drawn(bar, place, 4 + (rows + row) * ROW, frame))
        rows += len(filled)
    return frame.panel(max(1, rows) * ROW + 4, "".join(out), label)


@dataclass(frozen=True, slots=True)
class _Place:
    """Of a bar and its label: what they take from `first` to `last`; where the label stands."""

    first: float
    last: float
    at: float
    words: str
    anchor: str


def _placed(bar: Bar, frame: Frame) -> _Place:
    x, edge = frame.x, frame.width - RIGHT
    left = x(bar.start)
    right = max(x(at) for at in (bar.start, bar.end, bar.tick, bar.bound) if at is not None)
    dot = left if bar.tick is None else x(bar.tick)
    width = len(bar.label) * LETTER
    begin = left + 4
    if bar.tick is not None and dot - 5 < begin + width:  # the dot would stand in the words
        begin = (right if right > x(bar.end) else dot) + 8  # behind the line to its bound, where that is drawn
    if begin + width <= edge:
        return _Place(left - 4, max(right, begin + width), begin, bar.label, "start")
    if width <= left - 8 - LEFT or left - LEFT > edge - begin:
        words = fitting(bar.label, left - 8 - LEFT)
        return _Place(left - 8 - len(words) * LETTER, right, left - 7, words, "end")
    words = fitting(bar.label, edge - begin)
    return _Place(left - 4, edge, begin, words, "start")


def _drawn(bar: Bar, place: _Place, top: float, frame: Frame) -> str:
    x, middle = frame.x, top + BAR / 2
    more = when(bar.start, bar.end)
    out = [box(x(bar.start), top, x(bar.end) - x(bar.start), BAR, f"bar {bar.kind}", bar.title or bar.label, more)]
    if bar.bound is not None:
        begin = min(bar.end, bar.bound)
        d = f"M{x(begin):.1f} {middle:.1f}H{x(bar.bound):.1f}m0-6v12"
        out.append(f'<path class="bound" d="{d}" {when(begin, bar.bound)}/>')
    if bar.tick is not None:
        dot = f'cx="{x(bar.tick):.1f}" cy="{middle:.1f}" r="4" {when(bar.tick)}'
        out.append(f'<circle class="dot {bar.kind}" {dot}/>')
    last = max(at for at in (bar.start, bar.end, bar.tick, bar.bound) if at is not None)
    label = f'{more} data-w="{escape(bar.label)}" data-last="{last:.2f}"'
    for name, at in (("dot", bar.tick), ("bound", bar.bound)):
        label += "" if at is None else f' data-{name}="{at:.2f}"'
    out.append(text(place.at, top + 10.5, place.words, "name", place.anchor, label))
    return "".join(out)


def state_kind(prefix: str, name: str) -> str:
    """The CSS class of a state; a name that is no word has that of nothing known."""
    return f"{prefix}-{name}" if name.isidentifier() else f"{prefix}-none"


def legend_of(spans: Sequence[Span]) -> list[tuple[str, float]]:
    """Names in order of appearance, with how long each held in all."""
    total: dict[str, float] = {}
    for span in spans:
        total[span.name] = total.get(span.name, 0.0) + span.end - span.start
    return list(total.items())


def told(span: Span, end: float) -> str:
    """A bar's time in words."""
    rest = ", to the end" if span.end >= end else f", for {lasting(span.end - span.start)}"
    return f"from {relative(span.start)}{rest}"


def _flags(frame: Frame) -> str:
    """The chapters' numbers above their lines; those that would touch the one before are left out."""
    out, taken = [], -100.0
    for at, name in frame.marks:
        px = frame.x(at)
        crowded = px - taken < 18
        taken = taken if crowded else px
        more = when(at) + (' display="none"' if crowded else "")
        circle = f'<circle class="flag" cx="{px:.1f}" cy="8" r="8" {more}/>'
        out.append(circle + text(px, 12, name, "flagged", "middle", more))
    return "".join(out)
