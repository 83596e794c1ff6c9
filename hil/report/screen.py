"""A run as a calm screen of 80 x 24: the story so far on the left, the home on the right, the last lines below."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hil.expr import Value
from hil.judge import Verdict
from hil.report.plain import event_line, record_line
from hil.runner import Quiet
from hil.scenario import Chapter, Event
from hil.signals import Happening

REDRAW_NS = 250_000_000
LINES = 5
BAR = 12
FULL_W = 11_400


class Screen(Quiet):
    """`with Screen(chapters) as watcher:` draws until the end."""

    def __init__(self, chapters: Sequence[Chapter], console: Console | None = None) -> None:
        self._chapters = chapters
        self._console = console or Console(stderr=True)
        self._done: dict[str, bool] = {}
        self._current: Chapter | None = None
        self._lines: deque[str] = deque(maxlen=LINES)
        self._signals: Mapping[str, Value] = {}
        self._at_ns = self._drawn_ns = 0
        self._live = Live(console=self._console, auto_refresh=False, screen=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    # --- watching ----------------------------------------------------------------------------------------------------
    def chapter(self, chapter: Chapter, at_ns: int) -> None:
        self._current = chapter

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        self._signals, self._at_ns = signals, at_ns
        if at_ns - self._drawn_ns >= REDRAW_NS:
            self._drawn_ns = at_ns
            self._live.update(self.draw(), refresh=True)

    def event(self, at_ns: int, event: Event, ended: bool) -> None:
        self._line(at_ns, f"> {event_line(event, ended)}")

    def happening(self, record: Happening) -> None:
        line = record_line(record)
        if line:
            self._line(record.at_ns, line)

    def verdict(self, at_ns: int, verdict: Verdict) -> None:
        if any(chapter.id == verdict.name for chapter in self._chapters):
            self._done[verdict.name] = verdict.ok
        elif not verdict.ok:
            self._line(at_ns, f"xx {verdict.name}: {verdict.sentence}")

    def _line(self, at_ns: int, text: str) -> None:
        self._lines.append(f"{at_ns / 1e9:6.1f} {text}")

    # --- drawing -----------------------------------------------------------------------------------------------------
    def draw(self) -> Group:
        """The screen as it stands."""
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(ratio=1)
        grid.add_column(width=33)
        grid.add_row(self._story(), self._home())
        title = Text(f"{self._at_ns / 1e9:4.0f} s  ", style="dim")
        title.append(self._current.title if self._current else "starting", style="bold")
        title.no_wrap, title.overflow = True, "ellipsis"
        log = Text("\n".join(self._lines), no_wrap=True, overflow="ellipsis", style="dim")
        return Group(title, grid, log)

    def _story(self) -> Panel:
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, chapter in enumerate(self._chapters, 1):
            ok = self._done.get(chapter.id)
            now = self._current is not None and chapter.id == self._current.id and ok is None
            mark = {True: "ok", False: "xx", None: ">>" if now else "  "}[ok]
            style = {True: "green", False: "bold red", None: "bold" if now else "dim"}[ok]
            text.append(f"{mark} {number:2} {chapter.short}\n", style=style)
        return Panel(text, title="a home battery, simulated in real parts", height=len(self._chapters) + 2)

    def _home(self) -> Panel:
        s = self._signals
        rows = Table.grid(padding=(0, 1))
        for name, value in (
            ("SoC", _soc(s)),
            ("battery", _bar(s.get("truth.battery_w"))),
            ("grid", "AWAY" if s.get("truth.grid_on") is False else _watts(s.get("truth.grid_w"))),
            ("house", f"{_watts(s.get('truth.load_w'))}{'' if s.get('truth.fed') else '  DARK'}"),
            ("floor", f"{_number(s.get('truth.floor_permille'), 10):.0f} %, the inverter's"),
            ("agent", str(s.get("agent.mode") or "-- not running")),
            ("given", _given(s)),
            ("limit", str(s.get("agent.binding") or "")),
            ("link", _link(s)),
            ("ledger", f"{s.get('agg.counted')} rows, {s.get('agg.duplicates')} twice"),
            ("refused", str(s.get("agent.refused") or 0)),
        ):
            rows.add_row(Text(name, style="dim"), Text(value, no_wrap=True, overflow="ellipsis"))
        return Panel(rows, title="home", height=len(self._chapters) + 2)


def _number(value: Value, scale: float = 1) -> float:
    return float(value) / scale if isinstance(value, int | float) else float("nan")


def _soc(s: Mapping[str, Value]) -> str:
    reserve = s.get("agent.reserve_permille")
    kept = f"  reserve {_number(reserve, 10):.0f} %" if reserve is not None else ""
    return f"{_number(s.get('truth.soc_permille'), 10):.2f} %{kept}"


def _watts(value: Value) -> str:
    return f"{_number(value):+.0f} W" if isinstance(value, int | float) else "?"


def _bar(value: Value) -> str:
    """Charge to the left of the middle, discharge to the right."""
    watts = _number(value) if isinstance(value, int | float) else 0.0
    half = BAR // 2
    length = min(half, round(abs(watts) / FULL_W * half))
    left = ("<" * length).rjust(half) if watts < 0 else " " * half
    right = (">" * length).ljust(half) if watts > 0 else " " * half
    return f"{left}|{right}{watts:+6.0f}"


def _given(s: Mapping[str, Value]) -> str:
    if s.get("agent.mode") is None:
        return ""
    given, asked = s.get("agent.given_w"), s.get("agent.asked_w")
    text = "released" if given is None else f"{given} W"
    return text if asked in (None, given) else f"{text} of {asked} W"


def _link(s: Mapping[str, Value]) -> str:
    if s.get("agent.link") is None:
        return ""
    state = "up" if s.get("agent.link") else "down"
    return f"{state}, {s.get('agent.unsent')} unreceipted"
