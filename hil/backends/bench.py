"""Real ports: the same daemon on a rig's line, its power capped by its configuration, and a guard that may end it.

The plant is real, so there is no `truth.*` and no register trace: assertions look at the agent's word, at what the
aggregator can verify, and at the rig's independent meter (`bench.meter_w`). See hil/bench/README.md.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path

from hil import site
from hil.backends.process import START_S, ProcessBackend
from hil.bench.guard import Guard
from hil.bench.rig_file import Rig
from hil.devices.client import HomeClient
from hil.expr import Value
from hil.scenario import Scenario


class NoHome(HomeClient):
    """Nobody can ask a real home."""

    def __init__(self) -> None:
        """There is nothing to connect to."""

    def do(self, op: str, **args: object) -> dict[str, object]:
        """Refused."""
        raise ValueError(f"a real home cannot be told to {op!r}")

    def signals(self) -> Mapping[str, object]:
        """Nothing is known of it but by meters."""
        return {"bench.faults": ""}

    def new_writes(self) -> list[dict[str, object]]:
        """Nobody listens on the line."""
        return []

    def close(self) -> None:
        """Nothing to close."""


class BenchBackend(ProcessBackend):
    """The process backend with real devices instead of the simulated home."""

    name = "bench"

    def __init__(self, rig: Rig, directory: Path | None = None) -> None:
        super().__init__(directory)
        self._rig = rig
        self._pid_file = self.directory / "daemon.pid"

    def _start_home(self, scenario: Scenario, seed: int) -> HomeClient:
        """The guard in its place: without its word nothing starts."""
        self._guard = Guard(self._rig, self._pid_file, self._tripped)
        self._stack.callback(self._guard.close)
        if not self._guard.ready(START_S):
            raise OSError(f"the interlock is not ready: {self._guard.tripped or 'its meter does not answer'}")
        return NoHome()

    def _write_config(self, scenario: Scenario) -> Path:
        cap = {"max_charge_w": self._rig.cap_w, "max_discharge_w": self._rig.cap_w}
        path = site.write_config(
            self.directory,
            line={"port": self._rig.port, "baud": self._rig.baud},
            brokers=(f"{self.mosquitto.host}:{self.mosquitto.port}",),
            device=self.directory / "pki" / "device" / site.DEVICE,
            overrides={
                **scenario.config,
                "site": {**scenario.config.get("site", {}), **self._rig.site},
                "battery": {**scenario.config.get("battery", {}), **cap},
            },
        )
        if self._rig.devices:
            text = path.read_text(encoding="utf-8")
            head, link = text.index("\n[[device]]"), text.index("\n[link]")
            rows = "".join(
                "\n[[device]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
                for row in self._rig.devices
            )
            path.write_text(text[:head] + rows + text[link:], encoding="utf-8")
        return path

    def signals(self) -> Mapping[str, Value]:
        """As a process, and the guard's."""
        pid = self.supervisor.pid
        if pid is not None:
            self._pid_file.write_text(str(pid))
            if self._guard.tripped:  # before the daemon was there to be ended
                self._tripped()
        return {
            **super().signals(),
            "bench.meter_w": self._guard.watts,
            "bench.tripped": self._guard.tripped,
        }

    def _tripped(self) -> None:
        """The guard has ended the daemon: nobody starts it again."""
        if hasattr(self, "supervisor"):
            threading.Thread(target=self.supervisor.stop, name="tripped", daemon=True).start()
