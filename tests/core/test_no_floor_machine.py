"""A home whose inverter has no floor, by the plant's truth: whatever is lost and however the house draws, its own mode
never takes the battery below the reserve while the agent runs.

The plant is that of `tests.blackbox`: the inverter follows the load by itself, down to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.core.decision import Intent
from agent.core.inputs import CommandIn, Event, Inputs
from agent.core.params import S
from drivers.readings import DeviceRole
from tests.blackbox.rig import SITE, Broken, Rig, World, demand
from tests.core.home import capability, command

LAG_S = 2  # the inverter's own mode runs on for a cycle and a write after a cause is seen


@dataclass
class Floorless(Rig):
    """The rig without the register; every second of the truth is judged, released or not."""

    slack_wh: float = 0.0  # what may be missing: of a restart, or of a raise

    def inputs(self, events: tuple[Event, ...]) -> Inputs:
        seen = super().inputs(events)
        devices = tuple(
            replace(d, capability=capability(floor=False)) if d.role is DeviceRole.INVERTER else d for d in seen.devices
        )
        bare = tuple(replace(r, floor_permille=None) for r in seen.inverters)
        return replace(seen, devices=devices, inverters=bare)

    def _judge_truth(self) -> None:
        super()._judge_truth()
        least = self.reserve.permille * SITE.capacity_wh / 1000 - self.slack_wh
        demand(not self.world.grid or self.world.wh >= least, "the home keeps its reserve", self.world, self.reserve)

    @property
    def powers(self) -> int:
        return sum(write.intent is Intent.POWER for _, write, _ in self.writes)


def floorless(permille: float = 230, load_w: int = 3_000, quantum: int = 1, **fields: Any) -> Floorless:
    rig = Floorless(world=World(wh=permille * 25.0, load_w=load_w, floor=0, **fields), quantum=quantum)
    rig.ready()
    return rig


class Home(RuleBasedStateMachine):
    """Loads, sun, lost readings, dispatches; the wire to the inverter works."""

    @initialize(
        permille=st.integers(225, 260),
        quantum=st.sampled_from([1, 10]),
        load=st.sampled_from([300, 3_000, 11_000]),
    )
    def begin(self, permille: int, quantum: int, load: int) -> None:
        self.number = 0
        self.rig = floorless(permille, load, quantum)

    @rule(n=st.sampled_from([1, 7, 30, 120, 300]))
    def seconds(self, n: int) -> None:
        self.rig.run(n)

    @rule(ms=st.integers(1, 900))
    def woken_early(self, ms: int) -> None:
        self.rig.tick(s=ms / 1000)

    @rule(watts=st.integers(0, 11_400))
    def load(self, watts: int) -> None:
        self.rig.world.load_w = watts

    @rule(watts=st.integers(0, 9_000))
    def sun(self, watts: int) -> None:
        self.rig.world.pv_w = watts

    @rule(what=st.sampled_from(["battery", "meter"]))
    def mute(self, what: str) -> None:
        self.rig.mute.add(what)
        self.rig.run(3)

    @rule(what=st.sampled_from(["battery", "meter"]))
    def hear(self, what: str) -> None:
        self.rig.mute.discard(what)

    @rule()
    def no_soc(self) -> None:
        self.rig.over = {} if self.rig.over else {"battery": {"soc_permille": None}}
        self.rig.run(2)

    @rule(draw=st.integers(0, 2**32 - 1))
    def random(self, draw: int) -> None:
        self.rig.draw = draw

    @rule(watts=st.integers(-11_400, 11_400), seconds=st.sampled_from([5, 60]))
    def dispatch(self, watts: int, seconds: int) -> None:
        self.number += 1
        wall = self.rig.wall_ms
        c = command(self.number, created_ms=wall, exp_ms=wall + 60_000, power_w=watts, duration_s=seconds)
        self.rig.tick(CommandIn(c, ()))

    @rule(s=st.integers(1, 10))
    @precondition(lambda self: self.rig.world.permille > 225 and self.rig.boots < 3)
    def crash(self, s: int) -> None:
        """Far enough from the reserve for what nobody watches in between; too few for a crash loop, which releases."""
        self.rig.crash(s)
        self.rig.run(6)

    @invariant()
    def a_setpoint_a_second_at_most(self) -> None:
        rig = getattr(self, "rig", None)
        if rig is not None:
            demand(rig.powers <= (rig.now_ns - 1_000 * S) / S * 2 + 5, "writes are few", rig.powers)


def limits(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


TestHome = Home.TestCase
TestHome.settings = limits(12, 25)


class Longer(Home):
    """The same, for a night."""


TestLonger = pytest.mark.timeout(900)(pytest.mark.slow(Longer.TestCase))
TestLonger.settings = limits(150, 50)


# --- by example -------------------------------------------------------------------------------------------------------
def test_a_night_of_three_kilowatts_ends_at_the_reserve_and_stays_there() -> None:
    """23 % and 3 kW: 750 Wh are gone in a quarter of an hour; then nothing moves, and only the lease is written."""
    rig = floorless(230)
    rig.run(1800)
    assert 200 <= rig.world.permille < 203
    assert rig.decision.given_w == 0
    before, wh = rig.powers, rig.world.wh
    rig.run(900)
    assert rig.world.wh == wh
    assert rig.powers - before <= 900 // 15 + 1


def test_the_way_down_takes_few_writes() -> None:
    """From the first setpoint to zero, with the whole look-ahead in between."""
    rig = floorless(212)
    rig.run(900)
    assert rig.decision.given_w == 0
    lease = 900 // 15
    assert rig.powers <= lease + 60


def test_the_morning_sun_is_taken_and_then_it_is_let_go() -> None:
    rig = floorless(203)
    rig.run(60)
    rig.world.pv_w = 7_000
    rig.run(20)
    assert rig.world.battery_w == -4_000
    rig.run(1200)
    assert rig.world.permille > 230
    assert rig.world.remote_w is None


def test_a_raise_stops_the_discharge_within_two_cycles() -> None:
    rig = floorless(400)
    rig.run(5)
    assert rig.world.battery_w == 3_000
    rig.raise_reserve(600)
    rig.slack_wh = 1e9  # it was raised above what is there
    rig.run(LAG_S)
    assert rig.world.battery_w <= 0 or rig.world.remote_w == 0
    wh = rig.world.wh
    rig.run(300)
    assert rig.world.wh == wh


def test_a_restart_costs_seconds_of_the_load() -> None:
    """At the reserve: the setpoint of before lasts for its reversion time, then the inverter has it until we are back.
    3 kW for the first readings and the release, ten seconds at most, are 8.4 Wh: 0.03 %."""
    rig = floorless(203)
    rig.run(600)
    wh = rig.world.wh
    rig.slack_wh = 20.0
    rig.crash(3)
    rig.run(60)
    assert rig.decision.given_w == 0
    assert wh - rig.world.wh < 3_000 * 10 / 3600


def test_the_judge_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the drive the house would have the reserve: this is what the test is there for."""
    monkeypatch.setattr("agent.core.strategies.self_consumption.at_risk", lambda *_: False)
    rig = floorless(203)
    with pytest.raises(Broken, match="the home keeps its reserve"):
        rig.run(600)
