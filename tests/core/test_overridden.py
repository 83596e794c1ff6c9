"""A setpoint that is gone: what took it, what is written again, and when another hand is given way to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.actuation import Loss
from agent.core.decision import Intent, Mode
from agent.core.inputs import LocalResume
from agent.core.snapshot import take
from agent.core.writes import Wanted, plan
from agent.core.writes import taken as taken_by
from tests.core.home import Home, arriving, command
from tests.core.several import Several


def running(home: Home | None = None) -> Home:
    home = (home or Home()).ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(22)
    assert home.given() == 5000
    return home


def taken(home: Home, **found: Any) -> None:
    """One reading in which the setpoint is not ours, then four seconds of peace."""
    home.inverter = found
    home.tick()
    home.inverter = {}
    home.run(4)


OTHER = {"remote_w": 9_000, "foreign": ("InWRte", "StorCtl_Mod")}


@pytest.mark.parametrize(
    ("found", "why", "said"),
    [
        ({"remote_w": None, "remote_active": False, "status": "starting"}, "the inverter restarted", "restarted"),
        ({"remote_w": None, "remote_active": False, "reversion_s": 0}, "the inverter restarted", "restarted"),
        ({"remote_w": None, "remote_active": False, "reversion_s": None}, "the inverter ended it", "by itself"),
        ({"remote_w": None, "remote_active": False, "reversion_s": 1}, "the inverter ended it", "by itself"),
        ({"remote_w": None, "remote_active": False, "foreign": ("Mode",)}, "another hand took it", "(changed: Mode)"),
        (OTHER, "another hand took it", "has a setpoint of 9000 W, ours is 5000 W: another hand (changed: InWRte"),
    ],
)
def test_what_took_it_is_told_and_it_is_written_again_at_once(found: dict[str, Any], why: str, said: str) -> None:
    home = running()
    taken(home, **found)
    assert [w.why for _, w in home.writes if w.why.startswith("again")] == [f"again: {why}"]
    notice = next(n for n in home.notices if n.endswith("; it is written again"))
    assert said in notice
    assert (home.given(), home.remote_w, home.mode()) == (5000, 5000, Mode.DISPATCHED)


@pytest.mark.parametrize("hand", [{"pending": True}, {"confirmed": False}, {}])
def test_of_one_that_is_on_its_way_nothing_is_said(hand: dict[str, Any]) -> None:
    home = running()
    home.inverter.update(remote_w=9_000, reversion_s=0)
    home.tick()
    s, _ = take(home.params, home.inputs(()), home.state.trace)
    asked = replace(home.state.hand, **{"pending": False, "confirmed": True, **hand})
    assert taken_by(asked, s, 5000) is (None if hand else Loss.OVERRIDDEN)


def test_a_value_within_the_devices_step_and_one_that_is_not_told_are_ours() -> None:
    home = running()
    for found in ({"remote_w": 5002}, {"remote_w": None, "remote_active": True}, {"remote_active": None}):
        taken(home, **found)
    assert not [w for _, w in home.writes if w.why.startswith("again")]


def test_another_hand_is_written_over_three_times_then_released_then_it_is_a_fault_and_then_a_lockout() -> None:
    home = running()
    for n in range(3):
        taken(home, **OTHER)
        assert (n, home.given()) == (n, 5000)
    powers = len(home.powers())
    home.inverter = OTHER
    home.tick()
    assert len(home.powers()) == powers  # not once more
    assert home.notices[-1].endswith("; it is released, as this was too often")
    home.inverter = {}
    home.tick()
    assert (home.mode(), home.given(), home.intents()[-1]) == (Mode.FAULT, None, "clear")
    fault = home.decision.faults[0]
    assert fault.id == "setpoint_overridden"
    assert fault.sentence == "another hand took our setpoint 4 times within an hour; it changed InWRte, StorCtl_Mod"
    assert "points named here" in fault.remedy

    for left in (1, 0):  # a minute's rest, a minute's hold: then the next time is too often at once
        home.run(150)
        assert home.mode() is Mode.DISPATCHED, left
        taken(home, **OTHER)
        assert home.mode() is (Mode.FAULT if left else Mode.LOCKOUT)
    home.run(600)
    assert home.mode() is Mode.LOCKOUT
    assert home.remote_w is None
    home.tick(LocalResume("technician ada"))
    home.run(5)
    assert home.mode() is Mode.LOCAL


def test_a_hand_that_never_rests_has_the_inverter_within_seconds() -> None:
    home = running()
    home.inverter = OTHER
    powers = len(home.powers())
    home.run(12)
    assert home.mode() is Mode.FAULT
    assert len(home.powers()) - powers == 3
    before = len(home.writes)
    home.run(100)
    assert {w.intent for _, w in home.writes[before:]} == {Intent.CLEAR}
    assert len(home.writes) - before <= 3  # the other hand is cleared once a minute, no more


def test_restarts_are_put_up_with_longer_and_are_over_ten_minutes_after_the_last() -> None:
    home = running()
    for n in range(6):
        assert home.faults() == [], n
        taken(home, remote_w=None, remote_active=False, status="starting")
    assert home.faults() == ["setpoint_lost"]
    assert (home.mode(), home.given()) == (Mode.DEGRADED, 0)
    assert "restarts" in home.decision.faults[0].sentence
    home.run(590)
    assert not home.decision.faults[0].held
    home.run(40)
    assert home.faults() == []


def test_points_that_nobody_names_are_said_to_be_the_setpoint() -> None:
    home = running()
    for _ in range(4):
        taken(home, remote_w=9_000)
    assert home.decision.faults[0].sentence.endswith("it changed the setpoint or its mode")


def test_a_setpoint_that_stands_and_is_not_followed_is_deafness_and_names_what_else_was_changed() -> None:
    for points, end in (((), "kWs in all"), (("StorCtl_Mod",), "another hand changed StorCtl_Mod")):
        home = running()
        home.inverter = {"battery_w": 0, "foreign": points}
        while "deaf_inverter" not in home.faults():
            home.tick()
        assert home.faults() == ["deaf_inverter"]
        assert home.decision.faults[0].sentence.endswith(end)


def test_another_hand_on_one_of_several_is_named_with_its_inverter() -> None:
    home = Several()
    running(home)
    for _ in range(4):
        home.each["inv2"] = {"remote_w": 9_000, "foreign": ("InWRte",)}
        home.tick()
        home.each["inv2"] = {}
        home.run(3)
    assert any(n.startswith("inv2: the inverter has a setpoint of 9000 W, ours is") for n in home.notices)
    fault = next(f for f in home.decision.faults if f.id == "setpoint_overridden")
    assert fault.sentence.endswith("it changed inv2 InWRte")
    assert home.given() is None


@pytest.mark.parametrize("theirs", [-5_000, -3_000, 0, 9_000])
@pytest.mark.parametrize("seconds", [5, 20])
def test_what_the_battery_does_under_another_hands_setpoint_is_not_held_against_it(theirs: int, seconds: int) -> None:
    """Neither reversed nor deaf: the inverter itself says whose setpoint it follows. One strike an episode."""
    home = running()
    seen: set[str] = set()
    for _ in range(seconds):
        home.remote_w = theirs  # once a second, as an EMS does
        home.tick()
        seen.update(home.faults())
    for _ in range(200):
        home.tick()
        seen.update(home.faults())
    assert seen <= {"setpoint_overridden"}
    assert (seconds < 20) or seen
    assert home.disk.latches == ()
    assert sum(len(m.entries) for m in home.state.faults) == len(seen)
    assert home.mode() is Mode.DISPATCHED


def test_a_slow_answer_to_the_rewrite_is_no_deafness_either() -> None:
    home = running()
    home.inverter = {"remote_w": -5_000, "battery_w": -5_000}
    home.tick()
    home.queue.clear()  # the answer is late
    home.run(5)
    assert home.state.hand.pending
    assert (home.state.actuation.off_nj, home.state.actuation.reversed_ns) == (0, 0)


def test_what_was_owed_before_another_hand_came_is_owed_after_it() -> None:
    home = running()
    home.inverter = {"battery_w": 0}
    home.run(3)
    owed = home.state.actuation.off_nj
    assert owed
    taken(home, **OTHER)
    assert 0 < home.state.actuation.off_nj <= owed


def test_another_hand_is_counted_while_the_setpoint_moves_too() -> None:
    home = running()
    home.inverter = OTHER
    home.tick(arriving(command(2, power_w=4_000, duration_s=900)))
    home.run(12)
    assert "setpoint_overridden" in home.faults()

    home = running()
    s, _ = take(home.params, home.inputs(()), home.state.trace)
    assert s.inverter is not None
    s = replace(s, inverter=replace(s.inverter, at_ns=s.now_ns + 1, remote_w=9_000))
    wanted = Wanted(Mode.DISPATCHED, 4_000, home.state.hand.command_id, False, False, False)
    planned = plan(home.state.hand, s, wanted, home.params)
    assert (planned.loss, planned.writes[0].value, planned.writes[0].why) == (Loss.OVERRIDDEN, 4_000, "setpoint")
    assert planned.notices[0].endswith("; it is written again")


def test_another_hand_on_one_of_several_makes_it_neither_deaf_nor_reversed() -> None:
    home = Several()
    running(home)
    seen: set[str] = set()
    for _ in range(20):
        home.remotes["inv2"] = -2_500
        home.tick()
        seen.update(home.faults())
    assert seen == {"setpoint_overridden"}
