"""Where log lines go: stderr, written by a thread of its own, so that nothing that happens to a log stops the agent.

A reader that went away, a full disk under a redirected stderr, a pipe nobody empties: lines get lost, no cycle does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading

from agent.runtime import part

MOST_WAITING = 1000
LAST_S = 0.5
_LEVELS = {"error": "<3>", "warning": "<4>"}
_BREAKS = (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PLAIN = {code: f"\\u{code:04x}" for code in _BREAKS}  # what ends a line, moves a cursor or turns text about


class Journal:
    """Call it from any thread: never blocks, never raises. One entry is one line, whatever was put into its text."""

    def __init__(self, fd: int = 2, prefixed: bool = False) -> None:
        self._fd = fd
        self._prefixed = prefixed
        self._lines: queue.Queue[bytes | threading.Event] = queue.Queue(MOST_WAITING)
        self._lost = 0
        threading.Thread(target=self._run, name="journal", daemon=True).start()

    def __call__(self, entry: part.Log) -> None:
        """Queue one line; when too many wait already it is dropped and counted."""
        prefix = _LEVELS.get(entry.level, "<6>") if self._prefixed else ""
        try:
            self._lines.put_nowait(
                f"{prefix}{entry.level:<7} {entry.text.translate(_PLAIN)}\n".encode("utf-8", "replace")
            )
        except queue.Full:
            self._lost += 1

    def flush(self, wait_s: float = LAST_S) -> None:
        """Wait until all is written, but not for long: the end of the process must not hang on a log."""
        written = threading.Event()
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(written)
            written.wait(wait_s)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            lost, self._lost = self._lost, 0
            if lost:
                self._write(f"warning {lost} lines were lost: stderr took no more\n".encode())
            if isinstance(line, threading.Event):
                line.set()
            else:
                self._write(line)

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._fd, data) :]
