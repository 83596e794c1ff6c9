"""`batteryd --release`: open the inverters' buses, hand each back to itself, say so, exit.

systemd runs it after every end of the daemon (ExecStopPost), a technician whenever in doubt. If a daemon still holds
the port it says so and touches nothing.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Mapping

from agent.compose import make_bus, memories, open_line
from agent.config import Config
from agent.gate import Gate
from agent.release import Releases
from agent.runtime import part
from agent.runtime.part import Effect, Now, Post
from agent.runtime.real import RealRuntime, kernel_boot_id, now
from agent.store.memories import Memories
from drivers.device import Binding
from drivers.events import DeviceStatus, Execute, Presence, Remember, Remembered, WriteResult
from drivers.readings import InverterReading

WAIT_NS = 12_000_000_000
STEP_NS = 200_000_000
UNREACHED = "the inverter was not reached: is another batteryd running, is the cable in place?"


class ReleaseControl:
    """Stands where control stands, and only releases. `inverters`: name -> its bus."""

    def __init__(self, config: Config, inverters: Mapping[str, str], known: Memories) -> None:
        self._gate = Gate(config.params)
        self._bus_of = inverters
        self._memories = known
        self._release: Releases | None = None
        self._readings: dict[str, InverterReading] = {}
        self._bindings: dict[str, Binding | None] = {}
        self._said: dict[str, str] = dict.fromkeys(inverters, UNREACHED)
        self.confirmed = False

    @property
    def sentence(self) -> str:
        """What became of it; by name, where there are several inverters."""
        told = {name: self._told(name) for name in self._bus_of}
        if len(set(told.values())) == 1:
            return next(iter(told.values()))
        return "; ".join(f"{name}: {sentence}" for name, sentence in told.items())

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Readings and results of the inverters; ends with Stopped."""
        match event:
            case part.Start():
                self._release = Releases(self._gate, now.mono_ns, list(self._bus_of))
            case InverterReading() if event.device in self._bus_of:
                self._readings[event.device] = event
            case DeviceStatus() if event.device in self._bus_of:
                binding = event.binding if event.presence is Presence.OK else None
                self._bindings[event.device] = binding if isinstance(binding, Binding) else None
                if event.presence is not Presence.OK:
                    self._said[event.device] = event.detail
            case Remember() if event.device in self._bus_of:
                if self._memories.write(event.device, event.memory) is None:
                    yield Post(f"bus:{self._bus_of[event.device]}", Remembered(event.device, event.number))
            case WriteResult() if self._release is not None:
                self._release.result(event)
        release = self._release
        if release is None or release.told:
            return
        for name, order in release.next(now.mono_ns, self._readings, self._bindings):
            yield Post(f"bus:{self._bus_of[name]}", Execute(order))
        if release.ended:
            release.told = True
            self.confirmed = release.confirmed
            yield Post("runtime", part.Stopped("control"))
        else:
            yield part.WakeAt(now.mono_ns + STEP_NS)

    def _told(self, name: str) -> str:
        release = self._release.of(name) if self._release is not None else None
        if release is not None and release.ended and (release.confirmed or self._bindings.get(name) is not None):
            return release.sentence
        return self._said[name]


def release_now(config: Config, signals: set[signal.Signals]) -> int:
    """0 when every inverter reads back as its own, 5 otherwise. Signals stay blocked: a Ctrl-C shortens nothing."""
    bare = config.params.wiring.bare
    inverters = {d.name: d.bus for d in config.file.device if d.role == "inverter" and d.name not in bare}
    runtime = RealRuntime(lambda entry: None)
    kernel_boot = kernel_boot_id()
    control = ReleaseControl(config, inverters, memories(config, kernel_boot))
    for bus in dict.fromkeys(inverters.values()):
        runtime.add_bus(bus, make_bus(config, bus, only=inverters, kernel_boot=kernel_boot), open_line(config, bus))
    runtime.add("control", control)
    runtime.start()
    runtime.wait_stopped({"control"}, now().mono_ns + WAIT_NS)
    print(("ok  " if control.confirmed else "xx  ") + control.sentence, file=sys.stderr)
    return 0 if control.confirmed else 5
