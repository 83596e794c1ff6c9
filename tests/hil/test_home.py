"""The simulated home: physics that can be worked out by hand."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from hil.plant.battery import Battery, PackParams
from hil.plant.home import Home, HomeParams
from hil.plant.inverter import InverterParams
from hil.plant.ocv import open_circuit_v

RATED = 11_400.0


def a_home(soc: float = 0.5, load_w: float = 1000.0, pv_w: float = 0.0, **inverter: float) -> Home:
    return Home(1, HomeParams(soc=soc, load_w=load_w, pv_w=pv_w, inverter=InverterParams(**inverter)))  # type: ignore[arg-type]  # all of them are numbers


def setpoint(home: Home, watts: float, revert_s: int = 60) -> None:
    share = watts / RATED
    home.inverter.command(home.now_ns, mode=3, out_share=share, in_share=-share, revert_s=revert_s)


def test_ocv_goes_through_its_points() -> None:
    assert open_circuit_v(0.10) == pytest.approx(3.20)
    assert open_circuit_v(0.30) == pytest.approx(3.265)
    assert open_circuit_v(-0.1) == pytest.approx(2.60)
    assert open_circuit_v(1.1) == pytest.approx(3.60)


def test_house_bus_is_balanced_at_every_step() -> None:
    home = Home(3, HomeParams(soc=0.5, start_s_of_day=11 * 3600))
    for second in range(1800):
        if second % 300 == 100:
            setpoint(home, 4000.0 - second * 5.0, revert_s=40)
        if second == 900:
            home.grid.outage()
        if second == 1200:
            home.grid.restore()
        home.step(1.0)
        truth = home.truth()
        assert truth.load_w == pytest.approx(truth.battery_w + truth.pv_w + truth.grid_w, abs=1e-6)
    assert home.load_wh == pytest.approx(
        home.discharged_wh - home.charged_wh + home.pv_wh + home.meter.import_wh - home.meter.export_wh, abs=1e-3
    )


def test_charge_and_heat_of_one_hour_by_hand() -> None:
    """100 A out of 488 Ah for an hour: 20.49 % of SoC; ohmic heat I^2 R minus what the pack gives off."""
    import random

    pack = PackParams(ambient_c=25.0)
    battery = Battery(pack, 0.6, 25.0, random.Random(1))
    for _ in range(3600):
        battery.drain(100.0 * battery.pack_v, 1.0)
        battery.settle(1.0)
    assert battery.soc == pytest.approx(0.6 - 100.0 / 488.0, abs=1e-6)
    watts = 100.0**2 * (0.0004 + 0.0003) * 16  # 112 W at 25 C; the pack's resistance falls a little as it warms
    k, c = pack.cooling_w_per_k, pack.heat_j_per_k
    assert battery.temp_c - 25.0 == pytest.approx(watts / k * (1 - math.exp(-k * 3600 / c)), rel=0.10)


def test_conversion_loses_what_eta_says() -> None:
    home = a_home(soc=0.5)
    setpoint(home, -5000.0, revert_s=0)
    home.step(2.0)
    before = home.battery.soc
    home.step(600.0)
    gained_ah = (home.battery.soc - before) * 488.0
    assert gained_ah * home.battery.pack_v == pytest.approx(5000.0 / 6.0 * 0.96, rel=0.01)


def test_self_use_covers_the_house_and_never_exports_the_battery() -> None:
    home = a_home(load_w=2500.0, pv_w=400.0)
    home.step(5.0)
    assert home.inverter.battery_w == pytest.approx(2100.0)
    assert home.grid_w == pytest.approx(0.0, abs=1e-6)
    home.pv.forced_w = 4000.0
    home.step(5.0)
    assert home.inverter.battery_w == pytest.approx(-1500.0)
    home.house.forced_w, home.pv.forced_w = 100.0, 0.0
    home.step(5.0)
    assert home.grid_w >= -1e-6


def test_dead_time_then_first_order_lag() -> None:
    home = a_home(load_w=0.0)
    home.step(1.0)
    setpoint(home, 5000.0)
    home.step(0.29)
    assert home.inverter.battery_w == 0.0
    home.step(0.01 + 0.25)
    assert home.inverter.battery_w == pytest.approx(5000.0 * (1 - math.exp(-1)), rel=0.02)
    home.step(3.0)
    assert home.inverter.battery_w == pytest.approx(5000.0, abs=1.0)


def test_reversion_ends_the_window_at_its_very_nanosecond() -> None:
    home = a_home(load_w=800.0)
    home.sync(1_234_567_891)
    setpoint(home, 5000.0, revert_s=60)
    home.sync(1_234_567_891 + 30_000_000_000)
    setpoint(home, 5000.0, revert_s=60)  # a refresh restarts it
    due = 1_234_567_891 + 90_000_000_000
    assert home.truth().revert_at_ns == due
    home.sync(due - 1)
    assert home.inverter.mode == 3
    assert home.inverter.battery_w == pytest.approx(5000.0, abs=1.0)
    home.sync(due)
    assert home.inverter.mode == 0
    home.step(3.0)
    assert home.inverter.battery_w == pytest.approx(800.0, abs=2.0)


def test_reversion_time_zero_never_reverts() -> None:
    home = a_home(load_w=800.0)
    setpoint(home, 3000.0, revert_s=0)
    home.step(3600.0)
    assert home.inverter.mode == 3
    assert home.inverter.battery_w == pytest.approx(3000.0, abs=1.0)


def test_own_floor_holds_in_self_use() -> None:
    home = a_home(soc=0.302, load_w=6000.0, floor_pct=30.0)
    home.step(600.0)
    assert home.soc_min_on_grid >= 0.30
    assert home.inverter.battery_w == pytest.approx(0.0, abs=1.0)
    assert home.grid_w == pytest.approx(6000.0, abs=2.0)


def test_a_remote_window_passes_below_the_own_floor_unless_the_device_binds_it() -> None:
    loose, bound = a_home(soc=0.30, floor_pct=30.0), a_home(soc=0.30, floor_pct=30.0, floor_binds_remote=True)
    for home in (loose, bound):
        setpoint(home, 5000.0, revert_s=0)
        home.step(60.0)
    assert loose.inverter.battery_w == pytest.approx(5000.0, abs=1.0)
    assert bound.inverter.battery_w == pytest.approx(0.0, abs=1.0)


def test_zero_watts_while_islanded_blacks_the_house_out() -> None:
    home = a_home(load_w=2000.0)
    home.grid.outage()
    home.step(5.0)
    assert home.truth().islanded
    assert home.truth().house_fed
    assert home.inverter.battery_w == pytest.approx(2000.0)
    setpoint(home, 0.0)
    home.step(1.0)
    assert not home.truth().house_fed
    assert (home.blackouts, home.darkened) == (1, 1)
    assert "remote window" in home.blackout_cause
    home.inverter.command(home.now_ns, mode=0)
    home.step(12.0)
    assert home.truth().house_fed
    assert home.blackouts == 1


@pytest.mark.parametrize("commanded", [False, True])
def test_an_overloaded_island_is_dark_without_any_window_as_well(commanded: bool) -> None:
    home = a_home(load_w=20_000.0)
    if commanded:
        setpoint(home, -4000.0)
    home.step(5.0)
    home.grid.outage()
    home.step(5.0)
    if commanded:
        setpoint(home, -4000.0)
    home.step(5.0)
    assert (home.blackouts, home.darkened) == (1, 0)
    assert home.blackout_cause == "the battery could not feed 20000 W"


@pytest.mark.parametrize("commanded", [False, True])
def test_a_window_that_keeps_an_island_dark_is_told_apart_from_the_overload_before_it(commanded: bool) -> None:
    home = a_home(load_w=20_000.0)
    home.grid.outage()
    home.step(5.0)
    home.set_load(2000.0)
    if commanded:
        setpoint(home, 0.0)
    home.step(5.0)
    assert (home.blackouts, home.darkened) == (1, int(commanded))


def test_a_window_that_equals_the_need_keeps_the_islanded_house_fed() -> None:
    home = a_home(load_w=2000.0, pv_w=500.0)
    home.grid.outage()
    home.step(5.0)
    setpoint(home, 1500.0)
    home.step(20.0)
    assert home.truth().house_fed
    assert home.blackouts == 0


def test_an_outage_in_mid_dispatch_leaves_the_house_fed_and_the_window_asleep() -> None:
    home = a_home(load_w=2000.0, reconnect_s=20.0)
    setpoint(home, 5000.0, revert_s=600)
    home.step(10.0)
    home.grid.outage()
    home.step(30.0)
    assert home.truth().house_fed
    assert home.blackouts == 0
    assert home.inverter.mode == 3
    assert home.inverter.battery_w == pytest.approx(2000.0)
    assert home.inverter.taken_ns == 300_000_000
    home.grid.restore()
    home.step(19.0)
    assert home.truth().islanded
    assert home.inverter.back_ns is None
    home.step(5.0)
    assert not home.truth().islanded
    assert home.inverter.back_ns == 60_000_000_000
    assert home.inverter.battery_w == pytest.approx(5000.0, abs=5.0)  # the hazard: the old window wakes up again


def test_islanded_surplus_is_curtailed_when_the_battery_is_full() -> None:
    home = a_home(soc=1.0, load_w=500.0, pv_w=5000.0)
    home.grid.outage()
    home.step(60.0)
    assert home.truth().house_fed
    assert home.pv_w <= 5000.0 - 500.0
    assert home.load_w == pytest.approx(500.0)


def test_bms_limits_bind_the_inverter() -> None:
    home = a_home(load_w=0.0)
    home.bms.forced_dcl_a = 20.0
    setpoint(home, 5000.0)
    home.step(5.0)
    assert home.battery.current_a <= 20.0 + 0.2
    home.bms.asleep = True
    home.step(2.0)
    assert home.inverter.battery_w == 0.0


def test_bms_soc_is_quantised_and_late() -> None:
    home = a_home(soc=0.5)
    setpoint(home, 11_400.0)
    home.step(59.0)
    assert home.bms.soc * 1000 == pytest.approx(round(home.bms.soc * 1000))
    assert abs(home.bms.soc - home.battery.soc) <= 0.0005 + 0.0004  # half a quantum, and 2 s of lag at full power
    home.bms.bias = 0.05
    home.step(1.0)
    assert home.bms.soc - home.battery.soc == pytest.approx(0.05, abs=0.001)


def test_the_meter_can_die_with_the_grid() -> None:
    home = a_home()
    home.meter.dies_with_grid = True
    seen = []
    for on in (True, False, True):
        home.grid.on = on
        home.step(1.0)
        seen.append(home.meter.dead)
    assert seen == [False, True, False]


def test_reboot_forgets_the_window_and_keeps_reversion_and_floor() -> None:
    home = a_home(load_w=300.0, boot_s=20.0)
    setpoint(home, 4000.0, revert_s=77)
    home.inverter.set_floor(33.0)
    home.step(5.0)
    home.inverter.reboot(home.now_ns)
    home.step(1.0)
    away = [home.inverter.booting]
    assert home.truth().house_fed
    assert home.grid_w == pytest.approx(300.0)
    home.step(20.0)
    assert [*away, home.inverter.booting] == [True, False]
    assert (home.inverter.mode, home.inverter.revert_s, home.inverter.floor_pct) == (0, 77, 33.0)


def test_same_seed_same_home_however_often_it_is_looked_at() -> None:
    def life(seed: int, look_ns: int) -> list[object]:
        home = Home(seed, HomeParams(start_s_of_day=16 * 3600))
        seen: list[object] = []
        for second in range(1, 601):
            target = second * 1_000_000_000
            while home.now_ns < target:
                before = home.now_ns
                home.advance_to(min(target, before + look_ns))
                if home.now_ns == before:
                    look_ns += 7_000_000
            if second == 200:
                setpoint(home, 3000.0)
            seen.append(home.truth())
        return seen

    assert life(5, 1_000_000_000) == life(5, 60_000_000)
    assert life(5, 1_000_000_000) != life(6, 1_000_000_000)


LIFE = """
import hashlib, struct
from hil.devices.slave import seal
from hil.devices.world import World

world = World(7, {"soc_permille": 400})
digest = hashlib.sha256()
for second in range(1, 601):
    now = second * 1_000_000_000
    if second == 100:
        world.do("outage", now, on=True)
    if second == 200:
        world.do("outage", now, on=False)
    if second == 300:
        world.do("remote", now, w=3000, revert_s=60)
    for text in ("04 10 00 00 11", "01 12 00 00 90"):
        digest.update(world.slaves.rtu(seal(bytes.fromhex("01" + text)), now) or b"")
    digest.update(repr(world.home.truth()).encode())
print(digest.hexdigest())
"""


def test_same_seed_same_home_in_processes_with_other_hash_seeds() -> None:
    def life(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", LIFE]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert life("1") == life("2") != ""
