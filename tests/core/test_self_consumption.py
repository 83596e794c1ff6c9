"""Self-consumption without a floor of the inverter's own: when we drive it, with what, and when we say nobody does.

The home: 25 kWh, 11.4 kW, horizon 5 + 1 + 1 + 60 = 67 s. In that time 11.4 kW are 11_400 x 67 / 3600 = 212.2 Wh, which
are 8.5 permille. The BMS tells whole permille and one is taken off: 209 says at least 208, which is 200 Wh above a
reserve of 200; 210 says 225 Wh.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.decision import Intent, Mode
from agent.core.inputs import LocalResume, LocalStop, Reserve
from agent.core.params import S
from agent.core.snapshot import Snapshot, Trace, take
from agent.core.strategies.self_consumption import drivable, follow, stepped, unguarded
from agent.core.writes import Hand
from tests.core import home as h
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.several import Several
from tests.core.test_snapshot import NOW, world


def bare(soc_permille: int = 209, **told: Any) -> Home:
    """Its inverter has no floor register; the house takes 500 W."""
    home = Home()
    home.told = {"floor": False, **told}
    home.inverter["floor_permille"] = None
    home.battery["soc_permille"] = soc_permille
    return home.ready()


# --- when -------------------------------------------------------------------------------------------------------------
def test_far_above_the_reserve_the_inverter_is_left_alone() -> None:
    home = bare(210)
    home.run(60)
    assert (home.given(), home.powers(), home.faults()) == (None, [], [])


def test_where_it_could_cross_the_reserve_unseen_it_is_driven() -> None:
    home = bare(209)
    home.run(3)
    assert (home.decision.source, home.decision.asked_w, home.given()) == ("self_consumption", 500, 500)
    assert home.mode() is Mode.LOCAL
    assert home.remote_w == 500


def test_a_device_of_more_power_is_driven_earlier() -> None:
    """22.8 kW need 424.3 Wh: 217 says 400, 218 says 425."""
    assert bare(218, rated_discharge_w=22_800).given() is None
    assert bare(217, rated_discharge_w=22_800).given() == 500


def test_once_driven_it_is_let_go_two_percent_higher() -> None:
    home = bare(209)
    home.run(3)
    home.battery["soc_permille"] = 229
    home.run(5)
    assert home.given() == 500
    home.battery["soc_permille"] = 230
    home.run(5)
    assert home.given() is None
    assert home.remote_w is None
    home.battery["soc_permille"] = 211
    home.run(5)
    assert home.given() is None


def test_the_reserve_in_force_counts() -> None:
    home = bare(600)
    home.reserve = Reserve(600, "file")
    home.run(3)
    assert (home.decision.asked_w, home.given()) == (500, 0)
    assert home.decision.binding is not None
    assert home.decision.binding.id == "reserve"


def test_a_floor_at_the_reserve_leaves_it_alone() -> None:
    home = Home()
    home.battery["soc_permille"] = 201
    home.ready().run(60)
    assert (home.given(), home.powers()) == (None, [])


def test_a_dispatch_that_ends_near_the_reserve_leaves_no_gap() -> None:
    home = bare(209)
    home.tick(arriving(command(power_w=-1000, duration_s=5)))
    home.run(20)
    assert home.states()[-1] == "completed"
    clears = [at for at, w in home.writes if w.intent is Intent.CLEAR]
    assert not clears
    assert home.given() == 500


# --- a floor that is refused ------------------------------------------------------------------------------------------
def seen(**changes: Any) -> Snapshot:
    """One cycle of a home with the reserve at 200; `changes`: of the inverter's reading."""
    taken, _ = take(PARAMS, world(inverters=(h.inverter(NOW, **changes),)), Trace(NOW - S))
    return taken


@pytest.mark.parametrize(
    ("floor", "hand", "is_unguarded"),
    [
        (200, Hand(), False),
        (1000, Hand(), False),
        (199, Hand(), False),  # it will be asked for in this very cycle
        (199, Hand(floor_permille=150), False),
        (199, Hand(floor_permille=200, floor_pending=True), False),
        (199, Hand(floor_permille=200, floor_confirmed_ns=NOW), False),  # the reading is no newer
        (199, Hand(floor_permille=200, floor_confirmed_ns=NOW - 1), True),
        (199, Hand(floor_permille=200), True),
        (199, Hand(floor_failures=1), True),
        (199, Hand(floor_permille=200, floor_pending=True, floor_failures=1), True),
        (199, Hand(setpoint_w=0), True),  # what is driven is let go when the floor is read, not before
        (200, Hand(setpoint_w=0), False),
        (200, Hand(floor_failures=9), False),  # it was set by hand
        (None, Hand(), True),
    ],
)
def test_a_floor_counts_when_it_is_read_back_or_on_its_way(floor: int | None, hand: Hand, is_unguarded: bool) -> None:
    assert unguarded(seen(floor_permille=floor), hand, ()) is is_unguarded


def test_what_was_not_read_yet_is_said_by_other_faults() -> None:
    home = seen()
    assert not unguarded(replace(home, capability=None), Hand(floor_failures=1), ())
    assert not unguarded(replace(home, inverter=None), Hand(floor_failures=1), ())


def test_a_floor_that_does_not_take_is_replaced_by_us() -> None:
    home = Home()
    home.inverter["floor_permille"] = 50  # it confirms every write and stays there
    home.battery["soc_permille"] = 205
    home.ready().run(30)
    assert "floor" in home.intents()
    assert home.given() == 500
    home.inverter["floor_permille"] = 200
    home.run(3)
    assert home.given() is None


@pytest.mark.parametrize(("says", "given"), [(200, None), (201, 0), (230, 0)])
def test_a_floor_that_goes_by_a_doubted_soc_counts_as_none(says: int, given: int | None) -> None:
    """The inverter hears the same BMS: what jumped up past its floor would be given to the house."""
    home = Home()
    home.battery["soc_permille"] = 150
    home.ready().run(30)
    assert (home.given(), home.faults()) == (None, [])
    home.battery["soc_permille"] = says
    home.run(3)
    assert (home.given(), home.remote_w) == (given, given)
    assert home.mode() is Mode.LOCAL
    home.run(590)
    assert home.given() == given
    home.run(20)
    assert (home.given(), home.faults()) == (None, []), "it has stayed so for ten minutes"


def test_a_soc_that_our_count_contradicts_is_no_floor_for_as_long_as_it_does() -> None:
    home = Home()
    home.battery["soc_permille"] = 150
    home.ready().run(30)
    home.battery["soc_permille"] = 400
    home.run(1200)
    assert (home.given(), home.faults()) == (0, ["soc_doubted"])


def test_a_doubt_far_above_the_reserve_drives_nothing() -> None:
    home = Home().ready()
    home.run(30)
    home.battery["soc_permille"] = 300
    home.run(30)
    assert (home.given(), home.faults(), home.powers()) == (None, ["soc_doubted"], [])


# --- what can be driven -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("told", "load_w", "can"),
    [
        ({}, 500, True),
        ({"signed_setpoint": False}, 500, False),
        ({"reversion": "none"}, 500, False),
        ({"reversion": "unreliable"}, 500, False),
        ({"reversion": "implicit"}, 500, True),
        ({"control_point": "grid"}, 500, True),
        ({"control_point": "grid"}, None, False),
        ({"control_point": "inverter_ac"}, None, True),
    ],
)
def test_only_a_setpoint_that_ends_by_itself_and_can_be_said_is_driven(
    told: dict[str, Any], load_w: int | None, can: bool
) -> None:
    assert drivable(replace(seen(), capability=h.capability(**told), load_w=load_w)) is can
    assert not drivable(replace(seen(), capability=None))


@pytest.mark.parametrize("told", [{"reversion": "none"}, {"signed_setpoint": False}])
def test_where_nobody_keeps_the_reserve_it_is_said(told: dict[str, Any]) -> None:
    home = bare(205, **told)
    home.run(5)
    assert (home.given(), home.powers()) == (None, [])
    assert home.faults() == ["reserve_unguarded"]
    fault = home.decision.faults[0]
    assert fault.severity == "warn"
    assert fault.sentence == (
        "in its own mode the inverter may go below the reserve, it has no floor there and takes no setpoint that it "
        "would end by itself"
    )


def test_a_person_who_stops_the_agent_is_obeyed_and_told() -> None:
    home = bare(205)
    home.run(3)
    assert home.given() == 500
    home.tick(LocalStop("anna"))
    home.run(3)
    assert (home.given(), home.remote_w) == (None, None)
    assert home.faults() == ["reserve_unguarded"]
    assert home.decision.faults[0].sentence.startswith("stopped by anna: in its own mode")
    home.tick(LocalResume("anna"))
    home.run(3)
    assert home.given() == 500
    assert home.faults() == []


def test_with_a_floor_a_stop_needs_no_word() -> None:
    home = Home().ready()
    home.tick(LocalStop("anna"))
    home.run(3)
    assert home.faults() == []


# --- silence ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("soc_permille", [209, 600])
def test_under_a_silent_bms_zero_is_held_for_as_long_as_it_lasts(soc_permille: int) -> None:
    """Released, the inverter would empty a battery of which nobody knows how full it is."""
    home = bare(soc_permille)
    home.mute.add("battery")
    home.presence["battery"] = "silent"
    home.run(10)
    assert home.mode() is Mode.DEGRADED
    assert home.given() == 0
    home.run(600)
    assert (home.given(), home.remote_w) == (0, 0)
    assert home.intents().count("power") <= 4 + 610 // 15 + 1  # the lease, and no more
    home.mute.clear()
    home.presence.clear()
    before = len(home.writes)
    for _ in range(120):
        home.tick()
        assert home.given() == (500 if home.mode() is Mode.LOCAL and soc_permille == 209 else home.given())
    assert home.given() == (500 if soc_permille == 209 else None)
    clears = [w for _, w in home.writes[before:] if w.intent is Intent.CLEAR]
    assert len(clears) == (0 if soc_permille == 209 else 1)  # no gap on the way back


def test_with_a_floor_a_silent_bms_ends_in_a_release() -> None:
    home = Home()
    home.battery["soc_permille"] = 205
    home.ready().tick(arriving(command(power_w=-1000)))
    home.run(3)
    home.mute.add("battery")
    home.run(120)
    assert (home.mode(), home.given(), home.remote_w) == (Mode.DEGRADED, None, None)


@pytest.mark.parametrize(("soc_permille", "given"), [(209, 0), (600, None)])
def test_without_a_meter_zero_is_held_near_the_reserve_only(soc_permille: int, given: int | None) -> None:
    home = bare(soc_permille)
    home.run(3)
    home.mute.add("meter")
    home.run(120)
    assert (home.mode(), home.given()) == (Mode.DEGRADED, given)


def test_a_setpoint_at_the_grid_cannot_be_held_without_a_meter() -> None:
    """What it means at the battery would not be known: the inverter gets it back, and people hear of it."""
    home = bare(209, control_point="grid")
    home.run(3)
    assert home.given() == 500
    home.mute.add("meter")
    home.run(60)
    assert home.given() is None
    assert "reserve_unguarded" in home.faults()


def test_a_stop_ends_the_zero_too() -> None:
    home = bare(209)
    home.mute.add("battery")
    home.run(40)
    assert home.given() == 0
    home.tick(LocalStop("anna"))
    home.run(3)
    assert (home.given(), home.remote_w) == (None, None)


def test_a_bms_that_repeats_itself_is_not_believed_until_its_fault_is_over() -> None:
    """At zero power a still BMS is a healthy one: were it believed at once, it would be released, and loaded again."""
    home = bare(600)
    home.inverter["battery_w"] = 3_000
    home.battery.update({"capacity_mah": 488_000, "pack_ma": 56_818})
    for _ in range(120):
        if "battery_frozen" in home.faults():
            break
        home.tick()
    assert (home.mode(), home.given()) == (Mode.DEGRADED, 0)
    home.inverter["battery_w"] = home.battery["pack_ma"] = 0  # it obeys
    held = 0
    while home.mode() is Mode.DEGRADED:
        home.tick()
        held += 1
        assert held < 300
        assert home.given() == (0 if home.mode() is Mode.DEGRADED else home.given())
    assert held > 30


# --- what -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("nets", "before", "asked"),
    [
        ((3000, 3000), None, 3000),
        ((2000, 2500), None, 2500),  # released: from what the battery does (3 kW), to the nearest of the samples
        ((3000, 3000), 500, 3000),
        ((500, 3000), 500, 500),  # only one sample says so
        ((500, 3000), 600, 600),
        ((3000, 3100), 500, 3000),  # the nearest
        ((500, 600), 3000, 600),
        ((520, 600), 420, 420),  # 100 W are the dead band
        ((521, 600), 420, 521),
        ((-2000, -1800), 0, -1800),  # the sun gives more than the house takes
        ((None, None), 500, 0),
    ],
)
def test_the_house_is_followed_when_every_sample_says_so(
    nets: tuple[int | None, int | None], before: int | None, asked: int
) -> None:
    lo, hi = nets
    home = replace(seen(), net_lo_w=lo, net_hi_w=hi, battery_w=3000)
    assert follow(home, 100, before) == asked


@pytest.mark.parametrize(
    ("asked", "cap", "held", "taken"),
    [
        (3000, 11_400, 0, 3000),
        (3000, 3429, 0, 3000),  # seven eighths of 3429 are 3001
        (3000, 3428, 0, 3000),
        (3000, 3427, 0, 2999),  # 3427 - 428
        (3000, 3000, 0, 2625),
        (3000, 3000, 2250, 2250),  # a quarter is unused: kept
        (3000, 3000, 2249, 2625),
        (3000, 2625, 2625, 2625),
        (3000, 2624, 2625, 2296),
        (3000, 100, 88, 88),
        (3000, 99, 88, 0),
        (3000, 199, 0, 0),
        (3000, 200, 0, 175),
        (50, 11_400, 0, 50),
        (0, 0, 0, 0),
    ],
)
def test_a_shrinking_permit_is_used_in_steps(asked: int, cap: int, held: int, taken: int) -> None:
    assert stepped(asked, cap, held, 100) == taken


def test_surplus_is_taken_in_and_never_more_than_there_is() -> None:
    home = bare(205)
    home.meter["grid_w"] = -2_000
    home.inverter["battery_w"] = 0
    home.run(10)
    assert home.given() == -2000
    assert home.decision.asked_w == -2000


def test_at_the_reserve_it_stays_at_zero_and_writes_the_lease_alone() -> None:
    home = bare(200)
    home.run(5)
    assert (home.decision.asked_w, home.given(), home.decision.hi_w) == (500, 0, 0)
    before = len(home.powers())
    for second in range(300):
        home.meter["grid_w"] = 500 + second * 7 % 90  # what a house does
        home.tick()
    assert len(home.powers()) - before <= 300 // 15 + 1
    assert set(home.powers()) == {0}


def test_it_takes_over_from_what_the_battery_does() -> None:
    """No dip: the first setpoint is what the inverter did by itself."""
    home = Home()
    home.told, home.inverter["floor_permille"] = {"floor": False}, None
    home.inverter["battery_w"], home.meter["grid_w"] = 3000, 0
    home.battery["soc_permille"] = 300
    home.ready().run(5)
    home.battery["soc_permille"] = 209
    home.run(1)
    assert home.powers() == [3000 - 3000 % 2]


# --- several inverters ------------------------------------------------------------------------------------------------
def two(soc_permille: int, **first: Any) -> Several:
    """`first`: what inv1 is otherwise; inv2 has a floor at the reserve. Together 10 kW: 186.1 Wh within 67 s, but the
    site's nameplate of 11.4 kW counts: 212.2 Wh."""
    home = Several()
    for pack in home.packs:
        home.each[pack]["soc_permille"] = soc_permille
    home.each["inv2"]["floor_permille"] = 200
    home.ratings["inv1"] = first
    home.each["inv1"]["floor_permille"] = None if first.get("floor") is False else 200
    home.ready().run(5)
    return home


def test_one_inverter_of_two_without_a_floor_has_both_driven() -> None:
    assert two(209).given() is None
    assert two(210, floor=False).given() is None
    home = two(209, floor=False)
    assert home.given() == 500
    assert home.shares() == {"inv1": 250, "inv2": 250}
    assert home.faults() == []


def test_each_of_several_is_looked_at_by_its_own_hand() -> None:
    home = two(600)
    names = [member.name for member in home.state.crew]
    assert names == ["inv1", "inv2"]
    taken, _ = take(home.params, home.inputs(()), home.state.trace)
    low = taken.units[1].reading
    assert low is not None
    units = (taken.units[0], taken.units[1]._replace(reading=replace(low, floor_permille=150)))
    second = replace(taken, units=units)
    crew = home.state.crew
    failed = (crew[0], crew[1]._replace(hand=replace(crew[1].hand, floor_failures=1)))
    other = (crew[0]._replace(hand=replace(crew[0].hand, floor_failures=1)), crew[1])
    assert unguarded(second, Hand(), failed)
    assert not unguarded(taken, Hand(), failed)
    assert not unguarded(taken, Hand(), other)
    gone = replace(taken, units=(units[0], units[1]._replace(out=True)))
    assert not unguarded(gone, Hand(), failed)


def test_two_that_nobody_can_drive_are_told() -> None:
    home = two(205, floor=False, reversion="none")
    assert home.given() is None
    assert home.faults() == ["reserve_unguarded"]


def test_what_nobody_keeps_while_hands_are_off_is_told() -> None:
    """A fault of the pair releases the inverter; a reading that is late holds zero, which keeps it."""
    home = bare(209)
    home.inverter["status"] = "fault"
    home.run(5)
    assert (home.mode(), home.given()) == (Mode.FAULT, None)
    assert "reserve_unguarded" in home.faults()
    told = next(f.sentence for f in home.decision.faults if f.id == "reserve_unguarded")
    assert told == "the agent is in fault: in its own mode the inverter may go below the reserve, it has no floor there"
    late = bare(209)
    late.mute.add("battery")
    late.run(30)
    assert (late.mode(), late.given()) == (Mode.DEGRADED, 0)
    assert "reserve_unguarded" not in late.faults()
