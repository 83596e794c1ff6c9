"""Anything, in any order, over crashes: the inspector of `rig` judges every cycle and the plant's truth in between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.core.command import CommandKind, RampClass
from agent.core.inputs import ClockTrust, CommandIn, FreshTime, LocalResume, LocalStop
from tests.blackbox.rig import FATES, Rig
from tests.blackbox.world import World
from tests.core.home import command
from tests.machines import TO_SHRINK, limits

pytestmark = pytest.mark.slow
DEVICES = ("battery", "inverter", "meter")
POWERS = st.one_of(st.integers(-12_000, 12_000), st.sampled_from([0, 1, -1, 10**9, -(10**12)]))


class Home(RuleBasedStateMachine):
    """One home and its troubles."""

    @initialize(
        permille=st.one_of(st.integers(0, 1000), st.integers(195, 230)),
        floor=st.sampled_from([0, 50, 200, 300]),
        quantum=st.sampled_from([1, 10]),
    )
    def begin(self, permille: int, floor: int, quantum: int) -> None:
        self.number = 0
        self.sent: list[Any] = []
        self.rig = Rig(world=World(wh=permille * 25.0, floor=floor), quantum=quantum)
        self.rig.ready()

    # --- time --------------------------------------------------------------------------------------------------------
    @rule(n=st.integers(1, 20))
    def seconds(self, n: int) -> None:
        self.rig.run(n)

    @rule(n=st.sampled_from([60, 120]))
    def minutes(self, n: int) -> None:
        self.rig.run(n)

    @rule(ms=st.integers(1, 900))
    def woken_early(self, ms: int) -> None:
        self.rig.tick(s=ms / 1000)

    @rule(s=st.integers(2, 8))
    def stall(self, s: int) -> None:
        self.rig.tick(s=s)

    @rule(draw=st.integers(0, 2**64 - 1))
    def random(self, draw: int) -> None:
        self.rig.draw = draw

    # --- commands ----------------------------------------------------------------------------------------------------
    @rule(
        power=POWERS,
        duration=st.sampled_from([1, 10, 60, 600, 900]),
        start=st.one_of(st.none(), st.integers(-100_000, 60_000)),
        life=st.sampled_from([-5_000, 1_000, 60_000]),
        primacy=st.integers(0, 3),
        ramp=st.sampled_from(list(RampClass)),
    )
    def dispatch(self, power: int, duration: int, start: int | None, life: int, primacy: int, ramp: RampClass) -> None:
        self.number += 1
        wall = self.rig.wall_ms
        c = command(
            self.number,
            created_ms=wall,
            exp_ms=wall + life,
            power_w=power,
            duration_s=duration,
            start_ms=None if start is None else wall + start,
            primacy=primacy,
            ramp=ramp,
        )
        self.sent.append(c)
        self.rig.tick(CommandIn(c, ()))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def again(self, data: Any) -> None:
        self.rig.tick(CommandIn(data.draw(st.sampled_from(self.sent)), ()))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        self.number += 1
        target = data.draw(st.sampled_from(self.sent)).id
        self._end(CommandKind.CANCEL, target)

    @rule()
    def stop(self) -> None:
        self.number += 1
        self._end(CommandKind.STOP, None)

    def _end(self, kind: CommandKind, target: str | None) -> None:
        wall = self.rig.wall_ms
        c = command(self.number, kind=kind, target=target, created_ms=wall, exp_ms=wall + 60_000, power_w=0)
        self.rig.tick(CommandIn(c, ()))

    @rule()
    def fresh_time(self) -> None:
        self.rig.tick(FreshTime())

    @rule()
    def local_stop(self) -> None:
        self.rig.tick(LocalStop("someone"))

    @rule()
    def local_resume(self) -> None:
        self.rig.tick(LocalResume("someone"))

    # --- troubles ----------------------------------------------------------------------------------------------------
    @rule(device=st.sampled_from(DEVICES))
    def mute(self, device: str) -> None:
        self.rig.mute.add(device)

    @rule(device=st.sampled_from(DEVICES))
    def speak(self, device: str) -> None:
        self.rig.mute.discard(device)

    @rule(device=st.sampled_from(DEVICES), presence=st.sampled_from(["ok", "silent", "mismatch", "identifying", "ok"]))
    def presence(self, device: str, presence: str) -> None:
        self.rig.presence[device] = presence

    @rule(
        over=st.sampled_from(
            [
                {},
                {},
                {"battery": {"dcl_ma": 0}},
                {"battery": {"ccl_ma": None, "dcl_ma": 50_000}},
                {"battery": {"cell_max_mv": 3560}},
                {"battery": {"cell_min_mv": 2880}},
                {"battery": {"temp_max_dc": 560}},
                {"battery": {"temp_min_dc": -20, "temp_max_dc": 100}},
                {"battery": {"soc_permille": None}},
                {"meter": {"grid_w": None}},
                {"inverter": {"battery_w": None}},
                {"inverter": {"floor_permille": None}},
                {"battery": {"alarms": ("cell_overvoltage",)}},
            ]
        )
    )
    def readings(self, over: dict[str, Any]) -> None:
        self.rig.over = over

    @rule(fate=st.sampled_from([*FATES, "confirmed", "confirmed", "confirmed"]))
    def bus(self, fate: str) -> None:
        self.rig.fate = fate

    @rule(how=st.sampled_from(["at once", "late", "fail", "at once"]))
    def disk(self, how: str) -> None:
        self.rig.commits = how
        self.rig.disk_ok = how != "fail"
        if how == "at once":
            self.rig.land()

    @rule(trust=st.sampled_from(list(ClockTrust)), shift=st.sampled_from([0, 0, 3_600_000, -3_600_000, 86_400_000]))
    def wall_clock(self, trust: ClockTrust, shift: int) -> None:
        self.rig.trust = trust
        self.rig.wall_shift_ms += shift

    @rule(on=st.booleans())
    def grid(self, on: bool) -> None:
        self.rig.world.grid = on
        if not on:
            self.rig.world.remote_w = None  # what inverters do when the relay opens

    @rule(load=st.integers(0, 9_000), pv=st.sampled_from([0, 0, 4_000]))
    def house(self, load: int, pv: int) -> None:
        self.rig.world.load_w, self.rig.world.pv_w = load, pv

    @rule(permille=st.sampled_from([100, 200, 205, 400, 1000]))
    def reserve(self, permille: int) -> None:
        self.rig.raise_reserve(permille)

    @rule(floor=st.sampled_from([0, 50, 500]))
    def other_hand(self, floor: int) -> None:
        self.rig.world.floor = floor

    @rule(down=st.sampled_from([0.5, 2.0, 90.0]), reboot=st.booleans(), lose=st.booleans(), fresh=st.booleans())
    def crash(self, down: float, reboot: bool, lose: bool, fresh: bool) -> None:
        self.rig.crash(down, reboot, lose)
        if fresh:
            self.rig.tick(FreshTime())

    @invariant()
    def started_once(self) -> None:
        for life in getattr(self, "rig", Rig()).lives.values():
            assert life.acks.count("started") <= life.repeats


TestHome = TO_SHRINK(Home.TestCase)
TestHome.settings = limits(60, 40)
