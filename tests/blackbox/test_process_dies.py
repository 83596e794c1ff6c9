"""Whole agent: kill -9 at any phase, disks that fail, clocks that jump, the reserve that is raised."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from agent import mail
from tests.blackbox.agent import Run

pytestmark = pytest.mark.slow
PHASES = [0.002, 0.02, 0.05, 0.1, 0.3, 0.6, 1.0, 1.7, 3.1, 6.3, 9.9, 15.2, 24.6, 39.5, 40.2, 41.0]


@pytest.mark.parametrize("phase", PHASES)
def test_killed_and_restarted(phase: float) -> None:
    """Row 21: nothing starts twice; what was accepted is finished, and its end is told."""
    with Run(seed=41) as run:
        run.to(12).dispatch(5_000, duration=40)
        run.backend.run_until(round((12 + phase) * 1e9))
        run.do("proc.crash").to(100)
        states = run.states()
        assert states.count("started") <= 1
        assert not run["truth.remote"], run.story()
        assert not run.writes("power", since=12 + 40 + 1), run.story()  # what was on its way at the end, and no more
        if states:
            assert states[-1] in ("completed", "failed"), states
        assert run["agg.missing"] == 0


@pytest.mark.parametrize("phase", [0.1, 1.0, 3.1, 9.9, 24.6])
@pytest.mark.parametrize("power_w", [5_000, -5_000])
def test_killed_and_left_alone(phase: float, power_w: int) -> None:
    """The inverter's own timer ends it within the stated time."""
    with Run(seed=42) as run:
        run.to(12)
        stated = run["agent.stated_end_s"]
        run.dispatch(power_w).to(12 + phase)
        run.do("proc.kill9").wait(stated)
        for _ in range(30):
            assert not run["truth.remote"], run.story()
            run.wait(1)


def test_killed_again_and_again() -> None:
    """Row 23: five starts in ten minutes: nothing but reading."""
    with Run(seed=43) as run:
        run.running()
        for _ in range(7):
            run.do("proc.crash").wait(8)
        run.wait(60)
        assert not run["truth.remote"], run.story()
        assert run.states().count("started") == 1
        run.dispatch(4_000, "late").wait(20)
        assert not run["truth.remote"] and "started" not in run.states("late")


def test_killed_near_the_reserve_without_restart() -> None:
    """I12: not even a dead agent crosses it."""
    for permille in (204, 209, 216):
        with Run(seed=44, soc_permille=permille, reserve_permille=200) as run:
            run.to(12).dispatch(11_400).wait(4)
            run.do("proc.kill9").wait(150)
            assert run["truth.soc_permille"] >= 198


@pytest.mark.parametrize("device", ["battery", "inverter", "meter"])
def test_another_device_answers_in_its_place(device: str) -> None:
    """Row 30: identity is checked before any write."""
    with Run(seed=45) as run:
        run.running()
        slaves = run.backend.world.slaves.by_unit
        unit = {"battery": 1, "meter": 2, "inverter": 3}[device]
        other = {"battery": 2, "meter": 1, "inverter": 2}[device]
        real = slaves[unit]
        run.home("mute", device=device, on=True).wait(12)
        slaves[unit] = slaves[other]
        begun = run.t
        run.wait(60)
        assert [w for w in run.writes("power", begun) if w.fields["value"] != 0] == [], run.story()
        assert device != "inverter" or run.writes(since=begun) == [], "nothing is written to a stranger"
        assert run.zero_or_released()
        slaves[unit] = real
        run.home("mute", device=device, on=False).wait(30)
        assert run["agent.devices_ok"] == 3, run.story()


class FailingConnection:
    """A connection whose every write fails."""

    def __init__(self, real: sqlite3.Connection, error: str) -> None:
        self._real, self._error = real, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *args: Any) -> Any:
        if sql.lstrip().upper().startswith(("SELECT", "PRAGMA", "ROLLBACK")):
            return self._real.execute(sql, *args)
        raise sqlite3.OperationalError(self._error)


def fail_disk(run: Run, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    """From now on nothing can be written, by a new connection neither."""
    database = run.backend.runtime._parts["store"]._vault._db  # type: ignore[attr-defined]
    database._db = FailingConnection(database._db, error)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: FailingConnection(connect(*a, **k), error))


@pytest.mark.parametrize(
    "error", ["database or disk is full", "attempt to write a readonly database", "disk I/O error"]
)
def test_a_failing_disk_never_stops_protection(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows 42, 43: limits go on, stop works, new dispatch is refused, and the fault says so."""
    with Run(seed=46) as run:
        run.running()
        fail_disk(run, monkeypatch, error)
        run.wait(70)
        assert "disk" in run["agent.faults"].split(), run.story()
        run.home("limits", dcl_ma=20_000)
        run.within(4, lambda: run["truth.battery_w"] <= 1_200, "DCL with a failed disk")
        run.do("aggregator.stop")
        run.within(1.5, lambda: not run["truth.remote"], "stop with a failed disk")
        begun = run.t
        run.home("limits").dispatch(4_000, "later").wait(60)
        assert run.writes("power", begun) == []


@pytest.mark.parametrize("by_s", [-86_400, -3_600, -3, 3, 3_600, 86_400])
def test_the_wall_clock_jumps(by_s: int) -> None:
    """Row 36: a direct setpoint runs on monotonic time."""
    with Run(seed=47) as run:
        run.running(duration=60)
        run.may_fail = 3 + 8  # under way when the clocks of both ends jumped, and 16 s until the kernel is asked of its
        run.backend.runtime.step_wall(by_s * 1000)
        run.to(68)
        assert abs(run["truth.battery_w"] - 5_000) < 150, run.story()
        run.to(80)
        assert not run["truth.remote"], run.story()


def test_network_time_that_comes_after_a_signed_time_ends_no_storm() -> None:
    """A gateway without a battery-backed clock starts 3 days behind. A signed time corrects that, the homeowner raises
    the reserve for two days, then NTP steps the kernel's clock. The correction must not be counted twice."""
    with Run(seed=3) as run:
        run.judge_reserve, run.may_fail = False, 10**6  # the aggregator lives in the same clock
        runtime, behind_ms = run.backend.runtime, 3 * 86_400_000
        real, behind = runtime.now, [behind_ms]
        run.backend._live._now = lambda: real()._replace(wall_ms=real().wall_ms + behind[0])
        runtime.ntp_synced = False
        run.do("proc.crash").wait(15)
        runtime.post("control", mail.Verb(9, "storm", "ada", "homeowner", value=550, text="storm", for_s=2 * 86_400))
        run.wait(10)
        assert (run["agent.reserve_permille"], run["truth.floor_permille"]) == (550, 550), run.story()
        runtime.step_wall(behind_ms)
        behind[0] = 0
        for _ in range(20):
            run.wait(1)
            assert (run["agent.reserve_permille"], run["truth.floor_permille"]) == (550, 550), run.story()
        runtime.ntp_synced = True
        for _ in range(40):
            run.wait(1)
            assert (run["agent.reserve_permille"], run["truth.floor_permille"]) == (550, 550), run.story()


def test_a_stop_is_obeyed_with_a_wrong_clock() -> None:
    with Run(seed=48) as run:
        run.running(duration=900)
        run.backend.runtime.ntp_synced = False
        build = run.backend._aggregator.time
        run.backend._aggregator.time = lambda device, nonce, now: build(device, "0" * 32, now)  # type: ignore[method-assign]
        run.do("proc.crash").wait(10)
        assert run["agent.link"] and not run["agent.fresh"] and run["truth.setpoint_w"], run.story()
        run.backend.runtime.step_wall(-7_200_000)
        run.may_fail = 3
        run.do("aggregator.stop")
        run.within(1.5, lambda: not run["truth.remote"], "stop")


@pytest.mark.parametrize("permille", [590, 600, 700, 1000])
def test_the_reserve_is_raised_in_mid_dispatch(permille: int) -> None:
    """Promise 1: above what is there, so discharge ends."""
    with Run(seed=49) as run:
        run.running()
        run.judge_reserve = False
        run.do("local.reserve", permille=permille)
        if permille >= 600:
            run.within(2.5, run.zero_or_released, "the reserve was raised")
        run.within(10, lambda: run["truth.floor_permille"] >= permille, "the device's floor follows")
        run.wait(60)
        assert run["truth.soc_permille"] >= min(permille, 590) - 2


def test_a_clean_stop_at_many_phases() -> None:
    """Ctrl-C at any moment leaves the inverter released."""
    for phase in (0.05, 0.3, 1.1, 4.0, 11.7):
        with Run(seed=50) as run:
            run.to(12).dispatch(5_000).to(12 + phase)
            run.do("proc.term")
            run.within(15, lambda: not run["proc.alive"], "ends")
            run.wait(0.5)  # the plant's own dead time
            assert not run["truth.remote"] and run["proc.exit"] == 0


def test_the_same_seed_gives_the_same_trace() -> None:
    def once() -> str | None:
        with Run(seed=51) as run:
            run.running().home("noise", permille=5, on=True)
            run.wait(10).do("proc.crash").wait(20)
            run.backend.signals()
            return run.backend.finish().trace

    assert once() == once()
