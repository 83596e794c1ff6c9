"""R1 to R16 of the control semantics, each by its number. docs/lifecycle.md is the table of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.accept import drawn_ms
from agent.core.book import Book, Cycle
from agent.core.command import Command, CommandKind, CommandState, RampClass
from agent.core.decision import Intent
from agent.core.dispatch import receive
from agent.core.durable import Durable, from_json, to_json
from agent.core.inputs import Clock, ClockTrust, CommandIn, OptsIn, OptsOut
from agent.core.params import S
from agent.core.step import step
from drivers.readings import GridState
from tests.core.home import PARAMS, WALL_MS, Home, arriving, command
from tests.core.test_dispatch import CANCEL, running, wall


def event(number: int = 1, in_s: int = 10, duration_s: int = 60, **changes: Any) -> Command:
    """An event that starts so many seconds after the test began."""
    return command(number, start_ms=WALL_MS + 5_000 + in_s * 1000, duration_s=duration_s, **changes)


def ready() -> Home:
    """At WALL_MS + 5 s, ready for dispatch."""
    home = Home().ready()
    assert wall(home) == WALL_MS + 5_000
    return home


def reasons(home: Home, number: int = 1) -> list[str | None]:
    return [a["reason"] for a in home.acks if a["command_id"] == f"{number:032x}"]


# --- R1, R2 -----------------------------------------------------------------------------------------------------------
def test_r1_the_same_event_again_is_one_event_and_another_under_its_id_is_none() -> None:
    home = ready()
    home.tick(arriving(event()), arriving(event()))
    assert home.states() == ["received", "scheduled", "scheduled"]
    home.tick(arriving(event(power_w=-9000, digest="f" * 64)))
    home.run(90)
    assert home.states().count("completed") == 1
    assert min(home.powers()) > 0


def test_r2_scheduled_active_over() -> None:
    home = ready()
    home.tick(arriving(event()))
    home.run(90)
    assert home.states() == ["received", "scheduled", "started", "completed"]


# --- R3: supersede, per mode ------------------------------------------------------------------------------------------
def test_r3_lower_primacy_then_the_later_one() -> None:
    home = ready()
    home.tick(arriving(command(1, primacy=2)), arriving(command(2, primacy=1, power_w=2000)))
    home.run(5)
    assert home.decision.command_id == command(2).id
    home.tick(arriving(command(3, primacy=1, power_w=1000)))
    home.run(3)
    assert (home.decision.command_id, home.states(2)[-1]) == (command(3).id, "superseded")
    assert home.states(1) == ["received"]


def test_r3_an_event_keeps_the_modes_that_are_left_to_it() -> None:
    home = ready()
    home.house_w = 6000
    home.tick(arriving(command(1, power_w=500, import_limit_w=2000, ramp=RampClass.REGULATION)))
    home.run(10)
    assert home.given() == 4000  # 500 W are asked for, 4,000 W keep the grid at 2,000 W
    home.tick(arriving(command(2, power_w=-3000, ramp=RampClass.REGULATION)))
    home.run(10)
    assert home.given() == 4000  # the other's power, inside the first one's limit
    assert "superseded" not in home.states(1)
    home.tick(arriving(command(3, power_w=None, import_limit_w=5000)))
    home.run(10)
    assert home.states(1)[-1] == "superseded"
    assert home.given() == 1000


# --- R4, R5 -----------------------------------------------------------------------------------------------------------
def test_r4_a_running_event_ends_when_a_better_one_starts_at_its_own_time() -> None:
    home = ready()
    home.tick(arriving(event(1, 5, 600)), arriving(event(2, 60, 60, randomize_s=300, draw=200_000, power_w=2000)))
    home.run(57)
    assert home.states(1)[-1] == "started"
    home.run(5)
    assert home.states(1)[-1] == "superseded"
    assert home.decision.command_id == event(2).id  # not 200 s later: the fleet is spread already


def test_r4_inside_the_running_ones_own_window_the_new_draw_counts() -> None:
    home = ready()
    first = event(1, 5, 900, randomize_s=600, draw=10_000)
    home.tick(arriving(first), arriving(event(2, 60, 60, randomize_s=300, draw=100_000, power_w=2000)))
    home.run(100)
    assert home.decision.command_id == event(1).id
    home.run(70)
    assert home.decision.command_id == event(2).id


def test_r5_what_waits_behind_a_better_one_comes_back_when_that_is_cancelled_before_it_starts() -> None:
    home = ready()
    home.tick(arriving(event(1, 30)), arriving(event(2, 30, power_w=2000)))
    home.tick(arriving(command(9, target=event(2).id, **CANCEL)))
    home.run(45)
    assert home.states(2) == ["received", "scheduled", "cancelled"]
    assert home.states(1) == ["received", "scheduled", "started"]
    assert home.decision.command_id == event(1).id


def test_r5_and_when_it_ends_with_time_left() -> None:
    home = ready()
    home.tick(arriving(event(1, 10, 120)), arriving(event(2, 10, 60, power_w=2000)))
    home.run(75)
    assert home.states(2)[-1] == "completed"
    assert home.states(1) == ["received", "scheduled", "started"]


# --- R6: cancel -------------------------------------------------------------------------------------------------------
def test_r6_cancel_falls_through_to_the_next_at_once() -> None:
    home = ready()
    home.tick(arriving(command(1, power_w=1000)), arriving(command(2, primacy=0)))
    home.run(12)
    home.tick(arriving(command(9, target=command(2).id, **CANCEL)))
    assert home.states(2)[-1] == "cancelled"
    assert home.decision.command_id == command(1).id


def test_r6_a_cancel_with_a_draw_lets_it_run_out() -> None:
    home = running()
    home.tick(arriving(command(9, target=command().id, randomize_s=60, draw=20_000, **CANCEL)))
    assert home.states(9) == ["completed"]
    home.run(19)
    assert home.given() == 5000
    home.run(3)
    assert home.given() is None
    assert home.states() == ["received", "started", "cancelled"]


def test_r6_such_a_cancel_survives_a_crash_and_never_lengthens() -> None:
    home = running(duration_s=60)
    home.tick(arriving(command(9, target=command().id, randomize_s=600, draw=599_000, **CANCEL)))
    later = home.crash()
    later.run(60)
    assert later.states() == ["cancelled"]


def test_r6_a_cancelled_event_does_not_come_back_after_a_reboot() -> None:
    home = ready()
    home.tick(arriving(event(1, 1, 3600)))
    home.run(20)
    home.tick(arriving(command(9, target=event().id, randomize_s=600, draw=599_000, **CANCEL)))
    later = home.crash(kernel_boot="kernel-2")
    later.run(5)
    assert later.states() == ["cancelled"]


def test_r6_what_has_not_begun_is_cancelled_without_a_draw() -> None:
    home = ready()
    home.tick(arriving(event(1, 60)))
    home.tick(arriving(command(9, target=event().id, randomize_s=600, draw=599_000, **CANCEL)))
    assert home.states() == ["received", "scheduled", "cancelled"]


def test_r6_a_cancel_of_an_unknown_id_is_remembered_until_a_late_command_cannot_revive_it() -> None:
    home = ready()
    home.tick(arriving(command(9, target=event().id, **CANCEL)))
    later = home.crash().ready()
    later.tick(arriving(event(1, 40)))
    assert later.states() == ["cancelled"]


# --- R7, R8: randomised starts ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("randomize_s", "both", "draw", "moved_s"),
    [
        (60, False, 0, 0),
        (60, False, 60_000, 60),
        (60, False, 60_001, 0),
        (-60, False, 45_000, -45),
        (60, True, 0, -60),
        (60, True, 120_000, 60),
        (0, False, 12_345, 0),
    ],
)
def test_r7_the_start_moves_by_the_draw(randomize_s: int, both: bool, draw: int, moved_s: int) -> None:
    home = ready()
    home.tick(arriving(event(1, 100, randomize_s=randomize_s, randomize_both=both, draw=draw)))
    assert home.acks[-1]["effective_start"] == WALL_MS + 5_000 + (100 + moved_s) * 1000
    home.run(98 + moved_s)
    assert home.powers() == []
    home.run(4)
    assert home.powers() != []


@pytest.mark.parametrize("both", [False, True])
@given(
    lead_s=st.integers(0, 5_000),
    duration_s=st.integers(1, 7_200),
    range_s=st.integers(-3_600, 3_600),
    draw=st.integers(0, 2**64 - 1),
)
def test_r7_no_draw_makes_an_event_that_is_to_come_late_or_shorter(
    both: bool, lead_s: int, duration_s: int, range_s: int, draw: int
) -> None:
    cycle, book = (
        Cycle(0, Clock(WALL_MS + 5_000, ClockTrust.SYNCED, "k", "b"), PARAMS, True, True, None),
        Book(Durable()),
    )
    asked = event(1, lead_s, duration_s, randomize_s=range_s, randomize_both=both, draw=draw)
    book = receive(book, CommandIn(asked, ()), cycle)
    (record,) = book.durable.commands
    assert record.state in (CommandState.RECEIVED, CommandState.SCHEDULED)
    assert record.start_ns >= 0, "not before it was accepted"
    assert record.end_ns - record.start_ns == duration_s * S, "its whole length"
    assert abs(record.shift_ms) <= abs(range_s) * 1000
    assert record.shift_ms == 0 or both or (record.shift_ms > 0) is (range_s > 0)


def test_r7_a_fleet_that_is_told_late_does_not_begin_at_once() -> None:
    """The draw is spread over the time that is left."""
    shifts = {drawn_ms(-3_600, False, draw * 999_983, 120_000) for draw in range(200)}
    assert len(shifts) > 190
    assert -120_000 <= min(shifts) < -110_000
    assert -10_000 < max(shifts) <= 0


def test_r7_what_joins_on_moves_no_further_back_than_to_now() -> None:
    home = ready()
    home.tick(arriving(event(2, 200, 60, randomize_s=-300, draw=150_000)))
    home.run(20)
    home.tick(arriving(event(1, 100, 100, randomize_s=-300, draw=0)))
    shifts = [r.shift_ms for r in home.disk.commands]
    assert shifts[0] == -150_000
    assert -80_000 <= shifts[1] < -75_000, "to its acceptance, not to 50 s before that"
    home.run(300)
    assert "rejected_late" not in home.states(1) + home.states(2)


def test_r7_it_is_drawn_once_and_kept_over_restart_and_repetition() -> None:
    home = ready()
    first = event(1, 300, randomize_s=60, draw=33_000)
    home.tick(arriving(first))
    later = home.crash().ready()
    later.tick(arriving(replace(first, draw=1)))  # the same bytes; whatever was drawn for it now
    assert later.acks[-1]["effective_start"] == WALL_MS + 5_000 + 333_000


def test_r7_after_a_reboot_it_still_starts_at_the_drawn_time() -> None:
    home = ready()
    home.tick(arriving(event(1, 400, randomize_s=60, draw=40_000)))
    later = home.crash(kernel_boot="kernel-2")
    later.run(5)
    (record,) = later.state.book.durable.commands
    assert (record.start_ns - later.now_ns) // S == 440 - (wall(later) - WALL_MS - 5_000) // 1000


@pytest.mark.parametrize("turned", [False, True])
def test_r7_contiguous_events_share_the_offset(turned: bool) -> None:
    home = ready()
    events = [event(1, 100, 60, randomize_s=60, draw=20_000), event(2, 160, 60, randomize_s=60, draw=50_000)]
    events = events[::-1] if turned else events
    home.tick(*[arriving(e) for e in events])
    assert {r.shift_ms for r in home.disk.commands} == {50_000 if turned else 20_000}
    assert [(r.end_ns - r.start_ns) // S for r in home.disk.commands] == [60, 60]  # each with its own length


def test_r7_but_not_those_of_another_issuer() -> None:
    home = ready()
    other = event(2, 160, 60, randomize_s=60, draw=50_000, issuer="other")
    home.tick(arriving(event(1, 100, 60, randomize_s=60, draw=20_000)), arriving(other))
    assert [r.shift_ms for r in home.disk.commands] == [20_000, 50_000]


@pytest.mark.parametrize("draw", [0, 17_000, 60_000])
@pytest.mark.parametrize("randomize_s", [60, -60])
def test_r8_adjacent_events_leave_no_gap_and_do_not_overlap(randomize_s: int, draw: int) -> None:
    home = ready()
    home.tick(arriving(event(1, 100, 120)), arriving(event(2, 220, 60, randomize_s=randomize_s, draw=draw)))
    first, second = home.disk.commands
    assert first.end_ns == second.start_ns
    home.run(300 + 60)
    assert home.states(1)[-2:] == ["started", "completed"]
    assert home.states(2)[-2:] == ["started", "completed"]
    assert home.intents().count("clear") <= 1  # at the very end


def test_r8_the_first_keeps_its_own_end_when_the_second_is_cancelled() -> None:
    home = ready()
    home.tick(arriving(event(1, 100, 120)), arriving(event(2, 220, 60, randomize_s=60, draw=60_000)))
    assert (home.disk.commands[0].end_ns - home.disk.commands[0].start_ns) // S == 180
    home.tick(arriving(command(9, target=event(2).id, **CANCEL)))
    assert (home.disk.commands[0].end_ns - home.disk.commands[0].start_ns) // S == 120


# --- R9, R10 ----------------------------------------------------------------------------------------------------------
def test_r9_an_event_that_is_over_is_received_then_late() -> None:
    home = ready()
    home.tick(arriving(event(1, -100, 60)))
    home.run(5)
    assert home.states() == ["received", "rejected_late"]
    assert reasons(home) == [None, "over"]
    assert home.writes == []


def test_r10_without_the_aggregator_accepted_work_runs_to_its_end_then_the_home_is_its_own() -> None:
    home = ready()
    home.tick(arriving(event(1, 10, 60)))
    for _ in range(90):
        home.now_ns += S
        inputs = replace(home.inputs(tuple(home.queue)), link_up=False)
        home.queue = []
        home.state, home.out = step(home.params, home.state, inputs)
        for write in home.out.writes:
            home.answer(write)
            home.writes.append((home.now_ns, write))
    assert max(home.powers()) == 5000
    assert home.given() is None


def test_r10_accepted_events_survive_a_power_cut_while_offline() -> None:
    home = ready()
    home.tick(arriving(event(1, 600, 600)))
    later = home.crash(kernel_boot="kernel-2")  # no FreshTime: nobody is there
    later.trust = ClockTrust.HOLDOVER
    later.run(700)
    assert later.states() == ["started"]
    assert later.given() == 5000


@pytest.mark.parametrize(("primacy", "stays", "goes"), [(2, 1, 2), (0, 2, 1)])
def test_r10_what_waits_for_trusted_time_holds_nothing_then_one_of_the_two(primacy: int, stays: int, goes: int) -> None:
    """Begun before a reboot, and by its old times it would still run: another has the mode until time is trusted."""
    home = ready()
    home.tick(arriving(event(1, 10, 1200, power_w=3000, primacy=1)))
    home.run(60)
    later = home.crash(kernel_boot="kernel-2")
    later.trust = ClockTrust.UNTRUSTED
    later.ready()
    later.tick(arriving(event(2, 70, 900, power_w=2000, primacy=primacy)))
    later.run(PARAMS.timers.grid_dwell_ns // S + 60)
    assert later.states(1) == []
    assert later.states(2)[-1] == "started"
    assert {w.command_id for _, w in later.writes if w.intent is Intent.POWER} == {command(2).id}
    later.trust = ClockTrust.SYNCED
    later.run(10)
    assert later.decision.command_id == command(stays).id
    assert later.states(goes)[-1] == "superseded"
    assert "superseded" not in later.states(stays)


# --- R13: nothing is open-ended ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"duration_s": 0},
        {"duration_s": 86_401, "start_ms": WALL_MS},
        {"duration_s": 901},
        {"kind": CommandKind.SESSION, "start_ms": WALL_MS, "duration_s": 86_401, "hi_w": 1, "seq_to": 1},
        {"kind": CommandKind.SCHEDULE, "start_ms": WALL_MS, "duration_s": 8 * 86_400, "interval_s": 86_400,
         "values": (1,) * 8},
    ],
)  # fmt: skip
def test_r13_there_is_no_open_ended_dispatch(changes: dict[str, Any]) -> None:
    home = ready()
    home.tick(arriving(command(**changes)))
    assert home.states() == ["rejected_invalid"]


def test_r13_an_aggregator_that_falls_silent_holds_nothing_longer_than_it_said() -> None:
    home = running(duration_s=900)
    home.run(900)
    assert home.given() is None
    assert home.states()[-1] == "completed"


# --- R14: opting out --------------------------------------------------------------------------------------------------
def out(for_s: int = 0) -> OptsOut:
    return OptsOut("ann (homeowner)", "homeowner", for_s)


def test_r14_opting_out_ends_what_runs_and_what_waits() -> None:
    home = running()
    home.tick(arriving(event(2, 300)))
    home.tick(out())
    assert home.intents()[-1] == "clear"
    assert home.states()[-1] == "partial_opt_out"
    assert home.states(2)[-1] == "opted_out"
    assert reasons(home, 2)[-1] == "opt_out"


def test_r14_what_comes_while_opted_out_takes_no_part_until_opted_in_again() -> None:
    home = ready()
    home.tick(out())
    home.tick(arriving(command()))
    assert home.states() == ["no_participation"]
    home.tick(OptsIn("ann"))
    home.tick(arriving(command(2)))
    home.run(10)
    assert home.states(2) == ["received", "started"]
    assert [e["event"] for e in home.events_seen if "opt" in e["event"]] == ["opt_out", "opt_in"]


def test_r14_an_opt_out_for_a_while_lets_later_events_come() -> None:
    home = ready()
    home.tick(arriving(event(1, 10, 20)), arriving(event(2, 60, 60)), arriving(event(3, 5, 120, primacy=9)))
    home.tick(out(30))
    assert home.states(1)[-1] == "opted_out"
    home.run(50)
    assert home.states(2)[-1] == "opted_in"
    assert "partial_opt_in" in home.states(3)  # its time had begun
    assert home.states(3)[-1] == "started"
    home.run(120)
    assert home.states(2)[-1] == "completed"
    assert home.disk.opted_out is None


def test_r14_an_event_that_reaches_beyond_the_opt_out_is_accepted_during_it() -> None:
    home = ready()
    home.tick(out(30))
    home.tick(arriving(event(1, 10, 60)))
    assert home.states() == ["received", "scheduled"]
    home.run(20)
    assert home.powers() == []
    home.run(20)
    assert home.states()[2:] == ["limited", "partial_opt_in", "started"]
    assert reasons(home)[2:] == ["opt_out", None, None]


@pytest.mark.parametrize(
    ("start_s", "randomize_s", "draw", "states"),
    [
        (10, 60, 40_000, ["received", "scheduled"]),  # of 10..30 s, drawn to 50..70 s
        (10, 60, 5_000, ["no_participation"]),  # to 15..35 s
        (50, -40, 40_000, ["no_participation"]),  # of 50..70 s, drawn to 10..30 s
    ],
)
def test_r14_whether_an_event_outlasts_the_opt_out_goes_by_its_drawn_time(
    start_s: int, randomize_s: int, draw: int, states: list[str]
) -> None:
    home = ready()
    home.tick(out(40))
    home.tick(arriving(event(1, start_s, 20, randomize_s=randomize_s, draw=draw)))
    assert home.states() == states
    home.run(100)
    assert home.states()[-1] == ("completed" if len(states) > 1 else "no_participation")


def test_r14_a_direct_setpoint_that_comes_during_it_is_told_why_nothing_moves() -> None:
    home = ready()
    home.tick(out(30))
    home.tick(arriving(command(1, duration_s=120)))
    home.run(20)
    assert home.states() == ["received", "limited"]
    assert reasons(home) == [None, "opt_out"]
    later = home.crash().ready()
    later.run(40)
    assert later.states() == ["partial_opt_in", "started"], "told before the restart, once"


def test_r14_what_was_limited_by_something_else_just_now_is_told_of_the_opt_out_later() -> None:
    home = ready()
    home.tick(arriving(event(1, 0, 600, kind=CommandKind.SCHEDULE, values=(600,), interval_s=600, power_w=0)))
    home.run(40)
    assert home.states()[-1] == "started"
    home.tick(arriving(command(2, duration_s=600)))
    home.run(5)
    assert home.states(1)[-1] == "limited"
    home.tick(out(60))
    assert reasons(home, 1)[-1] != "opt_out"
    home.run(30)
    assert reasons(home, 1)[-1] == "opt_out"
    home.run(60)
    assert home.states(1).count("partial_opt_in") == 1


def test_r14_opted_out_all_its_time_is_no_participation() -> None:
    home = ready()
    home.tick(out(30))
    home.tick(arriving(event(1, 10, 60)))
    home.tick(out())  # and then for longer
    assert home.states()[-1] == "opted_out"
    home.tick(out(20), arriving(event(2, 10, 30)))
    home.tick(out(100))
    assert home.states(2)[-1] in ("opted_out", "no_participation")


def test_r14_it_survives_a_crash_and_a_reboot_and_ends_on_a_clock_of_our_own_alone() -> None:
    home = ready()
    home.tick(out(3_000))
    later = home.crash().ready()
    later.tick(arriving(command(duration_s=60)))
    assert later.states() == ["no_participation"]
    again = later.crash(kernel_boot="kernel-2")
    again.trust = ClockTrust.UNTRUSTED
    again.wall_offset_ms += 3_600_000
    again.run(5)
    assert again.state.book.durable.opted_out is not None
    again.trust, again.signed = ClockTrust.SYNCED, True
    again.run(5)
    assert again.state.book.durable.opted_out is not None, "the aggregator's word for the time ends nothing of this"
    again.signed = False
    again.run(1)
    assert again.state.book.durable.opted_out is None


def test_r14_without_a_clock_of_our_own_it_ends_when_this_kernel_has_run_for_all_of_it() -> None:
    home = ready()
    home.tick(out(3_000))
    home.run(2)
    later = home.crash(kernel_boot="kernel-2")  # the monotonic clock counts from a kernel's boot
    later.trust = ClockTrust.UNTRUSTED
    later.run(3_000 - later.now_ns // S - 1)
    assert later.state.book.durable.opted_out is not None
    later.run(1)
    assert later.state.book.durable.opted_out is None


def test_r14_a_clock_that_jumps_does_not_end_it() -> None:
    home = ready()
    home.tick(out(600))
    home.wall_offset_ms += 3_600_000
    home.run(5)
    assert home.disk.opted_out is not None
    home.run(600)
    assert home.disk.opted_out is None


def test_r14_limits_and_cures_go_on() -> None:
    home = ready()
    home.tick(out())
    home.battery["cell_min_mv"] = 2800
    home.run(10)
    assert home.decision.source == "cure:cell_low"
    assert (home.given() or 0) < 0


def test_r14_opting_in_without_having_left_says_nothing() -> None:
    home = ready()
    before = len(home.events_seen)
    home.tick(OptsIn("ann"))
    home.run(2)
    assert home.events_seen[before:] == []


# --- R15, R16 ---------------------------------------------------------------------------------------------------------
def test_r15_a_mode_that_is_not_here_is_not_applicable_and_nonsense_is_invalid() -> None:
    home = ready()
    home.tick(arriving(command(1, beyond="var")), arriving(command(2, power_w=None)))
    assert (home.states(1), home.states(2)) == (["rejected_not_applicable"], ["rejected_invalid"])


def test_r15_islanded_from_start_to_end_is_not_applicable() -> None:
    home = ready()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(2)
    home.tick(arriving(event(1, 5, 30)))
    home.run(50)
    assert home.states()[-1] == "rejected_not_applicable"
    assert reasons(home)[-1] == "islanded"


def test_r16_what_is_clamped_runs_and_says_why_and_how_much_it_gave() -> None:
    home = ready()
    home.tick(arriving(command(power_w=50_000, ramp=RampClass.REGULATION, duration_s=60)))
    home.run(70)
    assert home.states() == ["received", "limited", "started", "completed"]
    assert home.acks[-1]["reason"] == "nameplate_discharge"
    assert home.acks[-1]["energy_wh"] > 100


# --- old files --------------------------------------------------------------------------------------------------------
def test_what_a_program_of_before_has_written_is_read() -> None:
    """And what this one writes has nothing that the former does not know, as long as nothing of it was used."""
    home = ready()
    home.tick(arriving(event()))
    text = to_json(home.disk)
    for word in ("import_limit_w", "draw", "values", "shift_ms", '"cancelled":false', "seq_from"):
        assert word not in text
    assert from_json(text) == home.disk
    old = text.replace(',"opted_out":null', "")
    assert from_json(old) == home.disk
