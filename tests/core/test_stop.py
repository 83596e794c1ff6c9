"""STOP, through whole cycles."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.decision import Mode
from drivers.readings import GridState
from tests.core.home import Home


@pytest.mark.parametrize("grid", [GridState.CONNECTED, GridState.ISLANDED])
@pytest.mark.parametrize(
    ("battery", "fault"), [({"temp_max_dc": 600}, "over_temperature"), ({"cell_max_mv": 3650}, "over_voltage")]
)
def test_stop_is_written_only_while_power_flows_into_a_critical_battery(
    grid: GridState, battery: dict[str, Any], fault: str
) -> None:
    home = Home().ready()
    home.inverter["grid_state"] = grid
    home.run(2)
    home.battery.update(battery)
    home.run(3)
    assert "stop" not in home.intents()  # nothing flows
    home.inverter["battery_w"] = -2000
    home.run(2)
    assert home.intents().count("stop") == 1
    assert fault in home.faults()
    home.run(15)
    assert home.intents().count("stop") == 2  # renewed as a lease
    assert home.mode() is Mode.LOCKOUT


def test_stop_is_held_while_the_cell_is_critical_and_then_cleared() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.inverter["battery_w"] = -3000
    home.run(3)
    assert home.intents() == ["stop"]
    home.inverter["battery_w"] = 0
    home.run(20)
    assert home.intents() == ["stop", "stop"]  # released, it would be charged again at once
    home.mute.add("inverter")
    home.run(7)  # no reading of it any more, and no lease is due
    assert set(home.intents()) == {"stop"}
    home.mute.clear()
    home.run(10)
    home.battery["temp_max_dc"] = 590
    home.run(2)
    assert home.intents()[-1] == "clear"
    assert home.remote_w is None
