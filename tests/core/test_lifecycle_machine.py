"""Any commands in any order, with people, crashes and a disk that fails, against what every integrator may rely on:
one holder of each mode, one end and one start of each command, nothing before it is on the disk, everything inside the
permit, nothing while opted out, and never more memory than a few hundred records."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.core.accept import MAX_PLANS, lanes
from agent.core.book import MAX_RECORDS
from agent.core.command import TERMINAL, Command, CommandKind, RampClass
from agent.core.due import Asks
from agent.core.durable import from_json, to_json
from agent.core.inputs import (
    ClockTrust,
    CommandIn,
    Event,
    FreshTime,
    LocalResume,
    LocalStop,
    OptsIn,
    OptsOut,
    Overrides,
)
from agent.core.quote import PER_MINUTE
from drivers.readings import GridState
from tests.core.home import Home, command
from tests.machines import TO_SHRINK, limits

ENDS = {state.value for state in TERMINAL}
WATTS = st.integers(-15_000, 15_000)
SECONDS = st.integers(1, 400)
PEOPLE: tuple[Event, ...] = (
    OptsOut("ann", "homeowner"),
    OptsOut("ann", "homeowner", 30),
    OptsIn("ann"),
    OptsIn("ann"),
    LocalStop("bob"),
    LocalResume("bob"),
    Overrides("bob", 3000, 20),
    Overrides("bob", None),
    FreshTime(),
)


class Lived(Home):
    """A home that checks every cycle."""

    def __init__(self) -> None:
        super().__init__()
        self.lives: dict[str, list[str]] = {}
        self.acked = 0

    def tick(self, *events: Event, s: float = 1.0) -> Any:
        known = {r.command.id for r in self.disk.commands}
        wrote = len(self.writes)
        out = super().tick(*events, s=s)
        d = out.decision
        if d.given_w is not None:
            assert d.lo_w <= d.given_w <= d.hi_w, "inside the permit"
        for _, write in self.writes[wrote:]:
            if write.command_id is not None:
                assert write.command_id in known, "on the disk before it acts"
                assert self.state.book.durable.opted_out is None, "nothing of others while opted out"
        holder = next((r for r in self.state.book.durable.commands if r.command.id == d.command_id), None)
        assert holder is None or holder.kernel_boot == self.kernel_boot, "what waits for trusted time holds nothing"
        for ack in self.acks[self.acked :]:
            if not ack["sentence"].startswith("repeated"):
                self.lives.setdefault(ack["command_id"], []).append(ack["state"])
        self.acked = len(self.acks)
        return out

    def crash(self, kernel_boot: str | None = None, clean: bool = False) -> Home:
        assert from_json(to_json(self.disk)) == self.disk
        later = super().crash(kernel_boot, clean)
        later.__class__, later.__dict__["acked"] = Lived, 0
        return later


class Machine(RuleBasedStateMachine):
    """One home, and all that may be asked of it."""

    @initialize()
    def begin(self) -> None:
        self.home = Lived()
        self.home.ready()
        self.number = 0
        self.boots = 0
        self.sent: list[Command] = []

    def send(self, **changes: Any) -> None:
        self.number += 1
        now = self.home.clock().wall_ms
        fields = {"created_ms": now, "exp_ms": now + 60_000, "primacy": self.number % 3, **changes}
        made = command(self.number, **fields)
        self.sent.append(made)
        self.home.tick(CommandIn(made, ()))

    def start(self, in_s: int) -> int:
        return self.home.clock().wall_ms + in_s * 1000

    @rule(power=st.none() | WATTS, imports=st.none() | st.integers(0, 9000), exports=st.none() | st.integers(0, 9000),
          for_s=SECONDS, ramp=st.sampled_from(list(RampClass)))  # fmt: skip
    def dispatch(
        self, power: int | None, imports: int | None, exports: int | None, for_s: int, ramp: RampClass
    ) -> None:
        self.send(power_w=power, import_limit_w=imports, export_limit_w=exports, duration_s=for_s, ramp=ramp)

    @rule(power=WATTS, for_s=SECONDS, in_s=st.integers(-300, 300), move=st.integers(-200, 200), both=st.booleans(),
          draw=st.integers(0, 2**64 - 1))  # fmt: skip
    def event(self, power: int, for_s: int, in_s: int, move: int, both: bool, draw: int) -> None:
        self.send(power_w=power, duration_s=for_s, start_ms=self.start(in_s), randomize_s=move, draw=draw,
                  randomize_both=both and move != 0)  # fmt: skip

    @rule(for_s=SECONDS, gap=st.integers(0, 200), move=st.integers(-60, 60), draw=st.integers(0, 2**64 - 1))
    def pair(self, for_s: int, gap: int, move: int, draw: int) -> None:
        """Two that join on to each other."""
        start = self.start(gap)
        self.send(start_ms=start, duration_s=for_s, randomize_s=move, draw=draw)
        self.send(start_ms=start + for_s * 1000, duration_s=60, power_w=-2000, randomize_s=move // 2, draw=draw // 3)

    @rule(values=st.lists(st.none() | WATTS, min_size=1, max_size=5), interval=st.integers(1, 100),
          in_s=st.integers(-50, 100), kind=st.sampled_from([CommandKind.SCHEDULE, CommandKind.PRICE]))  # fmt: skip
    def plan(self, values: list[int | None], interval: int, in_s: int, kind: CommandKind) -> None:
        if kind is CommandKind.PRICE:
            values = [(v or 0) * 100 for v in values]
        self.send(kind=kind, power_w=0, values=tuple(values), interval_s=interval, start_ms=self.start(in_s),
                  duration_s=interval * len(values))  # fmt: skip

    @rule(band=WATTS, for_s=SECONDS, in_s=st.integers(-5, 20))
    def session(self, band: int, for_s: int, in_s: int) -> None:
        self.send(kind=CommandKind.SESSION, power_w=0, lo_w=min(0, band), hi_w=max(0, band), duration_s=for_s,
                  seq_from=1, seq_to=100, start_ms=self.start(in_s))  # fmt: skip

    @rule(power=WATTS, seq=st.integers(0, 110), for_s=st.integers(1, 10))
    def setpoint(self, power: int, seq: int, for_s: int) -> None:
        sessions = [c.id for c in self.sent if c.kind is CommandKind.SESSION] or ["f" * 32]
        now = self.home.clock().wall_ms
        self.number += 1
        changes = {"session": sessions[-1], "seq": seq, "created_ms": now, "exp_ms": now + 10_000}
        self.home.tick(CommandIn(command(self.number, power_w=power, duration_s=for_s, **changes), ()))

    @rule(power=WATTS, for_s=SECONDS)
    def quote(self, power: int, for_s: int) -> None:
        self.send(kind=CommandKind.QUOTE, power_w=power, duration_s=for_s)

    @rule(data=st.data(), randomize_s=st.sampled_from([0, 0, 60]))
    def cancel(self, data: Any, randomize_s: int) -> None:
        ids = [c.id for c in self.sent] + [f"{self.number + 2:032x}"]
        self.send(kind=CommandKind.CANCEL, power_w=0, duration_s=0, target=data.draw(st.sampled_from(ids)),
                  randomize_s=randomize_s, draw=self.number * 7919)  # fmt: skip

    @rule()
    def stop(self) -> None:
        self.send(kind=CommandKind.STOP, power_w=0, duration_s=0)

    @rule(data=st.data())
    def again(self, data: Any) -> None:
        """Of what has expired, and of what leaves no record, the link lets no copy through."""
        now = self.home.clock().wall_ms
        unkept = (CommandKind.QUOTE, CommandKind.CANCEL, CommandKind.STOP)
        kept = {r.command.id for r in self.home.disk.commands}
        if fresh := [c for c in self.sent[-20:] if c.exp_ms > now and (c.kind not in unkept or c.id in kept)]:
            self.home.tick(CommandIn(data.draw(st.sampled_from(fresh)), ()))

    @rule(event=st.sampled_from(PEOPLE))
    def person(self, event: Event) -> None:
        self.home.tick(event)

    @rule(reboot=st.booleans(), trusted=st.booleans())
    def crash(self, reboot: bool, trusted: bool) -> None:
        self.boots += reboot
        later = self.home.crash(f"kernel-{self.boots + 1}" if reboot else None)
        assert isinstance(later, Lived)
        self.home = later
        self.home.trust = ClockTrust.SYNCED if trusted else ClockTrust.UNTRUSTED
        self.home.tick(FreshTime())

    @rule(fails=st.booleans())
    def disk(self, fails: bool) -> None:
        self.home.commits = not fails

    @rule(house=st.integers(-8000, 12_000), dcl=st.sampled_from([0, 20_000, 240_000]), grid=st.sampled_from(
          [GridState.CONNECTED] * 4 + [GridState.ISLANDED]))  # fmt: skip
    def world(self, house: int, dcl: int, grid: GridState) -> None:
        self.home.house_w = house
        self.home.battery["dcl_ma"] = dcl
        self.home.inverter["grid_state"] = grid

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.home.run(seconds)

    # --- what holds after every step ----------------------------------------------------------------------------------
    @invariant()
    def one_end_and_one_start(self) -> None:
        for told in self.home.lives.values() if hasattr(self, "home") else ():
            assert sum(state in ENDS for state in told) <= 1, told
            assert told.count("started") <= 1, told
            assert all(state not in ENDS for state in told[:-1]), told

    @invariant()
    def one_holder_of_each_mode(self) -> None:
        """Of what belongs to this kernel. What began before a reboot keeps its record as it was until time is trusted
        again (R10): it has no place in `due`, and its `start_ns` and `end_ns` are of a clock that is gone, so that they
        seem to be now says nothing. `Lived.tick` holds that it does not act meanwhile."""
        if not hasattr(self, "home"):
            return
        book = self.home.state.book
        running = {live.id for live in book.live if live.running}
        held = [r for r in book.durable.commands if r.command.id in running and r.state not in TERMINAL]
        now_ns, kernel_boot = self.home.now_ns, self.home.kernel_boot
        here = [r for r in held if r.kernel_boot == kernel_boot]
        acting = [lanes(r.command) for r in here if r.start_ns <= now_ns < r.end_ns]
        alone = Counter(modes[0] for modes in acting if len(modes) == 1)
        assert all(count <= 1 for count in alone.values()), held

    @invariant()
    def bounded(self) -> None:
        if not hasattr(self, "home"):
            return
        book = self.home.state.book
        assert len(book.durable.commands) <= MAX_RECORDS + len(book.live)
        assert len(book.live) <= MAX_RECORDS
        assert len(book.durable.cancelled) <= 256
        assert len(book.paces) <= MAX_PLANS
        assert len(book.quoted_ns) <= PER_MINUTE
        assert self.home.state.failed == 0, self.home.state.internal


TestMachine = TO_SHRINK(Machine.TestCase)
TestMachine.settings = limits(15, 40)


class Longer(Machine):
    """The same, for a night."""


TestLonger = TO_SHRINK(pytest.mark.slow(Longer.TestCase))
TestLonger.settings = limits(100, 60)


def test_the_machine_sees_a_command_act() -> None:
    machine = Machine()
    machine.begin()
    machine.dispatch(5000, None, None, 300, RampClass.DIRECT)
    machine.wait(10)
    assert machine.home.lives[f"{1:032x}"] == ["received", "started"]
    assert Asks()._fields[0] == "power"


def waiting_for_time() -> Machine:
    """Two commands of one mode that both ran, the first before a reboot: it waits until time is trusted."""
    machine = Machine()
    machine.begin()
    machine.pair(for_s=1, gap=0, move=0, draw=0)
    machine.wait(2)
    machine.crash(reboot=True, trusted=False)
    machine.pair(for_s=1, gap=2, move=0, draw=0)
    return machine


def test_what_waits_for_trusted_time_is_no_second_holder() -> None:
    machine = waiting_for_time()
    assert sum(live.running for live in machine.home.state.book.live) == 2
    machine.one_holder_of_each_mode()
    machine.home.trust = ClockTrust.SYNCED
    machine.wait(5)
    assert sum(live.running for live in machine.home.state.book.live) == 1
    machine.one_holder_of_each_mode()


def test_the_machine_sees_two_holders() -> None:
    machine = waiting_for_time()
    home = machine.home
    durable = home.state.book.durable
    both = tuple(replace(r, kernel_boot=home.kernel_boot) for r in durable.commands)
    home.state = replace(home.state, book=replace(home.state.book, durable=replace(durable, commands=both)))
    with pytest.raises(AssertionError):
        machine.one_holder_of_each_mode()
