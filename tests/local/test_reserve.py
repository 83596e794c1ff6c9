"""The reserve's row: percent, kWh, hours, who raised it, and what happens below it. 25 kWh, a load of 6240 W."""

from __future__ import annotations

import dataclasses

import pytest

from agent.core.decision import Decision, FaultValue, LimitValue, RaiseValue, Side
from agent.local.reserve import below_text, row
from tests.local.home import DECISION, HOME, NOW, decided

RAISE = RaiseValue("storm", "storm", 800, "homeowner", "ann (homeowner)", "snow", 1, 2, 5 * 3600 + 59 * 60, True)


def low(**changes: object) -> Decision:
    base = {"soc_lo_permille": 120, "given_w": None, "source": "self_consumption"}
    return dataclasses.replace(DECISION, **(base | changes))  # type: ignore[arg-type]  # fields of Decision


def test_percent_energy_and_hours_at_both_loads() -> None:
    """30 % of 25 kWh = 7.5 kWh; an outage can use it down to 5 %: 6.25 kWh; / 6.24 kW, / 0.5 kW."""
    view = dataclasses.replace(decided(capacity_wh=25_000), soc_floor_permille=50, critical_load_w=500)
    told = row(view, None)
    assert told["text"] == (
        "30.0 % = 7.5 kWh, set by the homeowner; 1.0 h at the present load of 6240 W; "
        "12.5 h at the critical load of 500 W"
    )
    assert (told["energy_wh"], told["usable_wh"]) == (7500, 6250)
    assert (told["hours_present"], told["hours_critical"], told["critical_load_w"]) == (1.0, 12.5, 500)


@pytest.mark.parametrize("load_w", [None, 0, -300])
def test_no_hours_without_a_load(load_w: int | None) -> None:
    told = row(decided(capacity_wh=25_000, load_w=load_w), None)
    assert told["text"] == "30.0 % = 7.5 kWh, set by the homeowner"
    assert told["hours_present"] is None
    assert told["hours_critical"] is None


def test_a_raise_says_whose_it_is_why_and_how_long() -> None:
    told = row(decided(reserve_permille=800, raises=(RAISE,), soc_lo_permille=900), None)
    assert told["text"] == "80.0 % for 5 h 59 min more, raised by ann (homeowner): snow; 30.0 % is the homeowner's"
    assert told["raises"] == [
        {
            "id": "storm",
            "kind": "storm",
            "permille": 800,
            "owner": "homeowner",
            "by": "ann (homeowner)",
            "reason": "snow",
            "start_ms": 1,
            "end_ms": 2,
            "left_s": 21_540,
            "in_force": True,
        }
    ]


def test_a_raise_to_come_is_told_too() -> None:
    coming = dataclasses.replace(RAISE, in_force=False, start_ms=HOME.clock.wall_ms + 7_200_000)
    assert row(decided(raises=(coming,)), None)["text"] == "30.0 %, set by the homeowner; 80.0 % in 2 h 0 min (snow)"


def test_what_happens_below_the_reserve() -> None:
    assert below_text(low(soc_lo_permille=300)) == ""
    told = "SoC 12.0 % is below it"
    assert below_text(low()) == f"{told}: nothing is discharged, and it charges from PV"
    assert below_text(low(given_w=-1500, source="storm")) == f"{told}: it is charged with 1500 W by storm"
    assert below_text(low(grid="islanded")) == f"{told}: the house may run on it until the grid is back"


def test_below_the_reserve_where_nobody_keeps_it() -> None:
    fault = FaultValue("reserve_unguarded", "warn", "it has no floor there", "Set it.", 0)
    told = below_text(low(faults=(fault,)))
    assert told == "SoC 12.0 % is below it: nobody keeps it, the inverter in its own mode may discharge"


def test_below_the_reserve_with_charging_blocked_by_cold() -> None:
    cold = LimitValue("temperature_charge", Side.CHARGE, 0, "cells are between -3.0 °C and -1.0 °C", "agent")
    told = below_text(low(lo_w=0, limits=(*DECISION.limits, cold)))
    assert told == (
        "SoC 12.0 % is below it: nothing is discharged, and charging waits: cells are between -3.0 °C and -1.0 °C"
    )
    assert below_text(low(lo_w=0, limits=())).endswith("charges from PV")  # nothing says what forbids it


def test_with_a_bms_asleep() -> None:
    asleep = FaultValue("bms_asleep", "degraded", "pack does not answer: the BMS may be asleep", "", NOW.mono_ns)
    other = FaultValue("disk", "warn", "the disk takes no records", "", NOW.mono_ns)
    unknown = "SoC is not known, so no power is moved either way"
    assert below_text(low(soc_lo_permille=None, faults=(other, asleep))) == f"{unknown}: {asleep.sentence}"
    assert below_text(low(soc_lo_permille=None, faults=(other,))) == unknown
