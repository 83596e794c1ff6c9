"""The daemon as a process: what it does when the world is not as configured, over TCP, and at Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.local.client import Client
from agent.store.reserve import ReserveFile
from hil import site
from hil.devices.client import HomeClient
from hil.fuzz.rules import rtu

pytestmark = pytest.mark.slow
WAIT_S = 25.0


class Rig:
    """A home process and a daemon process in one directory."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        self.socket = directory / "batteryd.sock"
        self.log = directory / "daemon.log"
        (directory / "state").mkdir(mode=0o700)
        assert ReserveFile(directory / "state" / "reserve").write(200, "test") is None

    def home(self, *line: str) -> HomeClient:
        command = [sys.executable, "-m", "hil.devices.process", *line, "--control", str(self.directory / "home.sock")]
        command += ["--out", str(self.directory / "home"), "--home", '{"soc_permille": 600, "load_w": 900}']
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._stack.callback(_end, process)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        client = HomeClient(self.directory / "home.sock")
        self._stack.callback(client.close)
        return client

    def daemon(self, line: dict[str, str], edit: Callable[[str], str] = str) -> subprocess.Popen[bytes]:
        path = site.write_config(self.directory, line=line)
        path.write_text(edit(path.read_text("utf-8")), "utf-8")
        log = self._stack.enter_context(self.log.open("wb"))
        process = subprocess.Popen([sys.executable, "-m", "agent.daemon", "--config", str(path)], stderr=log)
        self._stack.callback(_end, process)
        return process

    def ask(self, verb: str, **args: Any) -> dict[str, Any]:
        with Client(str(self.socket)) as client:
            reply: dict[str, Any] = next(client.ask(verb, **args))
            return reply

    def until(self, look: Callable[[dict[str, Any]], bool], verb: str = "status") -> dict[str, Any]:
        """Ask until it is so; the last answer and the log when it does not come."""
        end = time.monotonic() + WAIT_S
        reply: dict[str, Any] = {}
        while time.monotonic() < end:
            try:
                reply = self.ask(verb)
            except OSError:
                continue
            if look(reply):
                return reply
            _pause()
        raise AssertionError(f"never so: {json.dumps(reply)[:1500]}\n{self.log.read_text()[-1500:]}")


def _pause() -> None:
    """Asking again at once would take the core from those who are asked."""
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.05)
        with pytest.raises(TimeoutError):
            left.recv(1)


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(tmp_path, stack)


def presences(reply: dict[str, Any]) -> dict[str, str]:
    return {device["name"]: device["presence"] for device in reply.get("devices", ())}


ALL_OK = {"battery": "ok", "meter": "ok", "inverter": "ok"}


def test_a_port_that_does_not_exist_keeps_it_up_until_it_does(rig: Rig) -> None:
    line = rig.directory / "bus"
    daemon = rig.daemon({"port": str(line)})
    reply = rig.until(lambda r: set(presences(r).values()) == {"absent"})
    assert "is not there" in json.dumps(reply)
    assert daemon.poll() is None
    rig.home("--link", str(line))
    rig.until(lambda r: presences(r) == ALL_OK)


def test_an_inverter_with_the_wrong_serial_is_read_and_never_written(rig: Rig) -> None:
    home = rig.home("--link", str(rig.directory / "bus"))
    mark = 'profile = "sunspec_hybrid"'

    def edit(text: str) -> str:
        return text.replace(mark, mark + '\nserial = "OTHER-1"')

    daemon = rig.daemon({"port": str(rig.directory / "bus")}, edit)
    reply = rig.until(lambda r: presences(r).get("inverter") == "mismatch")
    assert "OTHER-1" in json.dumps(reply)
    assert "SIM-INV-0001" in json.dumps(reply)
    rig.until(lambda r: presences(r)["battery"] == presences(r)["meter"] == "ok")
    assert home.new_writes() == []
    assert rig.ask("adopt", device="inverter")["ok"]
    rig.until(lambda r: presences(r) == ALL_OK)
    daemon.terminate()
    assert daemon.wait(20) == 0
    rig.daemon({"port": str(rig.directory / "bus")}, edit)
    rig.until(lambda r: presences(r) == ALL_OK)  # one command was enough, though the file still names the other


def test_nobody_is_adopted_who_does_not_answer(rig: Rig) -> None:
    rig.daemon({"port": str(rig.directory / "nothing")})
    rig.until(lambda r: set(presences(r).values()) == {"absent"})
    reply = rig.ask("adopt", device="inverter")
    assert (reply["ok"], reply["code"]) == (False, 5)
    assert "inverter cannot be adopted now: its line is gone" in json.dumps(reply)


def test_a_second_master_on_the_line_is_told_and_stops_writes(rig: Rig) -> None:
    home = rig.home("--link", str(rig.directory / "bus"))
    rig.daemon({"port": str(rig.directory / "bus")})
    rig.until(lambda r: presences(r) == ALL_OK and r["reserve"]["floor_permille"] == 200)
    home.new_writes()
    stray = rtu(9, bytes((3, 0, 100, 0, 2))) + rtu(9, bytes((3, 4, 1, 2, 3, 4)))

    def told(reply: dict[str, Any]) -> bool:
        with (rig.directory / "bus.slaves").open("wb", buffering=0) as line:
            line.write(stray)  # between our own, as another master and its device would
        return any(item["id"] == "bus_contention" for item in reply["health"])

    reply = rig.until(told)
    assert reply["code"] == 1
    item = next(item for item in reply["health"] if item["id"] == "bus_contention")
    assert item["text"].startswith("two masters on this line")
    assert "give it a line of its own" in item["next"]
    assert reply["control"]["mode"] == "fault"
    assert home.new_writes() == []


def test_the_same_home_over_tcp(rig: Rig) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    home = rig.home("--tcp", address)
    rig.daemon({"tcp": address})
    rig.until(lambda r: presences(r) == ALL_OK and r["reserve"]["floor_permille"] == 200)
    assert home.truth()["floor_pct"] == 20.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_inverter_released(rig: Rig, number: signal.Signals) -> None:
    home = rig.home("--link", str(rig.directory / "bus"))
    daemon = rig.daemon({"port": str(rig.directory / "bus")})
    rig.until(lambda r: presences(r) == ALL_OK)
    daemon.send_signal(number)
    daemon.send_signal(number)
    assert daemon.wait(20) == 0
    assert not home.truth()["remote"]
    assert "released" in rig.log.read_text()


def test_check_says_what_is_wrong_and_ends_with_2(tmp_path: Path) -> None:
    path = site.write_config(tmp_path, line={"port": "/dev/null"})
    command = [sys.executable, "-m", "agent.daemon", "--config", str(path), "--check"]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    path.write_text(path.read_text().replace("capacity_wh", "capacity_kwh"))
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "site.capacity_kwh: unknown key" in bad.stderr


def test_a_stop_without_proof_of_release_says_so_in_its_exit_code(rig: Rig) -> None:
    daemon = rig.daemon({"port": str(rig.directory / "nothing")})
    rig.until(lambda r: set(presences(r).values()) == {"absent"})
    daemon.terminate()
    assert daemon.wait(25) == 5
    assert "no proof of release" in rig.log.read_text()


def test_a_configuration_that_changes_under_it_is_told_and_not_applied(rig: Rig) -> None:
    rig.home("--link", str(rig.directory / "bus"))
    rig.daemon({"port": str(rig.directory / "bus")})
    rig.until(lambda r: presences(r) == ALL_OK)
    path = rig.directory / "batteryd.toml"
    assert path.is_file()
    path.write_text(path.read_text("utf-8") + "\nnonsense = 1\n", "utf-8")
    reply = rig.until(lambda r: r["self_test"]["age_s"] is not None)
    assert reply["self_test"]["passed"]
    assert f"the configuration {path} was changed since the start" in reply["self_test"]["text"]
    assert "changed_on_disk" in {item["id"] for item in reply["health"]}
    assert reply["control"]["mode"] == "local"
