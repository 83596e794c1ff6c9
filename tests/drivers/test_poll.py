"""A device that refuses a part of what is read, one that wants a pause, and how long the others wait."""

from __future__ import annotations

from itertools import pairwise

import pytest

from drivers.bus import Bus, BusSpec, DeviceSpec
from drivers.profile import ProfileError, parse
from tests.drivers.test_own_profile import OWN
from tests.drivers.wire import MS, S, Slave, Wire

ABSENT = (4, 12)  # cell 2 of four, in the middle of everything


class Picky(Slave):
    """Refuses every read that touches an absent register, as a real device does."""

    def pdu(self, request: bytes) -> bytes:
        function, address = request[0], int.from_bytes(request[1:3], "big")
        if any((function, address + n) in self.refuse for n in range(int.from_bytes(request[3:5], "big"))):
            return bytes((function | 0x80, 2))
        return super().pdu(request)


def home(text: str = OWN) -> Wire:
    slave = Picky(7)
    slave.put(4, 0, 5200, 0x1388, 0, 1555, *[0] * 6, 3301, 9, 3299, 9, 3302, 9, 3300, 9)
    slave.put(4, 200, 0x4142, 0x4300, 0, 0x1234, 0)
    profile = parse(text, "corner_shop_bms.toml")
    wire = Wire(Bus(BusSpec("line", 9600), [DeviceSpec("x", profile.role, 7, profile)]), [slave], 9600)
    wire.open()
    return wire


def reads(wire: Wire, since_ns: int) -> set[tuple[int, int]]:
    """(register, count) of what was asked since then."""
    return {(int.from_bytes(d[2:4], "big"), int.from_bytes(d[4:6], "big")) for at, d in wire.sent if at >= since_ns}


def test_a_value_that_is_not_there_takes_no_other_with_it_and_is_dropped() -> None:
    wire = home(OWN.replace("max_registers = 8", "max_registers = 40"))
    wire.slaves[7].refuse[ABSENT] = 2
    wire.run(20 * S)
    reading = wire.batteries()[-1]
    assert (reading.pack_mv, reading.soc_permille) == (52_000, 778)
    assert reading.cell_max_mv is None, "one of its four cells is not known, and may be the worst"
    since = wire.now
    wire.run(5 * S)
    asked = reads(wire, since)
    assert {read for read in asked if read[0] <= ABSENT[1] < sum(read)} <= {(12, 1)}  # tried again now and then, alone
    assert sum(data[2:4] == bytes((0, 12)) for at, data in wire.sent if at >= since) <= 1
    assert {a for start, count in asked for a in range(start, start + count)} >= {0, 1, 2, 3, 10, 14, 16}
    assert "it refuses register 12: illegal address" in wire.statuses("x")[-1].detail


def test_what_was_refused_and_came_back_is_read_with_the_rest_again() -> None:
    wire = home(OWN.replace("max_registers = 8", "max_registers = 40"))
    wire.slaves[7].refuse[ABSENT] = 2
    wire.run(20 * S)
    wire.slaves[7].refuse.clear()
    wire.run(100 * S)
    assert wire.batteries()[-1].cell_max_mv == 3302
    since = wire.now
    wire.run(3 * S)
    assert reads(wire, since) == {(0, 17)}


def test_a_line_that_is_opened_again_asks_for_all_of_it_again() -> None:
    wire = home(OWN.replace("max_registers = 8", "max_registers = 40"))
    wire.slaves[7].refuse[ABSENT] = 2
    wire.run(20 * S)
    wire.slaves[7].refuse.clear()
    wire.lose("unplugged")
    wire.run(S)
    wire.open()
    wire.run(5 * S)
    assert wire.batteries()[-1].cell_max_mv == 3302


def test_a_refusal_now_and_then_drops_nothing() -> None:
    wire = home(OWN.replace("max_registers = 8", "max_registers = 40"))
    wire.run(5 * S)
    for _ in range(4):
        wire.slaves[7].refuse[ABSENT] = 2
        wire.run(2 * S)
        wire.slaves[7].refuse.clear()
        wire.run(3 * S)
    since = wire.now
    wire.run(3 * S)
    assert reads(wire, since) == {(0, 17)}
    assert wire.batteries()[-1].cell_max_mv == 3302


def test_silence_is_no_strike() -> None:
    wire = home(OWN.replace("max_registers = 8", "max_registers = 40"))
    wire.run(5 * S)
    wire.slaves[7].alive = False
    wire.run(5 * S)
    wire.slaves[7].alive = True
    wire.run(20 * S)
    since = wire.now
    wire.run(3 * S)
    assert reads(wire, since) == {(0, 17)}


def test_addresses_that_a_device_refuses_are_data_of_its_profile() -> None:
    text = OWN.replace("max_registers = 8", "max_registers = 40\nillegal = [{ function = 4, at = 5, count = 2 }]")
    wire = home(text)
    wire.slaves[7].refuse[4, 5] = wire.slaves[7].refuse[4, 6] = 2
    wire.run(5 * S)
    since = wire.now
    wire.run(3 * S)
    assert reads(wire, since) == {(0, 4), (10, 7)}
    assert wire.batteries()[-1].pack_mv == 52_000


def test_a_point_among_them_is_refused() -> None:
    text = OWN.replace("max_registers = 8", "illegal = [{ function = 4, at = 2, count = 2 }]")
    with pytest.raises(ProfileError) as caught:
        parse(text, "x.toml")
    assert (caught.value.file, caught.value.key) == ("x.toml", "line.illegal[0]")
    assert "point pack_ma lies in 2..3" in caught.value.reason


def test_a_device_gets_its_pause_and_others_do_not_wait_for_it() -> None:
    slow = parse(OWN.replace("gap_ms = 60", "period_ms = 850"), "x")
    quick = parse(OWN.replace("gap_ms = 60", "").replace("every_ms = 1000", "every_ms = 100"), "x")
    slaves = []
    for unit in (7, 8):
        slave = Slave(unit)
        slave.put(4, 0, *[5200] * 20)
        slave.put(4, 200, *[0x4142] * 5)
        slaves.append(slave)
    specs = [DeviceSpec("slow", slow.role, 7, slow), DeviceSpec("quick", quick.role, 8, quick)]
    wire = Wire(Bus(BusSpec("line", 9600), specs), slaves, 9600)
    wire.open()
    wire.run(30 * S)
    slow_at = [at for at, data in wire.sent if data[0] == 7]
    assert min(b - a for a, b in pairwise(slow_at)) >= 850 * MS
    assert len(slow_at) >= 30
    quick_at = [at for at, data in wire.sent if data[0] == 8]
    assert len(quick_at) > 10 * len(slow_at)
