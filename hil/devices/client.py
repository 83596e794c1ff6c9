"""Talking to a running `hil.devices.process` over its control socket. Standard library only."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class HomeClient:
    """One connection; every call waits for its answer. ValueError carries the home's own sentence."""

    def __init__(self, path: Path, timeout_s: float = 5.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("r")
        self._next = 0

    def do(self, op: str, **args: object) -> dict[str, Any]:
        """An operation of `hil.devices.world.World`, or a question; see hil.devices.process."""
        self._socket.sendall(json.dumps({"do": op, **args}).encode() + b"\n")
        line = self._file.readline()
        if not line:
            raise ConnectionError("the simulated home has closed its control socket")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise ValueError(answer["error"])
        return answer

    def truth(self) -> Mapping[str, Any]:
        """`hil.plant.home.Truth` as a mapping."""
        truth: Mapping[str, Any] = self.do("truth")["truth"]
        return truth

    def signals(self) -> Mapping[str, Any]:
        """`truth.*` and `wire.*`."""
        signals: Mapping[str, Any] = self.do("signals")["signals"]
        return signals

    def new_writes(self) -> list[dict[str, Any]]:
        """Register writes since the last call."""
        answer = self.do("writes", since=self._next)
        self._next = answer["next"]
        writes: list[dict[str, Any]] = answer["writes"]
        return writes

    def close(self) -> None:
        """Hang up; the home goes on."""
        self._file.close()
        self._socket.close()
