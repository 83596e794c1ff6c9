"""The panels of a run over time, each with a title that says what is to be seen and a legend of what was known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from hil.faults.catalog import VERBS
from hil.judge import Verdict
from hil.report.frame import Frame
from hil.report.lanes import Bar, bars, legend_of, ribbons, rows_of_states, state_kind, told
from hil.report.plot import Between, Curve, Plot
from hil.report.recording import NS, Done, Recording, Span
from hil.report.scale import lasting, relative

WIDE, NARROW = 920.0, 400.0

BATTERY = Plot(
    (
        Curve("bench.meter_w", "the rig's own meter", "meter"),
        Curve("truth.battery_w", "measured at the battery", "battery"),
        Curve("agent.given_w", "commanded by the agent", "given"),
    ),
    (Between("agent.lo_w", "agent.hi_w", "permit: what the agent may command", "permit"),),
    "W",
    200.0,
    "Battery power over time: measured, commanded, and the permit band",
    230.0,
)
HOUSE = Plot(
    (
        Curve("truth.load_w", "house", "load"),
        Curve("truth.pv_w", "PV", "pv", moves=True),
        Curve("truth.grid_w", "grid, + = import", "gridline"),
    ),
    (),
    "W",
    200.0,
    "Power of grid, house and PV over time",
)
CHARGE = Plot(
    (
        Curve("truth.soc_permille", "truth in the cells", "soc", 0.1),
        Curve("agent.soc_permille", "as the BMS reports it", "socbms", 0.1),
        Curve("agent.soc_lo_permille", "lowest that the agent believes possible", "soclow", 0.1),
    ),
    (Between("", "agent.reserve_permille", "reserve, the homeowner's", "reserve", 0.1),),
    "%",
    1.0,
    "State of charge over time: truth, BMS, and the reserve",
    hard=(0.0, 100.0),
    below=0.25,
)
CURVES = (
    ("Battery", "Does it do what it is told, inside what it may? Up is discharge, down is charge.", BATTERY),
    ("House and grid", "Where the power comes from and goes to, as the simulated plant has it.", HOUSE),
    ("State of charge and reserve", "Truth beside what the BMS says; the shaded reserve is never sold.", CHARGE),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """`legend`: (CSS class of its sample, text). `draw` makes the SVG of one layout."""

    title: str
    sentence: str
    legend: Sequence[tuple[str, str]]
    draw: Callable[[Frame], str]

    def html(self, frames: Sequence[tuple[str, Frame]]) -> str:
        """Heading, legend, and one SVG a layout."""
        keys = "".join(f'<li><span class="key {kind}"></span>{escape(words)}</li>' for kind, words in self.legend)
        svgs = "".join(f'<div class="{kind}">{self.draw(frame)}</div>' for kind, frame in frames)
        legend = f'<ul class="legend">{keys}</ul>' if keys else ""
        return f'<figure><h3>{escape(self.title)}</h3><p class="see">{escape(self.sentence)}</p>{legend}{svgs}</figure>'


def timeline(recording: Recording, verdicts: Sequence[Verdict]) -> str:
    """All panels as HTML; a sentence when nothing was recorded."""
    if not recording.t:
        return '<p class="empty">Nothing was sampled: the run ended before its first look at the home.</p>'
    marks = [(at, str(number)) for number, (_, at) in enumerate(recording.chapters, 1)]
    wall_ms = 0 if recording.run is None else recording.run.wall_ms
    frames = [
        ("wide", Frame(WIDE, recording.end, wall_ms, marks)),
        ("narrow", Frame(NARROW, recording.end, wall_ms, marks)),
    ]
    panels = [_states(recording), *_curves(recording), *_faults(recording), *_promises(recording, verdicts)]
    return "".join(panel.html(frames) for panel in panels)


def homes(recordings: Sequence[Recording]) -> str:
    """Of several homes a small panel each, all with the same axes: states, and battery power inside the permit."""
    known = [recording for recording in recordings if recording.t]
    if len(known) < 2:
        return ""
    plot = dataclasses.replace(BATTERY, height=150.0, top=46.0)
    end = max(recording.end for recording in known)
    out = []
    for number, recording in enumerate(known, 1):
        wall_ms = 0 if recording.run is None else recording.run.wall_ms
        frames = [("wide", Frame(WIDE, end, wall_ms)), ("narrow", Frame(NARROW, end, wall_ms))]
        seed = "" if recording.run is None else f", seed {recording.run.seed}"
        out.append(_home(f"Home {number}{seed}", recording, plot, known).html(frames))
    return "".join(out)


def _home(title: str, recording: Recording, plot: Plot, among: Sequence[Recording]) -> Panel:
    modes = [("agent", recording.spans("agent.mode"), "mode")]

    def draw(frame: Frame) -> str:
        return plot.draw(recording, frame, among, rows_of_states(modes, frame, 2.0))

    acting = [span.start for span in recording.spans("agent.mode") if span.name == "dispatched"]
    told = ", ".join(relative(at) for at in acting)
    return Panel(title, f"Dispatched from {told}." if told else "Never dispatched.", [], draw)


def _states(recording: Recording) -> Panel:
    modes, grid = recording.spans("agent.mode"), recording.spans("agent.grid")
    rows = [("agent", modes, "mode"), ("grid", grid, "grid")]
    legend = [
        (f"state {state_kind('mode', name)}", f"{_state(name)} {lasting(total)}") for name, total in legend_of(modes)
    ]
    sentence = "What the agent was doing, and whether it was sure of the utility grid; numbers are the chapters below."
    return Panel(
        "State of the agent",
        sentence if recording.chapters else sentence.partition(";")[0] + ".",
        legend,
        lambda frame: ribbons(rows, frame, "Ribbon of the agent's states and of the grid over time"),
    )


def _state(name: str) -> str:
    return name.replace("_", " ") or "no word from the agent"


def _curves(recording: Recording) -> list[Panel]:
    return [_curve(recording, *row) for row in CURVES if row[2].shown(recording)]


def _curve(recording: Recording, title: str, sentence: str, plot: Plot) -> Panel:
    legend = [(f"{'area' if isinstance(s, Between) else 'line'} {s.kind}", s.label) for s in plot.shown(recording)]
    return Panel(title, sentence, legend, lambda frame: plot.draw(recording, frame))


def _faults(recording: Recording) -> list[Panel]:
    injected = [_injected(d, recording.end) for d in recording.done if VERBS[d.event.verb].observe or d.event.for_ns]
    raised = [
        Bar(span.name, span.start, span.end, "raised", f"{span.name}, {told(span, recording.end)}")
        for span in recording.members("agent.faults")
    ]
    if not injected and not raised:
        return []
    legend = [("bar injected", "put in by the scenario"), ("bar raised", "raised by the agent, until it cleared them")]
    sentence = "What the bench broke, and what the agent found."
    return [Panel("Faults", sentence, legend, lambda frame: bars([injected, raised], frame, "Faults over time"))]


def _injected(done: Done, end: float) -> Bar:
    event, verb = done.event, VERBS[done.event.verb]
    label = event.verb if event.id == event.verb else f"{event.verb} ({event.id})"
    to = done.start if event.for_ns is None else end if done.end is None else done.end
    when = told(Span("", done.start, to), end) if event.for_ns else f"at {relative(done.start)}"
    return Bar(label, done.start, to, "injected", f"{verb.sentence}, {when}")


def _promises(recording: Recording, verdicts: Sequence[Verdict]) -> list[Panel]:
    chapters = {chapter.id for chapter, _ in recording.chapters}
    rows = [_promise(v, recording.end) for v in verdicts if v.name not in chapters and v.from_ns is not None]
    if not rows:
        return []
    legend = [
        ("bar good", "held"),
        ("bar bad", "did not hold"),
        ("boundkey", "latest allowed moment"),
        ("dotkey", "came true, or broke"),
    ]
    sentence = "Over which stretch each was judged, and the moment that decided it."
    return [Panel("Promises", sentence, legend, lambda frame: bars([rows], frame, "Assertions over time"))]


def _promise(verdict: Verdict, end: float) -> Bar:
    start = (verdict.from_ns or 0) / NS
    to = min(end, max(start, (verdict.to_ns or 0) / NS))
    seen = None if verdict.seen_ns is None else verdict.seen_ns / NS
    timed = verdict.unit == "s" and verdict.reach.startswith("<= ")
    bound = min(end, start + float(verdict.reach[3:])) if timed else None
    title = f"{verdict.name}: {'held' if verdict.ok else 'did not hold'}, from {relative(start)}: {verdict.sentence}"
    label = verdict.name if verdict.ok else f"✗ {verdict.name}"
    return Bar(label, start, to, "good" if verdict.ok else "bad", title, seen, bound)
