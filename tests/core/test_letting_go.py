"""Release through whole cycles: at the start, after a command, under another hand, and the grid over all."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.command import CommandKind
from agent.core.decision import Intent, Mode
from agent.core.inputs import FreshTime
from agent.core.params import S
from drivers.readings import GridState
from tests.core.home import PARAMS, START_NS, WALL_MS, Home, arriving, command


def running(**changes: Any) -> Home:
    home = Home().ready()
    home.tick(arriving(command(**{"duration_s": 900, **changes})))
    home.run(12)
    return home


def times(home: Home, intent: Intent) -> list[int]:
    """Seconds since the test's clock began."""
    return [(at - START_NS) // S for at, w in home.writes if w.intent is intent]


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


def test_another_hand_is_left_alone_in_lockout() -> None:
    home = Home().ready()
    home.battery["temp_max_dc"] = 600
    home.run(3)
    home.remote_w = 3000
    home.obeys = False
    before = len(home.writes)
    home.run(120)
    assert len(home.writes) == before


# --- the dwell and whoever starts in it -------------------------------------------------------------------------------
DWELL_S, JITTER_S = PARAMS.timers.grid_dwell_ns // S, 100


def acts_after(home: Home) -> int:
    """Cycles until it may act again."""
    for n in range(2 * (DWELL_S + JITTER_S)):
        home.tick(FreshTime())
        if home.mode() in (Mode.LOCAL, Mode.DISPATCHED):
            return n
    raise AssertionError(home.decision.faults)


@pytest.mark.parametrize("kernel", [None, "kernel-2"])
@pytest.mark.parametrize("good_s", [0, 5, DWELL_S - 5])
def test_a_restart_in_the_dwell_waits_for_the_whole_of_it(good_s: int, kernel: str | None) -> None:
    home = running(start_ms=WALL_MS, duration_s=3600)
    home.draw = JITTER_S * S
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(60)
    home.inverter.clear()
    for _ in range(good_s):
        home.tick()
    assert home.mode() is Mode.BACKUP
    later = home.crash(kernel_boot=kernel)
    assert acts_after(later) >= DWELL_S + JITTER_S
    later.run(30)
    assert later.mode() is Mode.DISPATCHED, "it goes on with what is left of its event"
    assert acts_after(later.crash()) < 10, "the outage is over and no longer on record"


def test_a_gateway_that_boots_takes_it_for_an_outage_and_one_that_was_never_there_does_not() -> None:
    """The street's power may have brought both back: nothing says that the grid was there meanwhile."""
    home = Home()
    home.draw = JITTER_S * S
    assert acts_after(home) < 10, "a first start"
    assert acts_after(home.crash()) < 10, "the daemon alone was started again"
    later = home.crash(kernel_boot="kernel-2", clean=True)
    assert acts_after(later) >= DWELL_S + JITTER_S
    assert later.faults() == []
    assert acts_after(later.crash()) < 10


def test_a_start_under_a_grid_that_is_not_evidenced_is_a_start_in_an_outage() -> None:
    home = Home()
    home.draw = JITTER_S * S
    home.inverter["grid_state"] = GridState.UNKNOWN
    home.run(30)
    home.inverter.clear()
    assert acts_after(home) >= DWELL_S + JITTER_S


def test_the_dwell_of_a_restart_begins_when_the_inverter_is_heard() -> None:
    home = Home().ready()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(5)
    home.inverter.clear()
    later = home.crash()
    later.mute.add("inverter")
    later.frozen.clear()
    later.run(DWELL_S)
    later.mute.clear()
    later.run(DWELL_S - 1)
    assert later.mode() is Mode.BACKUP
    later.run(5)
    assert later.mode() is Mode.LOCAL


def test_an_outage_asks_the_disk_twice() -> None:
    home = Home().ready()
    home.run(5)
    told = len(home.events_seen)
    commits = 0
    home.inverter["grid_state"] = GridState.ISLANDED
    for turn in range(1000):
        if turn == 100:
            home.inverter.clear()
        had = home.disk.outage
        home.tick()
        commits += home.disk.outage is not had
    assert (commits, home.disk.outage) == (2, False)
    assert len(home.events_seen) > told
