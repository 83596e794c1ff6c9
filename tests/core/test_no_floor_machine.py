"""A home whose inverter has no floor, by the plant's truth: whatever is lost and however the house draws, its own mode
never takes the battery below the reserve while the agent runs.

The plant is that of `tests.blackbox`: the inverter follows the load by itself, down to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.core.decision import Intent, Mode
from agent.core.inputs import CommandIn, Event, Inputs
from agent.core.params import S
from drivers.readings import DeviceRole
from tests.blackbox.rig import Rig
from tests.blackbox.world import SITE, Broken, World, demand
from tests.core.home import capability, command
from tests.machines import TO_SHRINK, limits

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

    @rule(s=st.integers(1, 12))
    @precondition(lambda self: "meter" not in self.rig.mute)
    def hiccup(self, s: int) -> None:
        """The line to the inverter, while the meter sees the grid all along."""
        self.rig.run(3)
        self.rig.mute.add("inverter")
        self.rig.run(s)
        self.rig.mute.discard("inverter")

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


TestHome = TO_SHRINK(Home.TestCase)
TestHome.settings = limits(12, 25)


class Longer(Home):
    """The same, for a night."""


TestLonger = TO_SHRINK(pytest.mark.slow(Longer.TestCase))
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


def at_the_reserve(load_w: int = 3_000) -> Floorless:
    """Zero is held, with a quantum to go."""
    rig = floorless(201, load_w)
    rig.run(60)
    assert (rig.decision.given_w, rig.world.remote_w) == (0, 0)
    return rig


def longest(rig: Floorless, seconds: int) -> int:
    """How many seconds the inverter is in its own mode, of those to come."""
    own = 0
    for _ in range(seconds):
        rig.tick()
        own += rig.world.remote_w is None
    return own


@pytest.mark.parametrize(("silent_s", "own_s"), [(2, 0), (4, 0), (7, 0), (44, 0), (90, 46)])
def test_a_hiccup_of_the_line_costs_what_outlasts_the_reversion_time(silent_s: int, own_s: int) -> None:
    """Its hold of a minute is served at zero. That lasts for 60 s from the last lease, which is 15 s old at most."""
    rig = at_the_reserve()
    wh, rig.slack_wh = rig.world.wh, 1e9
    rig.mute.add("inverter")
    own = longest(rig, silent_s)
    rig.mute.clear()
    before = len(rig.writes)
    assert own + longest(rig, 180) <= own_s
    assert own_s > 0 or rig.world.wh == wh
    assert not [w for _, w, _ in rig.writes[before:] if w.intent is Intent.CLEAR]
    assert (rig.decision.mode, rig.decision.given_w) == (Mode.LOCAL, 0)


@pytest.mark.parametrize(("silent_s", "mode"), [(4, Mode.BACKUP), (12, Mode.FAULT)])
def test_many_hiccups_are_held_longer_and_lock_nobody_out(silent_s: int, mode: Mode) -> None:
    rig = at_the_reserve()
    for _ in range(6):
        rig.mute.add("inverter")
        rig.run(silent_s)
        rig.mute.clear()
        assert longest(rig, 120) == 0
    assert (rig.decision.mode, rig.decision.given_w) == (mode, 0)
    assert {f.id for f in rig.decision.faults} <= {"inverter_stale", "grid_unknown"}
    assert rig.disk.lockout is None


def test_an_outage_beside_the_hiccup_is_hands_off() -> None:
    """The meter lost the grid meanwhile: nothing but a release until the dwell is over."""
    rig = at_the_reserve()
    rig.slack_wh = 1e9
    rig.mute |= {"inverter", "meter"}
    rig.run(7)
    rig.mute.clear()
    before = len(rig.writes)
    rig.run(290)
    assert {w.intent for _, w, _ in rig.writes[before:]} == {Intent.CLEAR}


@pytest.mark.parametrize("down_s", [1, 3, 10, 50])
def test_a_restart_leaves_the_zero_as_it_is(down_s: int) -> None:
    """It lasts for its reversion time, and the next order is zero again, with no release in between."""
    rig = at_the_reserve()
    wh, before = rig.world.wh, len(rig.writes)
    rig.crash(down_s)
    assert longest(rig, 60) == 0
    assert rig.world.wh == wh
    assert {w.intent for _, w, _ in rig.writes[before:]} == {Intent.POWER}
    assert rig.decision.mode is Mode.LOCAL


@pytest.mark.parametrize("lost", ["battery", "meter"])
def test_a_restart_under_a_lost_reading_leaves_it_too(lost: str) -> None:
    """First readings are waited for, 10 s: the zero that the inverter tells of is let be."""
    rig = at_the_reserve()
    wh = rig.world.wh
    rig.mute.add(lost)
    rig.crash(3)
    assert longest(rig, 60) == 0
    assert rig.world.wh == wh
    assert (rig.decision.mode, rig.decision.given_w) == (Mode.DEGRADED, 0)


def test_a_restart_without_a_battery_waits_for_it_and_then_ends_the_command_s_setpoint() -> None:
    """A command is resumed under the lease that it has while first readings are awaited, 10 s; then nothing of it is
    left, long before the time that is stated for a setpoint that nobody watches."""
    home = Home()
    home.begin(225, 1, 300)
    home.load(0)
    home.sun(608)
    home.dispatch(-327, 60)
    home.mute("battery")
    rig = home.rig
    rig.crash(1)
    seconds = longest_setpoint(rig, 30)
    assert 9 <= seconds <= 11
    assert seconds + 3 < rig.decision.stated_end_s
    assert (rig.decision.mode, rig.decision.given_w) == (Mode.DEGRADED, 0)


def longest_setpoint(rig: Floorless, seconds: int) -> int:
    """How many of the seconds to come are under a setpoint that moves power."""
    moving = 0
    for _ in range(seconds):
        rig.tick()
        moving += bool(rig.world.remote_w)
    return moving


@pytest.mark.parametrize(("released", "down_s"), [(True, 3), (True, 10), (False, 90)])
def test_a_restart_that_finds_it_released_costs_a_second(released: bool, down_s: int) -> None:
    """Whoever released it while nobody watched, a `batteryd --release` or its own timer: with the first readings zero
    is asked for, before the self-test is over."""
    rig = at_the_reserve()
    rig.slack_wh = 1e9
    if released:
        rig.world.remote_w = None
    rig.crash(down_s)
    assert rig.world.remote_w is None
    assert longest(rig, 60) == 0
    assert rig.decision.given_w == 0


def test_a_restart_gives_back_what_is_not_zero_and_not_at_risk() -> None:
    rig = floorless(600)
    rig.world.remote_w, rig.world.revert_ns = -2_000, rig.now_ns + 60 * S
    rig.crash(1)
    rig.run(5)
    assert rig.world.remote_w is None


def test_the_judge_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the drive the house would have the reserve: this is what the test is there for."""
    monkeypatch.setattr("agent.core.strategies.self_consumption.at_risk", lambda *_: False)
    rig = floorless(203)
    with pytest.raises(Broken, match="the home keeps its reserve"):
        rig.run(600)
