"""The simulated home as real processes: other people's Modbus clients, the control socket, the traces."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from hil.devices import sunspec_hybrid as hybrid
from hil.devices.client import HomeClient
from hil.wire.accuracy import measure

pytestmark = pytest.mark.slow


class Running:
    """A home process, its ready line and its client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link = folder / "bus0"
        command = [sys.executable, "-m", "hil.devices.process", "--link", str(self.link), "--tcp", "127.0.0.1:0"]
        command += ["--control", str(folder / "home.sock"), "--out", str(folder), "--truth-ms", "50"]
        command += ["--home", json.dumps({"soc_permille": 500, "load_w": 1200, "pv_w": 0})]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.client = HomeClient(folder / "home.sock")

    def stop(self) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    home = Running(tmp_path)
    yield home
    if home.process.poll() is None:
        home.stop()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_pymodbus_over_the_paced_line_and_over_tcp(running: Running) -> None:
    serial: Any = ModbusSerialClient(str(running.link), baudrate=19_200, timeout=0.5)
    tcp: Any = ModbusTcpClient("127.0.0.1", port=running.ready["tcp"][1])
    assert serial.connect()
    assert tcp.connect()
    for client in (serial, tcp):
        assert client.read_input_registers(0x1005, count=1, device_id=1).registers == [500]
        assert client.read_coils(0x1278, count=2, device_id=1).bits[:2] == [True, True]
        assert client.read_input_registers(52, count=2, device_id=2).registers == [0, 0]
        assert client.read_holding_registers(40_000, count=2, device_id=3).registers == [0x5375, 0x6E53]
        assert client.read_holding_registers(50_000, count=2, device_id=3).exception_code == 2
        assert not client.write_register(hybrid.MIN_RSV_PCT, 3100, device_id=3).isError()
        client.close()
    assert running.client.truth()["floor_pct"] == 31.0
    writes = running.client.new_writes()
    assert [(w["unit"], w["address"], w["words"], w["kind"], w["value"]) for w in writes] == [
        (3, hybrid.MIN_RSV_PCT, [3100], "floor", 310)
    ] * 2
    assert running.stop() == 0
    frames = lines(running.folder / "wire.jsonl")
    assert [frame["from"] for frame in frames] == ["master", "slave"] * 6
    byte_ns = 10 * 1_000_000_000 // 19_200
    for request, reply in zip(frames[::2], frames[1::2], strict=True):
        assert request["t1"] - request["t0"] == len(request["hex"]) // 2 * byte_ns
        assert reply["t0"] - request["t1"] >= 1_822_916 + 2_000_000
    assert frames[0]["hex"] == "010410050001" + "250b"
    assert len(lines(running.folder / "writes.jsonl")) == 2
    truth = lines(running.folder / "truth.jsonl")
    assert truth[-1]["at_ns"] > truth[0]["at_ns"]
    stats = json.loads((running.folder / "wire-stats.json").read_text())
    assert (stats["requests"], stats["replies"]) == (6, 6)


def test_a_cut_unit_is_silent_on_the_line_only(running: Running) -> None:
    serial: Any = ModbusSerialClient(str(running.link), baudrate=19_200, timeout=0.2, retries=0)
    tcp: Any = ModbusTcpClient("127.0.0.1", port=running.ready["tcp"][1])
    assert serial.connect()
    assert tcp.connect()
    running.client.do("cut", device="battery", on=True)
    with pytest.raises(Exception, match="No response"):
        serial.read_input_registers(0x1005, count=1, device_id=1)
    assert serial.read_input_registers(52, count=2, device_id=2).registers == [0, 0]
    assert tcp.read_input_registers(0x1005, count=1, device_id=1).registers == [500]
    running.client.do("cut", device="battery", on=False)
    assert serial.read_input_registers(0x1005, count=1, device_id=1).registers == [500]
    serial.close()
    tcp.close()


def test_control_socket_acts_and_refuses(running: Running) -> None:
    running.client.do("soc", permille=420)
    running.client.do("outage", on=True)
    while not running.client.truth()["islanded"]:
        pass
    signals = running.client.signals()
    assert signals["truth.soc_permille"] == pytest.approx(420, abs=1)
    assert signals["truth.fed"] is True
    with pytest.raises(ValueError, match="a home cannot 'explode'"):
        running.client.do("explode")


def test_pacing_is_sane() -> None:
    """The figure itself is printed by `python -m hil.wire.accuracy`; here only that pacing happens at all."""
    accuracy = measure(19_200, 1, frames=8, size=60)
    assert -0.001 < accuracy.p50 < 0.5
