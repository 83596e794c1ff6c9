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
    home.battery["temp_max_dc"] = 580
    home.run(60)
    assert "clear" not in home.intents()
    home.battery["temp_max_dc"] = 579  # 2 K below its limit
    home.run(59)
    assert "clear" not in home.intents()
    home.run(3)
    assert home.intents()[-1] == "clear"
    assert home.remote_w is None


@pytest.mark.parametrize(
    ("beyond", "back", "gone"),
    [
        ({"temp_max_dc": 600}, {"temp_max_dc": 599}, {"temp_max_dc": 579}),
        ({"cell_max_mv": 3650}, {"cell_max_mv": 3649}, {"cell_max_mv": 3619}),
    ],
)
@pytest.mark.parametrize("period", [2, 20, 100])
def test_a_cell_that_trembles_at_its_limit_is_not_let_go_each_time(
    beyond: dict[str, Any], back: dict[str, Any], gone: dict[str, Any], period: int
) -> None:
    home = Home().ready()
    home.battery.update(beyond)
    home.inverter["battery_w"] = -4000
    home.run(3)
    assert home.intents() == ["stop"]
    flowed = 0
    for second in range(400):
        home.battery.update(beyond if second % period < period // 2 else back)
        home.inverter["battery_w"] = -4000 if home.remote_w is None else 0
        flowed += home.remote_w is None
        home.tick()
    assert (flowed, home.intents().count("clear")) == (0, 0)
    for _ in range(3):  # it comes back for less than a minute
        home.battery.update(gone)
        home.run(50)
        home.battery.update(beyond)
        home.run(5)
    assert set(home.intents()) == {"stop"}


def test_a_stop_that_is_needed_again_at_once_does_not_wait_for_its_renewal() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.inverter["battery_w"] = -4000
    home.run(3)
    home.battery["temp_max_dc"] = 500
    for _ in range(70):
        home.inverter["battery_w"] = -4000 if home.remote_w is None else 0
        home.tick()
        if home.intents()[-1] == "clear":
            break
    written = home.intents().count("stop")
    home.battery["temp_max_dc"] = 600
    home.inverter["battery_w"] = -4000
    home.run(2)
    assert home.intents().count("stop") == written + 1


def test_a_latch_from_before_the_start_is_no_cell_that_is_critical_now() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.inverter["battery_w"] = -4000
    home.run(3)
    home.battery["temp_max_dc"], home.inverter["battery_w"] = 300, 0
    home.run(150)  # such a jump of a sensor is not believed for a while
    assert home.intents()[-1] == "clear"
    home.inverter["battery_w"] = -4000
    home = home.crash()
    home.run(90)
    assert home.mode() is Mode.LOCKOUT
    assert "over_temperature" in home.faults()
    assert "stop" not in home.intents()
    home.battery["temp_max_dc"] = 600
    home.run(2)
    assert home.intents()[-1] == "stop"
