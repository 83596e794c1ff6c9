"""Cures: when they begin and end, what they ask, and that they loosen nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.decision import Mode
from agent.core.oblige import cure
from agent.core.params import Params, S
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
    home.run(60)
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
    home = Home(replace(PARAMS, restore_w=1000)).ready()
    home.battery["soc_permille"] = 200
    home.run(12)
    assert (home.decision.source, home.given()) == ("cure:reserve", -1000)
    home.battery["soc_permille"] = 220
    home.run(2)
    assert home.given() == -1000
    home.battery["soc_permille"] = 222
    home.run(2)
    assert home.given() is None

    other = Home().ready()
    other.battery["soc_permille"] = 150
    other.run(5)
    assert other.given() is None


def test_restore_stops_at_the_ceiling_and_without_a_known_soc() -> None:
    home = Home(replace(PARAMS, restore_w=1000, soc_ceiling_permille=300)).ready()
    home.reserve = replace(home.reserve, permille=400)
    home.battery["soc_permille"] = 302
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
    return cure(replace(snapshot, battery_age_ns=age_ns), params, before)


def test_a_reading_counts_until_the_last_nanosecond_of_its_time() -> None:
    assert wish(age_ns=5 * S, **EMPTY) is not None
    assert wish(age_ns=5 * S + 1, **EMPTY) is None


def test_each_cure_has_its_rank_ramp_and_power() -> None:
    restoring = replace(PARAMS, restore_w=1)
    assert wish(**EMPTY) == Proposal(Rank.CELL_CURE, "cure:cell_low", -1250, RampClass.DIRECT)
    assert wish(cell_max_mv=3631) == Proposal(Rank.CELL_CURE, "cure:cell_high", 1250, RampClass.DIRECT)
    assert wish(restoring, soc_permille=150) == Proposal(Rank.RESTORE, "cure:reserve", -1, RampClass.SCHEDULED)
    assert wish(soc_permille=150) is None  # it waits for the sun unless told otherwise


def test_restore_begins_below_the_reserve_and_ends_two_percent_above() -> None:
    """What is surely there counts: one quantum of the BMS (1 permille here) less than it says."""
    restoring = replace(PARAMS, restore_w=1000)
    assert wish(restoring, soc_permille=200) is not None
    assert wish(restoring, soc_permille=201) is None
    assert wish(restoring, before="cure:reserve", soc_permille=220) is not None
    assert wish(restoring, before="cure:reserve", soc_permille=221) is None
    assert wish(restoring, soc_permille=None) is None
