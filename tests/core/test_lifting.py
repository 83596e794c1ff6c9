"""When limits lift, in words, worked by hand."""

from __future__ import annotations

import pytest

from agent.core.bounds import Evaluated, evaluate
from agent.core.caps import NEVER_NS, Facts
from agent.core.lifting import WORDS, Lifting, lifts
from agent.core.limits import LIMITS
from agent.core.params import Params, S
from tests.core.home import PARAMS
from tests.core.test_limits import BASE, EVERY, MWH

INDEX = {row.id: i for i, row in enumerate(LIMITS)}


def told(row: str, bounds: Evaluated, now_ns: int = 0) -> Lifting:
    return lifts(bounds, now_ns)[INDEX[row]]


def first(facts: Facts, params: Params = PARAMS) -> Evaluated:
    return evaluate(facts, params, None, True, 0, S)


def test_every_limit_has_its_words_and_says_nothing_where_it_narrows_nothing() -> None:
    assert list(WORDS) == [row.id for row in LIMITS]
    assert set(lifts(first(BASE), 0)) == {Lifting("", "")}


@pytest.mark.parametrize(
    ("row", "changes", "when"),
    [
        ("stale_meter", {"meter_age_ns": NEVER_NS}, "lifts with the next good reading of the meter"),
        ("reserve", {"soc_lo_mwh": 200 * MWH}, "lifts at 22.0 %, 30 s later"),
        ("reserve", {"soc_lo_mwh": 201 * MWH}, "lifts fully at 20.9 %, 30 s later"),  # 11.4 kW for 67 s are 212 Wh
        ("reserve", {"reserve_permille": 995, "soc_lo_mwh": 996 * MWH}, "lifts fully at 100.0 %, 30 s later"),
        ("soc_floor", {"soc_lo_mwh": 51 * MWH}, "lifts fully at 5.9 %, 30 s later"),
        ("reserve", {"reserve_permille": 1000}, "lifts when the reserve is lowered, 30 s later"),
        ("soc_floor", {"soc_lo_mwh": 0}, "lifts at 7.0 %, 30 s later"),
        ("soc_ceiling", {"soc_hi_mwh": 1000 * MWH}, "lifts at 98.0 %, 30 s later"),
        ("cell_high", {"cell_max_mv": 3500}, "lifts when the highest cell is at 3.400 V or below, 30 s later"),
        ("cell_low", {"cell_min_mv": 3000}, "lifts when the lowest cell is at 3.150 V or above, 30 s later"),
        ("imbalance_charge", {"spread_mv": 200}, "lifts when the cells are less than 100 mV apart, 600 s later"),
        ("imbalance_discharge", {"spread_mv": 300}, "lifts when the cells are less than 250 mV apart, 600 s later"),
        (
            "temperature_charge",
            {"temp_min_dc": 0},
            "lifts when cells are between 2.0 °C and 53.0 °C, 30 s later",
        ),
        (
            "temperature_discharge",
            {"temp_min_dc": 0},
            "lifts fully when cells are between 10.0 °C and 40.0 °C, 30 s later",
        ),
        ("site_import", {"net_hi_w": 19_000}, "lifts as the house takes less than 20000 W"),
        ("site_export", {"net_lo_w": -19_000}, "lifts as the house leaves less than 20000 W of production"),
        ("throughput", {"spent_mwh": 40_000_000}, "lifts at midnight UTC, 30 s later"),
    ],
)
def test_what_lifts_it(row: str, changes: dict[str, int], when: str) -> None:
    lifting = told(row, first(BASE._replace(**changes)))
    assert lifting.when == when
    assert lifting.remedy


def test_a_fuse_names_its_amperes() -> None:
    bounds = first(BASE, EVERY)
    assert told("fuse_import", bounds).when == "lifts as no leg carries 25 A"
    assert told("fuse_export", bounds).when == "lifts as no leg carries 25 A"


def test_a_held_limit_counts_down_and_then_says_that_it_grows() -> None:
    """0 W for 30 s, then 250 W a second: 11400 W in 46 s."""
    bounds = first(BASE._replace(discharge_on=0))
    assert told("discharge_enable", bounds).when == "lifts when the BMS enables discharging, 30 s later"
    seen = {}
    for second in range(1, 40):
        bounds = evaluate(BASE, PARAMS, bounds, True, second * S, S)
        seen[second] = told("discharge_enable", bounds, second * S).when
    assert seen[1] == "lifts in about 30 s, then by 250 W a second"
    assert seen[6] == "lifts in about 25 s, then by 250 W a second"
    assert seen[31] == "is being lifted by 250 W a second, for about 45 s more"


def test_a_latched_limit_names_its_value_until_it_is_reached() -> None:
    bounds = first(BASE._replace(cell_max_mv=3500))
    bounds = evaluate(BASE._replace(cell_max_mv=3420), PARAMS, bounds, True, S, S)
    assert told("cell_high", bounds, S).when == "lifts when the highest cell is at 3.400 V or below, 30 s later"
    bounds = evaluate(BASE, PARAMS, bounds, True, 2 * S, S)
    assert told("cell_high", bounds, 2 * S).when == "lifts in about 30 s, then by 250 W a second"


def test_at_the_reserve_the_margin_is_named_until_it_is_met() -> None:
    """It left nothing: a little more in the battery does not lift it, though the look-ahead alone would."""
    bounds = first(BASE._replace(soc_lo_mwh=200 * MWH))
    bounds = evaluate(BASE._replace(soc_lo_mwh=205 * MWH), PARAMS, bounds, True, S, S)
    assert told("reserve", bounds, S).when == "lifts at 22.0 %, 30 s later"
