"""Orders to registers: vectors by hand, bounds, and the law that a setpoint is never larger than asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.binding import Binding, BoundGroup, DeviceSpec
from drivers.codec import RawType
from drivers.convert import Live
from drivers.events import ReadBack, RegisterWrite, WriteClass, WriteSequence
from drivers.profile import load
from drivers.readings import DeviceRole
from drivers.writer import compile_write
from tests.drivers.home import AC, COMMON, STORAGE, bms, home, inverter, text
from tests.drivers.wire import S, Slave, Wire

SPEC = DeviceSpec("inverter", DeviceRole.INVERTER, 3, load("sunspec_hybrid"))


def bound(slave: Slave | None = None, spec: DeviceSpec = SPEC) -> Binding:
    wire = home([spec], [slave or inverter()])
    wire.run(1 * S)
    binding = wire.statuses("inverter")[-1].binding
    assert isinstance(binding, Binding), wire.statuses("inverter")[-1].detail
    return binding


BINDING = bound()


def order(
    write_class: WriteClass, value: int = 0, binding: Binding = BINDING, live: Live | None = None
) -> WriteSequence:
    sequence = compile_write(binding, write_class, value, 7, 99, live)
    assert isinstance(sequence, WriteSequence), sequence
    return sequence


def signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def test_power_is_the_window_p_p_with_its_reversion_first_and_the_mode_last() -> None:
    assert order(WriteClass.POWER, -5000) == WriteSequence(
        order_id=7,
        device="inverter",
        write_class=WriteClass.POWER,
        value=-5000,
        writes=(
            RegisterWrite(STORAGE + 15, (60,)),
            RegisterWrite(STORAGE + 12, (0x10000 - 4385, 4385)),  # 5000 / 11400 = 43.859 %, toward zero
            RegisterWrite(STORAGE + 5, (3,)),
        ),
        read_backs=(ReadBack(STORAGE + 5, (3, None, None, None, None, None, None, 0x10000 - 4385, 4385, None, 60)),),
        not_after_ns=99,
    )


def test_stop_holds_at_zero_with_reversion() -> None:
    sequence = order(WriteClass.STOP, 1234)
    assert sequence.value == 0
    assert [write.words for write in sequence.writes] == [(60,), (0, 0), (3,)]


def test_clear_switches_off_first_and_then_opens_the_rates() -> None:
    assert order(WriteClass.CLEAR).writes == (
        RegisterWrite(STORAGE + 5, (0,)),
        RegisterWrite(STORAGE + 12, (10000, 10000)),
    )


@pytest.mark.parametrize(("permille", "raw"), [(50, 500), (205, 2050), (1000, 10000)])
def test_floor_is_percent_with_its_own_scale_factor(permille: int, raw: int) -> None:
    sequence = order(WriteClass.FLOOR, permille)
    assert sequence.writes == (RegisterWrite(STORAGE + 7, (raw,)),)
    assert sequence.read_backs == (ReadBack(STORAGE + 7, (raw,)),)


def test_a_coarse_floor_is_rounded_up() -> None:
    slave = inverter()
    slave.put(3, STORAGE + 21, 0)  # whole percent
    assert order(WriteClass.FLOOR, 201, bound(slave)).writes[0].words == (21,)


@pytest.mark.parametrize(
    ("write_class", "value", "why"),
    [
        (WriteClass.POWER, 11401, "beyond what inverter is rated for"),
        (WriteClass.POWER, -11401, "beyond what inverter is rated for"),
        (WriteClass.FLOOR, 40, "floor 4 is outside 5..100"),
        (WriteClass.FLOOR, 1001, "floor 100.1 is outside 5..100"),
        (WriteClass.HEARTBEAT, 0, "no heartbeat"),
    ],
)
def test_out_of_bounds_is_refused_with_a_sentence(write_class: WriteClass, value: int, why: str) -> None:
    refusal = compile_write(BINDING, write_class, value, 1, 1)
    assert isinstance(refusal, str)
    assert why in refusal


@given(st.integers(-11400, 11400))
def test_a_setpoint_is_never_more_than_asked_and_loses_less_than_a_step(watts: int) -> None:
    sequence = order(WriteClass.POWER, watts)
    out, inward = (signed(word) for word in sequence.writes[1].words)
    assert inward == -out  # the window is one value
    given_w = out * 11400 / 10000
    assert abs(given_w) <= abs(watts) < abs(given_w) + 1.14
    assert given_w * watts >= 0


@given(st.integers(-20000, 20000), st.sampled_from(list(WriteClass)))
def test_no_power_leaves_without_its_reversion_time_and_mode_last(watts: int, write_class: WriteClass) -> None:
    sequence = compile_write(BINDING, write_class, watts, 1, 1)
    if isinstance(sequence, str) or write_class not in (WriteClass.POWER, WriteClass.STOP):
        return
    addresses = [write.address for write in sequence.writes]
    assert addresses.index(STORAGE + 15) < addresses.index(STORAGE + 5) == len(addresses) - 1
    assert sequence.writes[0].words[0] >= 1


def test_discharge_may_have_another_rating() -> None:
    binding = bound(spec=replace(SPEC, wdischamax_w=5700))
    assert order(WriteClass.POWER, 2850, binding).writes[1].words == (5000, 0x10000 - 2500)
    assert isinstance(compile_write(binding, WriteClass.POWER, 5701, 1, 1), str)


def test_reversion_is_the_configurations_within_the_profiles_bounds() -> None:
    assert order(WriteClass.POWER, 0, bound(spec=replace(SPEC, reversion_s=6))).writes[0].words == (6,)
    assert order(WriteClass.POWER, 0, bound(spec=replace(SPEC, reversion_s=0))).writes[0].words == (1,)  # never "never"


@pytest.mark.parametrize(
    ("offset", "word", "why"),
    [
        (25, 0x8000, "scale factor of OutWRte is not implemented"),
        (25, 1, "steps of 10 %"),
        (25, 0xFFFD, "100 % does not fit"),
        (2, 0xFFFF, "gives no rating"),
        (18, 0x8000, "gives no rating"),
    ],
)
def test_a_device_that_cannot_be_commanded_says_why(offset: int, word: int, why: str) -> None:
    slave = inverter()
    slave.put(3, STORAGE + offset, word)
    binding = bound(slave)
    assert not binding.capability.signed_setpoint
    refusal = compile_write(binding, WriteClass.POWER, 0, 1, 1)
    assert isinstance(refusal, str)
    assert why in refusal


def test_what_does_not_fit_its_register_is_refused_not_wrapped() -> None:
    control = BINDING.control
    assert control is not None
    put = replace(control.power[1].puts[0], kind=RawType.U16, low=None, high=None)
    binding = replace(BINDING, control=replace(control, power=(BoundGroup(16, (put,)),)))
    assert order(WriteClass.POWER, 11400, binding).writes[0].words == (10000,)
    refusal = compile_write(binding, WriteClass.POWER, -11400, 1, 1)
    assert isinstance(refusal, str)
    assert "does not fit register" in refusal


def test_a_battery_takes_nothing() -> None:
    wire = home([DeviceSpec("bms", DeviceRole.BATTERY, 1, load("seplos_v3"))], [bms()])
    wire.run(1 * S)
    binding = wire.statuses("bms")[-1].binding
    assert isinstance(binding, Binding)
    for write_class in WriteClass:
        assert isinstance(compile_write(binding, write_class, 0, 1, 1), str)


# --- models 7xx -------------------------------------------------------------------------------------------------------
M701, M702, M704, M714 = 40070, 40070 + 155, 40070 + 155 + 52, 40070 + 155 + 52 + 67


def der(unit: int = 3) -> Slave:
    """Chain 1, 701, 702, 704, 714: connected, AC 1.2 kW, 60.00 Hz; ports: PV 2.0 kW, battery -800 W."""
    slave = Slave(unit)
    put = slave.put
    put(3, 40000, 0x5375, 0x6E53)
    put(3, COMMON, 1, 66, *text(16, "Maker"), *text(16, "DER"), *text(8, ""), *text(8, "2"), *text(16, "D1"), 1, 0)
    for base, model, length in ((M701, 701, 153), (M702, 702, 50), (M704, 704, 65), (M714, 714, 68)):
        put(3, base, model, length, *[0xFFFF] * length)
    put(3, M714 + 70, 0xFFFF, 0)
    put(3, M701 + 2, 1, 1, 3, 1, 0, 0, 0, 1, 120)
    put(3, M701 + 17, 0, 6000)
    put(3, M701 + 113, 0, 0, -2, 1)
    put(3, M702 + 2, 5000)
    put(3, M702 + 10, 5000, 6000)
    put(3, M702 + 45, 0)
    put(3, M704 + 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    put(3, M704 + 54, 0, 0, 0)
    put(3, M714 + 4, 2)
    put(3, M714 + 15, 0, 0, 1, 0, 0)
    put(3, M714 + 20, 0)
    put(3, M714 + 32, 200)
    put(3, M714 + 45, 1)
    put(3, M714 + 57, -80)
    return slave


def test_the_ieee_1547_models_are_preferred_and_commanded_in_watts() -> None:
    binding = bound(der())
    assert binding.control is not None
    assert binding.control.id == "model_704"
    assert binding.capability.control_point == "inverter_ac"
    assert (binding.capability.rated_charge_w, binding.capability.rated_discharge_w) == (5000, 6000)
    assert not binding.capability.floor
    refusal = compile_write(binding, WriteClass.POWER, -3456, 1, 1)
    assert isinstance(refusal, str)
    assert "PV power is not known" in refusal
    sequence = order(WriteClass.POWER, -3456, binding, Live(pv_w=2000))  # AC = battery + PV
    assert sequence.writes == (
        RegisterWrite(M704 + 23, (1, 0xFFFF, 0x10000 - 1456, 0, 0, 0, 0, 0, 0, 60)),
        RegisterWrite(M704 + 22, (1,)),
    )
    assert order(WriteClass.CLEAR, 0, binding).writes == (RegisterWrite(M704 + 22, (0,)),)
    assert isinstance(compile_write(binding, WriteClass.FLOOR, 200, 1, 1), str)


def test_without_a_pv_port_the_ac_terminals_are_the_batterys() -> None:
    slave = der()
    slave.put(3, M714 + 20, 1)  # both DC ports are batteries
    sequence = order(WriteClass.POWER, -3456, bound(slave))
    assert sequence.writes[0].words[1:3] == (0xFFFF, 0x10000 - 3456)


def test_the_ieee_1547_models_are_read() -> None:
    wire = home([SPEC], [der()])
    wire.run(3 * S)
    reading = wire.inverters()[-1]
    assert (reading.battery_w, reading.pv_w, reading.ac_w, reading.frequency_mhz) == (-800, 2000, 1200, 60_000)
    assert (str(reading.grid_state), reading.status, reading.remote_active) == ("connected", "running", False)


def beating(unit: int = 3) -> Slave:
    """The same with model 715: remote, its own counter at 7."""
    slave = der(unit)
    slave.put(3, M714 + 70, 715, 7, 0, 0, 7, 0, 0, 0, 0, 0xFFFF, 0)
    return slave


def test_the_heartbeat_of_715_is_one_counter_without_a_read_back() -> None:
    binding = bound(beating())
    assert binding.capability.heartbeat_s == 1
    sequence = order(WriteClass.HEARTBEAT, 1234, binding)
    assert sequence.writes == (RegisterWrite(M714 + 70 + 5, (0, 1234)),)
    assert sequence.read_backs == ()
    assert bound(der()).capability.heartbeat_s == 0


def test_a_device_whose_own_heartbeat_stands_still_is_not_heard() -> None:
    slave = beating()
    wire = home([SPEC], [slave])
    for beat in range(8, 13):
        slave.put(3, M714 + 74, beat)
        wire.run(1 * S)
    alive = wire.inverters()[-1]
    assert wire.now - alive.at_ns < 2 * S
    stood_ns = wire.now
    wire.run(20 * S)  # it goes on answering
    deaf = wire.inverters()[-1]
    assert wire.now - deaf.at_ns > 15 * S
    assert stood_ns - 2 * S <= deaf.at_ns == deaf.grid_at_ns == deaf.battery_at_ns <= stood_ns
    slave.put(3, M714 + 74, 99)
    wire.run(2 * S)
    assert wire.now - wire.inverters()[-1].at_ns < 2 * S


def run_order(wire: Wire, write_class: WriteClass, value: int) -> None:
    binding = wire.statuses("inverter")[-1].binding
    assert isinstance(binding, Binding)
    sequence = compile_write(binding, write_class, value, 1, wire.now + S, Live(pv_w=wire.inverters()[-1].pv_w))
    assert isinstance(sequence, WriteSequence)
    wire.order_now(sequence)
    wire.run(1 * S)


def test_a_setpoint_by_704_reads_back_as_the_remote_power() -> None:
    wire = home([SPEC], [der()])
    wire.run(2 * S)
    run_order(wire, WriteClass.POWER, -3456)
    assert str(wire.results()[-1].outcome) == "confirmed"
    reading = wire.inverters()[-1]
    assert (reading.remote_w, reading.remote_active, reading.reversion_s) == (None, True, 60)
    assert reading.remote_now_w == -3456  # what WSet means for the battery with this PV


def test_a_scale_factor_that_loses_704s_resolution_is_refused() -> None:
    slave = der()
    slave.put(3, M704 + 55, 3)
    refusal = compile_write(bound(slave), WriteClass.POWER, 0, 1, 1)
    assert isinstance(refusal, str)
    assert "steps of 1000 W" in refusal


def test_a_foreign_window_is_remote_control_but_no_setpoint() -> None:
    slave = inverter()
    slave.put(3, STORAGE + 5, 1)  # somebody limits charging only
    wire = home([SPEC], [slave])
    wire.run(2 * S)
    assert (wire.inverters()[-1].remote_active, wire.inverters()[-1].remote_w) == (True, None)
    slave.put(3, STORAGE + 5, 3)
    slave.put(3, STORAGE + 12, 5000, 5000)  # a window of two values
    wire.run(2 * S)
    assert (wire.inverters()[-1].remote_active, wire.inverters()[-1].remote_w) == (True, None)
    assert AC < STORAGE
