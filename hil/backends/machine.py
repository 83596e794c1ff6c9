"""What befalls the gateway in virtual time: its clock, its adapter, its state on the card; and what shows of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.runtime import part
from agent.runtime.virtual import VirtualRuntime
from drivers import events as bus_events
from drivers.bus import Bus
from hil.backends import state
from hil.expr import Value
from hil.faults.shown import Probe, Shown, became, grew


class Adapter:
    """The serial adapter. `missed`: times that the agent met it gone."""

    def __init__(self) -> None:
        self.plugged = True
        self.missed = 0


class Plug:
    """A bus behind an adapter that may be pulled: then its line does not open."""

    def __init__(self, inner: Bus, adapter: Adapter) -> None:
        self._inner = inner
        self._adapter = adapter

    def handle(self, event: bus_events.BusEvent, now_ns: int) -> list[bus_events.BusEffect]:
        """As the bus itself."""
        if not self._adapter.plugged and isinstance(event, bus_events.Opened | bus_events.Lost):
            self._adapter.missed += 1
            event = event if isinstance(event, bus_events.Lost) else bus_events.Lost("the adapter is not there")
        elif not self._adapter.plugged and isinstance(event, bus_events.Received):
            event = bus_events.Wake()  # what was on its way is lost with it, and it was told of that once
        return self._inner.handle(event, now_ns)


class Machine:
    """`shown` has the names of what is on. `die`: the daemon is killed, and the service manager starts it again."""

    def __init__(self, runtime: VirtualRuntime, bus: str, state_dir: Path, die: Callable[[], None]) -> None:
        self._runtime, self._bus, self._state_dir, self._die = runtime, bus, state_dir, die
        self.adapter = Adapter()
        self.shown = Shown()

    def do(self, op: str, args: Mapping[str, Value], image: Path, rng: random.Random) -> None:
        """One verb; ValueError for one that is none here. `image`: where one of the state is kept."""
        on = bool(args.get("on", True))
        if op in ("keep", "restore", "corrupt"):
            took = self._state(op, image, rng)
            self.shown.ask(op, lambda: took)
            return
        probe = self._probe(op, args)
        if op == "clock_step":
            self._runtime.step_wall(1000 * int(args["s"] or 0))
        elif op == "untrusted":
            self._runtime.ntp_synced = not on
            self._runtime.post("control", part.Kernel(self._runtime.ntp_synced))
        elif op == "unplug":
            self.adapter.plugged = not on
            if on:
                self._runtime.post(f"bus:{self._bus}", bus_events.Lost("the adapter is gone"))
        if on:
            self.shown.ask(op, probe)
        else:
            self.shown.end(op)

    def _probe(self, op: str, args: Mapping[str, Value]) -> Probe:
        runtime = self._runtime
        if op == "clock_step":
            there = self._ahead_ms() + 1000 * int(args["s"] or 0)
            return became(lambda: abs(self._ahead_ms() - there) <= 1)
        if op == "untrusted":
            return became(lambda: not runtime.ntp_synced)
        if op == "unplug":
            return grew(lambda: self.adapter.missed)
        raise ValueError(f"virtual time cannot {op!r}")

    def _ahead_ms(self) -> int:
        """How far the wall clock is ahead of the time that nobody can step."""
        return self._runtime.now().wall_ms - self._runtime.mono_ns // 1_000_000

    def _state(self, op: str, image: Path, rng: random.Random) -> bool:
        """Whether it left other bytes than there were."""
        here = self._state_dir
        if op == "keep":
            return state.changes(image, lambda: state.keep(here, image))
        self._die()
        act = {"restore": lambda: state.restore(here, image), "corrupt": lambda: state.corrupt(here, rng)}[op]
        return state.changes(here, act)
