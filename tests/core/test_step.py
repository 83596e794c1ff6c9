"""Whole cycles on a good home."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events, report
from agent.core.arbiter import Proposal, Rank
from agent.core.book import Cycle
from agent.core.command import CommandKind
from agent.core.decision import Intent, Mode
from agent.core.inputs import CommitFailed, Committed, Event, FreshTime, Inputs, LocalResume, LocalStop, WriteDone
from agent.core.limits import LIMITS
from agent.core.params import S
from agent.core.snapshot import Snapshot
from agent.core.state import State
from agent.core.step import final
from agent.core.writes import Hand, abandon
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
    """But the interval that ended meanwhile."""
    home = Home().ready()
    known = home.state.desk.next_id
    home.run(1000)
    assert home.state.desk.next_id == known + 1
    assert [record["record"] for record in home.settled] == ["interval"]


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


def broken(home: Home, monkeypatch: pytest.MonkeyPatch, cycles: int, *last: Event) -> None:
    """So many cycles go wrong whatever they carry; the last one hears `last`."""
    with monkeypatch.context() as patch:
        patch.setattr("agent.core.oblige.cure", lambda *_: 1 // 0)
        if cycles > 1:
            home.run(cycles - 1)
        home.tick(*last)


def test_a_stop_in_a_late_broken_cycle_ends_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    for before, after in ((5, 1), (5, 20)):
        home = Home().ready()
        home.tick(arriving(command(duration_s=900)))
        home.run(12)
        broken(home, monkeypatch, before, LocalStop("ada"))
        broken(home, monkeypatch, after)
        home.tick(LocalResume("ada"))
        home.run(150)
        assert home.states()[-1] == "opted_out", after
        assert home.given() is None
        assert home.mode() is Mode.LOCAL


def test_a_stop_that_was_let_go_still_ends_what_ran_without_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    home.tick(arriving(command(duration_s=900)))
    home.run(12)
    broken(home, monkeypatch, 1, LocalStop("ada"))
    broken(home, monkeypatch, 20)
    assert not any(isinstance(e, LocalStop) for e in home.state.unheard)
    home.run(2)
    assert home.states()[-1] == "opted_out"
    assert home.acks[-1]["sentence"] == "stopped on site by ada"
    assert home.disk.stopped_by == "ada"


@pytest.mark.parametrize("commits", [True, False])
def test_the_store_s_answer_outlives_any_number_of_broken_cycles(
    monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    home = Home().ready()
    home.commits = commits
    home.tick(arriving(command(duration_s=900)))
    home.commits = True
    broken(home, monkeypatch, 50)
    home.run(100)
    assert home.state.desk.outstanding == ()
    assert (home.given() == 5000) is commits
    assert home.states()[-1] == ("started" if commits else "rejected_not_applicable")


@pytest.mark.parametrize("poison", [LocalStop("ada"), WriteDone("inverter", "clear", 0, "confirmed", 0)])
def test_even_one_of_our_own_that_breaks_every_cycle_is_let_go(monkeypatch: pytest.MonkeyPatch, poison: Event) -> None:
    home = Home().ready()
    happen = events.happen

    def poisoned(state: State, i: Inputs, s: Snapshot, say: Cycle) -> State:
        if any(e is poison for e in i.events):
            raise ValueError("this one")
        return happen(state, i, s, say)

    monkeypatch.setattr("agent.core.events.happen", poisoned)
    home.tick(poison)
    home.run(4)
    assert poison in home.state.unheard
    home.run(8)
    assert poison not in home.state.unheard
    home.run(62)
    assert home.mode() is (Mode.STANDBY if isinstance(poison, LocalStop) else Mode.LOCAL)


def test_of_too_many_events_what_comes_from_outside_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home().ready()
    many = [arriving(command(n)) for n in range(100)]
    broken(home, monkeypatch, 1, Committed(1), *many)
    assert home.state.unheard == (Committed(1), *many[-63:])
    broken(home, monkeypatch, 1, *[Committed(n) for n in range(2, 102)])
    assert home.state.unheard == tuple(Committed(n) for n in range(38, 102))


def test_a_held_stop_is_left_alone_by_a_cycle_that_breaks() -> None:
    stopped = Hand(stopped=True, stop_ns=S)
    assert abandon(stopped, 2 * S) == (stopped, ())
    refused = replace(stopped, stop_refused=True)
    assert [w.intent for w in abandon(refused, 2 * S)[1]] == [Intent.CLEAR]


def test_a_command_that_gives_way_hears_to_what() -> None:
    home = Home().ready()
    home.battery["force_charge"] = True
    home.tick(arriving(command(power_w=3000)))
    home.run(12)
    assert home.acks[-1]["reason"] == "cure:bms_request"
    assert "the battery asks to be charged" in home.acks[-1]["sentence"]


def test_every_wish_above_a_command_has_its_words() -> None:
    assert set(report.FIRST) == {rank for rank in Rank if rank < Rank.DISPATCH}
    assert report.first(Proposal(Rank.DISPATCH, "x", 0)).owner == "utility"


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
