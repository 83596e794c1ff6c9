"""Whole cycles on a good home."""

from __future__ import annotations

from agent.core.decision import Mode
from tests.core.home import Home, arriving, command


def test_start_reads_tests_and_leaves_a_released_inverter_alone() -> None:
    home = Home().ready()

    assert home.mode() is Mode.LOCAL
    assert home.given() is None
    assert home.writes == []


def test_dispatch_is_committed_ramped_started_once_and_released_at_its_end() -> None:
    home = Home().ready()

    home.tick(arriving(command(duration_s=30)))
    assert home.powers() == []  # the disk has not got it yet
    home.run(12)
    assert home.powers()[:3] == [570, 1140, 1710]  # 5 % of 11.4 kW a second
    assert home.given() == 5000
    home.run(30)

    assert home.states() == ["received", "started", "completed"]
    assert home.intents()[-1] == "clear"
    assert home.remote_w is None
    assert home.acks[-1]["energy_wh"] > 0


def test_reserve_reached_in_dispatch_gives_zero_and_says_so() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(12)
    home.battery["soc_permille"] = 201  # less one quantum: the reserve
    home.tick()

    assert home.given() == 0
    assert home.decision.binding is not None
    assert home.decision.binding.id == "reserve"
    assert home.acks[-1]["state"] == "limited"
    assert home.acks[-1]["reason"] == "reserve"
