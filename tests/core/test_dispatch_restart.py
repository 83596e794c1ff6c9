"""Commands over crashes, reboots and failed commits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.decision import Intent
from agent.core.inputs import ClockTrust
from agent.core.params import S
from agent.core.step import initial, step
from tests.core.home import PARAMS, WALL_MS, Home, arriving, command
from tests.core.test_dispatch import CANCEL, running, wall

MS = S // 1000


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


@pytest.mark.parametrize("down_ms", [0, 900, 5_500])
@pytest.mark.parametrize("left_ms", [3_000, 600, 1])
@pytest.mark.parametrize("kernel", [None, "kernel-2"])
def test_a_crash_around_its_end_writes_nothing_behind_it(left_ms: int, down_ms: int, kernel: str | None) -> None:
    """Its end is the one that was counted when it was accepted: a restart neither moves it nor begins it anew."""
    home = running(duration_s=30)
    end_ns = home.disk.commands[0].end_ns
    while home.now_ns < end_ns - left_ms * MS:
        home.tick(s=min(1.0, (end_ns - left_ms * MS - home.now_ns) / S))
    assert home.given() == 5000
    later = home.crash(kernel_boot=kernel)
    later.now_ns += down_ms * MS
    later.state = initial(later.params, later.disk, later.clock(), later.now_ns)
    for _ in range(120):
        later.tick(s=0.15)
    behind = [w for at_ns, w in later.writes if at_ns >= end_ns and w.intent in (Intent.POWER, Intent.HEARTBEAT)]
    assert behind == []
    assert later.remote_w is None
    assert later.states() == ["completed" if kernel is None else "failed"]


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
