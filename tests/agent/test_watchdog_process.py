"""The real daemon with a thread that does not come back, as systemd sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hil import site
from hil.supervisor import Supervisor
from tests.agent.test_daemon import WAIT_S, Rig

pytestmark = pytest.mark.slow


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(tmp_path, stack)


class Held:
    """A daemon under a supervisor; `hold` blocks that thread until `let_go`."""

    def __init__(self, rig: Rig, who: str, stack: ExitStack, watchdog_s: float | None = None) -> None:
        self.rig, self.flag = rig, rig.directory / "held"
        config = site.write_config(rig.directory, line={"port": str(rig.directory / "bus")})
        argv = [sys.executable, "-m", "tests.agent.stuck", who, str(self.flag), "--config", str(config)]
        release = [sys.executable, "-m", "agent.daemon", "--config", str(config), "--release"]
        self.supervisor = Supervisor(argv, rig.directory / "out", stop_post=release, watchdog_s=watchdog_s)
        stack.enter_context(self.supervisor)
        stack.callback(self.let_go)
        assert self.supervisor.wait_for(lambda: self.supervisor.notified.watchdogs > 2, WAIT_S)

    def hold(self) -> None:
        self.flag.touch()

    def let_go(self) -> None:
        self.flag.unlink(missing_ok=True)

    def log(self) -> str:
        return self.supervisor.stderr.read_text("utf-8", "replace")

    def until_log(self, words: str) -> None:
        """The log is a file: look at each notification and each answer of the local socket."""
        self.until(lambda: words in self.log())

    def until(self, look: Callable[[], bool]) -> None:
        for _ in range(1500):
            if self.supervisor.wait_for(look, 0.02):
                return
        raise AssertionError(self.log()[-3000:])

    def cycles(self, count: int) -> None:
        """So many further cycles of control reach local people."""
        seen = 0
        last = 1 << 62
        while seen < count:
            age = int(self.rig.ask("status")["age_ms"])
            seen += age < last
            last = age


@pytest.mark.parametrize("who", ["store", "bus:rs485"])
def test_a_stuck_thread_stops_the_feeding_while_control_cycles_on(rig: Rig, who: str) -> None:
    rig.home("--link", str(rig.directory / "bus"))
    with ExitStack() as stack:
        held = Held(rig, who, stack)
        rig.until(lambda r: bool(r.get("devices")) and all(d["presence"] == "ok" for d in r["devices"]))
        held.hold()
        rig.ask("stop")  # an event that wants to be stored
        held.until_log(f"watchdog: {who} has made no progress")
        held.until_log(f"watchdog: {who} is at")
        assert "held_by_the_test" in held.log()
        held.cycles(2)
        fed = held.supervisor.notified.watchdogs
        held.cycles(3)
        assert held.supervisor.notified.watchdogs == fed
        held.let_go()
        held.until_log(f"watchdog: {who} is back after")
        held.until(lambda: held.supervisor.notified.watchdogs > fed)
        assert held.supervisor.starts == 1


def test_a_stuck_local_part_is_told_and_starves_nobody(rig: Rig) -> None:
    rig.home("--link", str(rig.directory / "bus"))
    with ExitStack() as stack:
        held = Held(rig, "local", stack)
        held.hold()
        held.until_log("watchdog: local has made no progress")
        fed = held.supervisor.notified.watchdogs
        held.until(lambda: held.supervisor.notified.watchdogs > fed + 2)


def test_a_stuck_control_is_ended_by_sigabrt_with_its_place_and_the_inverter_is_released(rig: Rig) -> None:
    home = rig.home("--link", str(rig.directory / "bus"))
    with ExitStack() as stack:
        held = Held(rig, "control", stack, watchdog_s=6.0)
        held.hold()
        held.until(lambda: bool(held.supervisor.ended))
        held.let_go()
        ended = held.supervisor.ended[0]
        assert ended.code == -6
        assert ended.clean_up == 0
        log = held.log()
        assert "watchdog: control has made no progress" in log
        assert "held_by_the_test" in log.partition("watchdog: control is at")[2].partition("\n")[0]
        assert "Fatal Python error: Aborted" in log  # every thread, by the interpreter itself
        assert "held_by_the_test" in log.partition("Fatal Python error")[2]
        assert not home.truth()["remote"]
        assert held.supervisor.wait_for(lambda: held.supervisor.starts == 2, WAIT_S)
        assert held.supervisor.wait_ready(WAIT_S)
