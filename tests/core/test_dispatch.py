"""The life of commands, through whole cycles: acceptance, commit, acts, acks, limits."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.command import CommandKind, RampClass
from agent.core.decision import Mode
from agent.core.durable import Window
from agent.core.inputs import CommandIn, FreshTime
from agent.core.params import S
from drivers.readings import GridState
from tests.core.home import WALL_MS, Home, arriving, command

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


def test_a_command_with_a_mode_that_is_not_here_is_refused_as_a_whole() -> None:
    """Its setpoint too: it was meant together with the rest."""
    home = Home().ready()
    home.tick(arriving(command(beyond="export_limit_w")))
    home.run(12)
    assert home.writes == []
    assert home.states() == ["rejected_not_applicable"]
    assert (home.acks[0]["reason"], home.acks[0]["sentence"]) == ("mode", "this home has no export_limit_w")


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
        ({"power_w": None}, "rejected_invalid", "mode"),
        ({"power_w": None, "import_limit_w": -1}, "rejected_invalid", "limit"),
        ({"randomize_s": 60}, "rejected_invalid", "start"),
        ({"start_ms": WALL_MS + 60_000, "randomize_s": 3601}, "rejected_invalid", "start"),
        ({"kind": CommandKind.SCHEDULE}, "rejected_invalid", "intervals"),
        ({"kind": CommandKind.SCHEDULE, "values": (5,), "interval_s": 600}, "rejected_invalid", "start"),
        (
            {"kind": CommandKind.SCHEDULE, "values": (10**7,), "interval_s": 600, "start_ms": WALL_MS},
            "rejected_invalid",
            "power",
        ),
        ({"kind": CommandKind.SESSION}, "rejected_invalid", "start"),
        ({"kind": CommandKind.SESSION, "start_ms": WALL_MS, "lo_w": 1}, "rejected_invalid", "band"),
        ({"kind": CommandKind.PRICE}, "rejected_invalid", "intervals"),
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


def test_r15_a_command_that_an_outage_never_let_begin_was_not_applicable() -> None:
    home = Home().ready()
    home.inverter["grid_state"] = GridState.ISLANDED
    home.run(2)
    home.tick(arriving(command(duration_s=30)))
    home.run(40)
    assert home.states() == ["received", "limited", "rejected_not_applicable"]
    assert home.acks[-1]["reason"] == "islanded"
    assert "power" not in home.intents()


def test_zero_watts_is_a_setpoint() -> None:
    home = running(power_w=0)
    assert home.given() == 0
    assert home.powers()[0] == 0
    assert home.states() == ["received", "started"]


def test_of_rejected_commands_a_thousand_a_day_are_told_and_all_are_remembered() -> None:
    home = Home().ready()
    for n in range(1, 231, 10):
        home.tick(*[arriving(command(n + i, beyond="export_limit_w")) for i in range(10)])
    assert len(home.acks) == 200
    assert home.states(230) == []
    assert any(r.command.id == f"{230:032x}" for r in home.state.book.durable.commands)
    home.tick(arriving(command(300)))
    home.run(3)
    assert home.states(300)[0] == "received", "what is taken is always told"
    home.tick(s=87)
    home.tick(*[arriving(command(n, beyond="export_limit_w")) for n in (400, 401)])
    assert [len(home.states(n)) for n in (400, 401)] == [1, 0]
