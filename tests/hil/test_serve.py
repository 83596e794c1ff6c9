"""One device alone, for any Modbus client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from hil.devices.serve import Server, profiles
from hil.devices.still import still_device


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stopped = True
        thread.join()
        server.close()


def test_a_live_device_over_tcp() -> None:
    with serving(Server("sunspec_hybrid", tcp="127.0.0.1:0", home={"load_w": 700, "pv_w": 0})) as server:
        assert server.address is not None
        client: Any = ModbusTcpClient("127.0.0.1", port=server.address[1])
        assert client.connect()
        assert client.read_holding_registers(40_000, count=2, device_id=3).registers == [0x5375, 0x6E53]
        client.close()


def test_a_live_device_over_a_pty() -> None:
    with serving(Server("eastron_sdm630", pty="", unit=9)) as server:
        assert server.link is not None
        client: Any = ModbusSerialClient(server.link, baudrate=9600, timeout=1)
        assert client.connect()
        assert client.read_input_registers(0, count=2, device_id=9).registers == [0x4366, 0x0000]
        client.close()


def test_names_and_refusals() -> None:
    assert {"seplos_v3", "eastron_sdm630", "sunspec_hybrid"} <= set(profiles())
    with pytest.raises(ValueError, match="there is no profile 'toaster'"):
        Server("toaster", tcp="127.0.0.1:0")
    with pytest.raises(ValueError, match="not HOST:PORT"):
        Server("seplos_v3", tcp="nonsense")
    with pytest.raises(ValueError, match="say where"):
        Server("seplos_v3")


def test_a_still_picture_of_a_profile_encodes_by_its_raw_toml() -> None:
    """Seplos: 52.80 V in 10 mV = 5280 = 14a0h; 1 A discharge = -100 = ff9ch; SoC 55.0 % = 0226h."""
    slave = still_device("seplos_v3", 4)
    reply = slave.answer(bytes.fromhex("04 10 00 00 06"), 0, [])
    assert reply is not None
    words = reply[2:].hex(" ", 2).split()
    assert (words[0], words[1], words[5]) == ("14a0", "ff9c", "0226")
    assert slave.answer(bytes.fromhex("04 50 00 00 01"), 0, []) == b"\x84\x02"
    meter = still_device("eastron_sdm630", 2)
    assert meter.answer(bytes.fromhex("04 00 34 00 02"), 0, []) == bytes.fromhex("04 04 43 7a 00 00")  # 250.0 W
