"""Operations and signals of the simulated home, by the names that scenarios use."""

from __future__ import annotations

import pytest

from hil.devices.slave import seal
from hil.devices.world import UNITS, WORDS, World, params_of
from hil.scenario import HOME_KEYS, RESERVE, VARIANT
from hil.signals import SIGNALS
from hil.wire.virtual import VirtualWire

S = 1_000_000_000
READ_METER = seal(bytes.fromhex("02 04 00 34 00 02"))


@pytest.fixture
def world() -> World:
    world = World(1, {"soc_permille": 305, "load_w": 2000, "pv_w": 0, "floor_permille": 300})
    world.wire = VirtualWire(world.slaves, 19_200, lambda ns, fn: fn(), lambda data, at_ns: None, seed=1)
    return world


def test_settings_of_a_scenario(world: World) -> None:
    truth = world.home.truth()
    assert (truth.soc_true, truth.load_w, truth.pv_w, truth.floor_pct) == (0.305, 2000.0, 0.0, 30.0)
    with pytest.raises(ValueError, match="a home has no 'socks'"):
        params_of({"socks": 1})


def test_signals_are_names_of_the_scenario_language(world: World) -> None:
    signals = world.signals(S)
    assert signals.keys() <= SIGNALS.keys()
    seen = {name for name in SIGNALS if name.startswith(("truth.", "wire.", "bench.faults"))}
    assert seen == signals.keys() | {"wire.setpoint_w"}  # of all writes so far: the backend keeps them
    assert signals["truth.battery_w"] == pytest.approx(2000.0)


def test_each_operation_does_what_it_says(world: World) -> None:
    world.do("outage", 1 * S, on=True)
    assert world.signals(2 * S)["truth.islanded"] is True
    world.do("outage", 3 * S, on=False)
    world.do("floor", 3 * S, permille=250)
    world.do("load", 3 * S, w=700)
    world.do("pv", 3 * S, w=100)
    world.do("soc", 3 * S, permille=400)
    signals = world.signals(80 * S)
    assert signals["truth.islanded"] is False
    assert signals["truth.floor_permille"] == 250
    assert signals["truth.battery_w"] == pytest.approx(600.0)
    assert signals["truth.soc_permille"] == pytest.approx(400.0, abs=1.0)
    world.do("remote", 81 * S, w=-3000)
    assert world.signals(85 * S)["truth.setpoint_w"] == pytest.approx(-3000.0)
    world.do("reboot", 85 * S)
    assert world.signals(86 * S)["truth.remote"] is False


@pytest.mark.parametrize("device", UNITS)
def test_mute_and_freeze_any_device(world: World, device: str) -> None:
    block = {"battery": "04 10 00 00 11", "meter": "04 00 00 00 50", "inverter": "03 9d 04 00 1a"}[device]
    request = seal(bytes.fromhex(f"{UNITS[device]:02x} {block}"))
    world.do("mute", S, device=device, on=True)
    assert world.slaves.rtu(request, 2 * S) is None
    world.do("mute", 3 * S, device=device, on=False)
    world.do("freeze", 3 * S, device=device, on=True)
    before = world.slaves.rtu(request, 4 * S)
    world.do("load", 5 * S, w=9000)
    assert world.slaves.rtu(request, 100 * S) == before
    world.do("freeze", 100 * S, device=device, on=False)
    assert before is not None
    assert world.slaves.rtu(request, 101 * S) != before


def test_deaf_acknowledges_and_ignores(world: World) -> None:
    world.do("deaf", S, on=True, device="inverter")
    reply = world.slaves.rtu(seal(bytes.fromhex("03 06 9d 0b 03 e8")), S)  # MinRsvPct 10 %
    assert reply is not None
    assert reply[1] == 6
    assert world.home.inverter.floor_pct == 30.0


def test_one_clamp_of_the_meter(world: World) -> None:
    world.do("outage", S, on=True)
    world.do("load", 2 * S, w=3000)
    world.do("outage", 3 * S, on=False)
    world.do("remote", 80 * S, w=0)
    right = world.signals(85 * S)
    assert right["truth.grid_w"] == pytest.approx(3000.0)
    world.do("meter_clamp", 85 * S, leg=2, way="off")
    wrong = world.signals(87 * S)
    assert world.home.meter.total_w == pytest.approx(3000.0 - float(right["truth.grid_l2_w"] or 0.0))
    assert wrong["truth.grid_w"] == pytest.approx(3000.0)
    world.do("meter_clamp", 87 * S, leg=2, on=False)
    world.signals(89 * S)
    assert world.home.meter.total_w == pytest.approx(3000.0)
    with pytest.raises(ValueError, match="leg 1 to 3, way right, reversed, off; not 4, 'off'"):
        world.do("meter_clamp", 90 * S, leg=4)


def test_words_of_a_home() -> None:
    home = World(1, {"soc_quantum_permille": 10, "idle_dc_w": 25, "inverter_leg": 2, "legs": 2}).home
    assert home.params.bms.soc_quantum == 0.01
    assert home.params.inverter.idle_dc_w == 25.0
    assert (home.params.legs, home.params.inverter_leg) == (2, 2)
    assert set(HOME_KEYS) | {VARIANT} == WORDS | {RESERVE}


def test_what_it_does_not_know_it_refuses(world: World) -> None:
    with pytest.raises(ValueError, match="a home cannot 'explode'"):
        world.do("explode", S)
    with pytest.raises(ValueError, match="there is no device 'toaster'"):
        world.do("mute", S, device="toaster", on=True)
    with pytest.raises(ValueError, match="load"):
        world.do("load", S, watts=3)
    world.wire = None
    with pytest.raises(ValueError, match="on no wire"):
        world.do("noise", S, permille=5)


def test_the_wire_counts(world: World) -> None:
    assert isinstance(world.wire, VirtualWire)
    world.wire.transmit(READ_METER, 10 * S)
    world.do("noise", 11 * S, permille=5, on=True)
    assert world.wire.noise == 0.005
    assert world.signals(12 * S)["wire.transactions"] == 1
    assert world.signals(12 * S)["wire.violations"] == 0


def test_a_sleeping_bms_is_woken_by_an_inverter_that_has_power(world: World) -> None:
    request = seal(bytes.fromhex("01 04 10 05 00 01"))
    world.do("asleep", S, on=True, wake_s=30)
    assert world.slaves.rtu(request, 20 * S) is None
    assert world.signals(20 * S)["truth.battery_w"] == 0.0
    assert world.slaves.rtu(request, 40 * S) is not None
    assert world.signals(45 * S)["truth.battery_w"] == pytest.approx(2000.0)
    world.do("outage", 50 * S, on=True)
    world.do("asleep", 51 * S, on=True, wake_s=30)
    assert world.slaves.rtu(request, 200 * S) is None  # a dark inverter wakes nobody
    assert world.signals(200 * S)["truth.fed"] is False
