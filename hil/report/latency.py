"""How long commands took, measured from outside the agent: from sending to what could be seen of each step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from hil.report.frame import text
from hil.report.recording import Recording
from hil.report.scale import Scale, plain
from hil.signals import Happening

STEPS: Mapping[str, str] = {
    "verified, committed, acknowledged": "sent → its ack “received” or “scheduled” verified by the aggregator",
    "acted": "sent → first register write that changes the power, by the device's own log",
    "acknowledged as started": "sent → its ack “started” verified by the aggregator",
}
BINS = 12
FEW = 8  # fewer commands are shown as a dot each
WIDTH, HEIGHT = 340.0, 150.0


def latencies(recording: Recording) -> dict[str, list[float]]:
    """Milliseconds by step, of each dispatch whose step was seen. What a command was too late for has no entry."""
    out: dict[str, list[float]] = {name: [] for name in STEPS}
    sent = [(d.start, d.event.id) for d in recording.done if d.event.verb == "aggregator.dispatch"]
    others = sorted(d.start for d in recording.done if d.event.verb.startswith("aggregator."))
    for start, label in sent:
        after = next((at for at in others if at > start), math.inf)
        acks = [r for r in recording.records if r.stream == "ack" and r.fields.get("command") == label]
        _first(out["verified, committed, acknowledged"], start, acks, ("received", "scheduled"))
        _first(out["acknowledged as started"], start, acks, ("started",))
        writes = [r.at_ns / 1e9 for r in recording.records if r.stream == "write" and start <= r.at_ns / 1e9 < after]
        if writes and any(r.fields.get("state") == "started" for r in acks):
            out["acted"].append((writes[0] - start) * 1000)
    return {name: times for name, times in out.items() if times}


def _first(into: list[float], start: float, acks: Sequence[Happening], states: tuple[str, ...]) -> None:
    at = next((r.at_ns / 1e9 for r in acks if r.fields.get("state") in states and r.at_ns / 1e9 >= start), None)
    if at is not None:
        into.append((at - start) * 1000)


def histogram(name: str, times: Sequence[float]) -> str:
    """One figure: how many took how long, with the median and the worst in words."""
    ordered = sorted(times)
    median, worst = ordered[(len(ordered) - 1) // 2], ordered[-1]
    high = _round_up(worst)
    x = Scale(0, high, 26, WIDTH - 22)
    counts = [0] * BINS
    for value in ordered:
        counts[min(BINS - 1, int(value / high * BINS))] += 1
    few = len(ordered) < FEW
    height = 78.0 if few else HEIGHT
    y = Scale(0, max(counts), height - 34, 10)
    body = [_dot(v, x, y) for v in ordered] if few else [_bin(i, n, high, x, y) for i, n in enumerate(counts) if n]
    body.append(f'<path class="axis" d="M26 {y(0):.1f}H{WIDTH - 22:g}"/>')
    body += [text(x(v), height - 18, plain(v, high / 4), "tick", "middle") for v in (high * i / 4 for i in range(5))]
    body.append(text((WIDTH + 4) / 2, height - 3, "ms", "tick dim", "middle"))
    body += [] if few else [text(20, y(v) + 4, str(v), "tick", "end") for v in sorted({0, max(counts)})]
    label = f"{name}: {len(times)} commands, median {_ms(median)}, worst {_ms(worst)}"
    svg = f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'
    return (
        f'<figure class="small"><h3>{escape(name)}</h3><p class="see">{escape(STEPS.get(name, ""))}</p>'
        f"<p><b>{_ms(median)}</b> median, <b>{_ms(worst)}</b> worst of {len(times)}</p>{svg}</figure>"
    )


def _dot(value: float, x: Scale, y: Scale) -> str:
    middle = (y(0) + y.to) / 2
    return f'<circle class="one" cx="{x(value):.1f}" cy="{middle:.1f}" r="6"><title>{_ms(value)}</title></circle>'


def _bin(index: int, count: int, high: float, x: Scale, y: Scale) -> str:
    start, end = index * high / BINS, (index + 1) * high / BINS
    size = f'width="{x(end) - x(start) - 2:.1f}" height="{y(0) - y(count):.1f}"'
    title = f"<title>{count} took {start:.0f} to {end:.0f} ms</title>"
    return f'<rect class="bin" x="{x(start) + 1:.1f}" y="{y(count):.1f}" {size}>{title}</rect>'


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"


def _round_up(value: float) -> float:
    if value <= 0:
        return 4.0
    ten = 10.0 ** math.floor(math.log10(value))
    return next(ten * factor for factor in (1.2, 2, 4, 8, 12) if ten * factor >= value)
