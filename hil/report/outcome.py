"""What a run leaves in a directory: its figures, and its samples as a table that anything can plot."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hil.expr import Value
from hil.judge import Verdict
from hil.runner import Quiet
from hil.scenario import Chapter, Event
from hil.signals import SIGNALS, Happening

EVERY_NS = 1_000_000_000
COLUMNS = ("at_s", *SIGNALS)


class Recorder(Quiet):
    """A watcher that writes `samples.csv` (one row a second) and `events.csv` (chapters, verbs, records, verdicts)."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._samples_file = (directory / "samples.csv").open("w", encoding="utf-8", newline="")
        self._events_file = (directory / "events.csv").open("w", encoding="utf-8", newline="")
        self._samples = csv.writer(self._samples_file)
        self._events = csv.writer(self._events_file)
        self._samples.writerow(COLUMNS)
        self._events.writerow(("at_s", "what", "name", "detail"))
        self._next_ns = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._samples_file.close()
        self._events_file.close()

    def sample(self, at_ns: int, signals: Mapping[str, Value]) -> None:
        if at_ns >= self._next_ns:
            self._next_ns = at_ns - at_ns % EVERY_NS + EVERY_NS
            self._samples.writerow([_seconds(at_ns), *(signals.get(name) for name in SIGNALS)])

    def chapter(self, chapter: Chapter, at_ns: int) -> None:
        self._events.writerow((_seconds(at_ns), "chapter", chapter.id, chapter.title))

    def event(self, at_ns: int, event: Event, ended: bool) -> None:
        self._events.writerow((_seconds(at_ns), "end" if ended else "do", event.id, f"{event.verb} {dict(event.args)}"))

    def happening(self, record: Happening) -> None:
        self._events.writerow((_seconds(record.at_ns), record.stream, "", dict(record.fields)))

    def verdict(self, at_ns: int, verdict: Verdict) -> None:
        self._events.writerow((_seconds(at_ns), "ok" if verdict.ok else "failed", verdict.name, verdict.sentence))


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.3f}"
