"""Every profile as a still picture, read by the driver: identified, and the values are those that were put in."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.dialect import Kind
from drivers.dialects import DIALECTS
from drivers.events import Presence
from drivers.line import SerialLine
from drivers.profile import load
from drivers.readings import BatteryReading, DeviceRole, MeterReading
from hil.devices.serve import Server
from hil.devices.slave import Slaves
from hil.devices.still import VALUES, dialect_of, profile_names, still_device
from hil.devices.still_dialect import StillDialect
from tests.drivers.wire import S, Slave, Wire, crc

LIVE = {"seplos_v3"}  # served on a home that goes on; a still picture has all coils off
NAMES = [name for name in profile_names() if load(name).role is not DeviceRole.INVERTER and name not in LIVE]
UNSAID = {"eg4_ll": {"temp_min_dc"}}


class Served(Slave):
    """A slave of the bench on the wire of the driver's tests."""

    def __init__(self, name: str) -> None:
        super().__init__(1)
        self.slaves = Slaves([still_device(name, 1)])

    def pdu(self, request: bytes) -> bytes:
        frame = bytes((1,)) + request
        reply = self.slaves.rtu(frame + crc(frame), 0)
        assert reply is not None
        return reply[1:-2]


def wire_to(name: str) -> Wire:
    profile = load(name)
    baud = max(9600, profile.baud)
    spec = DeviceSpec("x", profile.role, 1, profile)
    wire = Wire(Bus(BusSpec("line", baud), [spec]), [] if profile.dialect else [Served(name)], baud)
    if profile.dialect:
        device, codec = StillDialect(name, 1), DIALECTS[profile.dialect]
        for function in codec.functions:
            ask = codec.request(1, function)
            used, reply = device.take(ask)
            assert used == len(ask)
            wire.frames[ask] = reply
    wire.open()
    wire.run(15 * S)
    return wire


@pytest.mark.parametrize("name", NAMES)
def test_what_is_put_in_is_read(name: str) -> None:
    wire = wire_to(name)
    status = wire.statuses("x")[-1]
    assert status.presence is Presence.OK, status.detail
    reading: Any = [e for e in wire.emitted if isinstance(e, BatteryReading | MeterReading)][-1]
    named = {point.name for point in load(name).points}
    for point in named & VALUES.keys():
        if point[:2] in ("l1", "l2", "l3"):
            seen = getattr(reading, f"phase_{point[3:]}")[int(point[1]) - 1]
        else:
            seen = getattr(reading, point)
        if isinstance(seen, bool) or point in UNSAID.get(name, set()):
            assert seen
        else:
            step = 10 if point.endswith("_permille") else 5 if point.endswith("_dc") else 100
            assert seen == pytest.approx(VALUES[point], abs=step), point
    assert not getattr(reading, "alarms", ())


OWN_UNIT = [n for n in profile_names() if load(n).role is DeviceRole.INVERTER and not load(n).units]


@pytest.mark.parametrize("name", OWN_UNIT)
def test_every_inverter_of_one_unit_is_identified_though_its_registers_have_holes(name: str) -> None:
    wire = wire_to(name)
    status = wire.statuses("x")[-1]
    assert status.presence is Presence.OK, status.detail
    assert wire.inverters()[-1].soc_permille == VALUES["soc_permille"]


def test_a_dialect_is_named_and_nobody_elses_is_empty() -> None:
    assert dialect_of("jk_pb") == "jk_pb"
    assert dialect_of("pace_modbus") == ""
    assert dialect_of("nobody") == ""


@pytest.mark.parametrize("name", ["jk_pb", "pace_ascii", "pylontech_ascii"])  # jbd has no address
def test_another_unit_and_broken_requests_are_not_answered(name: str) -> None:
    device, codec = StillDialect(name, 9), DIALECTS[load(name).dialect]
    assert device.take(codec.request(1, min(codec.functions)))[1] == b""
    broken = bytearray(codec.request(9, min(codec.functions)))
    assert device.take(bytes(broken))[1]
    broken[-3] ^= 1
    assert device.take(bytes(broken))[1] == b""


@pytest.mark.slow
def test_a_dialect_is_served_on_a_pty_and_read_through_a_real_line(tmp_path: Path) -> None:
    server = Server("jbd", pty=str(tmp_path / "bms"))
    thread = Thread(target=server.run)
    thread.start()
    line = SerialLine(str(tmp_path / "bms"), 9600)
    try:
        line.open()
        codec = DIALECTS["jbd"]
        line.write(codec.request(1, 3))
        data, _ = line.read_until(codec.reply_len(3), 0, time.monotonic_ns() + 5 * S)
        found = codec.scan(1, 3, data)
        assert found is not None
        assert found.kind is Kind.DATA
        assert int.from_bytes(found.image[:2], "big") * 10 == VALUES["pack_mv"]
    finally:
        line.close()
        server.stopped = True
        thread.join()
        server.close()


def test_a_dialect_has_no_tcp() -> None:
    with pytest.raises(ValueError, match="serve it on a pty"):
        Server("jbd", tcp="127.0.0.1:0")
