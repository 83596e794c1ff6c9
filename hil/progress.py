"""A progress line for anything longer than a few seconds: redrawn on a terminal, a line every 10 s elsewhere.

It goes to stderr, never to stdout. On a terminal the cursor waits at its beginning, so that what is said meanwhile
(`hil.talk.say`) takes its place and the line is drawn anew below.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO

TIMES = "x"  # a unit: `total` is seconds of simulated time, and the rate is how much faster than the clock they pass
_WIDTH = 24
_TTY_EVERY_S = 0.1
_PLAIN_EVERY_S = 10.0
_EVERY = 64


class Progress:
    """`with Progress("teeth", 40, unit="checks") as bar: bar.step("a")`. `total` 0: not known; `unit` "": no rate."""

    def __init__(self, title: str, total: float, *, unit: str = "", stream: TextIO | None = None) -> None:
        self._title = title
        self._total = total
        self._unit = unit
        self._stream = stream or sys.stderr
        self._tty = self._stream.isatty()
        self._done = 0.0
        self._drawn = self._began = time.monotonic()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._tty and self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def step(self, what: str = "", amount: float = 1.0) -> None:
        """`amount` more is done."""
        self.to(self._done + amount, what)

    def to(self, done: float, what: str = "") -> None:
        """`done` of `total` is done."""
        self._done = done
        now = time.monotonic()
        if now - self._drawn < (_TTY_EVERY_S if self._tty else _PLAIN_EVERY_S):
            return
        self._drawn, self._shown = now, True
        line = self._line(now, what)
        self._stream.write(f"\r{line[:118]}\x1b[K\r" if self._tty else line + "\n")
        self._stream.flush()

    def _line(self, now: float, what: str) -> str:
        spent = now - self._began
        rate = self._rate(spent)
        if self._total <= 0:
            return f"{self._title}: {self._done:g} in {spent:.0f} s{rate} {what}".rstrip()
        share = min(1.0, self._done / self._total)
        bar = ("#" * int(share * _WIDTH)).ljust(_WIDTH, ".")
        left = f", {_long(spent / share - spent)} left" if share > 0.02 else ""
        return f"{self._title} [{bar}] {share:.0%}{rate}{left} {what}".rstrip()

    def _rate(self, spent: float) -> str:
        if not self._unit or spent <= 0:
            return ""
        rate = self._done / spent
        if self._unit == TIMES:
            return f", {rate:.3g} x real time" if rate < 100 else f", {rate:.0f} x real time"
        if rate < 1:
            return f", {60 * rate:.1f} {self._unit}/min"
        return f", {rate:.1f} {self._unit}/s" if rate < 1000 else f", {rate:,.0f} {self._unit}/s"


def each(title: str, count: int, unit: str) -> Iterator[int]:
    """0 .. `count` - 1 with a progress line: for loops of many short turns."""
    with Progress(title, count, unit=unit) as bar:
        for index in range(count):
            if index % _EVERY == 0:
                bar.to(index)
            yield index


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
