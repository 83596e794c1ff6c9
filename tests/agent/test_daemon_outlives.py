"""batteryd as a process, with a port that is not there: what a terminal, a log or a second start must not do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import EXAMPLE
from agent.local.client import Client

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
START_S = 20.0


class Started:
    """The daemon of one configuration. `stderr`: where its log goes."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "batteryd.toml"
        self.socket = directory / "batteryd.sock"
        own = f'state_dir = "state"\nsocket = "{self.socket}"\n\n[site]'
        text = EXAMPLE.replace("[site]", own, 1).replace("/dev/serial/by-id/", str(directory / "not-there-"))
        self.config.write_text(text, "utf-8")
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "agent.daemon", "--config", str(self.config)]
        self.processes.append(subprocess.Popen(command, stderr=stderr, cwd=ROOT))
        return self.processes[-1]

    def ask(self) -> dict[str, Any]:
        """The status, as soon as there is one."""
        for _ in range(400):
            try:
                with Client(str(self.socket)) as client:
                    reply = next(client.ask("status"))
            except OSError:
                reply = {}
            if "uptime_s" in reply:
                return dict(reply)
            signal.sigtimedwait([signal.SIGUSR2], START_S / 400)
        raise AssertionError("batteryd did not answer")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Started]:
    started = Started(tmp_path)
    yield started
    for process in started.processes:
        process.kill()
        process.wait()


def test_a_log_that_nobody_reads_any_more_does_not_end_a_cycle(daemon: Started) -> None:
    read, write = os.pipe()
    os.close(read)  # `batteryd 2>&1 | head`, and head is gone
    daemon.run(write)
    os.close(write)

    before = daemon.ask()
    later = [daemon.ask() for _ in range(30)]
    assert before["boot"] == later[-1]["boot"]


def test_a_log_that_nobody_empties_does_not_end_a_cycle(daemon: Started) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 65_536)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    process = daemon.run(write)

    daemon.ask()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, 5)
    os.close(read)
    os.close(write)


def test_a_terminal_that_goes_away_stops_it_cleanly(daemon: Started) -> None:
    process = daemon.run()
    daemon.ask()
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) >= 0, "it ended by itself, not by the signal"


def test_a_second_one_with_the_same_state_leaves_the_first_alone(daemon: Started) -> None:
    daemon.run()
    boot = daemon.ask()["boot"]

    second = daemon.run(subprocess.PIPE)
    _, said = second.communicate(timeout=30)

    assert second.returncode == 5
    assert b"another batteryd" in said
    assert daemon.ask()["boot"] == boot
