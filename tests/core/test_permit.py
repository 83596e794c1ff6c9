"""Snapshot to facts, field by field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.caps import NEVER_NS, Facts
from agent.core.params import S
from agent.core.permit import gather
from agent.core.snapshot import Trace, take
from drivers.readings import GridState
from tests.core import home as h
from tests.core.home import PARAMS
from tests.core.test_snapshot import NOW, world

GOOD = Facts(
    grid=1,
    returning=0,
    acting=1,
    battery_age_ns=0,
    inverter_age_ns=0,
    meter_age_ns=0,
    battery_stale_ns=5 * S,
    inverter_stale_ns=5 * S,
    meter_stale_ns=3 * S,
    devices_ok=1,
    controllable=1,
    charge_alarm=0,
    discharge_alarm=0,
    charge_on=1,
    discharge_on=1,
    pack_mv=52_800,
    ccl_ma=240_000,
    dcl_ma=240_000,
    cells_known=1,
    cell_max_mv=3305,
    cell_min_mv=3300,
    temps_known=1,
    temp_max_dc=210,
    temp_min_dc=200,
    soc_known=1,
    soc_lo_mwh=599 * 25_000,
    soc_hi_mwh=601 * 25_000,
    reserve_permille=200,
    horizon_ms=67_000,
    net_known=1,
    net_hi_w=500,
    net_lo_w=500,
    rated_charge_w=11_400,
    rated_discharge_w=11_400,
    spread_mv=5,
    phases_known=0,
    phase_hi_w=0,
    phase_lo_w=0,
    phase_mv=0,
    utility_charge_w=1_000_000,
    utility_discharge_w=1_000_000,
    spent_mwh=0,
    cell_cure=0,
)


def facts(acting: bool = True, returning: bool = False, **parts: Any) -> Facts:
    return gather(take(PARAMS, world(**parts), Trace(NOW))[0], acting, returning, spent_mwh=0, cell_cure=0)


def battery(**fields: Any) -> dict[str, Any]:
    return {"batteries": (h.battery(NOW, **fields),)}


def able(**fields: Any) -> dict[str, Any]:
    one, two, three = h.devices()
    return {"devices": (one, replace(two, capability=h.capability(**fields)), three)}


def test_the_good_home() -> None:
    assert facts() == GOOD


@pytest.mark.parametrize(
    ("parts", "changes"),
    [
        ({"acting": False}, {"acting": 0}),
        ({"returning": True}, {"returning": 1}),
        (battery(charge_enabled=False), {"charge_on": 0}),
        (battery(discharge_enabled=None), {"discharge_on": 0}),
        (battery(alarms=("cell_over_voltage_protection",)), {"charge_alarm": 1}),
        (battery(alarms=("soc_low_protection",)), {"discharge_alarm": 1}),
        (battery(cell_max_mv=None), {"cells_known": 0, "cell_max_mv": 0, "spread_mv": 0}),
        (battery(cell_min_mv=None), {"cells_known": 0, "cell_min_mv": 0, "spread_mv": 0}),
        (battery(temp_max_dc=None), {"temps_known": 0, "temp_max_dc": 0}),
        (battery(temp_min_dc=None), {"temps_known": 0, "temp_min_dc": 0}),
        (battery(temp_min_dc=0), {"temp_min_dc": 0}),
        (battery(soc_permille=None), {"soc_known": 0, "soc_lo_mwh": 0, "soc_hi_mwh": 0}),
        (battery(pack_mv=None), {"pack_mv": 0}),
        ({"meters": (h.meter(NOW, grid_w=None),)}, {"net_known": 0, "net_hi_w": 0, "net_lo_w": 0}),
        ({"inverters": (h.inverter(NOW, grid_state=GridState.ISLANDED),)}, {"grid": 2}),
        ({"inverters": (h.inverter(NOW, grid_state=GridState.UNKNOWN),)}, {"grid": 0}),
        (able(signed_setpoint=False), {"controllable": 0}),
        (able(reversion="none", reversion_s=0), {"controllable": 0}),
        (able(reversion="unreliable"), {"controllable": 0}),
        (able(reversion="device_min", reversion_s=120), {"horizon_ms": 127_000}),
        (able(rated_charge_w=5_000, rated_discharge_w=6_000), {"rated_charge_w": 5_000, "rated_discharge_w": 6_000}),
    ],
)
def test_each_field(parts: dict[str, Any], changes: dict[str, int]) -> None:
    assert facts(**parts) == GOOD._replace(**changes)


def test_a_home_that_was_never_read_has_no_facts_but_its_reserve() -> None:
    bare = facts(batteries=(), inverters=(), meters=(), devices=())
    assert bare == Facts(*([0] * len(Facts._fields)))._replace(
        acting=1,
        battery_age_ns=NEVER_NS,
        inverter_age_ns=NEVER_NS,
        meter_age_ns=NEVER_NS,
        battery_stale_ns=5 * S,
        inverter_stale_ns=5 * S,
        meter_stale_ns=3 * S,
        reserve_permille=200,
        horizon_ms=67_000,
        utility_charge_w=1_000_000,
        utility_discharge_w=1_000_000,
    )


def test_each_age_and_each_time_it_counts_is_its_own() -> None:
    """Three devices, three ages: none is taken for another."""
    snapshot = take(PARAMS, world(), Trace(NOW))[0]
    times: dict[str, Any] = {
        "battery_age_ns": 11,
        "inverter_age_ns": 12,
        "meter_age_ns": 13,
        "battery_stale_ns": 21,
        "inverter_stale_ns": 22,
        "meter_stale_ns": 23,
    }
    assert gather(replace(snapshot, **times), True, False, 0, 0) == GOOD._replace(**times)


def test_the_worst_of_the_house_counts_in_each_direction() -> None:
    snapshot = take(PARAMS, world(), Trace(NOW))[0]
    swinging = replace(snapshot, net_hi_w=900, net_lo_w=-300)
    assert gather(swinging, True, False, 0, 0) == GOOD._replace(net_hi_w=900, net_lo_w=-300)


@pytest.mark.parametrize(("horizon_ns", "horizon_ms"), [(0, 1), (1_999_999, 1), (2_000_000, 2)])
def test_the_horizon_is_at_least_a_millisecond(horizon_ns: int, horizon_ms: int) -> None:
    """Energy is divided by it."""
    snapshot = take(PARAMS, world(), Trace(NOW))[0]
    assert gather(replace(snapshot, horizon_ns=horizon_ns), True, False, 0, 0).horizon_ms == horizon_ms


def test_each_cap_of_the_utility_is_for_its_own_direction() -> None:
    params = replace(PARAMS, site=replace(PARAMS.site, utility_charge_w=4_200, utility_discharge_w=5_300))
    snapshot = take(params, world(), Trace(NOW))[0]
    assert gather(snapshot, True, False, 0, 0) == GOOD._replace(utility_charge_w=4_200, utility_discharge_w=5_300)
