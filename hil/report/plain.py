"""A run as lines of text, for logs and pipes: chapters, what was done, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hil.aggregator.forge import FORGERIES
from hil.expr import Value
from hil.faults.catalog import VERBS
from hil.judge import Verdict
from hil.runner import Quiet
from hil.scenario import Chapter, Event
from hil.signals import Happening

STATUS_NS = 5_000_000_000


class PlainLines(Quiet):
    """A watcher; `say` takes each line."""

    def __init__(self, say: Callable[[str], None], chapters: int) -> None:
        self._say = say
        self._chapters = chapters
        self._count = 0
        self._next_ns = 0

    def chapter(self, chapter: Chapter, at_ns: int) -> None:
        self._count += 1
        self._say(f"\n{_clock(at_ns)} {self._count}/{self._chapters} {chapter.title}")
        self._next_ns = at_ns + STATUS_NS

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        if at_ns >= self._next_ns:
            self._next_ns = at_ns + STATUS_NS
            self._say(f"{_clock(at_ns)}      {status_line(signals)}")

    def event(self, at_ns: int, event: Event, ended: bool) -> None:
        self._say(f"{_clock(at_ns)}    > {event_line(event, ended)}")

    def happening(self, record: Happening) -> None:
        line = record_line(record)
        if line:
            self._say(f"{_clock(record.at_ns)}      {line}")

    def verdict(self, at_ns: int, verdict: Verdict) -> None:
        self._say(f"{_clock(at_ns)}   {'ok' if verdict.ok else 'xx'} {verdict.name}: {verdict.sentence}")


def event_line(event: Event, ended: bool) -> str:
    """What the story does now."""
    if ended:
        return f"{event.id}: over"
    if "way" in event.args:
        return f"attack: {FORGERIES[str(event.args['way'])].sentence}"
    args = ", ".join(f"{key} {value}" for key, value in event.args.items())
    return f"{event.id}: {VERBS[event.verb].sentence}" + (f" ({args})" if args else "")


def record_line(record: Happening) -> str:
    """A record worth a line, else ""."""
    fields = record.fields
    if record.stream == "ack":
        why = f" by {fields['reason']}" if fields["reason"] not in (None, "", fields["state"]) else ""
        return f"ack {fields['command']}: {fields['state']}{why}"
    if record.stream == "process":
        status = "" if fields["status"] is None else f", status {fields['status']}"
        return f"daemon: {fields['what']}{status}"
    if record.stream == "write" and fields["kind"] in ("clear", "floor"):
        return f"wire: {fields['kind']} {fields['value'] or ''}".rstrip()
    return ""


def status_line(signals: Mapping[str, Value]) -> str:
    """The home at a glance."""
    soc = signals["truth.soc_permille"]
    text = f"SoC {soc / 10:.2f} %" if isinstance(soc, float | int) else "SoC ?"
    text += f"  battery {_watts(signals['truth.battery_w'])}  grid {_watts(signals['truth.grid_w'])}"
    text += f"  load {_watts(signals['truth.load_w'])}"
    mode = signals["agent.mode"]
    if mode is None:
        return text + "  (no daemon)"
    given = signals["agent.given_w"]
    told = "released" if given is None else f"{given} W"
    binding = signals["agent.binding"]
    return f"{text}  agent {mode}, {told}" + (f" by {binding}" if binding else "")


def _watts(value: Value) -> str:
    return f"{value:+.0f} W" if isinstance(value, int | float) else "? W"


def _clock(ns: int) -> str:
    return f"{ns / 1e9:6.1f} s"
