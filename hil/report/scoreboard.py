"""The end of the demo: every promise, what was measured, and each shortened timer beside its default."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from hil.figures import Scalar
from hil.judge import Verdict
from hil.scenario import PROMISES

WIDTH = 100


def scoreboard(verdicts: Sequence[Verdict], chapters: Sequence[str], width: int = WIDTH) -> str:
    """Plain text. `chapters` are ids whose own verdicts are the story; the rest stands under its promise."""
    lines = ["", "SCOREBOARD", "=" * width]
    for promise in PROMISES:
        lines += ["", promise.upper()]
        lines += [row for v in verdicts if v.promise == promise for row in _row(v, width)]
    lines += ["", "THE STORY"]
    for v in verdicts:
        if v.name in chapters:
            lines += _row(v, width, v.promise)
        elif v.promise not in PROMISES:
            lines += _row(v, width, indent="     ")
    lines += ["", *_timers(verdicts), "=" * width, _last(verdicts)]
    return "\n".join(lines)


def _row(verdict: Verdict, width: int, title: str = "", indent: str = "") -> list[str]:
    mark = "ok" if verdict.ok else "xx"
    room = width - 30 - len(indent)
    text = textwrap.wrap(title or verdict.name, room) or [""]
    first = f"{indent}{mark}  {text[0].ljust(room)}  {_measured(verdict)}".rstrip()
    rows = [first, *(f"{indent}    {more}" for more in text[1:])]
    if not verdict.ok:
        rows += [f"{indent}      {line}" for line in textwrap.wrap(verdict.sentence, width - 8 - len(indent))]
    return rows


def _measured(verdict: Verdict) -> str:
    value, beside = verdict.measured, dict(verdict.beside)
    if isinstance(value, bool):
        if "seconds" in beside:
            return f"{beside['seconds']} s"
        extra = [_extra(name, seen) for name, seen in beside.items() if not _is_timer(name)]
        return ", ".join(extra)
    unit = f" {verdict.unit}" if verdict.unit else ""
    return f"{_number(value)}{unit} ({verdict.reach}{unit})"


def _extra(name: str, seen: Scalar) -> str:
    """`min truth.soc`, "200.2 permille" -> "min 200.2 permille"; `last agg.duplicates`, 19 -> "duplicates 19"."""
    fold, _, signal = name.partition(" ")
    if isinstance(seen, str):
        return f"{fold} {seen}"
    return f"{signal.rpartition('.')[2].replace('_', ' ')} {_number(seen)}"


def _timers(verdicts: Sequence[Verdict]) -> list[str]:
    seen: dict[str, tuple[Scalar, Scalar]] = {}
    for verdict in verdicts:
        for name, value in verdict.beside.items():
            if name.endswith(" here"):
                timer = name.removesuffix(" here")
                seen[timer] = (value, verdict.beside[f"{timer} default"])
    if not seen:
        return []
    rows = [f"{'TIMER':24}{'demo':>10}{'default':>10}"]
    rows += [f"{name:24}{_number(here):>8} s{_number(default):>8} s" for name, (here, default) in seen.items()]
    return [*rows, "the defaults are proven in virtual time: python -m hil scenario NAME"]


def _is_timer(name: str) -> bool:
    return name.endswith((" here", " default"))


def _number(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def _last(verdicts: Sequence[Verdict]) -> str:
    broken = [v for v in verdicts if not v.ok]
    if not broken:
        return f"ok  every promise held ({len(verdicts)} of {len(verdicts)})"
    return f"xx  {len(broken)} of {len(verdicts)} did not hold: " + "; ".join(v.name for v in broken)
