"""A floor of the inverter's that reads as written and does not hold.

The home: 25 kWh, reserve 20 %. Surely below by more than 1.5 %: the BMS says 183 (and means at most 184). From there
0.5 % are 125 Wh: 3 kW give them in 150 s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.beneath import NOTHING, Beneath, follow, ignored
from agent.core.checks import World, floor_ignored
from agent.core.checks import unguarded as unguarded_said
from agent.core.decision import Mode
from agent.core.inputs import LocalResume, LocalStop
from agent.core.params import S
from agent.core.snapshot import take
from agent.core.strategies.self_consumption import unguarded
from agent.core.writes import Hand
from drivers.readings import GridState
from tests.core.home import PARAMS, Home
from tests.core.test_self_consumption import seen, two

RELEASED = Hand(maybe_active=False)
FULL = 125 * 3600 * S  # W x ns


def low(soc_permille: int = 183, battery_w: int = 3000) -> Home:
    home = Home()
    home.battery["soc_permille"] = soc_permille
    home.ready()
    home.inverter["battery_w"] = battery_w
    return home


def spent(home: Home, seconds: int) -> set[str]:
    """That long in its own mode with what it does, unless it is told otherwise; every fault on the way."""
    own_w, faults = home.inverter["battery_w"], set()
    for _ in range(seconds):
        home.inverter["battery_w"] = own_w if home.remote_w is None else home.remote_w
        home.tick()
        faults |= set(home.faults())
    return faults


def test_a_floor_that_reads_back_and_does_not_act_is_found_and_the_home_is_driven() -> None:
    home = low()
    assert spent(home, 149) == set()
    assert home.given() is None
    assert spent(home, 3) == {"floor_ignored"}
    assert (home.mode(), home.given(), home.remote_w) == (Mode.LOCAL, 0, 0)
    fault = home.decision.faults[0]
    assert fault.sentence.startswith("the reserve is 20.0 % and so reads the inverter's floor, but below it")
    assert "125 Wh" in fault.sentence


def test_however_far_its_own_count_is_off_the_battery_ends_within_the_stated_bound() -> None:
    """1.5 % below the reserve, one quantum each for the interval and the reading, and 0.5 %."""
    for off in (30, 80, 150, 1000):
        home, soc = low(230), 230.0
        for _ in range(2 * 3600):
            own_w = 3000 if soc + off > 200 else 0
            power_w = own_w if home.remote_w is None else home.remote_w
            soc -= power_w / 3600 / 25
            home.battery["soc_permille"] = round(soc)
            home.inverter["battery_w"], home.meter["grid_w"] = power_w, 3000 - power_w
            home.tick()
        assert soc > 200 - 15 - 2 - 5, off
        assert "floor_ignored" in home.faults()


def test_it_stays_so_over_a_restart_until_somebody_resumes() -> None:
    home = low()
    spent(home, 155)
    home = home.crash()
    spent(home, 30)
    assert "floor_ignored" in home.faults()
    assert home.given() == 0
    home.tick(LocalResume("ada"))
    home.inverter["battery_w"] = 0
    home.run(5)
    assert (home.faults(), home.given()) == ([], None)


def test_resumed_unmended_it_is_found_again() -> None:
    home = low()
    spent(home, 155)
    home.tick(LocalResume("ada"))
    home.inverter["battery_w"] = 3000
    assert spent(home, 160) == {"floor_ignored"}


def test_a_person_who_stopped_the_agent_is_told_that_nobody_keeps_it() -> None:
    home = low()
    home.tick(LocalStop("ada"))
    assert spent(home, 160) == {"floor_ignored", "reserve_unguarded"}
    told = next(f.sentence for f in home.decision.faults if f.id == "reserve_unguarded")
    assert "its floor does not hold" in told
    home.tick(LocalResume("ada"))
    home.run(3)
    assert "floor_ignored" not in home.faults()  # judged anew


@pytest.mark.parametrize(("power_w", "given"), [(0, None), (100, None), (-3000, 0)])
def test_below_the_reserve_without_discharge_nothing_is_the_matter(power_w: int, given: int | None) -> None:
    """A SoC that stands still under an hour of charge is doubted, though, and its floor with it."""
    home = low(battery_w=power_w)
    assert "floor_ignored" not in spent(home, 3600)
    assert (home.given(), "soc_doubted" in home.faults()) == (given, given == 0)


def test_an_outage_does_not_count() -> None:
    home = low()
    spent(home, 140)
    home.inverter["grid_state"] = GridState.ISLANDED
    spent(home, 300)
    assert home.state.beneath is NOTHING
    assert "floor_ignored" not in home.faults()


@pytest.mark.parametrize(
    "changes",
    [
        {"soc_hi_mwh": 185 * 25_000},
        {"grid": GridState.UNKNOWN},
        {"inverter": None},
        {"floor_permille": 199},
        {"floor_permille": None},
        {"remote_active": True},
    ],
)
def test_what_begins_anew(changes: dict[str, Any]) -> None:
    s = snapshot(**changes)
    assert follow(Beneath(1, FULL), s, PARAMS, RELEASED, S) is NOTHING


def snapshot(**changes: Any) -> Any:
    own = {k: changes.pop(k) for k in ("floor_permille", "remote_active") if k in changes}
    s = replace(seen(**{"floor_permille": 200, **own}), soc_hi_mwh=184 * 25_000, battery_w=3000)
    return replace(s, **changes)


def test_our_own_setpoint_and_one_that_may_be_active_do_not_count() -> None:
    s = snapshot()
    assert follow(NOTHING, s, PARAMS, RELEASED, S) == Beneath(s.now_ns, 3000 * S)
    assert follow(Beneath(1, FULL), s, PARAMS, replace(RELEASED, setpoint_w=0), S) is NOTHING
    assert follow(Beneath(1, FULL), s, PARAMS, Hand(maybe_active=True), S) is NOTHING


def test_what_is_not_known_says_nothing() -> None:
    had = Beneath(1, 5)
    for changes in ({"soc_hi_mwh": None}, {"battery_w": None}):
        assert follow(had, snapshot(**changes), PARAMS, RELEASED, S) is had


def test_it_adds_up_from_its_first_cycle_and_what_is_charged_counts_against_it() -> None:
    had = Beneath(7, 3000 * S)
    assert follow(had, snapshot(battery_w=101), PARAMS, RELEASED, S) == Beneath(7, 3101 * S)
    assert follow(had, snapshot(battery_w=100), PARAMS, RELEASED, S) == had
    assert follow(had, snapshot(battery_w=-2999), PARAMS, RELEASED, S) == Beneath(7, S)
    assert follow(had, snapshot(battery_w=-3000), PARAMS, RELEASED, S) is NOTHING
    assert follow(Beneath(7, FULL), snapshot(), PARAMS, RELEASED, S) == Beneath(7, FULL)


def test_a_minute_must_pass_whatever_the_power() -> None:
    assert not ignored(Beneath(0, FULL), 60 * S - 1, PARAMS)
    assert ignored(Beneath(0, FULL), 60 * S, PARAMS)
    assert not ignored(Beneath(0, FULL - 1), 60 * S, PARAMS)


def test_of_several_inverters_each_must_have_its_floor_unless_it_is_out() -> None:
    home = two(600, floor=True)
    home.run(3)
    taken, _ = take(home.params, home.inputs(()), home.state.trace)
    first, second = taken.units
    assert second.reading is not None
    low_one = second._replace(reading=replace(second.reading, floor_permille=150))
    below = replace(taken, soc_hi_mwh=0, battery_w=3000, units=(first, second))
    assert follow(NOTHING, below, home.params, RELEASED, S).drawn_nj == 3000 * S
    assert follow(NOTHING, replace(below, units=(first, low_one)), home.params, RELEASED, S) is NOTHING
    out = replace(below, units=(first, low_one._replace(out=True)))
    assert follow(NOTHING, out, home.params, RELEASED, S).drawn_nj == 3000 * S


def test_nothing_is_said_of_an_inverter_that_is_not_read() -> None:
    assert not unguarded(replace(snapshot(), inverter=None), RELEASED, (), True)
    assert unguarded(snapshot(), RELEASED, (), True)


@pytest.mark.parametrize("after", [floor_ignored, unguarded_said])
def test_before_anything_was_read_no_sentence_is_made(after: Any) -> None:
    home = low()
    spent(home, 155)
    s, _ = take(home.params, home.inputs(()), home.state.trace)
    w = world_of(home, replace(s, inverter=None))
    assert after(w) is None


def world_of(home: Home, s: Any) -> World:
    found = Beneath(0, FULL)
    book = home.state.book.durable
    return World(
        s, home.inputs(()), home.params, book, home.state.actuation, RELEASED, True, 0, False, None, beneath=found
    )
