"""Follows a live daemon through its local socket, as `batteryctl watch` does, and comes back whenever it restarts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.local.client import Client

RETRY_S = 0.1
STALE_S = 5.0  # the daemon says something at least each cycle


class Watching:
    """`status` is the last line, None while nobody answers. `on_line` is called on this thread with every line."""

    def __init__(self, socket: Path, on_line: Callable[[Mapping[str, Any]], None]) -> None:
        self.status: Mapping[str, Any] | None = None
        self._socket = socket
        self._on_line = on_line
        self._stopping = threading.Event()
        self._client: Client | None = None
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, ValueError, KeyError):
                self._follow()
            self.status = None
            self._stopping.wait(RETRY_S)

    def _follow(self) -> None:
        with Client(str(self._socket), timeout_s=STALE_S) as client:
            client.send("watch")
            while not self._stopping.is_set() and not client.ended:
                for line in client.poll(RETRY_S)[0]:
                    if "control" not in line:
                        return  # its first cycle is not finished, or it is full
                    self.status = line
                    self._on_line(line)
