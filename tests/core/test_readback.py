"""The self-test waits for the inverter's timer and floor, and for no longer than half a minute."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.decision import Intent, Mode
from agent.core.inputs import Reserve
from drivers.readings import GridState
from tests.core.home import Home, arriving, command
from tests.core.several import Several


def started(inverter: dict[str, Any] | None = None, told: dict[str, Any] | None = None) -> Home:
    home = Home()
    home.inverter, home.told = dict(inverter or {}), dict(told or {})
    home.ready()
    return home


def sentence(home: Home) -> str | None:
    return next((f.sentence for f in home.decision.faults if f.id == "not_read_back"), None)


def test_a_floor_that_is_not_the_reserve_is_set_and_awaited() -> None:
    home = Home()
    home.floor_permille = 50
    seen = []
    for _ in range(6):
        home.tick()
        seen.append(home.mode())
    # read, tested: the floor is asked for in the first cycle, and is read back in the second
    assert seen[:3] == [Mode.SELF_TEST, Mode.STANDBY, Mode.LOCAL]
    home = Home()
    home.floor_permille = 50
    home.answer = lambda write: None  # type: ignore[method-assign]  # it takes its time
    home.run(10)
    assert home.mode() is Mode.SELF_TEST
    home.floor_permille = 200
    home.run(2)
    assert home.mode() in (Mode.STANDBY, Mode.LOCAL)


def floorless(at_w: int | None, **found: Any) -> Home:
    """At the reserve, with no floor of the inverter's; it starts with that setpoint of before."""
    home = Home()
    home.told, home.inverter = {"floor": False}, {"floor_permille": None, **found}
    home.battery["soc_permille"] = 200
    home.remote_w = at_w
    return home


@pytest.mark.parametrize("at_w", [None, 0, 3_000])
def test_near_an_unguarded_reserve_the_first_order_is_zero(at_w: int | None) -> None:
    home = floorless(at_w)
    home.run(3)
    assert [(w.intent, w.value) for _, w in home.writes] == [(Intent.POWER, 0)]
    assert home.mode() is Mode.LOCAL


def test_no_zero_is_asked_for_before_the_timer_that_ends_it_is_read() -> None:
    home = floorless(0, reversion_s=None)
    home.run(29)
    assert (home.mode(), home.powers(), home.remote_w) == (Mode.SELF_TEST, [], None)
    home.inverter["reversion_s"] = 60
    home.run(1)
    assert home.powers() == [0]


def test_an_implicit_timer_needs_no_reading() -> None:
    home = floorless(None, reversion_s=None)
    home.told["reversion"] = "implicit"
    home.run(3)
    assert home.powers() == [0]


@pytest.mark.parametrize(("found", "writes"), [({"remote_w": 0}, []), ({"remote_w": 100}, ["clear"]), (None, [])])
def test_before_the_first_readings_a_zero_is_let_be(found: dict[str, Any] | None, writes: list[str]) -> None:
    home = floorless(0)
    home.inverter.update({"remote_active": True, **(found or {})})
    home.mute.add("battery" if found is not None else "inverter")
    home.run(9)
    assert home.mode() is Mode.INIT
    assert list(dict.fromkeys(home.intents())) == writes


def test_several_are_asked_for_zero_as_well_each_timer_read() -> None:
    home = Several()
    for name in ("inv1", "inv2"):
        home.ratings[name] = {"floor": False}
        home.each[name]["floor_permille"] = None
    for pack in home.packs:
        home.each[pack]["soc_permille"] = 200
    home.each["inv2"]["reversion_s"] = None
    home.run(5)
    assert home.given() is None
    home.each["inv2"]["reversion_s"] = 60
    home.run(1)
    assert home.given() == 0


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"reversion_s": None}, "the reversion time of inverter is not read"),
        ({"floor_permille": None}, "the floor of inverter is not read"),
        ({"floor_permille": 50}, "the floor of inverter reads 5.0 %, 20.0 % were asked for"),
        ({"floor_permille": 300}, "the floor of inverter reads 30.0 %, 20.0 % were asked for"),
    ],
)
def test_what_does_not_come_is_awaited_for_half_a_minute_and_told(found: dict[str, Any], said: str) -> None:
    home = started(found)
    home.run(25)
    assert (home.mode(), sentence(home)) == (Mode.SELF_TEST, None)
    assert "awaited" in next(v.sentence for v in home.decision.limits if v.id == "state")
    home.run(5)
    assert home.mode() in (Mode.STANDBY, Mode.LOCAL)
    assert sentence(home) == f"the self-test waited in vain: {said}"
    assert home.powers() == []
    home.run(5)
    assert home.mode() is Mode.LOCAL
    home.inverter.clear()
    home.run(2)
    assert sentence(home) is None


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"floor_permille": 209}, {}),  # whole percents, rounded up
        ({"reversion_s": None}, {"reversion": "implicit"}),
        ({"floor_permille": None}, {"floor": False}),
        ({"reversion_s": 0}, {}),  # as delivered: it is written with every setpoint
        ({"reversion_s": None, "floor_permille": None}, {"control": "", "signed_setpoint": False}),
    ],
)
def test_what_a_device_does_not_have_is_not_awaited(found: dict[str, Any], told: dict[str, Any]) -> None:
    home = started(found, told)
    assert home.mode() is Mode.LOCAL
    assert sentence(home) is None


def test_a_dispatch_waits_for_it_and_is_not_lost() -> None:
    home = Home()
    home.inverter = {"reversion_s": None}
    home.ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(10)
    assert home.powers() == []
    home.inverter.clear()
    home.run(15)
    assert home.given() == 5000


def test_a_crashed_dispatch_is_taken_up_after_it_too() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(15)
    later = home.crash()
    later.inverter["reversion_s"] = None
    later.run(20)
    assert (later.mode(), later.writes) == (Mode.SELF_TEST, [])  # nor is it released
    later.inverter.clear()
    later.run(5)
    assert later.given() == 5000


def test_every_self_test_has_its_own_half_minute() -> None:
    home = started()
    home.run(100)
    home.inverter.update(status="fault")
    home.run(3)
    home.inverter = {"floor_permille": 50}
    home.run(60)
    assert home.mode() is Mode.FAULT
    home.run(25)
    assert home.mode() is Mode.SELF_TEST
    home.run(15)
    assert home.mode() is Mode.LOCAL


def test_a_reserve_that_is_raised_later_is_no_failed_self_test() -> None:
    home = started()
    home.answer = lambda write: None  # type: ignore[method-assign]
    home.reserve = Reserve(400, "file")
    home.run(60)
    assert sentence(home) is None
    assert home.mode() is Mode.LOCAL


def test_a_start_in_an_outage_keeps_its_hands_off() -> None:
    home = Home()
    home.inverter = {"grid_state": GridState.ISLANDED, "floor_permille": 50}
    home.run(60)
    assert home.mode() is Mode.BACKUP
    assert home.writes == []
    assert sentence(home) is None


def test_each_of_several_is_awaited() -> None:
    home = Several()
    home.each["inv2"] = {"reversion_s": None}
    home.each["inv1"] = {"floor_permille": None}
    home.ready()
    home.run(40)
    assert sentence(home) == (
        "the self-test waited in vain: the floor of inv1 is not read; the reversion time of inv2 is not read"
    )
    home.each["inv1"], home.each["inv2"] = {}, {}
    home.run(2)
    assert sentence(home) is None
    assert not [w for _, w in home.writes if w.intent is Intent.POWER]
