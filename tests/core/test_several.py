"""Several packs, inverters and meters in one home."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.crew import Member, merged
from agent.core.decision import Intent, Mode
from agent.core.params import Bank, S
from agent.core.snapshot import Trace, take
from agent.core.writes import Hand
from drivers.readings import GridState
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.several import Several, params

OFF: dict[str, Any] = {"charge_enabled": False, "discharge_enabled": False, "pack_ma": 0, "ccl_ma": 0, "dcl_ma": 0}
OWN = params(banks=(Bank(("pack1",), ("inv1",)), Bank(("pack2",), ("inv2",))))


def dispatched(home: Several, power_w: int = 5000, s: int = 25) -> Several:
    """`power_w` has been asked for, and reached as far as it may be."""
    home.ready()
    home.tick(arriving(command(power_w=power_w)))
    home.run(s)
    return home


def limit(home: Home, name: str) -> int:
    return next(value.cap_w for value in home.decision.limits if value.id == name)


def snapshot(home: Several) -> Any:
    return take(home.params, home.inputs(()), Trace(home.now_ns))[0]


# --- packs ------------------------------------------------------------------------------------------------------------
def test_limits_of_parallel_packs_add_up() -> None:
    home = Several().ready()
    assert limit(home, "dcl") == 52_800 * 240_000 // 1_000_000  # twice 120 A at 52.8 V


def test_a_pack_that_is_offline_leaves_the_sum_and_the_capacity() -> None:
    home = Several()
    home.each["pack2"] = OFF | {"soc_permille": 100}  # its SoC does not bind either: nothing comes from it
    dispatched(home, 11_000)
    assert snapshot(home).online == ("pack1",)
    assert limit(home, "dcl") == 52_800 * 120_000 // 1_000_000
    assert snapshot(home).params.site.capacity_wh == 12_500
    assert 590 < (home.decision.soc_lo_permille or 0) < 600
    assert home.given() == 6_336


def test_it_comes_back_slowly() -> None:
    home = Several()
    home.each["pack2"] = dict(OFF)
    dispatched(home, 9_000)
    assert home.given() == 6_336
    home.each["pack2"] = {}
    home.tick()
    assert home.given() == 6_336
    home.run(60)
    assert home.given() == 9_000


def test_where_every_pack_is_offline_nothing_moves() -> None:
    home = Several()
    home.each["pack1"], home.each["pack2"] = dict(OFF), dict(OFF)
    dispatched(home)
    assert home.given() == 0
    assert home.decision.binding is not None
    assert home.decision.binding.owner == "bms"


@pytest.mark.parametrize("opened", [OFF | {"alarms": ("cell_under_voltage_protection",)}, OFF | {"pack_ma": 4_000}])
def test_an_open_pack_that_alarms_or_carries_is_not_offline(opened: dict[str, Any]) -> None:
    home = Several()
    home.each["pack2"] = opened
    home.ready()
    assert snapshot(home).online == ("pack1", "pack2")
    assert limit(home, "discharge_enable") == 0


def test_a_pack_that_blocks_one_way_binds_all_that_way() -> None:
    home = Several()
    home.each["pack2"] = {"discharge_enabled": False}
    dispatched(home)
    assert home.given() == 0
    home.tick(arriving(command(2, power_w=-4000)))
    home.run(15)
    assert home.given() == -4000


def test_the_tightest_pack_binds_the_sum() -> None:
    home = Several()
    home.each["pack2"] = {"dcl_ma": 30_000}
    dispatched(home, 9_000)
    assert home.given() == 52_800 * 60_000 // 1_000_000  # twice the least
    assert home.decision.binding is not None
    assert home.decision.binding.id == "dcl"


def test_unequal_packs_share_by_their_size() -> None:
    home = Several(parameters=params(capacity_wh=(("pack1", 20_000), ("pack2", 5_000))))
    home.each["pack2"] = {"dcl_ma": 30_000}
    home.ready()
    assert limit(home, "dcl") == 52_800 * 150_000 // 1_000_000  # a fifth of the current is its 30 A
    home.each["pack1"] = dict(OFF)
    home.tick()
    assert limit(home, "dcl") == 52_800 * 30_000 // 1_000_000
    assert snapshot(home).params.site.capacity_wh == 5_000


@pytest.mark.parametrize("pack", ["pack1", "pack2"])
def test_a_silent_pack_stops_the_home(pack: str) -> None:
    home = dispatched(Several())
    home.mute.add(pack)
    home.presence[pack] = "silent"
    home.run(6)
    assert home.given() == 0
    assert {"battery_stale", "bms_asleep"} <= set(home.faults())
    sentences = " ".join(f.sentence for f in home.decision.faults)
    assert f"battery {pack}" in sentences


def test_an_alarm_of_any_pack_binds() -> None:
    home = dispatched(Several())
    home.each["pack2"] = {"alarms": ("discharge_over_current_protection",)}
    home.tick()
    assert limit(home, "alarm_discharge") == 0
    assert home.given() == 0


def test_soc_is_that_of_the_emptiest_down_and_of_the_fullest_up() -> None:
    home = Several()
    home.each["pack1"], home.each["pack2"] = {"soc_permille": 700}, {"soc_permille": 300}
    home.ready()
    assert (home.decision.soc_lo_permille, home.decision.soc_hi_permille) == (299, 701)
    home.reserve = type(home.reserve)(300, "file")
    dispatched(home)
    assert home.given() == 0


# --- inverters --------------------------------------------------------------------------------------------------------
def test_inverters_share_by_headroom() -> None:
    home = Several()
    home.ratings["inv1"] = {"rated_discharge_w": 6_000}
    home.ratings["inv2"] = {"rated_discharge_w": 2_000}
    dispatched(home, 4_000)
    assert home.shares() == {"inv1": 3_000, "inv2": 1_000}
    assert home.states() == ["received", "started"]
    home.tick(arriving(command(2, power_w=9_000)))
    home.run(20)
    assert home.shares() == {"inv1": 6_000, "inv2": 2_000}
    assert home.decision.binding is not None
    assert home.decision.binding.id == "nameplate_discharge"


def test_a_lease_is_renewed_on_each() -> None:
    home = dispatched(Several())
    home.writes.clear()
    home.run(30)
    renewed = [(w.device, w.value) for _, w in home.writes if w.intent is Intent.POWER]
    assert renewed.count(("inv1", 2500)) == renewed.count(("inv2", 2500)) == 2


def test_the_end_of_a_command_releases_each() -> None:
    home = dispatched(Several())
    home.run(600)
    assert home.given() is None
    assert home.remotes == {"inv1": None, "inv2": None}


def test_own_packs_bound_their_inverter_alone() -> None:
    home = Several(parameters=OWN)
    home.each["pack2"] = {"dcl_ma": 20_000}
    dispatched(home, 11_000)
    assert home.shares() == {"inv1": 5_000, "inv2": 1_056}  # 20 A at 52.8 V
    home.each["pack2"] = dict(OFF)
    home.run(3)
    assert home.shares() == {"inv1": 5_000, "inv2": 0}


def test_a_small_bank_near_the_reserve_is_not_drained_for_a_large_one() -> None:
    """One permille above the reserve: each bank gives its own energy over the look-ahead of 67 s."""
    wires = params(banks=OWN.wiring.banks, capacity_wh=(("pack1", 20_000), ("pack2", 5_000)))
    home = Several(parameters=wires)
    home.each["pack1"] = home.each["pack2"] = {"soc_permille": 202}  # less the quantum of 1
    home.ready()
    assert [unit.discharge_w for unit in snapshot(home).units] == [20_000 * 3_600 // 67_000, 5_000 * 3_600 // 67_000]
    home.each["pack2"] = {"soc_permille": 201}
    assert [unit.discharge_w for unit in snapshot(home).units] == [20_000 * 3_600 // 67_000, 0]


def test_every_inverter_must_prove_the_grid() -> None:
    home = dispatched(Several())
    home.each["inv2"] = {"grid_state": GridState.UNKNOWN}
    home.tick()
    assert home.decision.grid == "unknown"
    assert home.given() is None
    assert home.remotes["inv1"] is None


def test_one_island_is_an_island() -> None:
    home = dispatched(Several())
    home.each["inv2"] = {"grid_state": GridState.ISLANDED}
    home.tick()
    assert home.decision.grid == "islanded"
    assert "grid_lost" in home.faults()
    assert home.given() is None


def test_a_lost_inverter_stops_the_home_for_its_stated_end_and_no_longer() -> None:
    home = dispatched(Several())
    home.mute.add("inv2")
    home.presence["inv2"] = "silent"
    stated = home.decision.stated_end_s
    home.tick()
    assert home.given() is None
    assert home.remotes["inv1"] is None
    home.run(stated - 8)
    assert home.given() is None  # its setpoint may still run
    home.run(8 + 60 + 12)  # over, the fault's own hold, the ramp
    assert home.given() == 5_000
    assert home.shares() == {"inv1": 5_000}
    assert home.faults() == ["inverter_out"]


def test_what_a_lost_inverter_may_take_of_the_bank_is_left_to_it() -> None:
    home = Several()
    home.each["pack1"] = home.each["pack2"] = {"dcl_ma": 70_000}  # 7392 W together
    dispatched(home)
    home.mute.add("inv2")
    home.presence["inv2"] = "silent"
    home.run(200)
    assert home.faults() == ["inverter_out"]
    assert home.shares() == {"inv1": 7_392 - 5_000}


def test_a_lost_inverter_that_never_ends_a_setpoint_stops_the_home_for_good() -> None:
    home = Several()
    home.ratings["inv2"] = {"reversion": "none"}
    home.ready()
    home.mute.add("inv2")
    home.presence["inv2"] = "silent"
    home.run(300)
    assert "inverter_stale" in home.faults()
    assert home.mode() is Mode.FAULT


def test_one_that_comes_back_takes_its_share_only_after_the_other_made_room() -> None:
    home = dispatched(Several())
    home.mute.add("inv2")
    home.presence["inv2"] = "silent"
    home.run(200)
    home.mute.clear()
    home.presence.clear()
    for _ in range(6):
        home.tick()
        assert sum(home.power(name) for name in home.inverters) <= 5_000
    assert home.shares() == {"inv1": 2_500, "inv2": 2_500}


def test_one_that_comes_back_without_the_grid_stays_out() -> None:
    home = dispatched(Several())
    home.mute.add("inv2")
    home.presence["inv2"] = "silent"
    home.run(200)
    home.mute.clear()
    home.presence.clear()
    home.each["inv2"] = {"grid_state": GridState.UNKNOWN}
    home.run(5)
    assert home.shares() == {"inv1": 5_000}
    assert home.decision.grid == "connected"


@pytest.mark.parametrize("outcome", ["silent", "exception", "refused"])
def test_one_that_refuses_its_writes_is_a_fault_of_the_home(outcome: str) -> None:
    home = Several()
    home.outcomes["inv2"] = outcome
    dispatched(home, s=40)
    assert "writes_refused" in home.faults()
    assert home.given() is None
    assert home.remotes["inv1"] is None


def test_one_that_does_not_do_what_it_was_told_is_found() -> None:
    home = dispatched(Several())
    home.each["inv2"] = {"battery_w": 0}
    home.each["inv1"] = {"battery_w": 5_000}  # the sum is right
    home.run(40)
    assert "deaf_inverter" in home.faults()


def test_two_that_hold_the_grid_would_fight() -> None:
    home = Several()
    home.ratings["inv1"] = home.ratings["inv2"] = {"control_point": "grid"}
    dispatched(home)
    assert limit(home, "reversion") == 0
    assert home.given() == 0


def test_a_pv_inverter_beside_is_never_written_to_and_stops_nothing() -> None:
    home = Several(inverters=("inv1", "inv2", "roof"), parameters=params(bare=("roof",)))
    home.each["roof"] = {"grid_state": GridState.UNKNOWN, "battery_w": None, "pv_w": 3_000}
    dispatched(home)
    assert home.shares() == {"inv1": 2_500, "inv2": 2_500}
    assert home.decision.load_w == 500 + 3_000  # the meter is as it was, so the house takes what the roof gives
    home.mute.add("roof")
    home.presence["roof"] = "silent"
    home.run(20)
    assert home.given() == 5_000
    assert home.decision.load_w is None
    assert not [w for _, w in home.writes if w.device == "roof"]


# --- meters -----------------------------------------------------------------------------------------------------------
def test_a_meter_a_leg_is_one_connection() -> None:
    home = Several(meters=("leg1", "leg2"))
    home.each["leg1"] = {"grid_w": 9_000, "phase_w": (9_000,), "phase_mv": (121_000,)}
    home.each["leg2"] = {"grid_w": -2_000, "phase_w": (None,), "phase_mv": (119_000,), "phase_ma": (16_000,)}
    seen = snapshot(home)
    assert seen.meter.grid_w == 7_000
    assert seen.phase_w == (9_000, -2_000)
    assert seen.phase_ma == (2_100, 16_000)
    assert seen.net_hi_w == 7_000


def test_split_phase_counts_as_the_sum_and_each_leg_is_there() -> None:
    home = Several()
    home.each["meter"] = {"grid_w": 3_000, "phase_w": (4_000, -1_000), "phase_ma": (33_000, 8_300)}
    seen = snapshot(home)
    assert (seen.net_hi_w, seen.phase_w, seen.phase_ma) == (3_000, (4_000, -1_000), (33_000, 8_300))


def test_a_leg_that_is_not_read_leaves_no_picture() -> None:
    home = dispatched(Several(meters=("leg1", "leg2")))
    home.mute.add("leg2")
    home.run(4)
    assert home.given() == 0
    assert "no good reading of the meter leg2" in " ".join(f.sentence for f in home.decision.faults)


def test_meters_at_pv_and_load_stop_nothing() -> None:
    home = Several(meters=("meter", "roof", "oven"), parameters=params(places=(("roof", "pv"), ("oven", "load"))))
    home.each["roof"] = {"grid_w": 2_000}
    dispatched(home)
    assert home.decision.load_w == 500 + 2_000
    home.mute |= {"roof", "oven"}
    home.run(10)
    assert home.given() == 5_000


# --- the plain home ---------------------------------------------------------------------------------------------------
def test_one_of_each_is_the_plain_home() -> None:
    home = Several(("pack1",), ("inv1",), ("meter",))
    home.ratings["inv1"] = {"rated_discharge_w": 11_400}
    dispatched(home)
    assert home.given() == 5_000
    assert home.shares() == {}
    assert home.state.crew == ()
    assert snapshot(home).params is PARAMS
    assert snapshot(home).horizon_ns == 67 * S


def test_a_burning_pack_that_its_bms_has_opened_without_an_alarm_locks_the_home_out() -> None:
    home = Several(inverters=("inv1",))
    home.ready()
    home.each["pack2"].update(temp_max_dc=800, charge_enabled=False, discharge_enabled=False, pack_ma=0)
    home.run(2)
    assert home.mode() is Mode.LOCKOUT
    assert "over_temperature" in home.faults()


def test_a_hot_pack_that_its_bms_has_opened_narrows_nothing_while_it_is_not_critical() -> None:
    home = Several(inverters=("inv1",))
    home.ready()
    home.each["pack2"].update(temp_max_dc=540, charge_enabled=False, discharge_enabled=False, pack_ma=0)
    home.run(2)
    assert home.mode() is Mode.LOCAL
    assert {v.id: v.cap_w for v in home.decision.limits}["temperature_charge"] > 0


def test_one_of_two_meters_that_rises_narrows_at_once_though_the_other_is_read_seldom() -> None:
    home = Several(inverters=("inv1",), meters=("m1", "m2"))
    home.ready()
    before = {v.id: v.cap_w for v in home.decision.limits}["site_import"]
    home.mute.add("m1")  # its last reading stays, and is fresh for a while
    home.each["m2"]["grid_w"] = 9000
    home.tick()
    after = {v.id: v.cap_w for v in home.decision.limits}["site_import"]
    assert after < before
    assert home.mode() is Mode.LOCAL


def test_a_leg_whose_meter_sees_a_dead_grid_is_no_grid_though_the_other_lives() -> None:
    home = dispatched(Several(meters=("leg1", "leg2")))
    home.each["leg2"] = {"phase_mv": (0,), "frequency_mhz": 0}
    home.run(2)
    assert home.decision.grid == "unknown"
    home.each["leg2"] = {}
    home.run(2)
    assert home.decision.grid == "connected"


def test_below_the_reserve_a_release_that_is_not_confirmed_is_forbidden_flow_of_several_too() -> None:
    home = Several()
    for name in (*home.packs, *home.inverters):
        home.each[name]["soc_permille"] = 220
    dispatched(home, 4000)
    for name in (*home.packs, *home.inverters):
        home.each[name]["soc_permille"] = 190
    home.each["inv1"].update(battery_w=3000, remote_active=None, remote_w=None)
    home.outcomes = {"inv1": "rejected"}
    home.run(40)
    fault = next(f for f in home.decision.faults if f.id == "forbidden_flow")
    assert fault.sentence.endswith("the reserve is reached and our release is not confirmed")


def test_a_release_and_a_stop_of_several_count_as_one() -> None:
    def whole(*hands: Hand) -> Hand:
        return merged(tuple([Member(f"inv{n}", hand) for n, hand in enumerate(hands)]))

    both = whole(Hand(clear_ns=5), Hand(clear_ns=7), Hand(maybe_active=False, clear_ns=9, stopped=True))
    assert (both.clear_ns, both.stopped) == (7, False)  # what was released for sure says nothing
    assert whole(Hand(maybe_active=False), Hand(stopped=True)).stopped
    assert whole(Hand()).clear_ns is None
    assert merged((Member("inv1", Hand(clear_ns=5, stopped=True), out=True),)).clear_ns is None


def test_what_one_of_several_has_not_read_back_counts_as_not_read_back() -> None:
    def whole(*hands: Hand) -> bool:
        return merged(tuple([Member(f"inv{n}", hand) for n, hand in enumerate(hands)])).confirmed

    read_back, written = Hand(setpoint_w=1000, confirmed=True), Hand(setpoint_w=1000)
    assert whole(read_back, read_back)
    assert not whole(read_back, written)
    assert whole(read_back, Hand())  # who holds nothing has nothing to read back
    assert not whole(Hand())
