"""What goes to the inverter and when, through whole cycles: lease, release, floor, stop, and the grid over all."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from agent.core.command import CommandKind, RampClass
from agent.core.decision import Intent, Mode
from agent.core.inputs import FreshTime, Reserve
from agent.core.params import S
from drivers.readings import GridState
from tests.core.home import START_NS, Home, arriving, command


def running(**changes: Any) -> Home:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900, **changes)))
    home.run(12)
    return home


def times(home: Home, intent: Intent) -> list[int]:
    """Seconds since the test's clock began."""
    return [(at - START_NS) // S for at, w in home.writes if w.intent is intent]


# --- the lease --------------------------------------------------------------------------------------------------------
def test_the_lease_is_renewed_every_fifteen_seconds() -> None:
    home = running()
    before = len(home.writes)
    home.run(60)
    renewals = home.writes[before:]
    assert [w.why for _, w in renewals] == ["lease"] * 4
    assert [b[0] - a[0] for a, b in pairwise(renewals)] == [15 * S] * 3


def test_the_lease_is_not_renewed_after_a_write_that_was_not_confirmed() -> None:
    home = running()
    home.outcome = "silent"
    home.run(60)
    assert "lease" not in [w.why for _, w in home.writes[-1:]]
    assert home.mode() is Mode.FAULT


def test_what_relaxes_waits_for_its_turn_however_often_cycles_are_woken() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.tick()
    for _ in range(20):
        home.tick(s=0.05)  # one second of results that wake cycles
    assert home.powers() == [570, 1082]  # 0.9 s of ramp in the second: 570 + 513, in steps of 2 W


def test_what_tightens_waits_for_nothing() -> None:
    home = running()
    home.battery["dcl_ma"] = 60_000
    home.tick(s=0.05)
    assert home.powers()[-1] == 3168
    home.battery["dcl_ma"] = 50_000
    home.tick(s=0.05)
    assert home.powers()[-1] == 2640


def test_what_relaxes_waits_for_the_confirmation_of_the_last_write() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.outcome = "late"
    home.run(2)
    assert set(home.powers()) == {570}
    home.outcome = "confirmed"
    home.run(3)
    assert home.powers()[-1] > 570


def test_a_setpoint_is_rounded_toward_zero_to_the_devices_step() -> None:
    home = running(power_w=4_999)
    assert home.given() == 4_998
    home = running(power_w=-4_999)
    assert home.given() == -4_998


def test_a_setpoint_that_the_inverter_lost_is_written_again_at_once() -> None:
    home = running()
    home.remote_w = None  # it rebooted
    home.tick()
    assert home.writes[-1][1].why == "again: the inverter lost it"
    assert home.powers()[-1] == 5000


def test_an_inverter_that_does_not_tell_its_setpoint_is_believed_to_have_it() -> None:
    home = running()
    home.inverter["remote_w"] = None
    home.run(14)
    assert home.writes[-1][1].why in ("setpoint", "lease")


def test_a_setpoint_at_the_ac_terminals_is_renewed_when_pv_moves_the_battery() -> None:
    home = running()
    home.inverter.update(remote_w=None, remote_now_w=4960)
    before = len(home.writes)
    home.run(3)
    assert len(home.writes) == before  # 40 W are let pass
    home.inverter["remote_now_w"] = 4900
    home.tick()
    assert home.writes[-1][1].why == "again: PV or load moved"
    assert home.powers()[-1] == 5000
    home.run(30)
    assert "setpoint_lost" not in home.faults()


def test_a_setpoint_of_another_value_is_overwritten() -> None:
    home = running()
    home.remote_w = -4000
    home.tick()
    assert home.powers()[-1] == 5000
    assert home.remote_w == 5000


def test_an_inverter_that_keeps_losing_it_degrades_the_agent() -> None:
    home = running()
    for _ in range(6):
        home.remote_w = None
        home.run(3)
    home.tick()
    assert home.faults() == ["setpoint_lost"]
    assert home.mode() is Mode.DEGRADED
    assert home.given() == 0


# --- release ----------------------------------------------------------------------------------------------------------
def test_start_releases_a_setpoint_that_nobody_owns() -> None:
    home = Home()
    home.remote_w = 3000
    home.tick()
    assert home.intents() == ["clear"]
    home.run(3)
    assert not home.remote_w
    assert home.mode() is Mode.LOCAL


def test_start_clears_when_the_inverter_cannot_say() -> None:
    home = Home()
    home.inverter["remote_active"] = None
    home.run(4)
    assert home.intents() == ["clear"]
    assert home.mode() is Mode.LOCAL


def test_an_inverter_that_is_only_read_is_never_written_to_and_that_is_no_fault() -> None:
    home = Home()
    home.inverter["remote_active"] = None
    home.told = {"signed_setpoint": False, "control": "", "floor": False, "reversion": "none"}
    home.run(400)
    assert home.writes == []
    assert home.mode() in (Mode.LOCAL, Mode.STANDBY)


def test_start_waits_for_a_first_reading_before_it_clears() -> None:
    home = Home()
    home.mute.add("inverter")
    home.run(5)
    assert home.writes == []


def test_clear_is_repeated_until_it_is_confirmed() -> None:
    home = running()
    home.outcome = "silent"
    home.tick(arriving(command(2, kind=CommandKind.CANCEL, target=command().id)))
    home.run(8)
    clears = times(home, Intent.CLEAR)
    assert len(clears) >= 3
    home.outcome = "confirmed"
    home.run(4)
    after = len(times(home, Intent.CLEAR))
    home.run(30)
    assert len(times(home, Intent.CLEAR)) == after
    assert home.remote_w is None


def test_a_reading_that_shows_release_ends_the_repeats() -> None:
    home = running()
    home.outcome = "mismatch"
    home.tick(arriving(command(2, power_w=5000, duration_s=3)))
    home.run(5)
    home.remote_w = None  # its own timer ended it
    home.run(1)
    before = len(home.writes)
    home.outcome = "confirmed"
    home.run(20)
    assert len(home.writes) == before


def test_another_hand_is_cleared_on_grid_once_a_minute() -> None:
    home = Home().ready()
    home.outcome = "late"  # whatever is written, the other hand wins
    home.remote_w = 7000
    home.inverter["remote_active"] = True
    home.outcome = "confirmed"
    home.run(130)
    assert times(home, Intent.CLEAR) == [6, 66, 126]
    assert any("another hand" in notice for notice in home.notices)


def test_a_reading_that_contradicts_itself_is_taken_for_the_worse() -> None:
    home = Home()
    home.inverter.update(remote_active=False, remote_w=700)
    home.tick()
    assert home.intents() == ["clear"]
    home.run(4)
    assert home.mode() is Mode.LOCAL  # the CLEAR was confirmed
    home.run(70)
    assert home.intents() == ["clear", "clear", "clear"]  # and it still tells of a setpoint: another hand's


def test_a_device_that_is_not_the_commissioned_one_is_not_written() -> None:
    home = running()
    home.presence["inverter"] = "mismatch"
    before = len(home.writes)
    home.run(30)
    assert len(home.writes) == before
    assert home.given() is None
    assert home.mode() is Mode.FAULT
    assert home.faults()[0] == "identity_mismatch"
    home.presence.clear()
    home.run(3)
    assert home.mode() is Mode.DISPATCHED  # it is the right one again


def test_idle_writes_nothing() -> None:
    home = Home().ready()
    home.run(600)
    assert home.writes == []
    assert home.decision.source == "self_consumption"


# --- the grid ---------------------------------------------------------------------------------------------------------
def test_islanded_in_dispatch_clears_once_and_then_keeps_its_hands_off() -> None:
    home = running()
    home.inverter["grid_state"] = GridState.ISLANDED
    before = len(home.writes)
    home.run(120)
    assert [w.intent for _, w in home.writes[before:]] == [Intent.CLEAR]
    assert home.mode() is Mode.BACKUP
    assert home.given() is None


def test_a_lost_clear_is_repeated_in_the_island_too_and_nothing_else() -> None:
    home = running()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.outcome = "silent"
    before = len(home.writes)
    home.run(10)
    home.outcome = "confirmed"
    home.run(30)
    written = [w.intent for _, w in home.writes[before:]]
    assert set(written) == {Intent.CLEAR}
    assert len(written) >= 3
    assert home.remote_w is None


def test_late_evidence_is_no_evidence() -> None:
    home = running()
    home.run(1)
    home.inverter["grid_at_ns"] = home.now_ns
    before = len(home.writes)
    home.run(2)
    assert all(w.intent is Intent.POWER for _, w in home.writes[before:])
    home.run(1)  # three seconds old
    assert home.intents()[-1] == "clear"
    assert home.decision.grid == "unknown"


def test_a_short_gap_in_the_evidence_needs_no_dwell() -> None:
    home = running()
    home.inverter["grid_at_ns"] = home.now_ns
    home.run(4)
    assert home.mode() is Mode.BACKUP
    home.inverter.clear()
    home.run(3)
    assert home.mode() is Mode.DISPATCHED


@pytest.mark.parametrize(("draw", "extra"), [(0, 0), (100 * S, 100), (300 * S, 300), (300 * S + 1, 0)])
def test_return_waits_for_dwell_and_a_random_part_drawn_once(draw: int, extra: int) -> None:
    home = running(start_ms=None)
    home.draw = draw
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(5)
    home.draw = 12_345
    home.inverter.clear()
    home.run(300 + extra)
    assert home.mode() is Mode.BACKUP
    home.run(2)
    assert home.mode() is not Mode.BACKUP


def test_the_dwell_begins_anew_when_the_grid_goes_again() -> None:
    home = Home().ready()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(5)
    home.inverter.clear()
    home.run(250)
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(2)
    home.inverter.clear()
    home.run(290)
    assert home.mode() is Mode.BACKUP
    home.run(15)
    assert home.mode() is Mode.LOCAL


def test_an_outage_and_the_meter_dying_in_the_same_second() -> None:
    home = running()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.mute.add("meter")
    before = len(home.writes)
    home.run(60)
    assert [w.intent for _, w in home.writes[before:]] == [Intent.CLEAR]
    assert home.acks[-1]["reason"] == "islanded"


def test_a_meter_that_sees_a_dead_grid_beats_an_inverter_that_is_late_to_say_so() -> None:
    home = running()
    home.meter.update(phase_mv=(300,), frequency_mhz=None)
    home.tick()
    assert home.intents()[-1] == "clear"
    assert home.decision.grid == "unknown"


def test_a_restart_in_an_outage_clears_once() -> None:
    home = running()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.remote_w = 5000
    later = home.crash()
    later.run(60)
    assert later.intents() == ["clear"]
    assert later.mode() is Mode.BACKUP


def test_a_restart_in_an_outage_of_a_released_inverter_writes_nothing() -> None:
    home = Home()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(60)
    assert home.writes == []


# --- the floor --------------------------------------------------------------------------------------------------------
def floors(home: Home) -> list[int]:
    return [w.value for _, w in home.writes if w.intent is Intent.FLOOR]


def test_a_floor_found_below_the_reserve_is_raised_once() -> None:
    home = Home()
    home.floor_permille = 50
    home.run(60)
    assert floors(home) == [200]
    assert home.floor_permille == 200
    found = [e for e in home.events_seen if e["event"] == "floor"]
    assert found == [{"event": "floor", "found_permille": 50, "reserve_permille": 200, "foreign": False}]
    assert not home.disk.floor_alarm


def test_the_floor_follows_the_reserve() -> None:
    home = Home().ready()
    home.reserve = Reserve(305, "file")
    home.run(5)
    assert floors(home) == [305]
    home.reserve = Reserve(300, "file")  # within the device's rounding, and yet another wish
    home.run(5)
    assert floors(home) == [305, 300]


def test_a_floor_that_reads_back_rounded_up_is_left_alone() -> None:
    home = Home().ready()
    home.reserve = Reserve(305, "file")
    home.tick()
    home.floor_permille = 310  # whole percents
    home.run(60)
    assert floors(home) == [305]


def test_a_reading_from_before_the_floor_was_written_is_not_held_against_it() -> None:
    home = Home()
    home.floor_permille = 50
    home.tick()
    home.mute.add("inverter")  # its last reading still says 50
    home.frozen["inverter"] = replace(home.frozen["inverter"], floor_permille=50)
    home.run(2)
    assert floors(home) == [200]
    assert not home.disk.floor_alarm


def test_a_floor_that_gets_no_answer_is_tried_again() -> None:
    home = Home()
    home.floor_permille = 50
    home.answer = lambda write: None  # type: ignore[method-assign]  # a gate that never reports
    home.run(30)
    assert len(floors(home)) == 2


def test_another_hand_on_the_floor_is_an_alarm_and_is_undone() -> None:
    home = Home()
    home.floor_permille = 50
    home.run(10)
    home.floor_permille = 100
    home.run(20)
    assert floors(home) == [200, 200]
    assert home.disk.floor_alarm
    assert "floor_changed" in home.faults()
    assert home.mode() is Mode.LOCAL  # it warns, no more
    assert [e["foreign"] for e in home.events_seen if e["event"] == "floor"] == [False, True]


def test_a_floor_that_is_refused_is_tried_more_and_more_seldom() -> None:
    home = Home()
    home.floor_permille = 50
    home.outcome = "rejected"
    home.run(3600)
    assert 5 <= len(floors(home)) <= 15
    assert "floor_refused" in home.faults()


@pytest.mark.parametrize(
    "inverter",
    [
        {"grid_state": GridState.ISLANDED},
        {"grid_state": GridState.UNKNOWN},
        {"floor_permille": None},
        {"grid_at_ns": 0},
    ],
)
def test_no_floor_without_grid_or_without_one_to_write(inverter: dict[str, Any]) -> None:
    home = Home()
    home.floor_permille = 50
    home.inverter.update(inverter)
    home.run(30)
    assert floors(home) == []


def test_the_floor_is_kept_while_the_bms_is_silent() -> None:
    home = Home().ready()
    home.mute.add("battery")
    home.run(10)
    home.floor_permille = 50
    home.run(5)
    assert floors(home) == [200]


# --- stop -------------------------------------------------------------------------------------------------------------
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


# --- stale readings ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("device", "stale_s"), [("battery", 5), ("meter", 3)])
def test_a_stale_reading_gives_zero_at_once_and_release_after_thirty_seconds(device: str, stale_s: int) -> None:
    home = running()
    home.mute.add(device)
    home.run(stale_s)
    assert home.given() == 5000
    home.run(1)
    assert home.given() == 0
    assert home.powers()[-1] == 0
    assert home.mode() is Mode.DEGRADED
    home.run(29)
    assert home.given() == 0
    home.run(1)
    assert home.given() is None
    assert home.intents()[-1] == "clear"
    before = len(home.writes)
    home.run(60)
    assert len(home.writes) == before


def test_a_second_degradation_holds_zero_as_long_as_the_first() -> None:
    home = running()
    for _ in range(2):
        home.mute.add("meter")
        home.run(5)
        assert home.given() == 0
        home.mute.clear()
        home.run(90)
        assert home.given() == 5000


def test_the_agents_own_state_says_what_is_the_matter() -> None:
    home = Home()
    home.queue = [FreshTime()]
    seen = []
    for _ in range(4):
        home.tick()
        seen.append(next(v.sentence for v in home.decision.limits if v.id == "state"))
    assert seen == [
        "the agent is in self_test: the inverter's release is awaited",
        "the agent is in standby: it acts after `batteryctl resume`, or with the next cycle",
        "the agent is fit to act",
        "the agent is fit to act",
    ]
    home.tick(arriving(command()))
    home.run(12)
    home.mute.add("battery")
    home.run(8)
    home.mute.clear()
    home.run(2)
    assert home.decision.binding is not None
    assert home.decision.binding.sentence == (
        "the agent is in degraded: it recovers from this: no good reading of the battery for more than 5.0 s"
    )
    assert home.decision.binding in home.decision.limits


def test_a_stale_reading_while_idle_writes_nothing() -> None:
    home = Home().ready()
    home.mute.add("battery")
    home.run(60)
    assert home.writes == []
    assert home.mode() is Mode.DEGRADED


def test_a_silent_inverter_is_not_refreshed_and_is_released_when_it_is_back() -> None:
    home = running()
    home.mute.add("inverter")
    home.run(3)
    power = len(home.powers())
    home.run(57)
    assert len(home.powers()) == power
    assert home.mode() is Mode.FAULT
    home.mute.clear()
    home.run(3)
    assert home.remote_w is None
    assert home.intents()[-1] == "clear"


# --- results that come late -------------------------------------------------------------------------------------------
def test_a_power_still_on_its_way_is_cleared_whatever_a_reading_of_now_says() -> None:
    """The inverter reads released because the write has not reached it yet; after it, it would not be released."""
    home = Home().ready()
    home.tick(arriving(command()))
    answer, home.answer = home.answer, lambda write: None  # type: ignore[method-assign]  # results are slow
    home.tick()
    assert home.intents() == ["power"]
    home.tick(arriving(command(2, kind=CommandKind.CANCEL, target=command().id)), s=0.1)
    assert home.intents() == ["power", "clear"]
    home.run(4)
    assert home.intents() == ["power", "clear"]  # it waits for that result
    home.answer = answer  # type: ignore[method-assign]
    home.run(8)
    assert home.remote_w is None
    before = len(home.writes)
    home.run(60)
    assert len(home.writes) == before


def test_a_setpoint_that_is_not_followed_is_said_again_before_it_is_a_fault() -> None:
    home = Home().ready()
    home.obeys = False
    home.tick(arriving(command(duration_s=900, power_w=11_400, ramp=RampClass.REGULATION)))
    home.run(60)
    assert "again: it is not followed" in [w.why for _, w in home.writes]
    assert "deaf_inverter" in [e.get("fault") for e in home.events_seen]


def test_another_hand_is_left_alone_in_lockout() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.run(3)
    home.remote_w = 3000
    home.obeys = False
    before = len(home.writes)
    home.run(120)
    assert len(home.writes) == before


def test_stop_is_cleared_when_nothing_flows_any_more() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.inverter["battery_w"] = -3000
    home.run(3)
    assert home.intents() == ["stop"]
    home.inverter["battery_w"] = 0
    home.run(5)
    assert home.intents() == ["stop", "clear"]
    assert home.remote_w is None
