"""`python -m agent.tools.look`: read the configured lines and answer batteryctl, while batteryd does not run.

It owns the ports as the daemon would (flock and TIOCEXCL: never two masters), polls the devices, and writes nothing to
any of them: there is no control, no link and no store in it. It ends when whoever started it goes away.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from agent import config as configuration
from agent.compose import installed, make_bus, open_line
from agent.core.decision import Decision, Mode
from agent.core.inputs import Clock, ClockTrust
from agent.local.server import LocalConfig, Server
from agent.mail import View
from agent.runtime import part
from agent.runtime.part import Effect, Now, Post
from agent.runtime.real import RealRuntime
from agent.runtime.unix_socket import UnixSocket
from agent.version import VERSION
from drivers.events import BusStats, DeviceStatus, Looked, Presence, Told
from drivers.readings import BatteryReading, InverterReading, MeterReading, Reading

S = 1_000_000_000
SETTLE_NS = 6 * S  # a device that says nothing within this is shown as it stands
STEP_NS = S // 10


class Looker:
    """Stands where control stands, and only listens. Ready when every device has said who it is and what it reads."""

    def __init__(self, devices: int) -> None:
        self.ready = False
        self._expected = devices
        self._view: View | None = None
        self._until_ns = 0

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Whatever the buses say becomes the next View."""
        if isinstance(event, Looked | Told):
            return (Post("local", event),)
        if self._view is None:
            self._view = _empty(now)
            self._until_ns = now.mono_ns + SETTLE_NS
        view = self._view
        if isinstance(event, BatteryReading):
            self._view = replace(view, batteries=_with(view.batteries, event))
        elif isinstance(event, InverterReading):
            self._view = replace(view, inverters=_with(view.inverters, event))
        elif isinstance(event, MeterReading):
            self._view = replace(view, meters=_with(view.meters, event))
        elif isinstance(event, DeviceStatus):
            self._view = replace(view, devices=_with(view.devices, event))
        elif isinstance(event, BusStats):
            return ()
        return self._tell(now)

    def _tell(self, now: Now) -> list[Effect]:
        view = self._view
        assert view is not None
        self._view = replace(view, at_ns=now.mono_ns)
        effects: list[Effect] = [Post("local", self._view)]
        if not self.ready and (self._settled(view) or now.mono_ns >= self._until_ns):
            self.ready = True
            effects.append(Post("runtime", part.Stopped("look")))
        if not self.ready:
            effects.append(part.WakeAt(now.mono_ns + STEP_NS))
        return effects

    def _settled(self, view: View) -> bool:
        """Every device answers with a reading, or has turned out to be silent, absent or another."""
        readings: tuple[Reading, ...] = (*view.batteries, *view.inverters, *view.meters)
        read = {reading.device for reading in readings}
        known = [d for d in view.devices if d.presence is not Presence.IDENTIFYING]
        return len(known) == self._expected and all(d.device in read for d in known if d.presence is Presence.OK)


T = TypeVar("T", BatteryReading, InverterReading, MeterReading, DeviceStatus)


def _with(rows: tuple[T, ...], row: T) -> tuple[T, ...]:
    """`row` in the place of the one of the same device."""
    return tuple(other for other in rows if other.device != row.device) + (row,)  # noqa: RUF005  # mypy loses the type


def _end_with_parent() -> None:
    """Whoever started us holds the other end of our stdin: its end is ours, however it came."""
    while os.read(0, 64):
        pass
    os._exit(0)


def _empty(now: Now) -> View:
    decision = Decision(
        now.mono_ns, Mode.INIT, "none", None, None, 0, 0, None, (), (), 1000, None, None, "unknown", None, None, 0
    )
    clock = Clock(now.wall_ms, ClockTrust.UNTRUSTED, "", "")
    return View(now.mono_ns, clock, decision, (), (), (), (), (), 1000, "new", None, None, None, None, now.mono_ns)


def main(argv: list[str] | None = None) -> int:
    """Until SIGTERM. Prints `ready` once; 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m agent.tools.look", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    args = parser.parse_args(argv)
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        config = configuration.load(args.config)
        runtime = RealRuntime(lambda entry: None)
        for bus in config.file.bus:
            runtime.add_bus(bus.name, make_bus(config, bus.name), open_line(config, bus.name))
        local = LocalConfig(VERSION, os.getuid(), installed=installed(config))
    except configuration.ConfigError as error:
        print(error.reason, file=sys.stderr)
        return 2
    runtime.add("control", Looker(len(config.file.device)))
    runtime.add("local", Server(local))
    server = UnixSocket(args.socket, lambda event: runtime.post("local", event))
    server.start()
    runtime.local = server.reply
    runtime.start()
    runtime.wait_stopped({"look"}, 1 << 62)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait(signals)
    os._exit(0)  # threads that wait for a wire must not hold us


if __name__ == "__main__":
    sys.exit(main())
