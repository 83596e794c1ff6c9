"""Scale factors that change while we run, or that are none: through the bus, without I/O."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.binding import DeviceSpec
from drivers.bus import Bus, BusSpec
from drivers.events import Presence
from drivers.profile import load
from drivers.readings import DeviceRole
from tests.drivers.home import text
from tests.drivers.vector import vectors
from tests.drivers.wire import MS, S, Slave, Wire

COMMON, METER, END = 40002, 40070, 40177
W, W_SF = METER + 18, METER + 22
HZ, HZ_SF = METER + 16, METER + 17
PORTS = METER  # model 714 in its place
WATTS = 500


class Moody(Slave):
    """A meter of model 203 at 500 W and 50.00 Hz, whose scale factor of the power is chosen anew at every request."""

    def __init__(self, factor: Callable[[int], int]) -> None:
        super().__init__(2)
        self.factor, self.asked = factor, 0
        self.put(3, 40000, 0x5375, 0x6E53)
        self.put(
            3, COMMON, 1, 66, *text(16, "Maker"), *text(16, "Meter"), *text(8, ""), *text(8, "1"), *text(16, "S1"), 1, 0
        )
        self.put(3, METER, 203, 105, *[0x8000] * 105)
        self.put(3, HZ, 5000, -2)
        self.put(3, END, 0xFFFF, 0)

    def pdu(self, request: bytes) -> bytes:
        self.asked += 1
        factor = self.factor(self.asked)
        raw = WATTS if factor in (-0x8000, 11, -11) else WATTS * 10**-factor if factor < 0 else WATTS // 10**factor
        self.put(3, W, raw)
        self.put(3, W_SF, factor)
        return super().pdu(request)


def wire_to(slave: Slave) -> Wire:
    spec = DeviceSpec("meter", DeviceRole.METER, 2, load("sunspec_meter"))
    wire = Wire(Bus(BusSpec("rs485"), [spec]), [slave])
    wire.open()
    return wire


def powers(wire: Wire) -> list[int | None]:
    return [reading.grid_w for reading in wire.meters()]


@pytest.mark.parametrize(("before", "after"), [(0, 1), (0, -1), (2, 0), (-1, 1)])
def test_a_scale_factor_that_changes_is_never_seen_in_a_number(before: int, after: int) -> None:
    now = [before]
    wire = wire_to(Moody(lambda _: now[0]))
    wire.run(3 * S)
    assert set(powers(wire)) == {WATTS}
    wire.emitted.clear()
    now[0] = after
    wire.run(3 * S)
    assert set(powers(wire)) == {None, WATTS}
    assert powers(wire)[0] is None
    assert powers(wire)[-1] == WATTS
    statuses = wire.statuses("meter")
    assert [status.presence for status in statuses] == [Presence.IDENTIFYING, Presence.OK]
    assert f"changed from {before} to {after}" in statuses[0].detail
    assert statuses[0].binding is None


def test_nothing_is_known_while_a_scale_factor_does_not_stand_still() -> None:
    restless = [True]
    wire = wire_to(Moody(lambda n: n % 2 if restless[0] else 0))
    wire.run(10 * S)
    assert set(powers(wire)) <= {None, WATTS}
    wire.emitted.clear()
    wire.run(10 * S)
    assert None in powers(wire)
    assert set(powers(wire)) <= {None, WATTS}
    assert any("scale factor" in status.detail for status in wire.statuses("meter"))
    restless[0] = False
    wire.run(3 * S)
    wire.emitted.clear()
    wire.run(3 * S)
    assert set(powers(wire)) == {WATTS}
    assert wire.statuses("meter") == []


@pytest.mark.parametrize("factor", [-0x8000, 11, -11])
def test_a_scale_factor_that_is_none_leaves_the_value_unknown_and_says_so(factor: int) -> None:
    wire = wire_to(Moody(lambda _: factor))
    wire.run(3 * S)
    assert set(powers(wire)) == {None}
    assert {reading.frequency_mhz for reading in wire.meters()} == {50_000}
    status = wire.statuses("meter")[-1]
    assert status.presence is Presence.OK
    assert "not known for want of a scale factor of -10 to 10: grid_w" in status.detail


@pytest.mark.parametrize("factor", [-0x8000, 11, -11])
def test_a_scale_factor_that_goes_away_and_comes_back(factor: int) -> None:
    now = [0]
    wire = wire_to(Moody(lambda _: now[0]))
    wire.run(3 * S)
    wire.emitted.clear()
    now[0] = factor
    wire.run(3 * S)
    assert set(powers(wire)) == {None}
    now[0] = 0
    wire.run(3 * S)
    assert set(powers(wire)) == {None, WATTS}
    assert powers(wire)[-1] == WATTS
    assert "grid_w" not in wire.statuses("meter")[-1].detail


def port(watts: int, factor: int) -> Slave:
    """An inverter with one DC port, a battery (714): no value of the model but its power, read fast, is used."""
    slave = Slave(3)
    slave.put(3, 40000, 0x5375, 0x6E53)
    slave.put(3, COMMON, 1, 66, *text(16, "Maker"), *text(16, "DER"), *text(16, "1"), *text(16, "S2"), 1, 0)
    slave.put(3, PORTS, 714, 43, *[0xFFFF] * 43)
    slave.put(3, PORTS + 17, factor)
    slave.put(3, PORTS + 20, 1)
    slave.put(3, PORTS + 32, watts)
    slave.put(3, PORTS + 45, 0xFFFF, 0)
    return slave


def test_a_scale_factor_of_a_model_that_is_only_read_fast_is_watched_too() -> None:
    slave = port(250, 1)
    spec = DeviceSpec("inverter", DeviceRole.INVERTER, 3, load("sunspec_hybrid"))
    wire = Wire(Bus(BusSpec("rs485"), [spec]), [slave])
    wire.open()
    wire.run(3 * S)
    assert wire.inverters()[-1].battery_w == 2500
    wire.emitted.clear()
    slave.put(3, PORTS + 17, 0)
    slave.put(3, PORTS + 32, 2500)
    wire.run(3 * S)
    assert [status.presence for status in wire.statuses("inverter")] == [Presence.IDENTIFYING, Presence.OK]
    assert {reading.battery_w for reading in wire.inverters()} == {None, 2500}
    assert wire.inverters()[-1].battery_w == 2500


FRONIUS_MODULES, DISCHARGE, CHARGE, DCW_SF = 40222, 81, 61, 4


@pytest.mark.parametrize("baud", [19200, 115200])  # a line that is too slow for one long read, and one that is not
@pytest.mark.parametrize("moment_ms", range(0, 1000, 50))
def test_a_scale_factor_far_from_its_value_is_read_after_it_before_the_value_counts(moment_ms: int, baud: int) -> None:
    """Model 160 has the factor in front of all modules: on a serial line it is a read of its own."""
    vector = next(v for v in vectors() if v.name == "fronius_gen24")
    wire = vector.wire(baud=baud)
    slave = wire.slaves[vector.data["unit"]]
    slave.put(3, FRONIUS_MODULES + DISCHARGE, 2500)
    slave.put(3, FRONIUS_MODULES + CHARGE, 0)
    wire.run(3 * S + moment_ms * MS)
    assert wire.inverters()[-1].battery_w == 2500
    wire.emitted.clear()
    slave.put(3, FRONIUS_MODULES + DCW_SF, 1)
    slave.put(3, FRONIUS_MODULES + DISCHARGE, 250)
    wire.run(5 * S)
    assert {reading.battery_w for reading in wire.inverters()} <= {None, 2500}
    assert wire.inverters()[-1].battery_w == 2500


@pytest.mark.parametrize("baud", [19200, 115200])
def test_a_value_that_waits_for_its_scale_factor_is_as_old_as_its_own_sample(baud: int) -> None:
    vector = next(v for v in vectors() if v.name == "fronius_gen24")
    wire = vector.wire(baud=baud)
    wire.emitted.clear()
    wire.run(10 * S)
    seen = wire.inverters()
    assert len(seen) >= 39  # told four times a second as before
    assert wire.now - seen[-1].battery_at_ns <= 500 * MS  # one round
    assert wire.now - seen[-1].grid_at_ns <= 500 * MS
    assert len({reading.battery_at_ns for reading in seen}) >= 39  # each confirmed by the factor in its own round
