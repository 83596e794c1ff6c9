"""The life of commands, through whole cycles: acceptance, commit, acts, acks, ends, crashes and reboots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.command import CommandKind, RampClass
from agent.core.decision import Mode
from agent.core.durable import Window
from agent.core.inputs import ClockTrust, CommandIn, FreshTime, LocalResume, LocalStop
from agent.core.params import S
from agent.core.step import step
from drivers.readings import GridState
from tests.core.home import PARAMS, WALL_MS, Home, arriving, command

CANCEL = {"kind": CommandKind.CANCEL, "duration_s": 0, "power_w": 0}
STOP = {"kind": CommandKind.STOP, "duration_s": 0, "power_w": 0}


def running(**changes: Any) -> Home:
    """A home that has followed command 1 for twelve seconds."""
    home = Home().ready()
    home.tick(arriving(command(**changes)))
    home.run(12)
    return home


def wall(home: Home) -> int:
    return home.clock().wall_ms


# --- accept -> commit -> act -> ack -----------------------------------------------------------------------------------
def test_nothing_acts_before_the_disk_has_it() -> None:
    home = Home().ready()
    home.commits = False
    home.tick(arriving(command()))
    home.run(20)
    assert home.writes == []

    home.commits = True
    home.run(10)
    assert home.states() == ["received", "rejected_not_applicable"]
    assert home.acks[-1]["reason"] == "disk"
    assert home.writes == []


def test_the_window_is_committed_with_the_command() -> None:
    home = Home().ready()
    window = ("agg|key|dev", Window(7, 1))
    home.tick(CommandIn(command(), (window,)))
    assert home.disk.windows == (window,)
    assert [r.command.id for r in home.disk.commands] == [command().id]


def test_a_direct_setpoint_ends_after_its_duration_and_is_released() -> None:
    home = running(duration_s=30)
    home.run(17)
    assert home.given() == 5000
    home.run(2)
    assert home.given() is None
    assert home.states() == ["received", "started", "completed"]
    assert home.remote_w is None
    assert home.mode() is Mode.LOCAL


def test_energy_is_in_the_last_ack() -> None:
    """Nine seconds of ramp, then 5 kW: what the inverter read, summed by the second, is what is told."""
    home = running(duration_s=900)
    energy = sum(w for w in (570, 1140, 1710, 2280, 2850, 3420, 3990, 4560)) + 5000 * 891
    home.run(900)
    assert home.states()[-1] == "completed"
    assert abs(home.acks[-1]["energy_wh"] - energy / 3600) <= 2


def test_charging_energy_is_negative() -> None:
    home = running(duration_s=300, power_w=-3000)
    assert home.given() == -3000
    home.run(300)
    assert -252 <= home.acks[-1]["energy_wh"] <= -235


def test_an_event_waits_for_its_start() -> None:
    home = Home().ready()
    home.tick(arriving(command(start_ms=wall(home) + 61_000, duration_s=3600)))
    assert home.states() == ["received", "scheduled"]
    assert home.acks[-1]["effective_start"] == wall(home) + 60_000
    assert home.out is not None
    assert home.out.wake_ns == home.now_ns + 60 * S
    home.run(59)
    assert home.writes == []
    home.run(3)
    assert home.powers()[0] == 114  # an event ramps as scheduled: 1 % a second
    assert home.states() == ["received", "scheduled", "started"]


def test_an_event_that_has_begun_runs_for_what_is_left() -> None:
    home = Home().ready()
    home.tick(arriving(command(start_ms=wall(home) - 50_000, duration_s=60)))
    home.run(15)
    assert home.states() == ["received", "started", "completed"]


@pytest.mark.parametrize(
    ("ramp", "first"),
    [(RampClass.DIRECT, 570), (RampClass.SCHEDULED, 114), (RampClass.URGENT, 1140), (RampClass.REGULATION, 2850)],
)
def test_ramps(ramp: RampClass, first: int) -> None:
    home = running(ramp=ramp)
    assert home.powers()[0] == first


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"duration_s": 0}, "rejected_invalid", "duration"),
        ({"duration_s": -5}, "rejected_invalid", "duration"),
        ({"duration_s": 901}, "rejected_invalid", "duration"),
        ({"start_ms": WALL_MS + 60_000, "duration_s": 86_401}, "rejected_invalid", "duration"),
        ({"power_w": 1_000_001}, "rejected_invalid", "power"),
        ({"power_w": -(10**30)}, "rejected_invalid", "power"),
        ({"start_ms": WALL_MS + 8 * 86_400_000}, "rejected_invalid", "start"),
        ({"exp_ms": WALL_MS - 1}, "rejected_late", "exp"),
        ({"start_ms": WALL_MS - 700_000, "duration_s": 600}, "rejected_late", "over"),
        ({"kind": CommandKind.SCHEDULE}, "rejected_not_applicable", "kind"),
        ({"kind": CommandKind.SESSION}, "rejected_not_applicable", "kind"),
        ({"kind": CommandKind.PRICE}, "rejected_not_applicable", "kind"),
        ({"kind": CommandKind.QUOTE}, "rejected_not_applicable", "kind"),
        ({"kind": CommandKind.RESEND}, "rejected_not_applicable", "kind"),
    ],
)
def test_refused(changes: dict[str, Any], state: str, reason: str) -> None:
    home = Home().ready()
    home.tick(arriving(command(**changes)))
    home.run(20)
    assert [(a["state"], a["reason"]) for a in home.acks] == [(state, reason)]
    assert home.writes == []


def test_a_request_beyond_the_home_is_run_and_limited() -> None:
    home = running(power_w=50_000, ramp=RampClass.REGULATION)
    assert home.given() == 11_400
    assert home.states() == ["received", "limited", "started"]
    assert home.acks[1]["reason"] == "nameplate_discharge"
    assert home.acks[1]["limit_w"] == 11_400
    assert home.acks[1]["asked_w"] == 50_000


def test_no_dispatch_before_fresh_time_and_no_word_about_it() -> None:
    home = Home()
    home.run(5)
    home.tick(arriving(command()))
    home.run(20)
    assert home.acks == []
    assert home.writes == []
    assert any("no signed time" in notice for notice in home.notices)


def test_fresh_time_and_a_command_in_one_cycle() -> None:
    home = Home()
    home.run(5)
    home.tick(FreshTime(), arriving(command()))
    assert home.states() == ["received"]


def test_fresh_time_is_of_this_boot_only() -> None:
    home = Home().ready().crash()
    home.run(5)
    home.tick(arriving(command()))
    assert home.acks == []


def test_no_new_dispatch_without_a_disk_while_the_running_one_goes_on() -> None:
    home = running()
    home.disk_ok = False
    home.tick(arriving(command(2, power_w=3000)))
    home.run(5)
    assert home.given() == 5000
    assert home.states(2) == []  # the word itself needs the disk

    home.disk_ok = True
    home.run(1)
    assert home.states(2) == ["rejected_not_applicable"]
    assert home.acks[-1]["reason"] == "disk"


def test_too_many_waiting_commands_are_refused() -> None:
    home = Home().ready()
    events = [arriving(command(n, start_ms=WALL_MS + 3_600_000)) for n in range(1, 131)]
    home.tick(*events)
    assert home.states(128) == ["received", "scheduled"]
    assert home.states(129) == ["rejected_not_applicable"]
    assert home.acks[-1]["reason"] == "full"


# --- the same id again ------------------------------------------------------------------------------------------------
def test_the_same_command_again_gets_the_stored_ack_at_most_every_ten_seconds() -> None:
    home = running()
    home.tick(arriving(command()))
    home.tick(arriving(command()))
    assert home.states() == ["received", "started", "started"]
    home.run(10)
    home.tick(arriving(command()))
    assert home.states() == ["received", "started", "started", "started"]


def test_another_command_under_a_known_id_is_met_with_silence() -> None:
    home = running()
    home.tick(arriving(command(digest="f" * 64, power_w=-9000)))
    home.run(5)
    assert home.states() == ["received", "started"]
    assert home.given() == 5000


def test_a_finished_command_is_remembered() -> None:
    home = running(duration_s=20)
    home.run(20)
    home.tick(arriving(command(duration_s=20)))
    assert home.states()[-2:] == ["completed", "completed"]
    home.run(3)
    assert home.given() is None


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


def test_a_cancelled_id_is_forgotten_after_its_time() -> None:
    home = Home().ready()
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    assert len(home.disk.cancelled) == 1
    home.wall_offset_ms += 3 * 3_600_000
    home.tick(arriving(command(3, duration_s=0)))
    assert not home.disk.cancelled


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


# --- limited ----------------------------------------------------------------------------------------------------------
def test_limited_once_per_reason_and_not_more_often_than_every_ten_seconds() -> None:
    home = running()
    home.battery["dcl_ma"] = 50_000  # 2640 W
    home.tick()
    assert home.given() == 2640
    assert (home.acks[-1]["state"], home.acks[-1]["reason"]) == ("limited", "dcl")
    before = len(home.acks)
    home.battery["discharge_enabled"] = False
    home.run(9)
    assert len(home.acks) == before
    home.run(1)
    assert home.acks[-1]["reason"] == "discharge_enable"
    assert len(home.acks) == before + 1


def test_the_end_of_a_limit_is_told_without_a_reason() -> None:
    home = running(power_w=2000)
    home.meter["grid_w"] = -22_000  # PV alone exports all that the site may
    home.run(3)
    assert home.acks[-1]["reason"] == "site_export"
    home.meter.clear()
    home.run(20)
    assert (home.acks[-1]["state"], home.acks[-1]["reason"]) == ("limited", None)
    assert home.disk.commands[0].state == "started"


def test_a_command_that_could_never_begin_has_failed() -> None:
    home = Home().ready()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(2)
    home.tick(arriving(command(duration_s=30)))
    home.run(40)
    assert home.states() == ["received", "limited", "failed"]
    assert home.acks[-1]["reason"] == "islanded"
    assert "power" not in home.intents()


def test_zero_watts_is_a_setpoint() -> None:
    home = running(power_w=0)
    assert home.given() == 0
    assert home.powers()[0] == 0
    assert home.states() == ["received", "started"]


# --- crashes and reboots ----------------------------------------------------------------------------------------------
def test_after_a_crash_it_resumes_without_a_gap_or_a_second_start() -> None:
    home = running()
    later = home.crash()
    later.run(5)
    assert later.given() == 5000
    assert "clear" not in later.intents()
    assert later.acks == []  # started was committed before
    later.run(600)
    assert later.states() == ["completed"]


def test_a_crash_between_act_and_started_acks_started_once() -> None:
    home = Home().ready()
    home.tick(arriving(command()))
    home.tick()  # acts; its confirmation is on the way
    assert home.powers() == [570]
    later = home.crash()
    later.run(20)
    assert later.states() == ["started"]


def test_a_crash_before_the_commit_leaves_nothing() -> None:
    home = Home().ready()
    home.commits = False
    home.tick(arriving(command()))
    later = home.crash()
    later.commits = True
    later.run(20)
    assert later.acks == []
    assert later.powers() == []


def test_a_lost_link_stops_nothing() -> None:
    home = running(duration_s=60)
    for _ in range(40):
        home.now_ns += S
        inputs = replace(home.inputs(tuple(home.queue)), link_up=False)
        home.queue = []
        home.state, home.out = step(home.params, home.state, inputs)
        for write in home.out.writes:
            home.answer(write)
    assert home.given() == 5000


def test_a_direct_setpoint_fails_over_a_reboot_and_is_released() -> None:
    home = running()
    later = home.crash(kernel_boot="kernel-2")
    later.run(5)
    assert later.states() == ["failed"]
    assert later.acks[-1]["reason"] == "reboot"
    assert later.intents() == ["clear"]


def test_an_event_resumes_after_a_reboot_on_trusted_time_only() -> None:
    home = Home().ready()
    home.tick(arriving(command(start_ms=wall(home) + 5_000, duration_s=3600)))
    home.run(60)
    assert home.given() == 5000

    later = home.crash(kernel_boot="kernel-2")
    later.now_ns = 10 * S  # the monotonic clock begins anew
    later.wall_offset_ms = WALL_MS + 100_000 - 10_000
    later.state = replace(later.state, boot_ns=10 * S, now_ns=10 * S)
    later.trust = ClockTrust.UNTRUSTED
    later.run(20)
    assert later.powers() == []
    later.trust = ClockTrust.SYNCED
    later.run(60 + PARAMS.timers.grid_dwell_ns // S)
    assert later.given() == 5000
    assert "started" not in later.states()  # it was told before the reboot
    later.run(3600)
    assert later.states()[-1] == "completed"


def test_an_event_that_passed_while_the_gateway_was_off_has_failed() -> None:
    home = Home().ready()
    home.tick(arriving(command(start_ms=wall(home) + 5_000, duration_s=60)))
    later = home.crash(kernel_boot="kernel-2")
    later.wall_offset_ms += 3_600_000
    later.run(5)
    assert later.states() == ["failed"]


def test_energy_survives_a_crash_by_checkpoints() -> None:
    home = running(duration_s=900)
    home.run(400)
    known = home.disk.commands[0].delivered_mwh
    assert 5000 * 280 / 3.6 < known < 5000 * 420 / 3.6  # stored every 300 s at least
    later = home.crash()
    later.run(600)
    assert later.acks[-1]["state"] == "completed"
    assert later.acks[-1]["energy_wh"] >= known // 1000 + 5000 * 480 // 3600


def test_old_records_are_forgotten_and_running_ones_are_not() -> None:
    home = running(duration_s=20)
    home.run(20)
    home.tick(arriving(command(2, exp_ms=WALL_MS + 40 * 3_600_000, duration_s=900)))
    home.wall_offset_ms += 2 * 3_600_000 + 1
    home.run(2)
    home.tick(arriving(command(3, duration_s=0)))
    assert [r.command.id for r in home.disk.commands] == [command(2).id, command(3).id]


def test_an_untrusted_clock_forgets_nothing() -> None:
    home = running(duration_s=20)
    home.run(20)
    home.trust = ClockTrust.UNTRUSTED
    home.wall_offset_ms += 9 * 3_600_000
    home.tick(arriving(command(3, duration_s=0)))
    assert command().id in [r.command.id for r in home.disk.commands]


def test_records_of_a_failed_commit_come_with_the_next() -> None:
    home = running()
    home.commits = False
    home.tick(arriving(command(2, target=command().id, **CANCEL)))
    home.tick()
    assert "cancelled" not in home.states()
    home.commits = True
    home.run(8)
    assert home.states()[-1] == "cancelled"
    assert home.states().count("cancelled") == 1
