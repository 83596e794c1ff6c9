"""The bench's home of several packs and inverters."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import config
from hil import site
from hil.devices.demo import units_of
from hil.devices.slave import WrittenRegisters, seal
from hil.devices.sunspec_hybrid import STOR_CTL_MOD
from hil.devices.world import World
from hil.writes import WriteLog

S = 1_000_000_000
TWO = {"packs": 2, "inverters": 2, "load_w": 4_000, "pv_w": 0}


def test_devices_have_units_of_their_own_and_answer() -> None:
    world = World(1, TWO)
    assert units_of(2, 2) == {"battery": 1, "meter": 2, "inverter": 3, "battery2": 11, "inverter2": 21}
    assert sorted(world.slaves.by_unit) == [1, 2, 3, 11, 21]
    for unit in (1, 11):
        assert world.slaves.rtu(seal(bytes((unit, 4, 0x10, 0, 0, 18))), S) is not None


def test_the_house_is_carried_by_both_and_the_packs_share_the_current() -> None:
    world = World(1, TWO)
    world.home.sync(30 * S)
    signals = world.signals(30 * S)
    assert signals["truth.inverter_w"] == signals["truth.inverter2_w"] == pytest.approx(2_000, abs=1)
    assert signals["truth.battery_w"] == pytest.approx(4_000, abs=1)
    first, second = world.home.batteries
    assert first.current_a == pytest.approx(second.current_a, rel=0.01)
    assert first.params.capacity_ah == second.params.capacity_ah == 244.0


def test_an_open_pack_carries_nothing_and_the_other_all() -> None:
    world = World(1, TWO)
    world.do("open", S, on=True, device="battery2")
    world.home.sync(20 * S)
    first, second = world.home.batteries
    assert second.current_a == 0.0
    assert first.current_a > 60.0
    assert not world.home.bmss[1].sample().charge_fet
    world.do("open", 20 * S, on=False, device="battery2")
    world.home.sync(30 * S)
    assert second.current_a > 30.0


def test_the_second_pack_may_begin_with_another_charge() -> None:
    world = World(1, {**TWO, "soc_permille": 600, "soc2_permille": 250})
    signals = world.signals(S)
    assert signals["truth.soc_least_permille"] == pytest.approx(250, abs=1)
    assert signals["truth.soc_most_permille"] == pytest.approx(600, abs=1)
    assert signals["truth.soc_permille"] == pytest.approx(425, abs=1)


def test_limits_and_deafness_are_those_of_one_device() -> None:
    world = World(1, TWO)
    world.do("limits", S, dcl_ma=40_000, device="battery2")
    assert world.signals(S)["bench.faults"] == "", "asked for, and not seen by anybody yet"
    world.home.sync(5 * S)
    assert world.signals(5 * S)["bench.faults"] == "limits:battery2"
    assert [bms.sample().dcl_a for bms in world.home.bmss] == [250.0, 40.0]
    world.do("limits", 5 * S, device="battery2")
    assert world.signals(5 * S)["bench.faults"] == ""
    world.do("deaf", 5 * S, on=True, device="inverter2")
    assert [each.ignores_writes for each in world.home.inverters] == [False, True]
    with pytest.raises(ValueError, match="there is no inverter 'inverter3'"):
        world.do("deaf", 5 * S, on=True, device="inverter3")


def test_each_inverter_has_a_setpoint_of_its_own() -> None:
    world = World(1, TWO)
    world.home.inverters[1].command(0, 3, 0.5, -0.5, 60)
    signals = world.signals(5 * S)
    assert signals["truth.setpoint_w"] is None
    assert signals["truth.setpoint2_w"] == pytest.approx(2_850)


def test_what_comes_from_the_grid_and_what_goes_into_it_are_counted_apart() -> None:
    world = World(1, {"load_w": 0, "pv_w": 3_600, "soc_permille": 600})
    world.do("remote", S, w=0)
    world.home.sync(101 * S)
    world.do("pv", 101 * S, w=0)
    world.do("load", 101 * S, w=3_600)
    signals = world.signals(201 * S)
    assert signals["truth.exported_wh"] == pytest.approx(100, abs=5)
    assert signals["truth.imported_wh"] == pytest.approx(102, abs=5)
    assert signals["truth.exported_wh"] == pytest.approx(world.home.meter.export_wh, abs=0.1)


def test_energy_adds_up_whoever_carries_it() -> None:
    world = World(1, TWO)
    world.do("open", S, on=True, device="battery2", side="discharge")
    before = sum(battery.soc for battery in world.home.batteries)
    world.home.sync(3600 * S)
    spent = (before - sum(battery.soc for battery in world.home.batteries)) * 244.0 * 51.2
    assert spent == pytest.approx(world.home.discharged_wh / 0.96, rel=0.05)
    assert world.home.discharged_wh == pytest.approx(4_000, rel=0.02)


def test_split_phase_has_two_legs() -> None:
    home = World(1, {**TWO, "legs": 2}).home
    home.set_load(30_000.0)
    home.step(30.0)
    one, two, three = home.meter.leg_w
    assert three == 0.0
    assert one + two == pytest.approx(home.grid_w)
    assert min(one, two) > 5_000.0


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no device 'inverter2'; there are battery, meter, inverter"):
        World(1, {"load_w": 1, "pv_w": 0}).do("mute", 0, device="inverter2", on=True)
    with pytest.raises(ValueError, match="no battery 'inverter'"):
        World(1, TWO).do("open", 0, device="inverter", on=True)


def test_writes_to_each_inverter_are_told_apart() -> None:
    log = WriteLog()
    on = log.take(WrittenRegisters(0, 3, 16, STOR_CTL_MOD, (3,), 0), 0)
    off = log.take(WrittenRegisters(0, 21, 16, STOR_CTL_MOD, (0,), 0), 0)
    assert (on.fields["device"], on.fields["kind"]) == ("inverter", "power")
    assert (off.fields["device"], off.fields["kind"]) == ("inverter2", "clear")


def test_the_configuration_names_them_all(tmp_path: Path) -> None:

    path = site.write_config(tmp_path, line={"port": "virtual"}, home=TWO)
    assert list(config.load(path).roles()) == ["battery", "meter", "inverter", "battery2", "inverter2"]
