"""The whole system in real processes, ready for a bench."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from hil.aggregator.aggregator import Signed
from hil.backends.process import ProcessBackend
from hil.scenario import parse
from hil.site import DEVICE

SCENARIO = """
[scenario]
name = "bench"
about = "A healthy home for measurements."
duration = "1h"
backends = ["process"]

[home]
soc_permille = 600
load_w = 900

[[assert]]
name = "house stays fed"
always = "truth.fed"
"""
READY_S = 30.0


@contextlib.contextmanager
def running(seed: int = 1) -> Iterator[ProcessBackend]:
    """A started backend; the daemon is starting when this yields."""
    backend = ProcessBackend()
    try:
        backend.start(parse(SCENARIO, "bench"), seed)
        yield backend
    finally:
        backend.finish()


def wait_devices(backend: ProcessBackend) -> None:
    """Until a dispatch could be followed; RuntimeError if that does not come."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        signals = backend.signals()
        if signals["agent.mode"] == "local" and signals["agent.fresh"] and signals["agent.devices_ok"] == 3:
            return
        time.sleep(0.1)
    raise RuntimeError("the daemon did not get ready: " + f"see {backend.directory}")


def verified(backend: ProcessBackend, kind: str) -> int:
    """How many up messages of that kind the aggregator has verified."""
    return int(backend.live.look(lambda aggregator: aggregator.score()["verified"][kind]))


def dispatch(backend: ProcessBackend, power_w: int) -> Signed:
    """A signed dispatch of 60 s, not sent."""
    return backend.live.build(lambda aggregator, now: aggregator.dispatch(DEVICE, power_w, 60, now))


def cancel(backend: ProcessBackend, command_id: str) -> None:
    """Send a cancel."""
    backend.live.send(lambda aggregator, now: aggregator.cancel(DEVICE, command_id, now))


class WireLog:
    """The wire's own log, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r", encoding="utf-8")
        self._rest = ""

    def frames(self) -> list[dict[str, object]]:
        """Whole rows since the last call."""
        text = self._rest + self._file.read()
        lines = text.split("\n")
        self._rest = lines.pop()
        return [json.loads(line) for line in lines if line]

    def close(self) -> None:
        """Done."""
        self._file.close()
