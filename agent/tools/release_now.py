"""`batteryd --release`: open the inverter's bus, hand the inverter back to itself, say so, exit.

systemd runs it after every end of the daemon (ExecStopPost), a technician whenever in doubt. If a daemon still holds
the port it says so and touches nothing.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable

from agent.compose import make_bus, memories, open_line
from agent.config import Config
from agent.gate import Gate
from agent.release import Release
from agent.runtime import part
from agent.runtime.part import Effect, Now, Post
from agent.runtime.real import RealRuntime, kernel_boot_id, now
from agent.store.memories import Memories
from drivers.device import Binding
from drivers.events import DeviceStatus, Execute, Presence, Remember, Remembered, WriteResult
from drivers.readings import InverterReading

WAIT_NS = 12_000_000_000
STEP_NS = 200_000_000


class ReleaseControl:
    """Stands where control stands, and only releases."""

    def __init__(self, config: Config, inverter: str, bus: str, known: Memories) -> None:
        self._gate = Gate(config.params)
        self._inverter = inverter
        self._bus = bus
        self._memories = known
        self._release: Release | None = None
        self._reading: InverterReading | None = None
        self._binding: Binding | None = None
        self.sentence = "the inverter was not reached: is another batteryd running, is the cable in place?"
        self.confirmed = False

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Readings and results of one inverter; ends with Stopped."""
        match event:
            case part.Start():
                self._release = Release(self._gate, now.mono_ns)
            case InverterReading(device=self._inverter):
                self._reading = event
            case DeviceStatus(device=self._inverter):
                binding = event.binding if event.presence is Presence.OK else None
                self._binding = binding if isinstance(binding, Binding) else None
                if event.presence is not Presence.OK:
                    self.sentence = event.detail
            case Remember():
                if self._memories.write(event.device, event.memory) is None:
                    yield Post(f"bus:{self._bus}", Remembered(event.device, event.number))
            case WriteResult() if self._release is not None:
                self._release.result(event)
        release = self._release
        if release is None or release.told:
            return
        order = release.next(now.mono_ns, self._reading, self._binding)
        if order is not None:
            yield Post(f"bus:{self._bus}", Execute(order))
        if release.ended:
            release.told = True
            self.confirmed = release.confirmed
            if release.confirmed or self._binding is not None:
                self.sentence = release.sentence
            yield Post("runtime", part.Stopped("control"))
        else:
            yield part.WakeAt(now.mono_ns + STEP_NS)


def release_now(config: Config, signals: set[signal.Signals]) -> int:
    """0 when the inverter reads back as its own, 5 otherwise. Signals stay blocked: a Ctrl-C shortens nothing."""
    device = next(d for d in config.file.device if d.role == "inverter")
    runtime = RealRuntime(lambda entry: None)
    kernel_boot = kernel_boot_id()
    control = ReleaseControl(config, device.name, device.bus, memories(config, kernel_boot))
    bus = make_bus(config, device.bus, only=device.name, kernel_boot=kernel_boot)
    runtime.add_bus(device.bus, bus, open_line(config, device.bus))
    runtime.add("control", control)
    runtime.start()
    runtime.wait_stopped({"control"}, now().mono_ns + WAIT_NS)
    print(("ok  " if control.confirmed else "xx  ") + control.sentence, file=sys.stderr)
    return 0 if control.confirmed else 5
