"""A panel of curves over time: lines, areas between two lines, an axis of values with its unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hil.report.frame import LEFT, RIGHT, Frame, text
from hil.report.recording import Recording
from hil.report.scale import Scale, around, plain, prefix, ticks
from hil.report.trace import area, line, path, runs

TOP = 20.0
FINE = 5  # columns a pixel: what a zoom has to show


@dataclass(frozen=True, slots=True)
class Curve:
    """One number of the recording: `scale` turns it into the panel's unit; `kind` is its CSS class."""

    name: str
    label: str
    kind: str
    scale: float = 1.0
    moves: bool = False  # left out when it is 0 all along


@dataclass(frozen=True, slots=True)
class Between:
    """An area from `low` to `high`, numbers of the recording; `low` "" = from the bottom of the panel."""

    low: str
    high: str
    label: str
    kind: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Plot:
    """What a panel shows. `least`: the smallest range of its axis in `unit`; `hard`: what it never leaves."""

    curves: Sequence[Curve]
    areas: Sequence[Between]
    unit: str
    least: float
    label: str
    height: float = 190.0
    hard: tuple[float, float] = (-math.inf, math.inf)
    below: float = 0.0  # further air at the bottom, in parts of the range
    top: float = TOP

    def shown(self, recording: Recording) -> list[Curve | Between]:
        """Those of which there is something to see, for a legend."""
        return [*self._curves(recording), *(a for a in self.areas if recording.known(a.high))]

    def draw(self, recording: Recording, frame: Frame, among: Sequence[Recording] = (), over: str = "") -> str:
        """The SVG. `among`: runs that share the axis of values; `over`: what is drawn above `top`."""
        low, high = self._range(among or (recording,))
        y = Scale(low, high, self.height, self.top)
        areas = "".join(_area(recording, a, frame.x, y) for a in self.areas)
        curves = "".join(_curve(recording, c, frame.x, y) for c in self._curves(recording))
        inner = self._axis(y, frame) + frame.window(self.height, areas + curves)
        return frame.panel(self.height, over + inner, self.label)

    def _curves(self, recording: Recording) -> list[Curve]:
        known = [c for c in self.curves if recording.known(c.name)]
        return [c for c in known if not c.moves or any(_moving(v) for v in recording.numbers[c.name])]

    def _range(self, recordings: Sequence[Recording]) -> tuple[float, float]:
        extremes: list[float] = []
        for recording in recordings:
            names = [(c.name, c.scale) for c in self._curves(recording)]
            names += [(name, a.scale) for a in self.areas for name in (a.low, a.high) if name]
            extremes += [bound * scale for name, scale in names for bound in _bounds(recording, name)]
        low, high = around(extremes, self.least)
        low -= (high - low) * self.below
        return max(low, self.hard[0]), min(high, self.hard[1])

    def _axis(self, y: Scale, frame: Frame) -> str:
        by, letter = prefix(y.low, y.high) if self.unit == "W" else (1.0, "")
        marks = ticks(y.low / by, y.high / by, 4 if frame.narrow else 5)
        step = marks[1] - marks[0] if len(marks) > 1 else 0.0
        out = [text(4, self.top - 8, f"{letter}{self.unit}", "tick unit")]
        for mark in marks:
            py = y(mark * by)
            kind = "zero" if mark == 0 else "grid"
            out.append(f'<path class="{kind}" d="M{LEFT:g} {py:.1f}H{frame.width - RIGHT:g}"/>')
            out.append(text(LEFT - 6, py + 4, plain(mark, step), "tick", "end"))
        return "".join(out)


def _moving(value: float) -> bool:
    return value != 0 and not math.isnan(value)


def _bounds(recording: Recording, name: str) -> tuple[float, float]:
    known = [v for v in recording.numbers[name] if not math.isnan(v)]
    return (min(known), max(known)) if known else (math.nan, math.nan)


def _curve(recording: Recording, curve: Curve, x: Scale, y: Scale) -> str:
    values = [v * curve.scale for v in recording.numbers[curve.name]]
    stretches = [line(recording.t, values, run, x, y, FINE) for run in runs(recording.t, values, recording.gap_s)]
    d = "".join(path(points) for points in stretches)
    return f'<path class="line {curve.kind}" d="{d}"/>' if d else ""


def _area(recording: Recording, between: Between, x: Scale, y: Scale) -> str:
    t = recording.t
    high = [v * between.scale for v in recording.numbers[between.high]]
    low = [v * between.scale for v in recording.numbers[between.low]] if between.low else [y.low] * len(high)
    both = [math.nan if math.isnan(a) else b for a, b in zip(low, high, strict=True)]
    every = runs(t, both, recording.gap_s)
    d = "".join(area(line(t, both, run, x, y, FINE), line(t, low, run, x, y, FINE)) for run in every)
    return f'<path class="area {between.kind}" d="{d}"/>' if d else ""
