"""The grid goes away, in each way it can: no power without evidence, one release, then the house is left alone."""

from __future__ import annotations

import pytest

from agent.core.decision import Mode
from agent.core.inputs import LocalResume, LocalStop, RaiseReserve
from drivers.readings import GridState
from tests.core.home import Home, arriving, command


def dispatched() -> Home:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(20)
    assert home.given() == 5000
    home.writes.clear()
    return home


def island(home: Home) -> None:
    home.inverter["grid_state"] = GridState.ISLANDED


def back(home: Home) -> None:
    del home.inverter["grid_state"]


def test_meter_and_grid_die_in_the_same_second() -> None:
    """The outage takes the meter's supply with it: that it is silent must not hide that the grid is gone."""
    home = dispatched()
    island(home)
    home.mute.add("meter")
    home.presence["meter"] = "silent"
    home.run(60)
    assert home.intents() == ["clear"]
    assert home.mode() is Mode.BACKUP
    assert home.given() is None
    assert home.acks[-1]["reason"] == "islanded"
    assert "meter_stale" in home.faults()


def test_an_inverter_that_is_late_to_say_so_is_stopped_by_the_meter() -> None:
    """The inverter still says connected; the meter, fed from elsewhere, sees a dead grid: that counts at once."""
    home = dispatched()
    home.meter["phase_mv"] = (3_000,)
    home.meter["frequency_mhz"] = 0
    home.tick()
    assert home.intents() == ["clear"]
    assert home.decision.grid == "unknown"
    home.run(10)
    island(home)
    home.run(10)
    assert home.mode() is Mode.BACKUP
    assert home.intents() == ["clear"]


def test_an_inverter_that_never_says_so_while_the_meter_sees_a_dead_grid() -> None:
    home = dispatched()
    home.meter["phase_mv"] = (0,)
    home.run(600)
    assert home.intents() == ["clear"]
    assert home.decision.grid == "unknown"
    assert "grid_lost" in home.faults()


DEAD = {"grid_w": 0, "phase_w": (0,), "phase_mv": (0,), "phase_ma": (0,), "frequency_mhz": 0}


def carried(home: Home, seconds: int) -> None:
    """The battery carries the house, whose load moves, and the inverter goes on saying connected."""
    for second in range(seconds):
        home.inverter["battery_w"] = 1500 + second // 20 % 5 * 200
        home.tick()
        assert home.decision.grid == "unknown", second


@pytest.mark.parametrize(
    "dead", [DEAD, {**DEAD, "phase_mv": ()}, {**DEAD, "phase_mv": (None, 0), "phase_w": (None, 0)}]
)
def test_a_meter_that_sees_a_dead_grid_for_long_does_not_stand_still(dead: dict[str, object]) -> None:
    """No digit of a dead grid ever changes while the battery carries the house: that is no reason to doubt it."""
    home = dispatched()
    home.meter = dict(dead)
    carried(home, 900)
    assert home.intents() == ["clear"]
    assert home.mode() is Mode.BACKUP
    assert "meter_stuck" not in home.faults()
    home.meter = {}
    home.run(2)
    assert home.decision.grid == "connected"


def test_a_meter_that_falls_silent_after_it_saw_a_dead_grid_does_not_bring_it_back() -> None:
    home = dispatched()
    home.meter = dict(DEAD)
    carried(home, 10)
    home.mute.add("meter")
    home.presence["meter"] = "silent"
    carried(home, 900)
    assert home.intents() == ["clear"]
    home.mute.clear()
    home.presence.clear()
    home.meter = {}
    home.run(2)
    assert home.decision.grid == "connected"


def orphaned(said: GridState, silent_s: int) -> Home:
    """An outage that the meter saw before it died for good; the grid came back for an inverter that says so now."""
    home = dispatched()
    home.meter = dict(DEAD)
    home.inverter["grid_state"] = said
    home.run(5)
    home.mute.add("meter")
    home.presence["meter"] = "silent"
    home.run(5)
    back(home)
    home.run(silent_s)
    return home


def test_a_meter_that_died_in_an_outage_that_the_inverter_saw_too_does_not_keep_the_home_in_it() -> None:
    """The inverter tells an island from the grid, as it has shown: its word counts, through the whole dwell."""
    home = orphaned(GridState.ISLANDED, 5)
    assert home.decision.grid == "connected"
    assert home.mode() is Mode.BACKUP
    home.run(280)
    assert (home.mode(), "meter_dead" in home.faults()) == (Mode.BACKUP, False)
    home.run(60)
    assert home.mode() is Mode.DEGRADED
    assert home.faults() == ["meter_stale"]  # no setpoint without the limits of the site
    assert home.intents() == ["clear"]
    home.mute.clear()
    home.meter = dict(DEAD)  # it speaks: what it says counts
    home.run(1)
    assert home.decision.grid == "unknown"


def test_an_inverter_that_never_saw_the_outage_is_not_believed_against_a_silent_meter() -> None:
    """A person must look, and is told so; the dwell is served after that."""
    home = orphaned(GridState.CONNECTED, 590)
    assert "meter_dead" not in home.faults()
    home.tick(LocalResume("ada"))
    home.run(5)
    assert home.decision.grid == "unknown"  # it may be back any moment
    home.run(600)
    assert (home.mode(), home.decision.grid) == (Mode.BACKUP, "unknown")
    shown = next(f for f in home.decision.faults if f.id == "meter_dead")
    last_word = "the last that the meter said before it fell silent was a dead grid"
    assert shown.sentence == f"the inverter says connected, but {last_word}, 20 min ago"
    assert "batteryctl resume" in shown.remedy
    home.tick(LocalResume("ada"))
    home.run(2)
    assert home.decision.grid == "connected"
    assert "meter_dead" not in home.faults()
    home.run(295)
    assert home.mode() is Mode.BACKUP
    home.run(10)
    assert home.mode() is Mode.DEGRADED
    assert home.intents() == ["clear"]


def test_a_resume_does_not_outlive_what_a_meter_says_later() -> None:
    home = orphaned(GridState.CONNECTED, 700)
    home.tick(LocalResume("ada"))
    home.run(2)
    home.mute.clear()
    home.run(1)
    assert home.decision.grid == "unknown"
    home.mute.add("meter")
    home.run(700)
    assert home.decision.grid == "unknown"
    assert "meter_dead" in home.faults()


def test_a_resume_under_a_meter_that_speaks_forgets_nothing() -> None:
    home = dispatched()
    home.meter = dict(DEAD)
    home.run(1000)
    home.tick(LocalResume("ada"))
    home.run(5)
    assert home.decision.grid == "unknown"


def test_an_inverter_that_is_late_and_a_meter_that_is_dead_end_by_age() -> None:
    """Nobody says anything false: the inverter's word ages, the meter is silent."""
    home = dispatched()
    home.mute |= {"meter", "inverter"}
    home.run(2)
    home.writes.clear()
    home.run(60)
    assert "power" not in home.intents()
    assert home.given() is None


@pytest.mark.parametrize("clean", [True, False])
def test_a_restart_during_an_outage_writes_no_power(clean: bool) -> None:
    """Nothing is known of before: what is active must be looked at, and given back once."""
    home = dispatched()
    island(home)
    home.outcome = "silent"  # the release does not get through before the process dies
    home.run(2)
    assert home.remote_w == 5000
    later = home.crash(clean=clean)
    later.outcome = "confirmed"
    later.run(120)
    assert set(later.intents()) == {"clear"}
    assert later.intents().count("clear") == 1
    assert later.remote_w is None
    assert later.mode() is Mode.BACKUP


def test_a_restart_during_an_outage_with_nothing_active_writes_nothing() -> None:
    home = Home().ready()
    island(home)
    home.run(5)
    later = home.crash()
    later.run(120)
    assert later.intents() == []
    assert later.mode() is Mode.BACKUP


def test_a_lost_release_is_said_again_until_it_is_read_back_and_then_no_more() -> None:
    home = dispatched()
    island(home)
    home.outcome = "silent"
    home.run(30)
    tried = home.intents().count("clear")
    assert tried >= 5
    assert home.remote_w == 5000
    home.outcome = "confirmed"
    home.run(10)
    assert home.remote_w is None
    done = len(home.writes)
    home.run(300)
    assert len(home.writes) == done
    assert set(home.intents()) == {"clear"}


def test_a_release_that_was_heard_though_its_answer_was_lost_is_not_repeated() -> None:
    """The reading shows that nothing of ours is active: that is the read-back."""
    home = dispatched()
    island(home)
    home.outcome = "silent"
    home.remote_w = None
    home.run(10)
    done = len(home.writes)
    home.run(100)
    assert len(home.writes) == done


def test_no_raise_reaches_the_inverter_while_the_grid_is_away() -> None:
    home = Home().ready()
    home.writes.clear()
    island(home)
    home.run(3)
    home.tick(RaiseReserve("storm", "storm", 900, "homeowner", "ann", "storm", for_s=86_400))
    home.run(120)
    assert "floor" not in home.intents()
    assert "power" not in home.intents()
    assert home.decision.reserve_permille == 900
    back(home)
    home.run(15)
    assert home.floor_permille == 900  # the floor waits for no dwell: it moves no power


def test_stopped_by_hand_during_an_outage_nothing_more_is_written() -> None:
    home = dispatched()
    island(home)
    home.run(5)
    home.writes.clear()
    home.tick(LocalStop("ann"))
    home.run(10)
    home.tick(LocalResume("ann"))
    home.run(10)
    assert home.intents() == []


def hiccup(home: Home, seconds: int, silent: bool = False) -> None:
    home.mute.add("inverter")
    home.run(seconds // 2)
    if silent:
        home.presence["inverter"] = "silent"
    home.run(seconds - seconds // 2)
    home.mute.discard("inverter")
    home.presence.pop("inverter", None)


@pytest.mark.parametrize("seconds", [7, 60])
@pytest.mark.parametrize("silent", [False, True])
def test_a_silent_line_is_no_outage_while_the_meter_sees_the_grid(seconds: int, silent: bool) -> None:
    """Nothing is written on an old word, and what is owed goes on as soon as there is a fresh one."""
    home = dispatched()
    home.mute.add("inverter")
    home.run(3)
    home.writes.clear()
    hiccup(home, seconds, silent)
    assert "power" not in home.intents()
    assert home.given() is None
    assert "grid_lost" not in home.faults()
    assert not home.disk.outage
    home.run(75)
    assert home.given() == 5000


def test_releases_that_a_silent_line_does_not_answer_are_no_refusals() -> None:
    """They were counted, and three such silences an hour locked a healthy home out."""
    home = dispatched()
    for _ in range(4):
        hiccup(home, 12)
        home.run(300)
        assert "writes_refused" not in home.faults()
    assert home.disk.lockout is None


def test_a_silent_line_does_not_open_the_reserve_of_a_home_without_a_floor() -> None:
    home = Home()
    home.told = {"floor": False}
    home.inverter["floor_permille"] = None
    home.battery["soc_permille"] = 200
    home.ready().run(60)
    assert home.remote_w == 0
    hiccup(home, 7)
    home.run(70)  # what an inverter that was silent is held for, whatever its grid does
    assert home.remote_w == 0


@pytest.mark.parametrize(
    "seen",
    [
        {"phase_mv": (0,), "frequency_mhz": 0},
        {"phase_mv": (80_000,)},
        {"phase_mv": (310_000,)},
        {"phase_mv": (240_000, 0)},
        {"phase_mv": (None,)},
        {"phase_mv": ()},
        {"frequency_mhz": 70_000},
        None,
    ],
)
@pytest.mark.parametrize("silent", [False, True])
def test_a_silent_inverter_serves_the_dwell_if_the_meter_lost_the_grid_meanwhile(
    seen: dict[str, object] | None, silent: bool
) -> None:
    """Be it only for a moment, and long after the inverter fell silent: it may have died with the grid."""
    home = dispatched()
    home.mute.add("inverter")
    home.run(20)
    assert "grid_lost" not in home.faults()
    home.presence["inverter"] = "silent" if silent else "ok"
    before = dict(home.meter)
    if seen is None:
        home.mute.add("meter")
    else:
        home.meter.update(seen)
    home.run(5)
    home.mute.discard("meter")
    home.meter = before
    home.run(10)
    assert "grid_lost" in home.faults()
    home.presence["inverter"] = "ok"
    home.mute.clear()
    home.writes.clear()
    home.run(290)
    assert "power" not in home.intents()


def test_a_meter_that_came_after_the_last_word_of_the_inverter_proves_nothing() -> None:
    """Both fell silent together, as in an outage; the meter alone is back at once."""
    home = dispatched()
    home.mute |= {"inverter", "meter"}
    home.run(4)
    home.mute.discard("meter")
    home.run(10)
    assert "grid_lost" in home.faults()


def test_a_pause_of_the_agent_itself_is_a_gap_of_the_watch() -> None:
    home = dispatched()
    home.mute.add("inverter")
    home.run(3)
    home.tick(s=4)
    assert "grid_lost" in home.faults()


def test_an_island_that_falls_silent_stays_an_outage_whatever_the_meter_sees() -> None:
    home = dispatched()
    island(home)
    home.run(5)
    home.mute.add("inverter")
    home.run(400)
    back(home)
    home.mute.clear()
    home.writes.clear()
    home.run(290)
    assert "power" not in home.intents()
