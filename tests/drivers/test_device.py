"""Who answers, what they say, and what happens when they stop, change or are somebody else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from drivers.bus import Bus as TheBus
from drivers.bus import BusSpec, DeviceSpec
from drivers.events import Adopt, DeviceStatus, Identity, Presence
from drivers.profile import load
from drivers.readings import BatteryReading, GridState, InverterReading, MeterReading
from tests.drivers.home import AC, MPPT, STATUS, STORAGE, bms, floats, home, inverter, meter, specs, text
from tests.drivers.vector import Everywhere, Vector, binding_of, vectors
from tests.drivers.wire import MS, S, Slave, Wire

INVERTER = specs()[2]
METER = specs()[1]


def alone(spec: DeviceSpec, slave: Slave, seconds: int = 3) -> Wire:
    wire = home([spec], [slave])
    wire.run(seconds * S)
    return wire


def test_the_demo_home_is_read_as_it_is() -> None:
    wire = home()
    wire.run(3 * S)
    battery, grid, hybrid = wire.batteries()[-1], wire.meters()[-1], wire.inverters()[-1]
    assert battery == BatteryReading(
        device="bms", at_ns=battery.at_ns, soc_permille=700, soc_quantum_permille=1, soh_permille=985, pack_mv=52_000,
        pack_ma=10_000, cell_max_mv=3350, cell_min_mv=3340, temp_max_dc=209, temp_min_dc=204, ccl_ma=120_000,
        dcl_ma=150_000, charge_enabled=True, discharge_enabled=True, alarms=(), capacity_mah=488_000,
    )  # fmt: skip
    assert replace(grid, grid_was=()) == MeterReading(
        device="meter", at_ns=grid.at_ns, grid_w=-1235, phase_w=(-1235, 0, 0), phase_mv=(230_100, 0, 0),
        phase_ma=(5500, 0, 0), frequency_mhz=50_010, import_wh=12_500, export_wh=3_250,
    )  # fmt: skip
    assert replace(hybrid, battery_was=()) == InverterReading(
        device="inverter", at_ns=hybrid.at_ns, battery_w=-800, battery_at_ns=hybrid.battery_at_ns, pv_w=2000, ac_w=1200,
        grid_state=GridState.CONNECTED, grid_at_ns=hybrid.grid_at_ns, frequency_mhz=50_000, soc_permille=700,
        floor_permille=50, remote_w=None, remote_active=False, reversion_s=0, status="running", alarms=(),
    )  # fmt: skip
    for reading in (battery, grid, hybrid):
        assert wire.now - reading.at_ns < 1500 * MS
    assert wire.violations == 0


def test_fast_blocks_come_four_times_a_second_and_the_line_stays_free() -> None:
    wire = home()
    wire.run(2 * S)
    wire.emitted.clear()
    busy, start = wire.busy_ns, wire.now
    wire.run(10 * S)
    assert len(wire.meters()) >= 39
    assert len(wire.inverters()) >= 39
    ages = [r.grid_at_ns for r in wire.inverters()]
    assert max(b - a for a, b in pairwise(ages)) < 400 * MS
    assert (wire.busy_ns - busy) / (wire.now - start) < 0.6


def test_periods_can_be_slower() -> None:
    wire = alone(replace(METER, periods_ms={"fast": 1000, "phases": 5000}), meter(), 11)
    assert 10 <= len(wire.meters()) <= 12


def test_alarms_and_switches_of_the_battery() -> None:
    slave = bms()
    for bit in (0x49, 0x55, 0x88, 0x2C):
        slave.regs[1, 0x1200 + bit] = 1
    slave.regs[1, 0x1279] = 0
    battery = alone(specs()[0], slave).batteries()[-1]
    assert battery.alarms == (
        "cell_over_voltage_protection",
        "discharge_over_temperature_protection",
        "temperature_sensor_fault",
    )
    assert (battery.charge_enabled, battery.discharge_enabled) == (False, True)


def test_impossible_values_are_not_known() -> None:
    slave = bms()
    slave.put(4, 0x1005, 1001)
    slave.put(4, 0x100A, 0)
    slave.put(4, 0x100C, 0)
    battery = alone(specs()[0], slave).batteries()[-1]
    assert (battery.soc_permille, battery.cell_max_mv, battery.temp_max_dc) == (None, None, None)


def test_absent_phases_of_a_meter_are_not_known_and_reversed_cts_turn_all_of_it() -> None:
    slave = meter()
    for address in (2, 4, 14, 16):
        slave.put(4, address, 0x7FC0, 0)
    reading = alone(replace(METER, ct_sign=-1), slave).meters()[-1]
    assert (reading.grid_w, reading.phase_w, reading.phase_mv) == (1235, (1235, None, None), (230_100, None, None))
    assert (reading.import_wh, reading.export_wh) == (3_250, 12_500)


@pytest.mark.parametrize(("word", "state"), [(0, "islanded"), (1, "connected"), (2, "islanded"), (0xFFFF, "unknown")])
def test_grid_state(word: int, state: str) -> None:
    slave = inverter()
    slave.put(3, STATUS + 4, word)
    assert str(alone(INVERTER, slave).inverters()[-1].grid_state) == state


def test_sunspec_not_implemented_is_not_known() -> None:
    slave = inverter()
    slave.put(3, MPPT + 10 + 60 + 11, 0xFFFF)
    slave.put(3, AC + 14, 0x8000)
    slave.put(3, STORAGE + 22, 0x8000)  # the scale factor of the SoC
    reading = alone(INVERTER, slave).inverters()[-1]
    assert (reading.battery_w, reading.ac_w, reading.soc_permille) == (None, None, None)
    assert reading.pv_w == 2000


def test_a_shorter_model_is_walked_by_its_own_length() -> None:
    slave = inverter()
    words = [slave.regs[3, MPPT + n] for n in range(92)]
    slave.put(3, STORAGE + 1, 14)  # ends after InOutWRte_RvrtTms: no scale factors
    slave.put(3, STORAGE + 16, *words)
    wire = alone(INVERTER, slave)
    assert wire.inverters()[-1].battery_w == -800
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.OK
    assert status.capability is not None
    assert not status.capability.signed_setpoint
    assert "gives no rating" in status.detail


def test_a_marker_at_another_base_is_found() -> None:
    slave = inverter()
    moved = {(f, a - 40000): w for (f, a), w in slave.regs.items()}
    wire = alone(INVERTER, Slave(3, moved))
    assert wire.statuses("inverter")[-1].presence is Presence.OK
    assert wire.inverters()[-1].battery_w == -800


def test_no_sunspec_at_all_is_a_mismatch_with_advice() -> None:
    wire = alone(INVERTER, Slave(3))
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.MISMATCH
    assert status.binding is None
    assert "no SunSpec marker at 40000, 0, 50000" in status.detail


def test_another_maker_is_a_mismatch_with_advice() -> None:
    slave = bms()
    slave.put(4, 0x1700, *text(10, "Pylon"))
    status = alone(specs()[0], slave).statuses("bms")[-1]
    assert status.presence is Presence.MISMATCH
    assert 'its maker is "Pylon"' in status.detail
    assert '"XZH"' in status.detail


def test_another_serial_is_read_and_never_written_until_adopted() -> None:
    pinned = replace(INVERTER, pinned=Identity("Fronius", "GEN24", "", "SN41"))
    wire = alone(pinned, inverter())
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.MISMATCH
    assert status.binding is None
    assert status.identity is not None
    assert "SN42" in status.detail
    assert "SN41" in status.detail
    assert "adopt" in status.detail
    assert wire.inverters()
    wire.event(Adopt("inverter"))
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.OK
    assert status.binding is not None


def test_one_that_is_exchanged_while_its_line_is_garbled_is_asked_who_it_is() -> None:
    wire = alone(INVERTER, inverter())
    good = wire.maul
    wire.maul = lambda request, reply: [(0, reply[:-1] + bytes((reply[-1] ^ 1,)))]
    wire.run(20 * S)
    other = inverter()
    other.put(3, 40052, *text(16, "SN43"))
    wire.slaves[3] = other
    since = len(wire.emitted)
    wire.maul = good
    wire.run(20 * S)
    told = [e for e in wire.emitted[since:] if isinstance(e, DeviceStatus)]
    assert told[-1].presence is Presence.MISMATCH
    assert all(status.presence is not Presence.OK for status in told)
    assert other.writes == []


@pytest.mark.parametrize("word", ["maker", "model"])
def test_every_way_back_onto_the_line_asks_who_it_is_first(word: str) -> None:
    wire = alone(INVERTER, inverter())
    other = inverter()
    other.put(3, 40004 if word == "maker" else 40020, *text(16, "Fronius II"))
    for _ in range(2):
        wire.lose("unplugged")
        wire.slaves[3] = other
        wire.open()
        assert wire.statuses("inverter")[-1].presence is Presence.IDENTIFYING
        wire.run(3 * S)
        assert wire.statuses("inverter")[-1].presence is Presence.MISMATCH
        assert f"{word} differs" in wire.statuses("inverter")[-1].detail
    wire.event(Adopt("inverter"))
    assert wire.statuses("inverter")[-1].presence is Presence.OK
    wire.lose("unplugged")
    wire.open()
    wire.run(3 * S)
    assert wire.statuses("inverter")[-1].presence is Presence.OK


def test_a_pin_with_empty_words_and_another_version_still_fits() -> None:
    pinned = replace(INVERTER, pinned=Identity("Fronius", "", "9.99", "SN42"))
    assert alone(pinned, inverter()).statuses("inverter")[-1].presence is Presence.OK


def test_a_device_swapped_while_we_run_is_noticed_without_a_pin() -> None:
    slave = inverter()
    wire = alone(INVERTER, slave)
    slave.alive = False
    wire.run(3 * S)
    slave.alive = True
    slave.put(3, 40002 + 50, *text(16, "SN43"))
    wire.run(10 * S)
    assert wire.statuses("inverter")[-1].presence is Presence.MISMATCH


def test_one_that_is_nobody_for_a_moment_is_asked_again_soon_and_then_ever_more_seldom() -> None:
    """A gateway that answers zeros for a moment: a setpoint may stand, and nobody may end it until it has a name."""
    slave = inverter()
    wire = alone(INVERTER, slave)
    for _ in range(2):
        slave.alive = False
        wire.run(3 * S)
        slave.alive = True
        slave.put(3, 40000, 0, 0)  # no marker
        wire.sent.clear()
        wire.run(90 * S)
        asked = [at for at, frame in wire.sent if frame[2:4] == (40000).to_bytes(2, "big")]
        gaps = [(b - a) / S for a, b in pairwise(asked)]
        assert gaps == pytest.approx([1, 2, 4, 8, *[10] * (len(gaps) - 4)], abs=0.5)
        assert len(gaps) > 8
        slave.put(3, 40000, 0x5375, 0x6E53)
        wire.run(11 * S)
        assert wire.statuses("inverter")[-1].presence is Presence.OK


def test_a_scale_factor_that_changes_makes_everything_unknown_until_read_anew() -> None:
    slave = inverter()
    wire = alone(INVERTER, slave)
    wire.emitted.clear()
    slave.put(3, MPPT + 4, 1)  # watts in tens from now on
    wire.run(2 * S)
    presences = [status.presence for status in wire.statuses("inverter")]
    assert presences == [Presence.IDENTIFYING, Presence.OK]
    values = [reading.battery_w for reading in wire.inverters()]
    assert None in values
    assert values[-1] == -8000
    assert values.index(None) <= 4  # found out within one slow period
    after = values[values.index(None) :]
    assert set(after) == {None, -8000}


def test_a_rating_that_changes_is_read_anew_before_it_scales_a_setpoint() -> None:
    slave = inverter()
    wire = alone(INVERTER, slave)
    slave.put(3, STORAGE + 2, 5700)
    wire.run(2 * S)
    capability = wire.statuses("inverter")[-1].capability
    assert capability is not None
    assert capability.rated_discharge_w == 5700


def test_silence_backs_off_and_is_followed_by_a_new_identification() -> None:
    slave = inverter()
    wire = alone(INVERTER, slave)
    slave.alive = False
    wire.run(2 * S)
    assert wire.statuses("inverter")[-1].presence is Presence.SILENT
    wire.sent.clear()
    wire.run(40 * S)
    times = [at for at, _ in wire.sent]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == sorted(gaps)
    assert 8 * S <= gaps[-1] < 9 * S
    slave.alive = True
    wire.sent.clear()
    wire.run(10 * S)
    status = wire.statuses("inverter")[-2:]
    assert [s.presence for s in status] == [Presence.IDENTIFYING, Presence.OK]
    assert wire.sent[0][1][2:4] == (40000).to_bytes(2, "big")  # the marker first


def test_a_dead_device_does_not_tax_the_others() -> None:
    dead = bms()
    wire = home(slaves=[dead, meter(), inverter()])
    wire.run(3 * S)
    dead.alive = False
    wire.run(10 * S)
    statuses = wire.statuses("bms")
    wire.emitted.clear()
    wire.run(20 * S)
    assert len(wire.meters()) >= 70
    silent = next(s.at_ns for s in statuses if s.presence is Presence.SILENT)
    waited = sum(wait for at, unit, wait in wire.waits if unit == 1 and silent < at < silent + 8 * S)
    assert waited < 8 * S // 7  # about an eighth of the line while it is asked most often
    gaps = [b.at_ns - a.at_ns for a, b in pairwise(wire.meters())]
    assert max(gaps) < 1 * S


def test_a_device_that_was_never_there_is_silent() -> None:
    wire = home(slaves=[bms(), inverter()])
    wire.run(5 * S)
    assert wire.statuses("meter")[-1].presence is Presence.SILENT
    assert "check its power" in wire.statuses("meter")[-1].detail
    assert wire.batteries()
    assert wire.inverters()


def test_a_refused_value_is_dropped_after_three_refusals_and_tried_rarely() -> None:
    slave = meter()
    slave.refuse[4, 0] = 2
    wire = alone(METER, slave, 6)
    assert wire.meters()[-1].grid_w == -1235
    assert wire.meters()[-1].phase_mv == (None, 0, 0)  # what stood in one read with it lives
    assert "refuses register 0: illegal address" in wire.statuses("meter")[-1].detail
    wire.sent.clear()
    wire.run(5 * S)
    assert not any(data[1:4] == bytes((4, 0, 0)) for _, data in wire.sent)
    del slave.refuse[4, 0]
    wire.run(60 * S)
    assert wire.meters()[-1].phase_mv == (230_100, 0, 0)


def test_a_device_that_is_busy_for_long_loses_nothing_for_good() -> None:
    slave = inverter()
    wire = alone(INVERTER, slave)
    slave.refuse.update({(3, address): 4 for address in range(40000, 40313)})
    wire.run(20 * S)
    assert wire.inverters()[-1].battery_w is None
    slave.refuse.clear()
    wire.run(2 * S)
    assert wire.inverters()[-1].battery_w == -800
    assert wire.statuses("inverter")[-1].presence is Presence.OK


def test_a_device_that_boots_is_identified_when_it_is_ready_and_not_half() -> None:
    slave = inverter()
    slave.refuse.update({(3, address): 4 for address in range(MPPT, MPPT + 92)})
    wire = alone(INVERTER, slave, 5)
    status = wire.statuses("inverter")[-1]
    assert status.presence is Presence.IDENTIFYING
    assert "not ready: device failure" in status.detail
    slave.refuse.clear()
    wire.run(5 * S)
    assert wire.inverters()[-1].battery_w == -800


def test_an_old_slow_block_expires_by_itself() -> None:
    slave = meter()
    wire = alone(METER, slave)
    slave.refuse[4, 0] = 6
    wire.run(1 * S)
    assert wire.meters()[-1].phase_mv == (None, None, None)
    slave.put(4, 52, *floats(10.0))
    wire.run(1 * S)
    assert wire.meters()[-1].grid_w == 10


def test_a_slow_block_that_never_answers_expires_while_the_rest_goes_on() -> None:
    wire = alone(METER, meter())
    wire.maul = lambda request, reply: [] if request[2:4] == bytes(2) else [(0, reply)]
    wire.run(6 * S)
    assert wire.statuses("meter")[-1].presence is Presence.OK
    assert (wire.meters()[-1].grid_w, wire.meters()[-1].phase_mv) == (-1235, (None, None, None))


def test_a_lost_line_makes_everybody_absent_and_is_reopened_with_growing_pauses() -> None:
    wire = home()
    wire.run(2 * S)
    for _ in range(3):
        wire.lose("unplugged")
    assert [at - wire.now for at in wire.reopened] == [S // 2, 1 * S, 2 * S]
    for name in ("bms", "meter", "inverter"):
        status = wire.statuses(name)[-1]
        assert status.presence is Presence.ABSENT
        assert "unplugged" in status.detail
    wire.open()
    wire.run(2 * S)
    assert all(wire.statuses(name)[-1].presence is Presence.OK for name in ("bms", "meter", "inverter"))


def test_a_unit_0_battery_is_a_battery() -> None:
    spec = replace(specs()[0], unit=0)
    assert alone(spec, bms(0)).batteries()[-1].soc_permille == 700


def test_a_line_that_is_too_slow_for_it_all_still_tells_everything() -> None:
    wire = Wire(TheBus(BusSpec("slow", baud=4800), specs()), [bms(), meter(), inverter()], baud=4800)
    wire.open()
    wire.run(20 * S)
    wire.emitted.clear()
    wire.run(20 * S)
    assert len(wire.inverters()) >= 20
    assert len(wire.meters()) >= 20
    assert len(wire.batteries()) >= 8
    assert max(r.battery_at_ns - r.at_ns for r in wire.inverters()) < 5 * S


def test_slow_lines_get_short_reads() -> None:
    bus = TheBus(BusSpec("slow", baud=9600), [replace(INVERTER, profile=load("sunspec_hybrid"))])
    wire = Wire(bus, [inverter()], baud=9600)
    wire.open()
    wire.run(5 * S)
    assert wire.inverters()[-1].pv_w == 2000
    counts = [int.from_bytes(data[4:6], "big") for _, data in wire.sent if data[1] == 3]
    assert max(counts) <= 30
    assert wire.violations == 0


@pytest.mark.parametrize("name", ["deye_3p_hv", "growatt_vpp"])
def test_a_register_that_is_not_there_hides_none_of_its_neighbours_from_the_identification(name: str) -> None:
    """Everything but what the profile asks for is refused, and with it a read that runs over it."""
    vector = next(v for v in vectors() if v.name == name)
    wire = vector.wire(vector.slaves(holes=True))
    status = wire.statuses("device")[-1]
    assert status.presence is Presence.OK, status.detail
    assert binding_of(wire).control is not None


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v.name)
@pytest.mark.parametrize("words", [None, 0, 0xFFFF])
def test_who_says_nothing_of_itself_is_nobody_of_ours(vector: Vector, words: int | None) -> None:
    """Every register is refused, or empty: no profile takes such a device for its own, so nothing is ever written."""
    units = [slave.unit for slave in vector.slaves()]
    wire = vector.wire([Slave(unit, {} if words is None else Everywhere(words)) for unit in units])
    status = wire.statuses("device")[-1]
    assert status.presence is not Presence.OK
    assert status.binding is None
