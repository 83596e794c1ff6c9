"""Power that must not flow: accused after 15 s, held at zero after 30 s, until what forbids it is gone; and the many
things that look like it and are none. 0.05 C of 25 kWh is 1250 W."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.astray import Astray, faulty, follow, halts
from agent.core.decision import Intent, Mode, Write
from agent.core.inputs import Reserve
from agent.core.params import S
from agent.core.snapshot import Snapshot, take
from agent.core.writes import Hand
from drivers.readings import GridState
from tests.core.home import PARAMS, Home, arriving, command
from tests.core.several import Several

CHARGED, DISCHARGED = -3_000, 3_000


def flowing(power_w: int, **pack: Any) -> Home:
    """A home in its inverter's own mode."""
    home = Home()
    home.battery["soc_permille"] = pack.get("soc_permille", 600)
    home.ready()
    home.inverter["battery_w"] = power_w
    home.run(3)
    home.battery.update(pack)
    return home


@pytest.mark.parametrize(
    ("power_w", "pack", "why"),
    [
        (CHARGED, {"temp_min_dc": 0}, "a cell of battery is at 0.0 °C"),
        (CHARGED, {"temp_min_dc": -30}, "a cell of battery is at -3.0 °C"),
        (CHARGED, {"temp_max_dc": 550}, "a cell of battery is at 55.0 °C"),
        (DISCHARGED, {"temp_max_dc": 550}, "a cell of battery is at 55.0 °C"),
        (CHARGED, {"charge_enabled": False}, "battery forbids charging"),
        (CHARGED, {"ccl_ma": 0}, "battery forbids charging"),
        (CHARGED, {"alarms": ("cell_over_voltage_protection",)}, "battery forbids charging"),
        (CHARGED, {"cell_max_mv": 3631, "soc_permille": 1000}, "a cell of battery is at 3631 mV"),
        (DISCHARGED, {"discharge_enabled": False}, "battery forbids discharging"),
        (DISCHARGED, {"dcl_ma": 0}, "battery forbids discharging"),
        (DISCHARGED, {"alarms": ("soc_low_protection",)}, "battery forbids discharging"),
        (DISCHARGED, {"cell_min_mv": 2849, "cell_max_mv": 2900, "pack_mv": 46_000}, "a cell of battery is at 2849 mV"),
    ],
)
def test_a_cell_that_is_harmed_in_whatever_mode(power_w: int, pack: dict[str, Any], why: str) -> None:
    home = flowing(power_w, **pack)
    home.run(15)
    assert "forbidden_flow" not in home.faults()
    home.run(1)
    fault = next(f for f in home.decision.faults if f.id == "forbidden_flow")
    way = "charged" if power_w < 0 else "discharged"
    assert fault.sentence.startswith(f"the battery is {way} with ")
    assert fault.sentence.endswith(f" although {why}")
    assert home.mode() is Mode.FAULT
    home.run(14)
    assert "stop" not in home.intents()
    home.run(1)
    assert home.intents()[-1] == "stop"


def test_zero_is_held_while_it_is_cold_and_given_back_when_it_is_not() -> None:
    home = flowing(CHARGED, temp_min_dc=-20)
    home.run(31)
    assert home.remote_w == 0
    home.inverter["battery_w"] = 0  # it obeys
    before = len(home.writes)
    home.run(60)
    assert {w.intent for _, w in home.writes[before:]} == {Intent.STOP}
    assert len(home.writes) - before == 4  # renewed as a lease
    assert not home.decision.faults[0].held
    home.battery["temp_min_dc"] = 1
    home.run(3)
    assert home.intents()[-1] == "clear"
    assert home.remote_w is None
    home.run(50)
    assert home.mode() is Mode.FAULT
    home.run(20)
    assert home.faults() == []
    assert home.mode() is Mode.LOCAL


def test_in_an_outage_it_is_given_back_and_nobody_is_accused() -> None:
    home = flowing(CHARGED, temp_min_dc=-20)
    home.run(40)
    assert home.remote_w == 0
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(3)
    assert home.remote_w is None
    before = len(home.writes)
    home.run(120)
    assert len(home.writes) == before
    assert "forbidden_flow" not in home.faults()


@pytest.mark.parametrize(
    ("power_w", "pack"),
    [
        (-1_250, {"temp_min_dc": -20}),  # no more than a cure, or a heater
        (DISCHARGED, {"temp_min_dc": -200}),  # its BMS knows better
        (DISCHARGED, {"charge_enabled": False, "ccl_ma": 0, "alarms": ("cell_over_voltage_protection",)}),
        (CHARGED, {"discharge_enabled": False, "dcl_ma": 0, "alarms": ("soc_low_protection",)}),
        (CHARGED, {"alarms": ("cell_high_voltage_alarm",)}),  # a warning
        (CHARGED, {"cell_max_mv": 3600, "soc_permille": 1000}),  # the top of an ordinary charge
        (DISCHARGED, {"cell_min_mv": 2900}),  # sagging under load
        (CHARGED, {"temp_min_dc": 1}),
        (CHARGED, {"temp_min_dc": None, "ccl_ma": None, "charge_enabled": None}),  # not known is not forbidden
    ],
)
def test_what_is_not_accused(power_w: int, pack: dict[str, Any]) -> None:
    home = flowing(power_w, **pack)
    home.run(60)
    assert "forbidden_flow" not in home.faults()
    assert "stop" not in home.intents()


def test_what_only_one_of_two_measures_is_not_accused() -> None:
    for pack_ma in (0, 60_000, -20_000):  # nothing, the other way, no more than a cure
        home = flowing(CHARGED, temp_min_dc=-20)
        home.battery["pack_ma"] = pack_ma
        home.run(31)
        assert "forbidden_flow" not in home.faults(), pack_ma
    home = flowing(CHARGED, temp_min_dc=-20, pack_ma=None)  # a BMS without a current: the inverter's word is enough
    home.run(31)
    assert "forbidden_flow" in home.faults()


def test_a_pause_and_a_turn_begin_anew() -> None:
    home = flowing(CHARGED, temp_max_dc=560)
    for _ in range(6):
        home.run(10)
        home.inverter["battery_w"] *= -1
        assert "forbidden_flow" not in home.faults()
    for _ in range(6):
        home.inverter["battery_w"] = CHARGED
        home.run(10)
        home.inverter["battery_w"] = 0
        home.tick()
        assert "forbidden_flow" not in home.faults()


def test_without_fresh_readings_nothing_is_known() -> None:
    home = flowing(CHARGED, temp_min_dc=-20)
    home.run(10)
    home.mute.add("battery")
    home.run(30)
    assert "forbidden_flow" not in home.faults()


def test_zero_that_is_held_stays_while_the_bms_is_silent() -> None:
    home = flowing(CHARGED, temp_min_dc=-20)
    home.run(31)
    home.inverter["battery_w"] = 0  # it obeys
    home.run(20)
    home.mute.add("battery")
    home.run(300)
    assert home.remote_w == 0
    assert home.intents()[-1] == "stop"
    assert "battery_stale" in home.faults()
    home.mute.clear()
    home.battery["temp_min_dc"] = 10
    home.run(3)
    assert home.remote_w is None


def test_what_is_kept_while_the_bms_is_silent() -> None:
    home = flowing(CHARGED, temp_min_dc=-20)
    s = replace(snapshot_of(home), pack=None)
    stale = replace(snapshot_of(home), battery_age_ns=s.battery_stale_ns + 1)
    long_ago = Astray(s.now_ns - 30 * S, CHARGED, "battery", "a cell is cold")
    assert follow(long_ago, s, PARAMS, Hand()) is long_ago
    assert follow(long_ago, stale, PARAMS, Hand()) is long_ago
    assert follow(long_ago, replace(s, grid=GridState.ISLANDED), PARAMS, Hand()) is None
    assert follow(long_ago._replace(since_ns=s.now_ns - 29 * S), s, PARAMS, Hand()) is None
    of_the_reserve = long_ago._replace(device="")
    assert follow(of_the_reserve, stale, PARAMS, Hand()) is of_the_reserve
    assert follow(None, s, PARAMS, Hand()) is None


def test_of_several_packs_the_one_that_has_the_power_is_asked() -> None:
    home = Several()
    home.ready()
    for name in home.inverters:
        home.each[name]["battery_w"] = -3_000
    home.each["pack2"] = {"charge_enabled": False, "ccl_ma": 0, "pack_ma": 0}  # full: it rests, the other is charged
    home.each["pack1"] = {"pack_ma": -113_000}
    home.run(40)
    assert "forbidden_flow" not in home.faults()
    home.each["pack2"]["pack_ma"], home.each["pack1"]["pack_ma"] = -56_000, -57_000
    home.run(31)
    assert home.decision.faults[0].sentence.endswith("pack2 forbids charging")
    assert home.intents()[-2:] == ["stop", "stop"]
    for name in home.inverters:
        home.each[name]["battery_w"] = 0
    home.each["pack1"] = {"temp_min_dc": -20}  # another one that must not, and has none
    home.each["pack2"] = {}
    home.run(3)
    assert home.decision.faults[0].held  # it was not this one that was held


# --- the reserve ------------------------------------------------------------------------------------------------------
def below(power_w: int, soc_permille: int = 190) -> Home:
    """A home that is asked to discharge, may not, and does."""
    home = Home()
    home.battery["soc_permille"] = 220
    home.ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.given() == 5000
    home.battery["soc_permille"] = soc_permille
    home.inverter["battery_w"] = power_w
    return home


def test_a_discharge_below_the_reserve_against_our_zero() -> None:
    home = below(1_400)  # so little that the integrator of obedience takes longer
    home.run(16)
    assert home.given() == 0
    home.run(1)
    fault = next(f for f in home.decision.faults if f.id == "forbidden_flow")
    assert fault.sentence.endswith("although the reserve is reached and 0 W are asked for")
    home.run(5)
    assert home.remote_w is None
    assert home.decision.faults[0].held  # released: what it does for the house now is its own affair
    home.run(60)
    assert "stop" not in home.intents()


def test_a_release_that_is_not_confirmed_below_the_reserve() -> None:
    home = below(3_000)
    home.run(1)
    home.outcome = "rejected"
    home.run(31)
    assert "forbidden_flow" in home.faults()
    assert home.intents()[-1] == "stop"
    home.run(20)
    assert home.intents().count("stop") == 2  # refused: said again as a lease, and a release in between
    home.outcome = "confirmed"
    home.inverter["battery_w"] = 0
    home.run(4)
    assert home.remote_w is None


def stopped_below() -> Home:
    """Below the reserve it goes on discharging, and takes no release: zero is held."""
    home = below(3_000)

    def answer(write: Write) -> None:
        home.outcome = "rejected" if write.intent is Intent.CLEAR else "confirmed"
        Home.answer(home, write)

    home.answer = answer  # type: ignore[method-assign]
    home.run(34)
    assert (home.intents()[-1], home.remote_w) == ("stop", 0)
    return home


@pytest.mark.parametrize("lost", ["the BMS", "its SoC"])
def test_zero_that_keeps_the_reserve_stays_while_its_soc_is_unknown(lost: str) -> None:
    """That nobody says how much is in it is no word that it is enough."""
    home = stopped_below()
    if lost == "the BMS":
        home.mute.add("battery")
    else:
        home.battery["soc_permille"] = None
    home.run(1 if lost == "its SoC" else 6)
    home.inverter["battery_w"] = 0
    before = home.intents().count("stop")
    home.run(60)
    assert home.intents()[-1] == "stop"
    assert home.intents().count("stop") == before + 4  # as a lease
    assert {"forbidden_flow"} < set(home.faults())
    home.mute.clear()
    home.battery["soc_permille"] = 190
    home.run(2)
    assert home.intents()[-1] == "clear"  # it is read, nothing flows: the sun may fill it


def test_an_island_ends_the_zero_that_keeps_the_reserve() -> None:
    home = stopped_below()
    home.mute.add("battery")
    home.run(20)
    assert home.remote_w == 0
    home.answer = Home.answer.__get__(home)  # type: ignore[method-assign]
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(3)
    assert home.remote_w is None


@pytest.mark.parametrize("soc_permille", [199, 200, 210])
def test_a_quantum_below_the_reserve_is_not_surely_below_it(soc_permille: int) -> None:
    home = below(1_400, soc_permille)
    home.run(22)
    assert "forbidden_flow" not in home.faults()


def test_an_inverter_that_covers_the_house_by_itself_below_the_reserve_is_left_alone() -> None:
    home = flowing(DISCHARGED, soc_permille=150)
    home.reserve = Reserve(200, "file")
    home.run(120)
    assert "forbidden_flow" not in home.faults()
    assert "stop" not in home.intents()


@pytest.mark.parametrize(
    ("hand", "flow_w", "accused"),
    [
        (Hand(setpoint_w=0, confirmed=True), 3_000, True),
        (Hand(setpoint_w=-500, confirmed=True), 3_000, True),
        (Hand(setpoint_w=500, confirmed=True), 3_000, False),
        (Hand(setpoint_w=0), 3_000, True),
        (Hand(maybe_active=True, stopped=True), 3_000, True),
        (Hand(setpoint_w=0, confirmed=True), -3_000, False),
        (Hand(maybe_active=True, clear_ns=1), 3_000, True),
        (Hand(maybe_active=True), 3_000, False),  # at the start: nothing was asked yet
        (Hand(maybe_active=False, clear_ns=1), 3_000, False),
    ],
)
def test_what_we_asked_for_last(hand: Hand, flow_w: int, accused: bool) -> None:
    home = flowing(flow_w, soc_permille=150)
    home.run(2)
    s = replace(snapshot_of(home), battery_w=flow_w)
    assert (follow(None, s, PARAMS, hand) is not None) is accused
    assert follow(None, replace(s, soc_hi_mwh=None), PARAMS, hand) is None
    assert follow(None, replace(s, pack=None), PARAMS, hand) is None


def snapshot_of(home: Home) -> Snapshot:
    return take(home.params, home.inputs(()), home.state.trace)[0]


def test_its_bounds() -> None:
    astray = Astray(100 * S, -2_000, "battery", "a cell is cold")
    assert [faulty(astray, n * S) for n in (114, 115)] == [False, True]
    assert [halts(astray, n * S) for n in (129, 130)] == [False, True]
    assert not faulty(None, 0) and not halts(None, 0)
