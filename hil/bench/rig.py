"""A live system for benches: the process backend with default timers, ready to be dispatched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

from hil.backends.process import ProcessBackend
from hil.expr import Value
from hil.scenario import Scenario, parse

READY_S = 30.0
POLL_S = 0.02
_SCENARIO = """
[scenario]
name = "bench"
duration = "1h"
backends = ["process"]
[home]
soc_permille = 600
load_w = 900
"""
_FAST = """
[config.agent]
demo = true
[config.timers]
cycle_s = 0.1
"""


class NotReady(RuntimeError):
    """The system did not come to where a bench begins; the text says what it showed instead."""


def scenario(*, fast: bool = False) -> Scenario:
    """The demo home as it stands on an ordinary evening. `fast`: control at 10 Hz instead of 1 Hz."""
    return parse(_SCENARIO + _FAST if fast else _SCENARIO, "bench")


@contextlib.contextmanager
def ending(backend: ProcessBackend) -> Iterator[None]:
    """Whatever happens inside, the backend is finished after it. Its directory stays, and is named, where it was
    NotReady."""
    try:
        yield
    except NotReady as error:
        backend.finish()
        raise NotReady(f"{error}; logs and traces: {backend.directory}") from None
    except BaseException:
        backend.finish()
        backend.discard()
        raise
    backend.finish()
    backend.discard()


@contextlib.contextmanager
def live(*, fast: bool = False) -> Iterator[ProcessBackend]:
    """Everything up, the daemon identified its devices and has been told the time. `fast` as in `scenario`."""
    backend = ProcessBackend()
    with ending(backend):
        backend.start(scenario(fast=fast), 1)
        wait(backend, lambda s: s["agent.devices_ok"] == 3 and s["agent.fresh"] is True and s["agent.mode"] == "local")
        yield backend


def wait(backend: ProcessBackend, until: Callable[[Mapping[str, Value]], bool], seconds: float = READY_S) -> None:
    """Look until it holds. NotReady when it does not in time."""
    end = time.monotonic() + seconds
    while True:
        signals = backend.signals()
        if until(signals):
            return
        if time.monotonic() >= end:
            seen = {name: value for name, value in signals.items() if name.startswith(("agent.", "proc."))}
            raise NotReady(f"not ready after {seconds:g} s: {seen}")
        time.sleep(POLL_S)
