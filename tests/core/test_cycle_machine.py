"""Whole cycles, core and gate, around a plant that knows the truth: anything, in any order, over crashes and stops.

The home, its troubles and the inspector are those of `tests.blackbox`. Here each write goes through the real gate and
is compiled for the demo inverter, the BMS errs by what its profile declares, and every cycle is run a second time with
a tighter input. Longer with `-m slow`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from agent.core.decision import Intent, Mode, Outputs, Write
from agent.core.inputs import CommandIn, Event, FreshTime, Inputs, LocalStop, Reserve, WriteDone
from agent.core.params import Params, S
from agent.core.state import State
from agent.core.step import step
from agent.gate import Evidence, Gate
from agent.release import TIMEOUT_NS, Release
from drivers.events import WriteClass, WriteOutcome, WriteResult, WriteSequence
from tests.agent.rig import binding
from tests.blackbox.inspector import STEP_W
from tests.blackbox.rig import APPLIED, Rig
from tests.blackbox.test_machine import Home
from tests.blackbox.world import Broken, World, demand
from tests.core.home import command
from tests.machines import TO_SHRINK, limits

HEAL_S = 60  # by then any hold of a retry is over


def half(value: int | None) -> int | None:
    return None if value is None else value // 2


TIGHTER: dict[str, Callable[[Inputs], Inputs]] = {
    "a lower discharge limit": lambda i: pack(i, dcl_ma=half(i.batteries[0].dcl_ma)),
    "a lower charge limit": lambda i: pack(i, ccl_ma=half(i.batteries[0].ccl_ma)),
    "discharge is not enabled": lambda i: pack(i, discharge_enabled=False),
    "charge is not enabled": lambda i: pack(i, charge_enabled=None),
    "an alarm": lambda i: pack(i, alarms=("cell_over_voltage_protection",)),
    "no SoC": lambda i: pack(i, soc_permille=None),
    "a higher reserve": lambda i: replace(i, reserve=Reserve(min(1000, i.reserve.permille + 100), "file")),
    "an unreadable reserve": lambda i: replace(i, reserve=Reserve(1000, "unreadable")),
}


def pack(inputs: Inputs, **changes: Any) -> Inputs:
    """The same cycle with other words of its BMS."""
    return replace(inputs, batteries=(replace(inputs.batteries[0], **changes), *inputs.batteries[1:]))


@dataclass
class Gated(Rig):
    """A home whose every write the gate admits or refuses. `error`: the BMS shows so many quanta more than there is."""

    error: int = 0
    lost_ns: int = -(1 << 62)  # when the grid was last seen to be gone, by the truth
    passed: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gate = Gate(self.params)

    def inputs(self, events: tuple[Event, ...]) -> Inputs:
        seen = super().inputs(events)
        if self.error and seen.batteries and seen.batteries[0].at_ns == self.now_ns:
            shown = seen.batteries[0].soc_permille
            if shown is not None:
                seen = pack(seen, soc_permille=max(0, min(1000, shown + self.error * self.quantum)))
                self.last["battery"] = seen.batteries[0]
        return seen

    def tick(self, *events: Event, s: float = 1.0) -> Outputs:
        before = self.state
        if not self.world.grid:
            self.lost_ns = self.now_ns
        out = super().tick(*events, s=s)
        assert self.seen is not None
        self._narrower(before, self.seen, out)
        self._obeyed(out)
        clear = self.gate.admit(Write(Intent.CLEAR, 0, "test"), out.decision, binding(), self._evidence())
        demand(isinstance(clear, WriteSequence), "handing back is always possible", clear)
        return out

    def _narrower(self, before: Any, seen: Inputs, out: Outputs) -> None:
        """One of the tightenings, in turn."""
        what = list(TIGHTER)[self.now_ns // S % len(TIGHTER)]
        if "reserve" not in what and not seen.batteries:
            return
        _, other = step(self.params, before, TIGHTER[what](seen))
        d, tight = out.decision, other.decision
        held = d.lo_w <= tight.lo_w and tight.hi_w <= d.hi_w
        demand(held, f"{what} never widens", (d.lo_w, d.hi_w), (tight.lo_w, tight.hi_w))

    def _obeyed(self, out: Outputs) -> None:
        """Where the wire works and we act, what rules in the inverter after this cycle is inside its permit."""
        d, remote = out.decision, self.world.remote_w
        works = self.fate == "confirmed" and "inverter" not in self.mute and self.presence.get("inverter", "ok") == "ok"
        if remote is None or not works or d.given_w is None or d.mode not in (Mode.LOCAL, Mode.DISPATCHED):
            return
        inside = d.lo_w - STEP_W <= remote <= d.hi_w + STEP_W
        demand(inside, "tightening is in the cycle that sees it", remote, d.lo_w, d.hi_w, out.writes)

    def _evidence(self) -> Evidence:
        assert self.seen is not None
        i = self.seen
        inverter = i.inverters[0] if i.inverters else None
        return Evidence(i.now_ns, i.batteries, inverter, i.meters, i.reserve.permille)

    def _write(self, write: Write) -> None:
        bound = binding() if self.presence.get("inverter", "ok") == "ok" else None
        order = self.gate.admit(write, self.decision, bound, self._evidence())
        if isinstance(order, str):
            self.refused += 1
            self.queue.append(WriteDone("inverter", write.intent.value, write.value, "refused", 0))
            return
        self.passed += 1
        if write.intent in (Intent.POWER, Intent.FLOOR, Intent.HEARTBEAT):
            known = self.world.grid or self.now_ns - self.lost_ns <= self.params.timers.stale_grid_ns + S
            demand(known, "no power into an island, by the truth", write)
        if write.intent is Intent.POWER:
            demand(order.write_class is WriteClass.POWER and bool(order.read_backs), "POWER is read back", order)
            demand(self.decision.lo_w <= write.value <= self.decision.hi_w, "POWER is inside the permit", write)
        super()._write(write)

    def stop_clean(self) -> bool:
        """SIGTERM: the release sequence alone has the inverter, until it ends; then the process is gone."""
        release, begun = Release(self.gate, self.now_ns), self.now_ns
        while not release.ended:
            demand(self.now_ns - begun <= TIMEOUT_NS + S, "a stop ends in its time", release.sentence)
            reading = self.inputs(()).inverters
            order = release.next(self.now_ns, reading[0] if reading else None, binding())
            if order is not None:
                demand(order.write_class is WriteClass.CLEAR, "a stop writes CLEAR alone", order)
                fate = "silent" if "inverter" in self.mute and self.fate in APPLIED else self.fate
                if fate in APPLIED:
                    self.world.take(Write(Intent.CLEAR, 0, "stop"), self.now_ns, self.params.timers.reversion_s)
                outcome = WriteOutcome("silent" if fate == "silent_applied" else fate)
                release.result(WriteResult(1, "inverter", WriteClass.CLEAR, 0, outcome, self.now_ns, self.now_ns))
            self._pass(0.25)
        if release.confirmed:
            demand(self.world.remote_w is None, "what is called released is released", self.world)
        self.crash(1.0)
        return release.confirmed


class Machine(Home):
    """One home behind the gate, and its troubles."""

    rig: Gated

    @initialize(
        permille=st.one_of(st.integers(0, 1000), st.integers(195, 230)),
        floor=st.sampled_from([0, 50, 200, 300]),
        quantum=st.sampled_from([1, 10]),
        error=st.sampled_from([0, 0, 1]),
    )
    def begin(self, permille: int, floor: int, quantum: int, error: int = 0) -> None:
        self.number = 0
        self.sent = []
        self.rig = Gated(world=World(wh=permille * 25.0, floor=floor), quantum=quantum, error=error)
        self.rig.ready()

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def again(self, data: Any) -> None:
        """Of what has expired the link lets no copy through, however far the wall clock has jumped."""
        c = data.draw(st.sampled_from(self.sent))
        if c.exp_ms > self.rig.wall_ms:
            self.rig.tick(CommandIn(c, ()))

    @rule()
    def sigterm(self) -> None:
        self.rig.stop_clean()
        self.rig.tick(FreshTime())

    @precondition(lambda self: self.rig.world.remote_w is not None)
    @rule(limit=st.sampled_from(["dcl_ma", "ccl_ma"]), amps=st.integers(0, 60))
    def squeeze(self, limit: str, amps: int) -> None:
        """A limit sinks under a setpoint that rules."""
        self.rig.over = {"battery": {limit: amps * 1000}}
        self.rig.tick(s=0.5)

    def teardown(self) -> None:
        """Whatever has happened: once the wire works and somebody says stop, nothing of ours is left."""
        rig = getattr(self, "rig", None)
        if rig is None:
            return
        rig.mute.clear()
        rig.presence.clear()
        rig.over, rig.fate, rig.commits, rig.disk_ok = {}, "confirmed", "at once", True
        rig.tick(LocalStop("test"))
        for _ in range(HEAL_S):
            if rig.world.remote_w is None:
                break
            rig.tick()
        demand(rig.world.remote_w is None, "no state keeps an old setpoint alive", rig.world, rig.decision.mode)


TestMachine = TO_SHRINK(Machine.TestCase)
TestMachine.settings = limits(15, 30)


class Longer(Machine):
    """The same, for a night."""


TestLonger = TO_SHRINK(pytest.mark.slow(Longer.TestCase))
TestLonger.settings = limits(150, 50)


# --- the machine can fail ---------------------------------------------------------------------------------------------
def busy() -> Gated:
    """A dispatch of 5 kW that is followed."""
    rig = Gated()
    rig.ready()
    rig.tick(CommandIn(command(exp_ms=rig.wall_ms + 600_000, created_ms=rig.wall_ms), ()))
    rig.run(20)
    return rig


def test_the_machine_moves_power_through_the_gate() -> None:
    rig = busy()
    assert rig.world.remote_w == 5000
    assert rig.passed > 5
    assert rig.stop_clean()
    assert rig.world.remote_w is None


def test_a_limit_that_widens_when_tightened_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(params: Params, state: State, inputs: Inputs) -> tuple[State, Outputs]:
        after, out = real(params, state, inputs)
        wide = replace(out.decision, hi_w=out.decision.hi_w + 1)
        return after, replace(out, decision=wide) if inputs.reserve.permille > 200 else out

    rig, real = busy(), step
    monkeypatch.setattr(f"{__name__}.step", wrong)
    rig.over = {"battery": {"dcl_ma": 100_000}}  # the reserve is far from binding: any widening shows
    with pytest.raises(Broken, match="never widens"):
        rig.run(20)


def test_a_tightening_that_waits_a_cycle_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = busy()

    def late(params: Params, state: State, inputs: Inputs) -> tuple[State, Outputs]:
        after, out = real(params, state, inputs)
        return after, replace(out, writes=tuple(w for w in out.writes if w.intent is not Intent.POWER))

    real = step
    monkeypatch.setattr("tests.blackbox.rig.step", late)
    rig.over = {"battery": {"dcl_ma": 20_000}}
    with pytest.raises(Broken, match=r"(?i)tightening is"):
        rig.run(5)


def open_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core takes the homeowner's reserve for 6 %."""
    monkeypatch.setattr("agent.core.snapshot.reserve_of", lambda params, inputs: 60)


def low() -> Gated:
    """A dispatch of 5 kW that is followed, a little above the reserve of 20 %."""
    rig = Gated(world=World(wh=214 * 25.0, floor=0), quantum=1)
    rig.ready()
    rig.tick(CommandIn(command(exp_ms=rig.wall_ms + 600_000, created_ms=rig.wall_ms), ()))
    rig.run(20)
    assert rig.world.remote_w is not None
    return rig


def test_a_core_that_forgets_the_reserve_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = low()
    open_reserve(monkeypatch)
    with pytest.raises(Broken, match=r"(?i)reserve|I3|I12"):
        rig.run(600)


def test_the_gate_alone_keeps_the_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same core, and nobody judges its decisions. The gate looks no cycle ahead: it is exact to a permille."""
    rig = low()
    open_reserve(monkeypatch)
    monkeypatch.setattr("tests.blackbox.rig.Inspector.judge", lambda self: None)
    rig.run(600)
    assert rig.refused > 0
    assert rig.world.permille >= 199


def test_without_either_the_truth_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = low()
    open_reserve(monkeypatch)
    monkeypatch.setattr("tests.blackbox.rig.Inspector.judge", lambda self: None)
    monkeypatch.setattr(Gate, "_bad_power", lambda *_: None)
    with pytest.raises(Broken, match="the home keeps its reserve"):
        rig.run(600)


def test_a_setpoint_outside_the_permit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core asks for 100 W more than it permits, and the gate lets it."""
    rig, real = busy(), step

    def more(params: Params, state: State, inputs: Inputs) -> tuple[State, Outputs]:
        after, out = real(params, state, inputs)
        writes = tuple(replace(w, value=out.decision.hi_w + 100) if w.intent is Intent.POWER else w for w in out.writes)
        return after, replace(out, writes=writes)

    monkeypatch.setattr("tests.blackbox.rig.step", more)
    monkeypatch.setattr(Gate, "_bad_power", lambda *_: None)
    with pytest.raises(Broken):
        rig.run(30)


def test_what_the_core_writes_into_an_island_the_gate_refuses() -> None:
    rig = busy()
    rig.world.grid, rig.world.remote_w = False, None
    rig.run(3)
    refused, before = rig.refused, rig.passed
    rig._write(Write(Intent.POWER, 500, "test"))
    assert (rig.refused, rig.passed) == (refused + 1, before)
