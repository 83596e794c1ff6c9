"""Cells that drift apart: a warning, then a fault that lets go only when they are near each other again. By hand: from
50 mV a warning, from 300 mV a fault until they were less than 100 mV apart for ten minutes."""

from __future__ import annotations

import pytest

from agent.core.decision import Mode
from tests.core.home import Home, arriving, command


def apart(home: Home, mv: int, low_mv: int = 3130) -> Home:
    home.battery.update(cell_min_mv=low_mv, cell_max_mv=low_mv + mv, pack_mv=16 * (low_mv + mv // 2))
    return home


def dispatched() -> Home:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.given() == 5000
    return home


@pytest.mark.parametrize(
    ("mv", "faults"),
    [(49, []), (50, ["cells_apart"]), (299, ["cells_apart"]), (300, ["imbalance", "cells_apart"])],
)
def test_from_which_spread_on(mv: int, faults: list[str]) -> None:
    home = apart(Home().ready(), mv)
    home.run(3)
    assert home.faults() == faults
    assert home.mode() is (Mode.FAULT if "imbalance" in faults else Mode.LOCAL)


def test_a_dispatch_is_released_at_once_and_nothing_is_let_go_before_they_are_near_for_ten_minutes() -> None:
    home = dispatched()
    apart(home, 300).run(2)
    assert (home.mode(), home.given(), home.remote_w) == (Mode.FAULT, None, None)
    assert [f.sentence for f in home.decision.faults] == [
        "the cells of a pack are 300 mV apart: 300 mV is too much, below 100 mV is well",
        "the cells of a pack are 300 mV apart: from 50 mV it is worth a look",
    ]
    apart(home, 100).run(900)
    assert not home.decision.faults[0].held  # not near enough: its condition is still there
    apart(home, 99).run(590)
    assert home.mode() is Mode.FAULT and home.decision.faults[0].held
    apart(home, 150).run(1)  # once more: the ten minutes begin anew
    apart(home, 99).run(595)
    assert home.mode() is Mode.FAULT
    home.run(10)
    assert home.mode() is Mode.LOCAL
    assert home.faults() == ["cells_apart"]


def test_150_mv_that_came_without_the_fault_are_none() -> None:
    home = apart(Home().ready(), 150)
    home.run(30)
    assert home.faults() == ["cells_apart"]


def test_a_cell_that_must_be_cured_is_cured_under_the_fault_and_nothing_else_is_done() -> None:
    """0.05 C of 25 kWh is 1250 W."""
    home = dispatched()
    apart(home, 350, low_mv=2840).run(30)
    assert home.faults()[0] == "imbalance"  # a person still reads of it
    assert home.decision.source == "cure:cell_low"
    assert (home.mode(), home.given()) == (Mode.LOCAL, -1250)
    apart(home, 250, low_mv=3050).run(5)  # safe enough to go on, not to end
    assert home.given() == -1250
    apart(home, 250, low_mv=3110).run(3)
    assert (home.mode(), home.given(), home.remote_w) == (Mode.FAULT, None, None)


def test_a_cure_begins_from_the_fault_over_the_self_test() -> None:
    home = apart(Home().ready(), 320, low_mv=2900)
    home.run(10)
    assert home.mode() is Mode.FAULT
    apart(home, 320, low_mv=2840)
    seen = []
    for _ in range(4):
        home.tick()
        seen.append(home.mode())
    assert seen == [Mode.SELF_TEST, Mode.STANDBY, Mode.LOCAL, Mode.LOCAL]
    home.run(10)
    assert home.given() == -1250


def test_another_fault_beside_it_stops_the_cure_too() -> None:
    home = apart(dispatched(), 350, low_mv=2840)
    home.run(30)
    assert home.given() == -1250
    home.inverter["status"] = "fault"
    home.run(2)
    assert (home.mode(), home.given()) == (Mode.FAULT, None)


def test_an_over_full_cell_is_discharged_under_the_fault() -> None:
    home = apart(Home().ready(), 330, low_mv=3305)
    home.run(30)
    assert home.decision.source == "cure:cell_high"
    assert home.given() == 1250
