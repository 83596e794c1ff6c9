"""Protocol promises at the step: accept, commit, act, ack; and what ends work ends it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.command import CommandKind
from agent.core.decision import Intent
from agent.core.inputs import ClockTrust, CommandIn, FreshTime, LocalStop
from tests.blackbox.rig import Rig
from tests.blackbox.world import World
from tests.core.home import command


def running(power_w: int = 5_000, permille: float = 600) -> Rig:
    rig = Rig(world=World(wh=permille * 25)).ready()
    rig.tick(CommandIn(command(power_w=power_w), ()))
    rig.run(20)
    assert rig.world.remote_w == power_w
    return rig


def ending(kind: str, target: int = 1) -> CommandIn:
    c = command(
        99, kind=CommandKind(kind), target=f"{target:032x}" if kind == "cancel" else None, power_w=0, duration_s=0
    )
    return CommandIn(c, ())


@pytest.mark.parametrize("kind", ["cancel", "stop", "local"])
@pytest.mark.parametrize("trouble", ["none", "disk", "late disk", "clock", "disk and clock", "boot without time"])
def test_what_ends_work_releases_in_the_same_cycle(kind: str, trouble: str) -> None:
    rig = running()
    if "disk" in trouble:
        rig.commits, rig.disk_ok = ("late", True) if "late" in trouble else ("fail", False)
    if "clock" in trouble:
        rig.trust, rig.wall_shift_ms = ClockTrust.UNTRUSTED, -86_400_000
    if "boot" in trouble:
        rig.crash(1.0)
        rig.run(6)
        assert rig.world.remote_w == 5_000, "resumed without the nonce, for it was accepted before"
    out = rig.tick(LocalStop("someone") if kind == "local" else ending(kind))
    assert [w.intent for w in out.writes] == [Intent.CLEAR]
    rig.run(10)
    assert rig.world.remote_w is None
    rig.commits, rig.disk_ok = "at once", True
    rig.land()
    rig.run(5)
    assert rig.acks(command())[-1] in ("cancelled", "aborted_server", "opted_out")


def test_no_power_on_old_evidence_of_the_grid() -> None:
    """I13: the inverter's word is older than two seconds, and the meter has nothing to say."""
    rig = running()
    rig.mute = {"meter", "inverter"}
    rig.fate = "confirmed"
    before = len(rig.writes)
    rig.run(3)
    rig.raise_reserve(900)
    rig.run(3)
    assert not [w for at, w, _ in rig.writes[before:] if w.intent is Intent.POWER and at > rig.now_ns - 4 * 10**9]


def test_a_lost_release_is_sent_again_until_it_is_read_back() -> None:
    rig = running()
    rig.fate = "silent"
    rig.tick(ending("stop"))
    rig.run(3)
    rig.fate = "confirmed"
    rig.run(3)
    assert rig.world.remote_w is None


@pytest.mark.parametrize("commits", ["fail", "late"])
def test_nothing_is_done_before_it_is_on_the_disk(commits: str) -> None:
    rig = Rig().ready()
    rig.commits = commits
    rig.tick(CommandIn(command(), ()))
    rig.run(30)
    assert not [w for _, w, _ in rig.writes if w.intent is Intent.POWER]
    assert rig.lives[command().id].acks == []
    rig.land()
    rig.commits = "at once"
    rig.run(15)
    assert (rig.world.remote_w == 5_000) is (commits == "late")


def test_tightening_does_not_wait_for_the_disk() -> None:
    rig = running()
    rig.commits, rig.disk_ok = "late", False
    rig.over = {"battery": {"dcl_ma": 10_000}}
    out = rig.tick()
    assert [(w.intent, w.value <= 528) for w in out.writes] == [(Intent.POWER, True)]


def test_the_lease_is_renewed_while_the_disk_fails() -> None:
    rig = running()
    rig.commits, rig.disk_ok = "fail", False
    rig.run(120)
    assert rig.world.remote_w == 5_000


@pytest.mark.parametrize("trust", list(ClockTrust))
def test_no_dispatch_before_this_boots_nonce_came_back(trust: ClockTrust) -> None:
    rig = Rig()
    rig.trust = trust
    rig.run(6)
    rig.tick(CommandIn(command(), ()))
    rig.run(20)
    assert not [w for _, w, _ in rig.writes if w.intent is Intent.POWER]
    rig.tick(FreshTime())
    rig.tick(CommandIn(command(2), ()))
    rig.run(20)
    assert rig.world.remote_w == 5_000


def test_a_reserve_raised_above_what_is_there_ends_discharge_in_that_cycle() -> None:
    rig = running()
    rig.raise_reserve(700)
    out = rig.tick()
    assert out.decision.hi_w == 0
    assert out.writes and all(w.value == 0 for w in out.writes if w.intent is Intent.POWER)
    rig.run(5)
    assert rig.world.remote_w in (0, None) and rig.world.floor == 700


def test_a_floor_found_below_the_reserve_is_raised_and_a_foreign_change_undone() -> None:
    rig = Rig(world=World(floor=50)).ready()
    assert rig.world.floor >= 200
    rig.world.floor = 0
    rig.run(65)
    assert rig.world.floor >= 200
    assert "floor_changed" in {f.id for f in rig.decision.faults}


@pytest.mark.parametrize("down", [1.0, 30.0, 120.0])
def test_a_crash_on_the_same_kernel_boot_resumes_without_a_second_start(down: float) -> None:
    rig = running()
    rig.crash(down)
    rig.run(30)
    assert rig.world.remote_w == 5_000
    assert rig.acks(command()).count("started") == 1


def test_a_direct_setpoint_does_not_survive_a_reboot() -> None:
    rig = running()
    rig.crash(20.0, reboot=True)
    rig.tick(FreshTime())
    rig.run(30)
    assert rig.world.remote_w is None
    assert rig.acks(command())[-1] == "failed"


def test_work_that_ended_while_nobody_ran_is_not_begun_again() -> None:
    rig = running()
    rig.crash(1_200.0)
    rig.tick(FreshTime())
    rig.run(20)
    assert rig.world.remote_w is None
    assert rig.acks(command()).count("started") == 1
    assert rig.acks(command())[-1] in ("completed", "failed")


@pytest.mark.parametrize("ticks", range(14))
@pytest.mark.parametrize("lose", [True, False])
def test_killed_after_any_cycle(ticks: int, lose: bool) -> None:
    """Started at most once; what was accepted comes to an end that is told."""
    rig = Rig().ready()
    rig.commits = "late"
    rig.tick(CommandIn(command(duration_s=30), ()))
    for n in range(ticks):
        if n % 3 == 1:
            rig.land()
        rig.tick()
    rig.crash(0.5, lose_late=lose)
    rig.commits = "at once"
    rig.tick(FreshTime())
    rig.run(90)
    acks = rig.acks(command())
    assert acks.count("started") <= 1
    assert rig.world.remote_w is None
    if command().id in rig.durable_ids:
        assert acks[-1] in ("completed", "failed"), acks


def test_it_ends_by_itself() -> None:
    rig = Rig().ready()
    rig.tick(CommandIn(command(duration_s=60), ()))
    rig.run(59)
    assert rig.world.remote_w == 5_000
    rig.run(3)
    assert rig.world.remote_w is None and rig.acks(command())[-1] == "completed"


@pytest.mark.parametrize("changes", [{"duration_s": 0}, {"duration_s": -5}, {"duration_s": 10**9}, {"exp_ms": 0}])
def test_what_can_not_be_is_refused(changes: dict[str, Any]) -> None:
    rig = Rig().ready()
    rig.tick(CommandIn(replace(command(), **changes), ()))
    rig.run(20)
    assert not [w for _, w, _ in rig.writes if w.intent is Intent.POWER]
    assert rig.acks(command())[-1].startswith("rejected")


def test_a_restored_island_waits_and_resumes_what_is_left() -> None:
    rig = running()
    rig.world.grid, rig.world.remote_w = False, None
    rig.run(30)
    assert "limited" in rig.acks(command())
    rig.world.grid = True
    rig.run(295)
    assert rig.world.remote_w is None, "the dwell"
    rig.run(30)
    assert rig.world.remote_w == 5_000, rig.decision
    assert rig.acks(command()).count("started") == 1


@pytest.mark.parametrize("power_w", [5_000, -5_000])
def test_a_mute_device_ends_it_even_if_writes_get_lost(power_w: int) -> None:
    rig = running(power_w)
    rig.mute = {"battery"}
    rig.fate = "silent"
    rig.run(70)  # the plant's truth is judged against the stated time in every second
    assert rig.world.remote_w is None


def test_what_tightened_while_nobody_ran_binds_at_once() -> None:
    rig = running()
    rig.raise_reserve(700)
    rig.crash(1.0)
    rig.run(4)
    assert rig.world.remote_w in (0, None), rig.decision


def test_a_crash_near_the_reserve_over_and_over_does_not_cost_it() -> None:
    """Each death lets the last setpoint run on: the look-ahead must count that every time."""
    rig = Rig(world=World(wh=206 * 25.0)).ready()
    rig.tick(CommandIn(command(power_w=11_400), ()))
    for n in range(40):
        rig.run(3 + n % 5)
        rig.crash(1.0 + 7 * (n % 4))
        rig.tick(FreshTime())
    assert rig.world.permille >= 199.9
