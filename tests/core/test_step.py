"""Whole cycles on a good home."""

from __future__ import annotations

import pytest

from agent.core import events, report
from agent.core.arbiter import Proposal, Rank
from agent.core.book import Cycle
from agent.core.command import CommandKind
from agent.core.decision import Mode
from agent.core.inputs import CommitFailed, FreshTime, Inputs, LocalResume, LocalStop
from agent.core.limits import LIMITS
from agent.core.snapshot import Snapshot
from agent.core.state import State
from agent.core.step import final
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


def test_stated_end_and_reserve_are_in_every_decision() -> None:
    home = Home().ready()
    assert home.decision.stated_end_s == 67
    assert home.decision.reserve_permille == 200
    assert (home.decision.soc_lo_permille, home.decision.soc_hi_permille) == (599, 601)
    assert home.decision.load_w == 500
    assert [limit.id for limit in home.decision.limits] == [row.id for row in LIMITS]


def test_a_bug_inside_moves_no_power_and_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.run(12)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("integer division or modulo by zero")

    monkeypatch.setattr("agent.core.step.take", broken)
    home.run(3)
    assert home.mode() is Mode.FAULT
    assert (home.decision.lo_w, home.decision.given_w, home.decision.hi_w) == (0, None, 0)
    assert home.faults() == ["internal_error"]
    assert home.intents()[-2:] == ["clear", "clear"]  # until it is read back, and nothing reads while this lasts
    assert "ZeroDivisionError" in home.notices[-1]

    monkeypatch.undo()
    home.run(2)
    assert home.remote_w is None
    assert "internal_error" in home.faults()
    home.run(62)
    assert home.mode() is Mode.DISPATCHED


def test_the_first_commit_tells_of_the_start_and_counts_it() -> None:
    home = Home()
    home.tick()
    assert home.events_seen[0] == {"event": "start", "boot": "boot-1", "after_clean_stop": False}
    assert home.disk.starts_ms == (home.clock().wall_ms - 1000,)


def test_a_clean_stop_is_told_by_the_next_start() -> None:
    home = Home().ready()
    home.disk = final(home.state)
    later = home.crash()
    later.tick()
    assert later.events_seen[0]["after_clean_stop"] is True
    assert len(later.disk.starts_ms) == 1


def test_nothing_is_committed_without_a_change() -> None:
    home = Home().ready()
    known = home.state.desk.next_id
    home.run(1000)
    assert home.state.desk.next_id == known


def test_a_bug_of_one_cycle_swallows_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)

    monkeypatch.setattr("agent.core.oblige.cure", lambda *_: 1 // 0)
    home.tick(LocalStop("ada"))
    assert home.state.book.durable.stopped_by == "ada"
    monkeypatch.undo()
    home.run(150)

    assert home.mode() is Mode.STANDBY
    assert home.given() is None
    assert home.states()[-1] == "opted_out"


def test_a_bug_of_one_cycle_swallows_no_signed_stop_and_repeats_no_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)

    monkeypatch.setattr("agent.core.oblige.cure", lambda *_: 1 // 0)
    home.tick(arriving(command(2, kind=CommandKind.STOP)))
    home.tick(LocalStop("ada"), LocalResume("ada"))
    monkeypatch.undo()
    home.run(2)

    assert home.states()[-1] == "cancelled"
    assert home.state.book.durable.stopped_by == "ada"


def test_events_that_break_every_cycle_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    happen = events.happen

    def poisoned(state: State, i: Inputs, s: Snapshot, say: Cycle) -> State:
        if any(isinstance(e, FreshTime) for e in i.events):
            raise ValueError("this one")
        return happen(state, i, s, say)

    monkeypatch.setattr("agent.core.events.happen", poisoned)
    home.tick(FreshTime())
    home.run(2)
    assert home.state.unheard
    home.run(3)
    assert not home.state.unheard
    home.run(62)
    assert home.mode() is Mode.LOCAL


def test_a_command_that_gives_way_hears_to_what() -> None:
    home = Home().ready()
    home.battery["force_charge"] = True
    home.tick(arriving(command(power_w=3000)))
    home.run(12)
    assert home.acks[-1]["reason"] == "cure:bms_request"
    assert "the battery asks to be charged" in home.acks[-1]["sentence"]


def test_every_wish_above_a_command_has_its_words() -> None:
    assert set(report.FIRST) == {rank for rank in Rank if rank < Rank.DISPATCH}
    assert report.first(Proposal(Rank.SCHEDULE, "x", 0)).owner == "agent"


def test_a_crash_on_a_disk_that_fails_takes_no_command_up() -> None:
    """What was stopped or locked out just before it may not be on record."""
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    later = home.crash()
    later.commits = False
    later.run(20)
    assert later.given() is None
    assert later.state.book.durable.commands[-1].reason == "disk"


def test_a_disk_that_fails_later_ends_no_command() -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    home.tick(CommitFailed(77, "full"))
    home.run(5)
    assert home.given() == 5000


def test_a_start_beside_a_low_cell_leaves_nothing_until_it_is_full_again() -> None:
    """A crash forgets the latch; what may have been at nothing stays there."""
    home = Home().ready()
    home.battery["cell_min_mv"] = 2890
    home.run(3)
    home.battery["cell_min_mv"] = 3120  # the table alone would leave 70 %
    home.run(60)
    assert home.decision.hi_w == 0

    later = home.crash().ready()
    later.battery["cell_min_mv"] = 3120
    later = later.crash().ready()
    later.run(60)
    assert later.decision.hi_w == 0

    later.battery["cell_min_mv"] = 3160
    later.run(100)
    assert later.decision.hi_w > 10_000
