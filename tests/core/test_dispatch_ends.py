"""How a command ends before its time: cancel, stop, people at home, other commands."""

from __future__ import annotations

import pytest

from agent.core import unseen
from agent.core.decision import Mode
from agent.core.inputs import ClockTrust, CommandIn, FreshTime, LocalResume, LocalStop
from tests.core.home import Home, arriving, command
from tests.core.test_dispatch import CANCEL, STOP, running, wall


# --- cancel and stop --------------------------------------------------------------------------------------------------
def test_cancel_releases_at_once() -> None:
    home = running()
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    assert home.intents()[-1] == "clear"
    assert home.states() == ["received", "started", "cancelled"]
    assert home.states(2) == ["completed"]


def test_cancel_needs_neither_clock_nor_disk_nor_fresh_time() -> None:
    home = running().crash()
    home.run(4)
    assert home.given() == 5000
    home.trust = ClockTrust.UNTRUSTED
    home.disk_ok = False
    home.tick(arriving(command(2, target=command().id, exp_ms=0, **CANCEL)))
    assert home.intents()[-1] == "clear"
    home.run(2)
    assert home.remote_w is None
    assert home.acks == []
    home.disk_ok = True
    home.tick()
    assert home.states() == ["cancelled"]  # commit and ack follow


def test_cancel_of_a_command_that_comes_later() -> None:
    home = Home().ready()
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    home.tick(arriving(command()))
    home.run(5)
    assert home.states() == ["cancelled"]
    assert home.writes == []


DAY_S = 86_400
DAY_MS = DAY_S * 1000


def test_a_cancelled_id_is_forgotten_when_clock_and_count_say_so() -> None:
    home = Home().ready()
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    assert len(home.disk.cancelled) == len(home.state.book.remembered) == 1
    for day in range(7):
        home.tick(arriving(command(3 + day, duration_s=0)), s=DAY_S)
    assert len(home.disk.cancelled) == 1, "a schedule may live for seven days"
    home.signed = True
    home.tick(arriving(command(20, duration_s=0)), s=3600)
    assert len(home.disk.cancelled) == 1, "the aggregator's word for the time alone ends none"
    home.signed = False
    home.wall_offset_ms -= DAY_MS
    home.tick(arriving(command(21, duration_s=0)))
    assert len(home.disk.cancelled) == 1, "nor does the count, while what it names might be accepted by the clock"
    home.wall_offset_ms += DAY_MS
    home.tick(arriving(command(22, duration_s=0)))
    assert not home.disk.cancelled
    home.tick(arriving(command(23, duration_s=0)))
    assert not home.state.book.remembered


@pytest.mark.parametrize("early", [False, True], ids=["it came before", "it comes meanwhile"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("boot", ["", "kernel", "kernel-2"])
@pytest.mark.parametrize("ahead_s", [1, 400, 2 * 3600])
def test_no_clock_that_is_ahead_for_a_while_brings_back_what_was_called_off(
    ahead_s: int, boot: str, signed: bool, early: bool
) -> None:
    home = Home().ready()
    home.signed = signed
    word = command(9, target=command().id, created_ms=wall(home), **CANCEL)
    home.tick(*([] if early else [arriving(word)]))
    home.wall_offset_ms += 8 * DAY_MS
    home.tick(*([arriving(word)] if early else []))
    for second in range(0, ahead_s, 100):
        home.tick(arriving(command(100 + second, duration_s=0)), s=100)
    if boot:
        home = home.crash(kernel_boot=boot).ready()
        home.tick(arriving(command(50, duration_s=0)))
    home.wall_offset_ms -= 8 * DAY_MS
    home.run(3)
    home.tick(arriving(command(1, created_ms=wall(home), exp_ms=wall(home) + DAY_MS)))
    home.run(10)
    assert home.states(1) == ["cancelled"]
    assert home.powers() == []


def called_off(home: Home, number: int, key: str, quiet: bool = False) -> None:
    """The cancel of command `number`, which has not come."""
    word = command(10_000 + number, target=f"{number:032x}", created_ms=wall(home), **CANCEL)
    home.tick(CommandIn(word, (), quiet, key), s=0.01)


def test_cancels_of_another_key_push_none_of_a_keys_own_out() -> None:
    home = Home().ready()
    called_off(home, 1, "dispatch")
    for number in range(unseen.MOST + 60):
        called_off(home, 100 + number, "operations")
    assert len(home.disk.cancelled) == unseen.MOST
    assert {name for name, _, by in home.disk.cancelled if by == "dispatch"} == {"1".zfill(32)}
    again = home.crash()
    again.run(3)
    again.tick(FreshTime())
    again.tick(arriving(command(1)))
    assert again.states(1) == ["cancelled"]
    again.tick(arriving(command(100)))
    assert again.states(100)[0] == "received", "the oldest of the key that fills most gave way"


def test_a_cancel_beyond_its_keys_budget_is_remembered_too_and_goes_to_the_disk_with_the_next_commit() -> None:
    home = Home().ready()
    before = home.disk
    called_off(home, 1, "dispatch", quiet=True)
    called_off(home, 1, "dispatch", quiet=True)
    called_off(home, 2, "dispatch", quiet=True)
    assert home.disk == before, "of its own it costs the disk nothing"
    home.tick(arriving(command(1)))
    assert home.states(1) == ["cancelled"]
    assert [name for name, _, _ in home.disk.cancelled] == ["1".zfill(32), "2".zfill(32)]
    home.tick(arriving(command(2)))
    assert home.states(2) == ["cancelled"]
    called_off(home, 3, "dispatch", quiet=True)
    home.run(301)
    assert len(home.disk.cancelled) == 3, "or after five minutes"


def test_room_that_is_used_up_is_shared_by_key() -> None:
    kept: tuple[unseen.Unseen, ...] = ()
    for number in range(unseen.MOST):
        kept = unseen.plus(kept, (f"a{number}", 1000 + number, "a"))
    for number in range(unseen.MOST):
        kept = unseen.plus(kept, (f"b{number}", number, "b"))
    assert len(kept) == unseen.MOST
    assert sum(by == "a" for _, _, by in kept) == unseen.MOST // 2, "half of it each"
    assert ("a255", 1255, "a") in kept and ("a0", 1000, "a") not in kept
    assert ("b255", 255, "b") in kept and ("b0", 0, "b") not in kept, "what may be forgotten first gives way"


def test_cancel_of_a_scheduled_event() -> None:
    home = Home().ready()
    home.tick(arriving(command(start_ms=wall(home) + 60_000)))
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    home.run(70)
    assert home.states() == ["received", "scheduled", "cancelled"]
    assert home.writes == []


def test_cancel_of_what_is_over_changes_nothing() -> None:
    home = running(duration_s=20)
    home.run(20)
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    assert home.states()[-1] == "completed"
    assert home.states(2) == ["completed"]


def test_what_changes_nothing_is_acknowledged_and_leaves_no_record() -> None:
    home = running(duration_s=20)
    home.run(20)
    before = home.disk
    home.tick(arriving(command(2, **STOP)))
    home.tick(arriving(command(3, target=command().id, **CANCEL)))
    assert (home.states(2), home.states(3)) == (["completed"], ["completed"])
    assert home.disk.commands == before.commands
    home.tick(arriving(command(4, target="9" * 32, **CANCEL)))
    once = home.disk
    home.tick(arriving(command(5, target="9" * 32, **CANCEL)))
    assert home.states(5) == ["completed"]
    assert (home.disk.commands, home.disk.cancelled) == (once.commands, once.cancelled)


def test_beyond_its_keys_budget_a_cancel_or_stop_ends_what_it_ends_and_says_nothing() -> None:
    for word in (command(3, target=command().id, **CANCEL), command(3, **STOP)):
        home = running()
        home.tick(CommandIn(word, (), quiet=True))
        assert home.intents()[-1] == "clear"
        home.tick()
        assert home.states()[-1] == "cancelled"
        assert home.states(3) == []
        before, acks = home.disk, len(home.acks)
        home.tick(CommandIn(command(4, **STOP), (), quiet=True))
        home.tick(CommandIn(command(5, target="9" * 32, **CANCEL), (), quiet=True))
        assert (home.disk, len(home.acks)) == (before, acks)


def test_stop_ends_everything() -> None:
    home = running()
    home.tick(arriving(command(2, start_ms=wall(home) + 60_000)))
    home.tick(arriving(command(3, **STOP)))
    assert home.intents()[-1] == "clear"
    assert home.states()[-1] == "cancelled"
    assert home.states(2)[-1] == "cancelled"
    assert home.states(3) == ["completed"]


def test_dispatch_is_possible_again_after_a_signed_stop() -> None:
    home = running()
    home.tick(arriving(command(2, **STOP)))
    home.tick(arriving(command(3)))
    home.run(12)
    assert home.given() == 5000


# --- people at home ---------------------------------------------------------------------------------------------------
def test_local_stop_ends_dispatch_until_resume() -> None:
    home = running()
    home.tick(LocalStop("technician ada"))
    assert home.intents()[-1] == "clear"
    assert home.states()[-1] == "opted_out"
    assert home.acks[-1]["reason"] == "local_stop"
    assert home.disk.stopped_by == "technician ada"
    assert home.mode() is Mode.STANDBY

    home.tick(arriving(command(2)))
    assert home.acks[-1]["state"] == "rejected_not_applicable"
    assert home.acks[-1]["reason"] == "local_stop"

    home.tick(LocalResume("technician ada"))
    assert not home.disk.stopped_by
    home.tick(arriving(command(3)))
    home.run(12)
    assert home.given() == 5000
    assert [e["event"] for e in home.events_seen if "local" in e["event"]] == ["local_stop", "local_resume"]


def test_a_local_stop_survives_a_restart() -> None:
    home = running()
    home.tick(LocalStop("homeowner"))
    later = home.crash().ready()
    later.tick(arriving(command(2)))
    assert later.acks[-1]["reason"] == "local_stop"
    assert later.mode() is Mode.STANDBY


def test_stop_and_a_command_in_one_cycle() -> None:
    home = Home().ready()
    home.tick(LocalStop("homeowner"), arriving(command()))
    assert home.states() == ["rejected_not_applicable"]


# --- several commands -------------------------------------------------------------------------------------------------
def test_the_newest_of_equal_primacy_supersedes() -> None:
    home = running()
    home.tick(arriving(command(2, power_w=3000)))
    home.run(2)
    assert home.states() == ["received", "started", "superseded"]
    assert home.given() == 3000
    assert home.decision.command_id == command(2).id
    assert "clear" not in home.intents()  # the setpoint goes over without a gap


def test_lower_primacy_number_wins_whenever_it_comes() -> None:
    home = running(primacy=0)
    home.tick(arriving(command(2, power_w=3000, primacy=1, duration_s=900)))
    home.run(5)
    assert home.given() == 5000
    assert home.states(2) == ["received"]
    home.run(590)  # the first is over; the second runs for what is left
    assert home.states()[-1] == "completed"
    assert home.given() == 3000
    assert home.states(2) == ["received", "started"]


def test_a_command_that_others_outranked_to_its_end_is_superseded() -> None:
    home = running(primacy=0, duration_s=900)
    home.tick(arriving(command(2, primacy=1, duration_s=60)))
    home.run(65)
    assert home.states(2) == ["received", "superseded"]


def test_a_direct_setpoint_is_refreshed_by_its_successor() -> None:
    home = running(duration_s=900)
    for number in range(2, 6):
        home.run(300)
        home.tick(arriving(command(number, duration_s=900)))
    home.run(3)
    assert home.given() == 5000
    assert home.states(5) == ["received", "started"]
    assert "clear" not in home.intents()
