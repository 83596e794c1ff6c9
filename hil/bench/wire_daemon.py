"""The live daemon on the line of `bench wire`: broker with TLS, aggregator, a home with meter and inverter beside it.

Nothing in the daemon knows that it is measured: the battery is a profile in a directory of its own, asked for more
often than the line can answer. CPU is that of the one thread that owns the line, from /proc.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hil import site
from hil.backends.process import ProcessBackend
from hil.bench.rig import NotReady, ending, scenario, wait
from hil.scenario import Scenario

BUS = "measured"
PROFILE = Path(__file__).with_name("wire_battery.toml")
_AS_SHIPPED = 'bus = "rs485"\nunit = 1\nprofile = "seplos_v3"\n'
_MEASURED = f'bus = "{BUS}"\nunit = 1\nprofile = "{PROFILE.stem}"\n'


class WireBackend(ProcessBackend):
    """The process backend, its battery on a line that is given for each run of the daemon."""

    def _write_config(self, scenario: Scenario) -> Path:
        own = self.directory / "profiles"
        own.mkdir(exist_ok=True)
        shutil.copy(PROFILE, own)
        path = super()._write_config(scenario)
        text = path.read_text(encoding="utf-8").replace("[agent]\n", f'[agent]\nprofiles = "{own}"\n')
        if _AS_SHIPPED not in text:
            raise ValueError(f"{path}: there is no battery to move to another bus in\n{text}")
        self._text = text.replace(_AS_SHIPPED, _MEASURED)
        return self.on_line(self.directory / "nowhere", site.BAUD)

    def on_line(self, link: Path, baud: int) -> Path:
        """What the daemon reads at its next start."""
        path = self.directory / "batteryd.toml"
        bus = f'\n[[bus]]\nname = "{BUS}"\nport = "{link}"\nbaud = {baud}\n'
        path.write_text(self._text + bus, encoding="utf-8")
        return path

    @contextlib.contextmanager
    def run_on(self, link: Path, baud: int) -> Iterator[int]:
        """The daemon, started anew, while it polls that line with all its devices identified: its process id."""
        self.on_line(link, baud)
        self.supervisor.start()
        try:
            wait(self, lambda s: s["agent.devices_ok"] == 3 and s["agent.fresh"] is True)
            pid = self.supervisor.pid
            if pid is None:
                raise NotReady("the daemon ended")
            yield pid
        finally:
            self.supervisor.stop()


@contextlib.contextmanager
def wire_backend() -> Iterator[WireBackend]:
    """Everything up but the daemon."""
    backend = WireBackend()
    with ending(backend):
        backend.start(scenario(), 1)
        backend.supervisor.stop()
        yield backend


def thread_cpu_ns(pid: int, name: str) -> int:
    """What the thread `name` of a process has computed so far. NotReady if there is none."""
    wanted = name[:15]  # TASK_COMM_LEN
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text(encoding="utf-8").rstrip("\n") == wanted:
            return int((task / "schedstat").read_text(encoding="ascii").split()[0])
    raise NotReady(f"process {pid} has no thread named {wanted}")
