"""The interlock as the bench sees it: a child process, its last reading, and what it said when it tripped."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from hil.bench.rig_file import Rig

ROOT = Path(__file__).parents[2]


class Guard:
    """Started before any power may flow. `on_trip` is called once, on a thread of its own."""

    def __init__(self, rig: Rig, pid_file: Path, on_trip: Callable[[], None]) -> None:
        command = [sys.executable, "-m", "hil.bench.interlock", "--port", rig.meter_port, "--baud", str(rig.meter_baud)]
        command += ["--unit", str(rig.meter_unit), "--limit-w", str(rig.limit_w), "--pid-file", str(pid_file)]
        self.watts: float | None = None
        self.tripped = ""
        self._on_trip = on_trip
        self._closing = False
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="interlock", daemon=True)
        self._thread.start()

    def ready(self, timeout_s: float) -> bool:
        """Whether it reads its meter."""
        return self._first.wait(timeout_s) and not self.tripped

    def close(self) -> None:
        """The run is over."""
        self._closing = True
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                self.watts = told.get("w")
                self.tripped = told.get("trip", "")
                if self.tripped or self.watts is not None:
                    self._first.set()
        if not self._closing:
            self.tripped = self.tripped or "the interlock itself has ended"
            self._first.set()
            self._on_trip()
