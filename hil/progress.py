"""A progress line for anything longer than a few seconds: redrawn on a terminal, a line every 10 s elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_WIDTH = 24
_TTY_EVERY_S = 0.1
_PLAIN_EVERY_S = 10.0


class Progress:
    """`with Progress("campaign", total) as bar: bar.step("case 3")`. `total` 0 = not known."""

    def __init__(self, title: str, total: float, *, stream: TextIO | None = None) -> None:
        self._title = title
        self._total = total
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
        self._stream.write(f"\r{line[:118]}\x1b[K" if self._tty else line + "\n")
        self._stream.flush()

    def _line(self, now: float, what: str) -> str:
        spent = now - self._began
        if self._total <= 0:
            return f"{self._title}: {self._done:g} in {spent:.0f} s {what}".rstrip()
        share = min(1.0, self._done / self._total)
        bar = ("#" * int(share * _WIDTH)).ljust(_WIDTH, ".")
        left = f", {spent / share - spent:.0f} s left" if share > 0.02 else ""
        return f"{self._title} [{bar}] {share:.0%}{left} {what}".rstrip()
