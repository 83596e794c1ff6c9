"""The report as one HTML file that needs nothing else: no network, no font, no script to be read."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from hil import coverage
from hil.coverage import Cell
from hil.figures import machine
from hil.hazards import HAZARDS
from hil.judge import Verdict
from hil.report.latency import histogram, latencies
from hil.report.recording import Recording
from hil.report.scale import absolute, lasting
from hil.report.tables import chapter_table, hazard_table, log_table, mark, table, verdict_table, verdict_tables
from hil.report.timeline import homes, timeline
from hil.runner import Outcome
from hil.scenario import PROMISES

_HERE = Path(__file__)
_INLINE = "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_POLICY = f"default-src 'none'; {_INLINE}; base-uri 'none'; form-action 'none'"
_CLOCKS = {
    "virtual": "In virtual time: what the models of broker, disk and line take, not what this machine took.",
    "process": "Real broker with mutual TLS, real disk, and a line at the speed of its wire.",
    "bench": "Real broker, real disk, real devices.",
}
_CLOSER = (  # shown by the script: without one there is nothing to press
    '<div id="zoom" hidden><button type="button" name="all">whole run</button>'
    '<button type="button" name="in" title="closer">+</button><button type="button" name="out" title="wider">−</button>'
    '<button type="button" name="back" title="earlier">◀</button>'
    '<button type="button" name="on" title="later">▶</button>'
    '<b id="stretch"></b><span class="dim">drag over any panel for a closer look, click a bar to fill the width with '
    'it, double-click for all</span></div><div id="readout" hidden></div>'
)
POINTERS = 2400  # rows that the pointer's readout knows
_READOUT = {
    "battery": "truth.battery_w", "commanded": "agent.given_w", "permit from": "agent.lo_w", "to": "agent.hi_w",
    "grid": "truth.grid_w", "PV": "truth.pv_w", "house": "truth.load_w", "SoC": "truth.soc_permille",
    "BMS says": "agent.soc_permille", "reserve": "agent.reserve_permille",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page; `body` is HTML. An empty body leaves it out; `folded` shows its title alone at first."""

    id: str
    title: str
    body: str
    folded: bool = False


def scenario_page(outcome: Outcome, recording: Recording, void: int = 0, others: Sequence[Recording] = ()) -> str:
    """The whole file of one run; `others`: the further homes of a fleet."""
    wall_ms = 0 if recording.run is None else recording.run.wall_ms
    chapters = [chapter.id for chapter in outcome.scenario.chapters]
    by_name = {verdict.name: verdict for verdict in outcome.verdicts}
    broken = [v for v in outcome.verdicts if not v.ok]
    story = chapter_table(recording, by_name, wall_ms) if recording.chapters else ""
    every = homes((recording, *others))
    over_time = (
        _CLOSER + timeline(recording, outcome.verdicts) + (every and f"<h2>All {1 + len(others)} homes</h2>{every}")
    )
    sections = [
        Section("broken", f"What did not hold ({len(broken)})", _broken(broken, outcome.notes)),
        Section("time", "The first home over time" if others else "The run over time", over_time),
        Section("story", "The story", story),
        Section("promises", "Promises, measured", verdict_tables(outcome.verdicts, chapters)),
        Section("latency", "How long commands took", _latency(recording, outcome.backend)),
        *_hazards(outcome),
        Section("log", "What was done, and what came of it", log_table(recording, wall_ms), folded=True),
        Section("run", "This run", _facts(outcome, recording, void)),
    ]
    return page(f"{outcome.scenario.name} on {outcome.backend}", _head(outcome, recording), sections, _data(recording))


def page(title: str, head: str, sections: Sequence[Section], data: Mapping[str, object] | None = None) -> str:
    """A page of sections under a head; `data` is what the script shows under the pointer."""
    style = _HERE.with_name("page.css").read_text(encoding="utf-8")
    script = _HERE.with_name("page.js").read_text(encoding="utf-8") if data else ""
    body = "".join(_section(section) for section in sections if section.body)
    known = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c") if data else ""
    end = f'<script type="application/json" id="data">{known}</script><script>{script}</script>' if data else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{style}</style></head>'
        f"<body><main>{head}{body}</main>{end}</body></html>\n"
    )


def _section(section: Section) -> str:
    title = f"<h2>{escape(section.title)}</h2>"
    if section.folded:
        return f'<section id="{section.id}"><details><summary>{title}</summary>{section.body}</details></section>'
    return f'<section id="{section.id}">{title}{section.body}</section>'


def _head(outcome: Outcome, recording: Recording) -> str:
    verdicts, scenario = outcome.verdicts, outcome.scenario
    broken = sum(not v.ok for v in verdicts)
    if not verdicts:
        words = "Nothing was judged"
    else:
        words = f"{broken} of {len(verdicts)} did not hold" if broken else f"All {len(verdicts)} assertions held"
    wall_ms = 0 if recording.run is None else recording.run.wall_ms
    day = dt.datetime.fromtimestamp(wall_ms / 1000, dt.UTC).strftime("%Y-%m-%d")
    clock = "" if recording.run is None else f", {day} from {absolute(wall_ms, 0)} UTC by the home's clock"
    length = lasting(outcome.ended_ns / 1e9)
    return (
        f'<header><p class="over">scenario on {escape(outcome.backend)}</p><h1>{escape(scenario.name)}</h1>'
        f'<p class="about">{escape(scenario.about)}</p>'
        f'<p class="verdict {"good" if outcome.ok else "bad"}">{"✓" if outcome.ok else "✗"} {words}</p>'
        f"<ul class=promises>{_promises(verdicts)}</ul>"
        f'<p class="dim">{length}{escape(clock)}, seed {outcome.seed}</p></header>'
    )


def _promises(verdicts: Sequence[Verdict]) -> str:
    out = []
    for promise in PROMISES:
        of_it = [v for v in verdicts if v.promise == promise]
        if of_it:
            held = sum(v.ok for v in of_it)
            words = f"{promise[:1].upper()}{promise[1:]}: {held} of {len(of_it)}"
            out.append(f"<li>{mark(held == len(of_it))} {escape(words)}</li>")
    return "".join(out)


def _broken(broken: Sequence[Verdict], notes: Sequence[str]) -> str:
    if not broken:
        return ""
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return verdict_table(broken) + (f"<h3>What else was said</h3><ul class=notes>{told}</ul>" if told else "")


def _latency(recording: Recording, backend: str) -> str:
    figures = "".join(histogram(name, times) for name, times in latencies(recording).items())
    return f'<p class="see">{escape(_CLOCKS.get(backend, ""))}</p><div class="row">{figures}</div>' if figures else ""


def _hazards(outcome: Outcome) -> list[Section]:
    """What this run shows of the hazard table, and what was kept of all of it."""
    mine = coverage.cells_of(outcome)
    cells: list[Cell] = []
    kept: dict[str, str] = {}
    for backend in ("virtual", "process"):
        old = coverage.read(coverage.KEPT / f"coverage-{backend}.json")
        if old is not None:
            cells += old.cells
            kept[backend] = f"{old.date}, commit {old.commit}"
    shown = {cell.hazard for cell in cells if cell.holds}
    every = hazard_table(cells, kept, every=True) if cells else ""
    return [
        Section("hazards", "Hazards that this run shows", hazard_table(mine, {}, every=False) if mine else ""),
        Section("coverage", f"All hazards as last kept: {len(shown)} of {len(HAZARDS)} shown", every, folded=True),
    ]


def _facts(outcome: Outcome, recording: Recording, void: int) -> str:
    seen = machine()
    command = f"python -m hil scenario {outcome.scenario.name} --backend {outcome.backend} --seed {outcome.seed}"
    rows = {
        "again": f"<code>{escape(command)}</code>",
        "commit": escape(coverage.commit()),
        "made": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "samples": f"{len(recording.t)}, one each {outcome.scenario.sample_ns / 1e6:g} ms",
        "trace": escape(outcome.trace or ""),
        "thrown away": f"{void} run(s): the machine itself stalled" if void else "",
        "machine": escape(", ".join(f"{name} {value}" for name, value in seen.items())),
        "beside this file": "figures.json, samples.csv, events.csv, junit.xml",
    }
    return table(("what", ""), [("", (name, value)) for name, value in rows.items() if value], "facts")


def _data(recording: Recording) -> dict[str, object]:
    """For the pointer: time, state and numbers, at most `POINTERS` rows, none of them interpolated."""
    step = max(1, math.ceil(len(recording.t) / POINTERS))
    picked = range(0, len(recording.t), step)
    names = {label: name for label, name in _READOUT.items() if recording.known(name)}
    modes = [[round(span.start, 2), span.name] for span in recording.spans("agent.mode")]
    rows = {label: [_whole(recording.numbers[name][i], name) for i in picked] for label, name in names.items()}
    wall_ms = 0 if recording.run is None else recording.run.wall_ms
    return {"wall": wall_ms, "t": [round(recording.t[i], 2) for i in picked], "modes": modes, "rows": rows}


def _whole(value: float, name: str) -> float | None:
    if math.isnan(value):
        return None
    return round(value / 10, 2) if name.endswith("permille") else round(value)
