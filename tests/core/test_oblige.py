"""Cures: when they begin and end, what they ask, and that they loosen nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.decision import Mode
from agent.core.inputs import Event, LocalStop, RaiseReserve, Reserve
from agent.core.oblige import NOTHING, Obliged, cure, overtaken
from agent.core.params import Params, S
from agent.core.recent import Legs
from agent.core.snapshot import Trace, take
from drivers.readings import GridState
from tests.core import home as h
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.test_snapshot import NOW, world


def test_a_nearly_empty_cell_is_charged_gently_until_it_is_safe() -> None:
    """0.05 C of 25 kWh = 1250 W, from below 2.850 V to 3.100 V."""
    home = Home().ready()
    home.battery["cell_min_mv"] = 2849
    home.run(4)
    assert home.decision.source == "cure:cell_low"
    assert home.given() == -1250
    assert home.mode() is Mode.LOCAL
    home.battery["cell_min_mv"] = 3099
    home.run(2)
    assert home.given() == -1250
    home.battery["cell_min_mv"] = 3100
    home.run(2)
    assert home.given() is None
    assert home.intents()[-1] == "clear"


def test_a_cell_that_is_not_so_empty_does_not_begin_a_cure() -> None:
    home = Home().ready()
    home.battery["cell_min_mv"] = 2850
    home.run(3)
    assert home.decision.source == "self_consumption"


def test_an_over_full_cell_is_discharged_gently() -> None:
    home = Home().ready()
    home.battery["cell_max_mv"] = 3631
    home.run(4)
    assert (home.decision.source, home.given()) == ("cure:cell_high", 1250)
    home.battery["cell_max_mv"] = 3451
    home.run(2)
    assert home.given() == 1250
    home.battery["cell_max_mv"] = 3450
    home.run(2)
    assert home.given() is None


def test_a_cure_stays_inside_the_permit() -> None:
    home = Home().ready()
    home.battery.update(cell_min_mv=2800, temp_min_dc=0)
    home.run(4)
    assert home.decision.source == "cure:cell_low"
    assert home.given() == 0
    assert home.decision.binding is not None
    assert home.decision.binding.id == "temperature_charge"


def test_a_cure_goes_before_a_dispatch_which_is_told_so() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    home.battery["cell_min_mv"] = 2800
    home.run(3)
    assert home.given() == -1250
    assert (home.acks[-1]["state"], home.acks[-1]["reason"]) == ("limited", "cure:cell_low")
    home.battery.update(cell_min_mv=3300, cell_max_mv=3450, soc_permille=1000)  # a full charge: it is calibrated
    home.tick()
    home.battery.clear()
    home.run(590)
    assert home.given() is None  # cells that were half a volt apart must stay together for ten minutes
    home.run(70)
    assert home.given() == 5000


def test_no_cure_under_a_silent_bms_or_without_the_grid() -> None:
    home = Home().ready()
    home.battery["cell_min_mv"] = 2800
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(10)
    assert "power" not in home.intents()
    home.mute.add("battery")
    home.run(10)
    assert home.decision.source == "self_consumption"


def test_restore_charges_up_to_the_reserve_where_it_is_configured() -> None:
    home = Home(replace(PARAMS, restore_w=1000))
    home.battery["soc_permille"] = 190
    home.ready().run(12)
    assert (home.decision.source, home.given()) == ("cure:reserve", -1000)
    home.battery["soc_permille"] = 200
    home.run(2)
    assert home.given() == -1000
    home.battery["soc_permille"] = 201
    home.run(2)
    assert home.given() is None

    other = Home()
    other.battery["soc_permille"] = 150
    other.ready().run(5)
    assert other.given() is None


def test_restore_stops_at_the_ceiling_and_without_a_known_soc() -> None:
    home = Home(replace(PARAMS, restore_w=1000, soc_ceiling_permille=300))
    home.battery["soc_permille"] = 302
    home.ready()
    home.reserve = replace(home.reserve, permille=400)
    home.run(5)
    assert home.given() is None
    home.battery["soc_permille"] = None
    home.run(5)
    assert home.given() is None


# --- the function itself, at its edges --------------------------------------------------------------------------------
EMPTY: dict[str, Any] = {"cell_min_mv": 2849}


def wish(params: Params = PARAMS, before: str | None = None, age_ns: int = 0, **fields: Any) -> Proposal | None:
    """The cure for a pack with these fields, read that long ago."""
    snapshot, _ = take(params, world(batteries=(h.battery(NOW, **fields),)), Trace(NOW))
    memory = Obliged(before, NOW if before == "cure:reserve" else None)
    return cure(replace(snapshot, battery_age_ns=age_ns), params, memory, 0)[0]


def test_a_reading_counts_until_the_last_nanosecond_of_its_time() -> None:
    assert wish(age_ns=5 * S, **EMPTY) is not None
    assert wish(age_ns=5 * S + 1, **EMPTY) is None


def test_each_cure_has_its_rank_ramp_and_power() -> None:
    restoring = replace(PARAMS, restore_w=1)
    assert wish(**EMPTY) == Proposal(Rank.CELL_CURE, "cure:cell_low", -1250, RampClass.DIRECT)
    assert wish(cell_max_mv=3631) == Proposal(Rank.CELL_CURE, "cure:cell_high", 1250, RampClass.DIRECT)
    assert wish(restoring, soc_permille=150) == Proposal(Rank.RESTORE, "cure:reserve", -1, RampClass.SCHEDULED)
    assert wish(soc_permille=150) is None  # it waits for the sun unless told otherwise


def test_restore_begins_a_percent_below_the_reserve_and_ends_at_it() -> None:
    """What is surely there counts: one quantum of the BMS (1 permille here) less than it says."""
    restoring = replace(PARAMS, restore_w=1000)
    assert wish(restoring, soc_permille=190) is not None
    assert wish(restoring, soc_permille=191) is None
    assert wish(restoring, before="cure:reserve", soc_permille=200) is not None
    assert wish(restoring, before="cure:reserve", soc_permille=201) is None
    assert wish(restoring, soc_permille=None) is None


def test_restore_is_gentle_whatever_is_configured() -> None:
    """A tenth of the capacity an hour: 2500 W of 25 kWh."""
    greedy = wish(replace(PARAMS, restore_w=9_000), soc_permille=100)
    assert greedy is not None
    assert greedy.power_w == -2_500


def test_only_the_homeowners_own_reserve_is_restored() -> None:
    """An unreadable reserve counts as 100 %: nothing is discharged, but nothing is bought for it either."""
    home = Home(replace(PARAMS, restore_w=1000)).ready()
    home.reserve = replace(home.reserve, source="unreadable")
    home.run(5)
    assert home.decision.reserve_permille == 1000
    assert home.given() is None


def test_restore_begins_after_a_random_delay_once_for_all() -> None:
    """A street of homes does not start at once. What is drawn is 64 bits, the delay its remainder: 2 s here."""
    home = Home(replace(PARAMS, restore_w=1000)).ready()
    home.draw = 7 * PARAMS.timers.grid_jitter_ns + 2 * S
    home.battery["soc_permille"] = 150
    home.tick()
    home.draw = 4 * S  # what is drawn later changes nothing
    home.tick()
    assert home.decision.source == "self_consumption"
    home.tick()
    assert home.decision.source == "cure:reserve"


def test_a_bms_that_asks_for_a_charge_gets_a_gentle_one() -> None:
    assert wish(force_charge=True) == Proposal(Rank.REQUEST, "cure:bms_request", -1250, RampClass.DIRECT)
    assert wish(force_charge=False) is None
    assert wish(force_charge=True, cell_max_mv=3631) == wish(cell_max_mv=3631)  # a cell that is over-full comes first


# --- the site ---------------------------------------------------------------------------------------------------------
def site(before: Obliged = NOTHING, params: Params = PARAMS, **fields: Any) -> tuple[Proposal | None, Obliged]:
    """The cure of a good pack in a home whose snapshot says otherwise in these fields."""
    snapshot, _ = take(params, world(), Trace(NOW))
    return cure(replace(snapshot, **fields), params, before, 0)


OVER = Obliged(None, None, NOW - S)  # for a cycle now


def test_the_site_is_cured_when_it_was_over_for_a_cycle() -> None:
    """20 kW each way. The house alone exports 25 kW: 5 kW are absorbed; it imports 23 kW: 3 kW are given."""
    export: dict[str, Any] = {"net_lo_w": -25_000, "net_hi_w": -25_000, "battery_w": 0}
    assert site(**export) == (None, Obliged(None, None, NOW))
    assert site(Obliged(None, None, NOW - S + 1), **export)[0] is None
    absorb = Proposal(Rank.SITE, "cure:absorb", -5_000, RampClass.REGULATION)
    assert site(OVER, **export) == (absorb, Obliged("cure:absorb", None, NOW - S))
    shed = Proposal(Rank.SITE, "cure:shed", 3_000, RampClass.REGULATION)
    assert site(OVER, net_lo_w=23_000, net_hi_w=23_000, battery_w=0)[0] == shed


def test_what_the_battery_already_does_is_no_reason() -> None:
    """It exports 25 kW less what the inverter charges by itself; a hundred watts more are no reason either."""
    assert site(OVER, net_lo_w=-25_000, net_hi_w=-25_000, battery_w=-5_000) == (None, NOTHING)
    assert site(OVER, net_lo_w=-25_000, net_hi_w=-25_000, battery_w=-4_900)[0] is None
    assert site(OVER, net_lo_w=-25_000, net_hi_w=-25_000, battery_w=-4_899)[0] is not None
    assert site(OVER, net_lo_w=23_000, net_hi_w=23_000, battery_w=2_900)[0] is None
    assert site(OVER, net_lo_w=23_000, net_hi_w=23_000, battery_w=2_899)[0] is not None


def test_a_battery_that_is_itself_the_cause_is_held_back_by_its_permit_not_by_a_cure() -> None:
    assert site(OVER, net_lo_w=-19_000, net_hi_w=-19_000, battery_w=2_000) == (None, OVER)
    assert site(OVER, net_lo_w=19_000, net_hi_w=19_000, battery_w=-2_000) == (None, OVER)


def test_a_cure_of_the_site_goes_on_until_the_house_alone_keeps_its_limit() -> None:
    absorbing, shedding = Obliged("cure:absorb", None, NOW), Obliged("cure:shed", None, NOW)
    one = site(absorbing, net_lo_w=-20_001, net_hi_w=-20_001, battery_w=-9_000)
    assert one[0] == Proposal(Rank.SITE, "cure:absorb", -1, RampClass.REGULATION)
    assert one[1].over_ns == NOW
    assert site(absorbing, net_lo_w=-20_000, net_hi_w=-20_000, battery_w=-9_000)[0] is None
    assert site(shedding, net_lo_w=20_001, net_hi_w=20_001, battery_w=9_000)[0] is not None
    assert site(shedding, net_lo_w=20_000, net_hi_w=20_000, battery_w=9_000)[0] is None
    assert site(shedding, net_lo_w=None) == (None, NOTHING)
    assert site(shedding, net_hi_w=None) == (None, NOTHING)
    assert site(shedding, battery_w=None) == (None, NOTHING)


def test_a_leg_over_its_fuse_is_relieved_where_the_battery_reaches_it() -> None:
    """63 A at 230 V = 14.49 kW on the fullest of three legs that share: 3 * 63 * 230 = 43.47 kW."""
    three = replace(PARAMS, site=replace(PARAMS.site, fuse_a=63, legs=3))
    one = replace(PARAMS, site=replace(PARAMS.site, fuse_a=63))
    quiet: dict[str, Any] = {"net_lo_w": 500, "net_hi_w": 500, "battery_w": 0}
    asked = site(OVER, three, legs=Legs(44_470, 0, 230_000, 3), **quiet)[0]
    assert asked == Proposal(Rank.SITE, "cure:shed", 1_000, RampClass.REGULATION)
    two = replace(PARAMS, site=replace(PARAMS.site, fuse_a=100, legs=2))  # 2 * 100 * 120 = 24 kW
    assert site(OVER, two, legs=Legs(25_000, 0, 120_000, 2), **quiet)[0] == asked
    assert site(OVER, one, legs=Legs(15_490, 0, 230_000, 1), **quiet)[0] == asked
    assert site(OVER, one, legs=Legs(15_490, 0, 230_000, 2), **quiet)[0] is None  # it may be the other leg


def test_a_dispatch_that_does_as_much_of_the_same_goes_on() -> None:
    absorb = Proposal(Rank.SITE, "cure:absorb", -2_000)
    shed = Proposal(Rank.SITE, "cure:shed", 2_000)
    assert [overtaken(absorb, w, -5_000) for w in (-2_001, -2_000, -1_999, 5_000)] == [True, True, False, False]
    assert [overtaken(shed, w, 5_000) for w in (2_001, 2_000, 1_999, -5_000)] == [True, True, False, False]
    assert not overtaken(Proposal(Rank.CELL_CURE, "cure:cell_low", -1_000), -5_000, -5_000)
    assert not overtaken(Proposal(Rank.SITE, "cure:absorb", None), -5_000, -5_000)


def test_a_dispatch_on_its_way_there_does_not_yet() -> None:
    absorb = Proposal(Rank.SITE, "cure:absorb", -2_000)
    shed = Proposal(Rank.SITE, "cure:shed", 2_000)
    assert [overtaken(absorb, -5_000, w) for w in (-2_000, -1_999, 0, None)] == [True, False, False, False]
    assert [overtaken(shed, 5_000, w) for w in (2_000, 1_999, 0, None)] == [True, False, False, False]


@pytest.mark.parametrize(("sign", "source"), [(1, "cure:shed"), (-1, "cure:absorb")])
def test_a_slow_ramp_does_not_keep_the_site_over_its_limit(sign: int, source: str) -> None:
    """5 kW each way, a house of 9 kW, and an event of 8 kW that comes with 114 W a second."""
    home = Home(replace(PARAMS, site=replace(PARAMS.site, import_limit_w=5_000, export_limit_w=5_000))).ready()
    event = command(power_w=8_000 * sign, start_ms=home.clock().wall_ms, duration_s=900, ramp=RampClass.SCHEDULED)
    home.tick(arriving(event))
    home.run(2)
    sources, over = set(), 0
    for _ in range(60):
        home.meter["grid_w"] = 9_000 * sign - (home.remote_w or 0)
        home.inverter["battery_w"] = home.remote_w or 0
        home.tick()
        sources.add(home.decision.source)
        over += abs(9_000 * sign - (home.remote_w or 0)) > 5_000
    assert over <= 3
    assert source in sources
    assert home.given() == 8_000 * sign


def sunny(surplus_w: int, seconds: int, soc: float, home: Home) -> float:
    """A home whose inverter charges from the sun in its own mode; what was not taken of the sun, Wh."""
    lost_ws = 0
    for _ in range(seconds):
        own_w = -surplus_w if soc < 1000 else 0
        power_w = home.remote_w if home.remote_w is not None else own_w
        soc = min(1000.0, soc - power_w / 3600 / 25)
        home.battery["soc_permille"] = int(soc)
        home.inverter["battery_w"], home.meter["grid_w"] = power_w, -surplus_w - power_w
        home.tick()
        lost_ws += max(0, power_w - own_w)
    return lost_ws / 3600


def test_restoring_takes_all_of_the_sun() -> None:
    home = Home(replace(PARAMS, restore_w=1_000))
    home.reserve, home.battery["soc_permille"] = Reserve(500, "file"), 300
    home.ready()
    assert sunny(8_000, 1_200, 300.0, home) < 120  # the ramp's
    assert home.decision.source == "cure:reserve"
    assert -8_000 <= (home.given() or 0) <= -7_900  # the dead band


def test_a_storm_takes_all_of_the_sun() -> None:
    home = Home()
    home.battery["soc_permille"] = 300
    home.ready()
    home.tick(RaiseReserve("storm", "storm", 800, "homeowner", "me", "s", 0, 0, 86_400))
    assert sunny(8_000, 1_200, 300.0, home) < 120
    assert home.decision.source == "storm"
    assert -8_000 <= (home.given() or 0) <= -7_900  # the dead band


def test_a_tariff_that_forbids_the_grid_binds_both() -> None:
    home = Home(replace(PARAMS, restore_w=1_000, site=replace(PARAMS.site, pv_only=True)))
    home.reserve, home.battery["soc_permille"] = Reserve(500, "file"), 300
    home.ready()
    sunny(600, 120, 300.0, home)
    given_w = home.given()
    assert given_w is not None
    assert -600 <= given_w <= 0


@pytest.mark.parametrize("quantum", [1, 10])
def test_a_storm_to_the_top_ends_and_leaves_the_sun_alone(quantum: int) -> None:
    home = Home()
    home.battery.update(soc_permille=960, soc_quantum_permille=quantum, cell_max_mv=3_380, cell_min_mv=3_370)
    home.ready()
    home.tick(RaiseReserve("storm", "storm", 1_000, "homeowner", "me", "s", 0, 0, 86_400))
    sunny(3_000, 1_800, 960.0, home)
    assert (home.decision.source, home.given()) == ("self_consumption", None)
    assert sunny(3_000, 600, 985.0, home) == 0  # nor does it begin again within the ceiling's hysteresis
    home.battery["soc_permille"] = 960
    home.meter["grid_w"] = 500
    home.run(90)
    assert home.decision.source == "storm"
    assert (home.given() or 0) < 0


def test_restoring_to_the_top_does_not_hold_zero_there() -> None:
    home = Home(replace(PARAMS, restore_w=1_000))
    home.reserve = Reserve(1_000, "file")
    home.battery.update(soc_permille=970, cell_max_mv=3_380, cell_min_mv=3_370)
    home.ready()
    sunny(3_000, 1_800, 970.0, home)
    assert sunny(3_000, 600, 985.0, home) == 0
    assert home.given() is None


def test_a_home_absorbs_its_own_surplus_and_returns_to_its_own_mode() -> None:
    """The sun brings 25 kW more than the house takes; the inverter does nothing about it by itself."""
    home = Home().ready()
    home.meter["grid_w"] = -25_000
    home.inverter["battery_w"] = 0
    home.run(2)
    assert home.decision.source == "cure:absorb"
    assert home.decision.asked_w == -5_000
    home.meter["grid_w"] = 500
    home.run(4)
    assert home.decision.source == "self_consumption"
    assert home.given() is None


def test_nothing_but_cells_is_cured_while_a_person_has_stopped_the_agent() -> None:
    home = Home().ready()
    home.meter["grid_w"] = -25_000
    home.inverter["battery_w"] = 0
    home.tick(LocalStop("anna"))
    home.run(4)
    assert home.given() is None
    home.battery["cell_min_mv"] = 2800
    home.run(2)
    assert home.decision.source == "cure:cell_low"


def test_a_dispatch_of_the_same_keeps_the_battery_and_one_of_the_other_waits() -> None:
    for power_w, source in ((-6_000, f"dispatch:{1:032x}"), (3_000, "cure:absorb")):
        home = Home().ready()
        home.meter["grid_w"] = -25_000
        home.inverter["battery_w"] = 0
        home.tick(arriving(command(power_w=power_w)))
        home.run(4)
        assert home.decision.source == source


def test_a_pv_only_tariff_binds_every_cure_but_that_of_a_cell() -> None:
    sunny = replace(PARAMS, site=replace(PARAMS.site, pv_only=True), restore_w=1000)
    home = Home(sunny).ready()
    home.battery["soc_permille"] = 150
    home.run(12)
    assert (home.decision.source, home.given()) == ("cure:reserve", 0)
    assert home.decision.binding is not None
    assert home.decision.binding.id == "pv_only"
    home.battery["cell_min_mv"] = 2800
    home.run(4)
    assert (home.decision.source, home.given()) == ("cure:cell_low", -1250)


PV_ONLY = replace(PARAMS, site=replace(PARAMS.site, pv_only=True), restore_w=1000)
STORM = RaiseReserve("storm", "storm", 800, "homeowner", "ann (homeowner)", "storm", for_s=6 * 3600)


@pytest.mark.parametrize(
    ("source", "event", "changes"),
    [
        ("storm", STORM, {}),
        ("cure:reserve", None, {"soc_permille": 150}),
        ("cure:bms_request", None, {"force_charge": True}),
        (f"dispatch:{1:032x}", arriving(command(power_w=-5_000)), {}),
        ("cure:cell_high", None, {"cell_max_mv": 3640}),
    ],
)
@pytest.mark.parametrize("sun_w", [0, 700])
def test_a_pv_only_tariff_charges_with_the_surplus_and_no_more(
    source: str, event: Event | None, changes: dict[str, Any], sun_w: int
) -> None:
    """The house without the battery sells `sun_w`: whoever wishes to charge gets that much, and nothing of the grid."""
    home = Home(PV_ONLY).ready()
    home.inverter["battery_w"] = 0
    home.meter["grid_w"] = -sun_w
    home.battery.update(changes)
    home.tick(*(() if event is None else (event,)))
    home.run(20)
    assert home.decision.source == source
    assert home.decision.lo_w >= -sun_w
    assert home.powers()
    assert min(home.powers()) >= -sun_w
    if source != "cure:cell_high":  # that one discharges
        assert home.given() == -sun_w // 2 * 2
        assert home.decision.binding is not None
        assert home.decision.binding.id == "pv_only"


def test_under_a_pv_only_tariff_the_site_is_still_shed_for() -> None:
    """Shedding discharges: a tariff on charging has nothing to say about it."""
    home = Home(PV_ONLY).ready()
    home.inverter["battery_w"] = 0
    home.meter["grid_w"] = 23_000
    home.run(5)
    assert (home.decision.source, home.given()) == ("cure:shed", 3_000)


def test_one_watt_over_is_over_and_none_is_not() -> None:
    """The battery is giving too much, so the site exports more than it may by more than the dead band."""
    assert site(OVER, net_lo_w=-20_000, net_hi_w=-20_000, battery_w=200)[0] is None
    one = site(OVER, net_lo_w=-20_001, net_hi_w=-20_001, battery_w=200)[0]
    assert one is not None and one.power_w == -1
    assert site(OVER, net_lo_w=20_000, net_hi_w=20_000, battery_w=-200)[0] is None
    one = site(OVER, net_lo_w=20_001, net_hi_w=20_001, battery_w=-200)[0]
    assert one is not None and one.power_w == 1


def test_without_a_delay_restoring_begins_at_once() -> None:
    params = replace(PARAMS, restore_w=1000, timers=replace(PARAMS.timers, grid_jitter_ns=0))
    assert wish(params, soc_permille=150) is not None
