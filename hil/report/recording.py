"""What a run leaves in memory for its picture: numbers sample by sample, words as spans, and what happened when.

Times are seconds of scenario time. A number that is not known, not finite or no number is NaN: a gap, never a zero.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hil.expr import Value
from hil.judge import Verdict
from hil.runner import Quiet, Run
from hil.scenario import Chapter, Event
from hil.signals import Happening

NS = 1_000_000_000
GAP_SAMPLES = 10  # a hole of so many samples is a gap in the drawing
MOST = 400_000  # samples; beyond it, four become two: the lowest and the highest of each number

NUMBERS = (
    "truth.battery_w", "truth.grid_w", "truth.pv_w", "truth.load_w", "truth.soc_permille",
    "agent.given_w", "agent.lo_w", "agent.hi_w", "agent.reserve_permille",
    "agent.soc_permille", "agent.soc_lo_permille", "bench.meter_w",
)  # fmt: skip
WORDS = ("agent.mode", "agent.grid", "agent.binding", "truth.grid_on", "truth.fed", "proc.alive")
SETS = ("agent.faults", "bench.faults")  # names, space between
LOGGED = ("ack", "process")  # streams of which each record is kept; of writes only those that change a power


@dataclass(frozen=True, slots=True)
class Span:
    """`name` held from `start` to `end`, seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Done:
    """One event of the scenario: `end` None = it has none, or the run ended first."""

    event: Event
    start: float
    end: float | None


@dataclass(slots=True)
class Recording(Quiet):
    """A watcher; read it when the run is over."""

    run: Run | None = None
    t: array[float] = field(default_factory=lambda: array("d"))
    numbers: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in NUMBERS})
    chapters: list[tuple[Chapter, float]] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    records: list[Happening] = field(default_factory=list)
    verdicts: list[tuple[float, Verdict]] = field(default_factory=list)
    _changes: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: {n: [] for n in (*WORDS, *SETS)})
    _power: Value = None
    _coarse: int = 1  # samples that one is made of, at most

    # --- watching ----------------------------------------------------------------------------------------------------
    def begin(self, run: Run) -> None:
        self.run = run

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        at = at_ns / NS
        self.t.append(at)
        for name, values in self.numbers.items():
            values.append(number(signals.get(name)))
        for name, changes in self._changes.items():
            value = signals.get(name)
            text = "" if value is None else str(value)
            if not changes or changes[-1][1] != text:
                changes.append((at, text))
        if len(self.t) > MOST:
            self._thin()

    def chapter(self, chapter: Chapter, at_ns: int) -> None:
        self.chapters.append((chapter, at_ns / NS))

    def event(self, at_ns: int, event: Event, ended: bool) -> None:
        if not ended:
            self.done.append(Done(event, at_ns / NS, None))
            return
        for index, done in enumerate(self.done):
            if done.event.id == event.id and done.end is None:
                self.done[index] = Done(event, done.start, at_ns / NS)

    def happening(self, record: Happening) -> None:
        if record.stream in LOGGED:
            self.records.append(record)
        elif record.stream == "write":
            power = record.fields.get("value") if record.fields.get("kind") == "power" else None
            if power is not None and power != self._power:
                self.records.append(record)
            if record.fields.get("kind") in ("power", "clear"):
                self._power = power

    def verdict(self, at_ns: int, verdict: Verdict) -> None:
        self.verdicts.append((at_ns / NS, verdict))

    # --- reading -----------------------------------------------------------------------------------------------------
    @property
    def end(self) -> float:
        """The last moment that anything is known of, seconds; 0 for a run without any."""
        moments = [*self.t[-1:], *(at for at, _ in self.verdicts), *(done.start for done in self.done)]
        return max(moments, default=0.0)

    @property
    def gap_s(self) -> float:
        """Two samples further apart than this are not joined by a line."""
        return math.inf if self.run is None else GAP_SAMPLES * self._coarse * self.run.scenario.sample_ns / NS

    def spans(self, name: str) -> list[Span]:
        """Of a word: what it was, one after the other; "" = not known."""
        changes = self._changes[name]
        ends = [*(at for at, _ in changes[1:]), self.end][: len(changes)]
        return [Span(text, at, end) for (at, text), end in zip(changes, ends, strict=True)]

    def members(self, name: str) -> list[Span]:
        """Of a set of names: when each was in it."""
        out: list[Span] = []
        open_: dict[str, float] = {}
        for at, text in [*self._changes[name], (self.end, "")]:
            now = set(text.split())
            for gone in sorted(open_.keys() - now):
                out.append(Span(gone, open_.pop(gone), at))
            for new in now - open_.keys():
                open_[new] = at
        return sorted(out, key=lambda span: (span.start, span.name))

    def known(self, name: str) -> bool:
        """Whether a number was ever known."""
        return any(not math.isnan(value) for value in self.numbers[name])

    def _thin(self) -> None:
        at = self.t
        self.t = array("d", [at[min(i + k, len(at) - 1)] for i in range(0, len(at), 4) for k in (0, 2)])
        for name, values in self.numbers.items():
            self.numbers[name] = array("d", _extremes(values))
        self._coarse *= 2


def number(value: Value) -> float:
    """As a float; NaN for what is not known, not finite or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:  # an integer beyond any float
        return math.nan


def _extremes(values: Iterable[float]) -> list[float]:
    """Of each four, the lowest and the highest in the order in which they came; a gap stays one."""
    every = list(values)
    out: list[float] = []
    for i in range(0, len(every), 4):
        four = every[i : i + 4]
        known = [v for v in four if not math.isnan(v)]
        if not known:
            out += [math.nan, math.nan]
        elif len(known) < len(four):
            pair = [known[0] if abs(known[0]) >= abs(known[-1]) else known[-1], math.nan]
            out += pair if not math.isnan(four[0]) else pair[::-1]
        else:
            low, high = min(four), max(four)
            out += [low, high] if four.index(low) <= four.index(high) else [high, low]
    return out
