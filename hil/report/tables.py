"""The tables below the time line: promises with their figures, chapters, hazards, and the log of what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from hil.coverage import Cell
from hil.figures import Scalar
from hil.hazards import HAZARDS, Hazard
from hil.judge import Verdict
from hil.report.plain import event_line, record_line
from hil.report.recording import Recording
from hil.report.scale import absolute, lasting, relative
from hil.scenario import PROMISES

MOST_LINES = 400
Row = Sequence[str]


def table(heads: Row, rows: Sequence[tuple[str, Row]], kind: str = "") -> str:
    """Rows of (CSS class, cells); cells are HTML already. Each cell knows its heading, for narrow screens."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        f'<tr class="{css}">'
        + "".join(f'<td data-head="{escape(h)}">{cell}</td>' for h, cell in zip(heads, cells, strict=True))
        + "</tr>"
        for css, cells in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def verdict_tables(verdicts: Sequence[Verdict], chapters: Sequence[str]) -> str:
    """Each promise with its assertions; what belongs to none stands last."""
    others = [v for v in verdicts if v.promise not in PROMISES and v.name not in chapters]
    groups = [(p, [v for v in verdicts if v.promise == p]) for p in PROMISES] + [("", others)]
    named = [(promise, rows) for promise, rows in groups if rows]
    out = []
    for promise, rows in named:
        title = promise[:1].upper() + promise[1:] if promise else "Further assertions" if len(named) > 1 else ""
        out.append(f"<h3>{escape(title)}</h3>" if title else "")
        out.append(verdict_table(rows))
    return "".join(out)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """One row a verdict."""
    heads = ("", "assertion", "measured", "required", "beside")
    return table(heads, [verdict_row(v) for v in verdicts], "verdicts")


def verdict_row(verdict: Verdict) -> tuple[str, Row]:
    """Mark, name with the sentence when it broke, measured, required, what is beside."""
    name = escape(verdict.name) + _why(verdict)
    unit = f" {escape(verdict.unit)}" if verdict.unit else ""
    if isinstance(verdict.measured, bool):
        measured, required = escape(verdict.sentence) if verdict.ok else "", ""
    else:
        measured = shown(verdict.measured) + (unit if verdict.measured is not None else "")
        required = escape(verdict.reach) + unit
    return _kind(verdict.ok), (mark(verdict.ok), name, measured, required, beside(verdict.beside))


def _why(verdict: Verdict | None) -> str:
    """What was seen of what did not hold."""
    return "" if verdict is None or verdict.ok else f'<div class="why">{escape(verdict.sentence)}</div>'


def chapter_table(recording: Recording, verdicts: Mapping[str, Verdict], wall_ms: int) -> str:
    """The story: number, title, when, how long."""
    rows: list[tuple[str, Row]] = []
    ends = [at for _, at in recording.chapters[1:]] + [recording.end]
    for number, ((chapter, at), end) in enumerate(zip(recording.chapters, ends, strict=True), 1):
        verdict = verdicts.get(chapter.id)
        ok = verdict is not None and verdict.ok
        title = escape(chapter.title) + _why(verdict)
        cells = (mark(ok), str(number), title, relative(at), absolute(wall_ms, at), lasting(end - at))
        rows.append((_kind(ok), cells))
    return table(("", "#", "chapter", "at", "UTC", "took"), rows, "chapters")


def hazard_table(cells: Sequence[Cell], kept: Mapping[str, str], *, every: bool) -> str:
    """Measured beside required; with `every`, rows that nothing shows are there too, as such."""
    by_row: dict[int, list[Cell]] = {number: [] for number in HAZARDS} if every else {}
    for cell in sorted(cells, key=lambda c: (c.hazard, c.backend != "virtual", c.scenario)):
        by_row.setdefault(cell.hazard, []).append(cell)
    rows = [row for number, of_it in sorted(by_row.items()) for row in _hazard_rows(HAZARDS[number], of_it)]
    when = [f"{backend}: as kept {told}" for backend, told in kept.items()]
    told = f'<p class="see">{escape("; ".join(when))}</p>' if when else ""
    return told + table(("", "#", "hazard", "required", "measured", "by its bound", "shown by"), rows, "hazards")


def _hazard_rows(hazard: Hazard, cells: Sequence[Cell]) -> list[tuple[str, Row]]:
    first = (str(hazard.number), escape(hazard.name), escape(hazard.asks))
    if not cells:
        return [("bad", (mark(False), *first, "not shown", "", ""))]
    rows: list[tuple[str, Row]] = []
    for i, cell in enumerate(cells):
        unit = f" {escape(cell.unit)}" if cell.unit else ""
        measured = shown(cell.measured) + (unit if cell.measured is not None else "") + _part(cell)
        shows = f'{escape(cell.assertion)}<div class="dim">{escape(cell.scenario)} on {escape(cell.backend)}</div>'
        cells_ = (mark(cell.holds), *(first if i == 0 else ("", "", "")), measured)
        rows.append((_kind(cell.holds) + (" more" if i else ""), (*cells_, escape(cell.reach) + unit, shows)))
    return rows


def _part(cell: Cell) -> str:
    """How much of its bound a time takes, as a small bar."""
    word, _, bound = cell.reach.partition(" ")
    if cell.unit != "s" or word != "<=" or isinstance(cell.measured, bool | str | None) or not float(bound):
        return ""
    part = min(100.0, max(0.0, 100 * cell.measured / float(bound)))
    return f'<div class="part" title="{part:.0f} % of its bound"><i style="width:{part:.0f}%"></i></div>'


def log_table(recording: Recording, wall_ms: int) -> str:
    """What was done and what came of it, in order."""
    lines = [(d.start, f"> {event_line(d.event, False)}") for d in recording.done]
    lines += [(d.end, f"> {event_line(d.event, True)}") for d in recording.done if d.end is not None]
    lines += [(r.at_ns / 1e9, line) for r in recording.records if (line := record_line(r))]
    lines.sort(key=lambda row: row[0])
    rows = [("", (relative(at), absolute(wall_ms, at), escape(line))) for at, line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        rows.append(("", ("", "", f"and {len(lines) - MOST_LINES} more in events.csv")))
    return table(("at", "UTC", "what"), rows, "log") if rows else ""


def mark(ok: bool) -> str:
    """A sign that is told by its shape too."""
    return '<b class="good" title="held">✓</b>' if ok else '<b class="bad" title="did not hold">✗</b>'


def shown(value: Scalar) -> str:
    """A measured value, escaped."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else "not measured" if value is None else str(value)
    return escape(text)


def beside(values: Mapping[str, Scalar]) -> str:
    """Timers as "here, default", the rest as it is."""
    parts = []
    for name, value in values.items():
        if name.endswith(" here"):
            default = values.get(f"{name.removesuffix(' here')} default")
            parts.append(f"{escape(name.removesuffix(' here'))} {shown(value)} s (default {shown(default)} s)")
        elif not name.endswith(" default"):
            parts.append(f"{escape(name)} {shown(value)}")
    return "<br>".join(parts)


def _kind(ok: bool) -> str:
    return "good" if ok else "bad"
