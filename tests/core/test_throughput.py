"""A day's energy: counted, kept over a crash, forgotten at midnight UTC by a trusted clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.durable import Durable, from_json, to_json
from agent.core.inputs import Clock, ClockTrust, FreshTime
from agent.core.params import S
from agent.core.snapshot import Trace, take
from agent.core.soc import NJ_PER_MWH
from agent.core.step import final
from agent.core.throughput import DAY_MS, STANDS_NS, Spent, begin, count, exact, kept
from tests.core import home as h
from tests.core.home import PARAMS, WALL_MS, Home, arriving, command
from tests.core.test_snapshot import NOW, world

DAY = WALL_MS // DAY_MS
STEP = 500_000  # 2 % of 25 kWh in mWh
STANDS_S = STANDS_NS // S


def at(wall_ms: int, trust: ClockTrust = ClockTrust.SYNCED) -> Clock:
    return Clock(wall_ms, trust, "kernel", "boot")


def drawn(battery_w: int | None, pack_ma: int = 0, age_ns: int = 0) -> int:
    """nJ that a second of it counts."""
    batteries = (h.battery(NOW - age_ns, pack_ma=pack_ma),)
    snapshot, _ = take(
        PARAMS, world(batteries=batteries, inverters=(h.inverter(NOW, battery_w=battery_w),)), Trace(NOW)
    )
    return count(Spent(DAY, 0), at(WALL_MS), snapshot, S).nj


def test_what_leaves_counts_by_the_greater_of_both_measurements() -> None:
    assert drawn(3_000) == 3_000 * S
    assert drawn(3_000, pack_ma=100_000) == 5_280 * S
    assert drawn(3_000, pack_ma=100_000, age_ns=6 * S) == 3_000 * S  # a stale pack does not say
    assert drawn(-3_000) == 0
    assert drawn(None) == 0


def counted(spent: Spent, clock: Clock, seconds: int, battery_w: int = 0) -> Spent:
    """That power for so long, while the clock says the same."""
    snapshot, _ = take(PARAMS, world(inverters=(h.inverter(NOW, battery_w=battery_w),)), Trace(NOW))
    for _ in range(seconds):
        spent = count(spent, clock, snapshot, S)
    return spent


def test_a_day_begins_at_midnight_utc_when_a_trusted_clock_has_stood_by_it() -> None:
    spent = Spent(DAY, 7)
    assert counted(spent, at((DAY + 1) * DAY_MS - 1), STANDS_S) == spent
    assert counted(spent, at((DAY + 1) * DAY_MS), STANDS_S - 1)[:2] == spent[:2]
    for trust in (ClockTrust.SYNCED, ClockTrust.HOLDOVER):
        assert counted(spent, at((DAY + 1) * DAY_MS, trust), STANDS_S) == Spent(DAY + 1, 0)
    assert counted(spent, at((DAY + 1) * DAY_MS, ClockTrust.UNTRUSTED), STANDS_S)[:5] == spent[:5]
    assert counted(Spent(), at(WALL_MS), 1) == Spent(DAY, 0), "before the first there is nothing to wait for"


def test_what_was_spent_since_midnight_belongs_to_the_new_day() -> None:
    spent = Spent(DAY, 7)
    assert counted(spent, at((DAY + 1) * DAY_MS), STANDS_S - 1, 1_000)[:2] == (DAY, 7 + (STANDS_S - 1) * 1_000 * S)
    assert counted(spent, at((DAY + 1) * DAY_MS), STANDS_S, 1_000) == Spent(DAY + 1, STANDS_S * 1_000 * S)


@pytest.mark.parametrize("wrong", [-1, 1, 3650])
def test_a_clock_that_is_wrong_for_a_while_changes_nothing(wrong: int) -> None:
    spent = Spent(DAY, 7)
    for _ in range(3):
        spent = counted(spent, at((DAY + wrong) * DAY_MS), STANDS_S - 1)
        spent = counted(spent, at((DAY + wrong) * DAY_MS, ClockTrust.UNTRUSTED), 1)
        spent = counted(spent, at((DAY + wrong) * DAY_MS), STANDS_S - 1)
        spent = counted(spent, at((DAY + wrong + 1) * DAY_MS if wrong != -1 else WALL_MS), 1)
        spent = counted(spent, at(WALL_MS), 1)
    assert spent == Spent(DAY, 7)


def test_an_earlier_day_takes_over_what_was_counted_and_midnight_comes_again() -> None:
    """A clock that was years ahead once neither ends the count for good nor is a way to forget what was spent."""
    ahead = counted(Spent(DAY, 7), at((DAY + 3650) * DAY_MS), STANDS_S, 1_000)
    back = counted(ahead, at(WALL_MS), STANDS_S, 1_000)
    assert back == Spent(DAY, 2 * STANDS_S * 1_000 * S)
    assert counted(back, at((DAY + 1) * DAY_MS), STANDS_S) == Spent(DAY + 1, 0)


def test_without_a_trusted_clock_24_hours_are_a_day() -> None:
    """By the gateway's own time; every word of a trusted clock for the day that is counted begins them anew."""
    nobody, hour = at(0, ClockTrust.UNTRUSTED), 3_600 * S
    snapshot, _ = take(PARAMS, world(inverters=(h.inverter(NOW, battery_w=1_000),)), Trace(NOW))
    spent = Spent()
    for day in (0, DAY):
        spent = Spent(day, 7)
        for _ in range(23):
            spent = count(spent, nobody, snapshot, hour)
        assert spent == Spent(day, 7 + 23_000 * hour, untold_ns=23 * hour)
        assert count(spent, nobody, snapshot, hour - 1).nj == 7 + 23_000 * hour + 1_000 * (hour - 1)
        assert count(spent, nobody, snapshot, hour) == Spent(day)
    told = count(spent, at(WALL_MS), snapshot, 1)
    assert told == Spent(DAY, spent.nj + 1_000)
    assert count(told, nobody, snapshot, hour).untold_ns == hour
    idle, _ = take(PARAMS, world(), Trace(NOW))
    assert count(spent, at(WALL_MS), idle, 1) == Spent(DAY, spent.nj), "also while nothing flows"
    # a clock that is never believed for long: its days are no reason to stay
    ahead = count(spent, at((DAY + 1) * DAY_MS), snapshot, S)
    assert (ahead.other, ahead.untold_ns) == (DAY + 1, 23 * hour + S)
    assert count(ahead, nobody, snapshot, hour - S) == Spent(DAY)


def test_a_count_that_began_anew_without_a_clock_is_stored_so() -> None:
    stored = Durable(day=DAY, day_mwh=37_500_000)
    assert kept(stored, Spent(DAY), 25_000) is stored  # no energy is no reason to write
    anew = kept(stored, Spent(DAY, 1), 25_000)
    assert (anew.day, anew.day_mwh) == (DAY, 2 * STEP)
    assert kept(anew, Spent(DAY, 1), 25_000) is anew


def test_a_home_without_a_clock_gives_again_after_24_hours() -> None:
    home = Home(durable=Durable(day=DAY, day_mwh=37_500_000))
    home.trust = ClockTrust.UNTRUSTED
    home.run(5)
    assert home.state.spent.mwh == 37_500_000
    for _ in range(24):
        home.tick(s=3_600)
    assert home.state.spent.mwh == 0


def test_what_is_stored_is_ahead_and_changes_once_a_step() -> None:
    nothing = Durable()
    assert kept(nothing, Spent(DAY, 0), 25_000) is nothing
    first = kept(nothing, Spent(DAY, 1), 25_000)
    assert (first.day, first.day_mwh) == (DAY, 2 * STEP)
    assert kept(first, Spent(DAY, STEP * NJ_PER_MWH), 25_000) is first
    second = kept(first, Spent(DAY, STEP * NJ_PER_MWH + 1), 25_000)
    assert second.day_mwh == 3 * STEP
    assert kept(second, Spent(DAY + 1, 0), 25_000) is second  # a new day is no reason to write
    assert kept(second, Spent(DAY + 1, 1), 25_000).day == DAY + 1
    assert kept(nothing, Spent(DAY, 1), 0).day_mwh == 3  # a capacity that is not known is no division by it


@given(st.lists(st.integers(0, 40_000_000), max_size=30))
def test_what_is_stored_is_never_less_than_what_was_spent(parts: list[int]) -> None:
    durable, nj = Durable(), 0
    for part in parts:
        nj += part * 1_000_000
        durable = kept(durable, Spent(DAY, nj), 25_000)
        assert durable.day_mwh * NJ_PER_MWH >= nj
        assert begin(durable).nj >= nj
        assert durable.day_mwh <= Spent(DAY, nj).mwh + 2 * STEP


def test_it_survives_and_state_of_before_it_is_read() -> None:
    durable = Durable(day=DAY, day_mwh=STEP)
    assert from_json(to_json(durable)) == durable
    old = to_json(Durable()).replace('"day":0,"day_mwh":0,', "")
    assert '"day"' not in old
    assert from_json(old) == Durable()
    assert exact(Durable(), Spent(DAY, 1)).day_mwh == 1


def test_a_home_that_gave_its_days_energy_gives_no_more_until_midnight() -> None:
    home = Home(durable=Durable(day=DAY, day_mwh=37_500_000))
    home.tick(FreshTime())
    home.run(4)
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    assert home.given() == 0
    assert home.decision.binding is not None
    assert home.decision.binding.id == "throughput"
    home.wall_offset_ms += DAY_MS
    home.run(STANDS_S - 1)
    assert home.given() == 0
    home.run(60)
    assert home.given() == 5_000


def test_a_crash_takes_up_more_than_was_spent_and_a_clean_stop_as_much() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(300)
    spent = home.state.spent.mwh
    assert 300_000 < spent < 420_000  # 5 kW for five minutes are 417 Wh, less the ramp
    assert home.crash().state.spent.mwh == 2 * STEP
    home.disk = final(home.state)
    assert home.crash(clean=True).state.spent.mwh == spent


def test_a_discharge_asks_the_disk_once_a_step() -> None:
    home = Home().ready()
    home.inverter["battery_w"] = 5_000
    commits = 0
    known = home.disk.day_mwh
    for _ in range(720):  # 1 kWh: two steps, and one at once
        commit = home.tick().commit
        if commit is not None and commit.durable.day_mwh != known:  # and not for the accounts
            known = commit.durable.day_mwh
            commits += 1
    assert commits == 2
