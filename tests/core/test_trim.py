"""0 W that is not zero, at the reserve.

The home: 25 kWh, reserve 20 %, no floor of the inverter's. One permille is 25 Wh: 300 W give them in 300 s. The band in
which 11.4 kW count as obedient is 570 W.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.params import S
from agent.core.trim import NOTHING, Trim, follow, trimmed
from agent.core.writes import Hand
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.test_self_consumption import bare, seen

PERMILLE = 25 * 3600 * S  # W x ns
ZERO = Hand(setpoint_w=0, confirmed=True)


def leaking(off_w: int, hours: float, home: Home | None = None, soc: float = 203.0) -> tuple[Home, float]:
    """`off_w` more from the battery than it was told, whatever that is."""
    home = home if home is not None else bare(round(soc))
    for _ in range(round(hours * 3600)):
        power_w = home.remote_w + off_w if home.remote_w is not None else 3000
        soc -= power_w / 3600 / 25
        home.battery["soc_permille"] = round(soc)
        home.inverter["battery_w"], home.meter["grid_w"] = power_w, 3000 - power_w
        home.tick()
    return home, soc


@pytest.mark.parametrize("off_w", [100, 300, 550])
def test_a_leak_within_the_band_is_made_up_for_and_the_reserve_holds(off_w: int) -> None:
    home, soc = leaking(off_w, 1.5)
    assert soc > 200 - 1 - 1  # the permille that shows it, and the reading's own
    assert abs(off_w + (home.given() or 0)) <= 50
    assert home.faults() == []


def test_it_is_made_up_for_under_a_dispatch_too() -> None:
    home = Home().ready()
    home.battery["soc_permille"] = 203
    home.tick(arriving(command(duration_s=900, power_w=5000)))
    home, soc = leaking(300, 0.24, home)
    assert home.decision.source.startswith("dispatch")
    assert home.given() == -300
    assert soc > 198


def test_charge_comes_from_what_the_permit_allows_only() -> None:
    home = bare(200)
    home.params = replace(PARAMS, site=replace(PARAMS.site, pv_only=True))
    home, soc = leaking(300, 1, home, 200.0)
    assert home.given() == 0
    assert soc < 195


def test_a_battery_that_obeys_is_asked_for_nothing() -> None:
    home, _ = leaking(0, 1, soc=200.0)
    assert home.given() == 0


def snapshot(**changes: Any) -> Any:
    return replace(seen(), **{"soc_lo_mwh": 200 * 25_000, "battery_w": 300, **changes})


def test_it_adds_up_from_its_first_cycle() -> None:
    s = snapshot()
    assert follow(NOTHING, s, PARAMS, ZERO, S) == Trim(0, 300 * S, s.now_ns)
    assert follow(Trim(7, 5, 3), s, PARAMS, ZERO, S) == Trim(7, 300 * S + 5, 3)


def test_a_permille_moves_the_charge_by_the_mean_power_it_was_given_with() -> None:
    s = snapshot()
    begun = s.now_ns - 300 * S
    assert follow(Trim(0, PERMILLE - 300 * S, begun), s, PARAMS, ZERO, S) == Trim(300, 0, s.now_ns)
    assert follow(Trim(0, PERMILLE - 300 * S - 1, begun), s, PARAMS, ZERO, S).charge_w == 0
    assert follow(Trim(400, PERMILLE, begun), s, PARAMS, ZERO, S).charge_w == 570
    back = snapshot(battery_w=-300)
    assert follow(Trim(400, 300 * S - PERMILLE, begun), back, PARAMS, ZERO, S) == Trim(100, 0, s.now_ns)
    assert follow(Trim(100, 300 * S - PERMILLE, begun), back, PARAMS, ZERO, S).charge_w == 0


@pytest.mark.parametrize("changes", [{"soc_lo_mwh": None}, {"soc_lo_mwh": 210 * 25_000 + 1}])
def test_further_up_and_where_nobody_knows_it_ends(changes: dict[str, Any]) -> None:
    assert follow(Trim(300, 5, 3), snapshot(**changes), PARAMS, ZERO, S) is NOTHING
    assert follow(Trim(300, 5, 3), snapshot(soc_lo_mwh=210 * 25_000), PARAMS, ZERO, S) is not NOTHING


def test_released_it_ends() -> None:
    assert follow(Trim(300, 5, 3), snapshot(), PARAMS, Hand(), S) is NOTHING


@pytest.mark.parametrize(
    ("hand", "battery_w", "counts"),
    [
        (ZERO, 300, True),
        (replace(ZERO, confirmed=False), 300, False),
        (replace(ZERO, setpoint_w=-570), 300, True),
        (replace(ZERO, setpoint_w=-571), 300, False),
        (replace(ZERO, setpoint_w=1), 300, False),
        (ZERO, None, False),
    ],
)
def test_what_counts(hand: Hand, battery_w: int | None, counts: bool) -> None:
    before = Trim(300, 5, 3)
    after = follow(before, snapshot(battery_w=battery_w), PARAMS, hand, S)
    assert (after is not before) is counts


def test_in_place_of_zero_or_of_a_smaller_charge() -> None:
    assert trimmed(0, 301, -11_400, 2) == -300
    assert trimmed(-100, 301, -11_400, 0) == -301
    assert trimmed(-400, 301, -11_400, 1) == -400
    assert trimmed(0, 301, -50, 1) == -50
    assert trimmed(0, 301, 0, 1) == 0
    assert (trimmed(5, 301, -500, 1), trimmed(None, 301, -500, 1), trimmed(0, 0, -500, 1)) == (5, None, 0)


@given(st.integers(-12_000, 12_000), st.integers(0, 570), st.integers(-12_000, 0), st.integers(0, 100))
def test_it_stays_inside_the_permit_and_never_discharges_more(w: int, charge_w: int, lo_w: int, step: int) -> None:
    at = max(lo_w, w)
    got = trimmed(at, charge_w, lo_w, step)
    assert got is not None
    assert lo_w <= got <= at
    assert at - got <= charge_w
