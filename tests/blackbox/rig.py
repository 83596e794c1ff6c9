"""A home of a few lines around `agent.core.step`, in which every cycle is judged by the specification.

The plant knows its true energy. Writes may be lost, applied without an answer, or refused; the disk may fail; the
process may die at any moment and come back with what the disk has.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.command import TERMINAL, Command, CommandKind, CommandState
from agent.core.decision import Commit, Decision, Outputs, Write
from agent.core.durable import Durable, from_json, to_json
from agent.core.inputs import (
    Clock,
    ClockTrust,
    CommandIn,
    CommitFailed,
    Committed,
    Device,
    Event,
    Inputs,
    Reserve,
    WriteDone,
)
from agent.core.params import Params, S, Timers
from agent.core.state import State
from agent.core.step import initial, step
from drivers.readings import DeviceRole, GridState
from tests.blackbox.inspector import Inspector
from tests.blackbox.world import SITE, World, demand
from tests.core.home import battery, capability, inverter, meter

PARAMS = Params(site=SITE, timers=Timers())
WALL_MS = 1_760_000_000_000
START_NS = 1_000 * S
APPLIED = ("confirmed", "silent_applied")  # fates of a write after which the device has it
FATES = (*APPLIED, "silent", "rejected", "mismatch", "late", "superseded")
RESERVE = Reserve(200, "file")


@dataclass
class Life:
    """What the wire has heard of one command."""

    command: Command
    acks: list[str] = field(default_factory=list)
    repeats: int = 0  # times that the same command was sent again


@dataclass
class Rig:
    """`tick` is one cycle. Attributes may be changed between cycles; every cycle is inspected."""

    params: Params = PARAMS
    world: World = field(default_factory=World)
    disk: Durable = field(default_factory=Durable)
    now_ns: int = START_NS
    wall_shift_ms: int = 0
    trust: ClockTrust = ClockTrust.SYNCED
    kernel_boot: str = "kernel-1"
    boots: int = 0
    reserve: Reserve = RESERVE
    disk_ok: bool = True
    commits: str = "at once"  # "at once" | "late" | "fail"
    fate: str = "confirmed"
    draw: int = 0
    quantum: int = 1
    mute: set[str] = field(default_factory=set)
    over: dict[str, dict[str, Any]] = field(default_factory=dict)  # fields of readings that are not the plant's
    frozen: set[str] = field(default_factory=set)  # renewed, with old values
    presence: dict[str, str] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    queue: list[Event] = field(default_factory=list)
    late: list[Commit] = field(default_factory=list)
    lives: dict[str, Life] = field(default_factory=dict)
    writes: list[tuple[int, Write, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    durable_ids: set[str] = field(default_factory=set)  # commands whose acceptance is on the disk
    fresh: bool = False
    blind_since_ns: int | None = None
    stated_ns: int = 0
    excused_ns: int = 0  # until then truth may be below the reserve: it was raised above what is there
    judge_truth: bool = True
    cleared_in_island: bool = False
    unmetered_ns: int = 0  # since when power at the grid or at the battery is not known
    out: Outputs | None = None
    seen: Inputs | None = None

    def __post_init__(self) -> None:
        self.state: State = initial(self.params, self.disk, self.clock(), self.now_ns)
        self.born_ns = self.now_ns
        self.alive = True

    def fork(self) -> Rig:
        """The same home at the same moment, to go another way."""
        other = copy.copy(self)
        other.world = copy.copy(self.world)
        for name, value in vars(self).items():
            if isinstance(value, list | dict | set):
                setattr(other, name, value.copy())
        other.lives = {k: Life(v.command, [*v.acks], v.repeats) for k, v in self.lives.items()}
        return other

    # --- time --------------------------------------------------------------------------------------------------------
    def clock(self) -> Clock:
        wall = WALL_MS + (self.now_ns - START_NS) // 1_000_000 + self.wall_shift_ms
        return Clock(wall, self.trust, self.kernel_boot, f"boot-{self.boots}")

    @property
    def wall_ms(self) -> int:
        return self.clock().wall_ms

    @property
    def decision(self) -> Decision:
        assert self.out is not None
        return self.out.decision

    def _pass(self, s: float) -> None:
        """Time, in slices short enough to judge the truth in between."""
        left = round(s * S)
        while left > 0:
            dt = min(left, S)
            self.world.live(self.now_ns, self.now_ns + dt)
            self.now_ns += dt
            left -= dt
            self._judge_truth()

    # --- one cycle ---------------------------------------------------------------------------------------------------
    def tick(self, *events: Event, s: float = 1.0) -> Outputs:
        """One cycle, `s` seconds after the last."""
        self._pass(s)
        queued, self.queue = tuple(self.queue), []
        self.seen = seen = self.inputs((*queued, *events))
        for event in seen.events:
            self._heard(event)
        before = self.state
        self.state, self.out = step(self.params, before, seen)
        if self.draw % 16 == 0:
            demand(step(self.params, before, seen) == (self.state, self.out), "step is a function", seen)
        self.notices.extend(self.out.notices)
        Inspector(self, seen, self.out).judge()
        self.stated_ns = self.decision.stated_end_s * S
        for write in self.out.writes:
            self._write(write)
        if self.out.commit is not None:
            self._store(self.out.commit)
        return self.out

    def run(self, seconds: int) -> Outputs:
        out = self.tick()
        for _ in range(seconds - 1):
            out = self.tick()
        return out

    def ready(self) -> Rig:
        """Started, tested, fresh: would take a dispatch."""
        from agent.core.inputs import FreshTime

        self.tick(FreshTime())
        self.run(5)
        return self

    def inputs(self, events: tuple[Event, ...]) -> Inputs:
        w = self.world
        reported = int(w.permille) // self.quantum * self.quantum
        batteries = self._read(
            "battery",
            battery(
                self.now_ns,
                soc_permille=reported,
                soc_quantum_permille=self.quantum,
                pack_ma=w.battery_w * 1_000_000 // 52_800,
                cell_min_mv=3295 + self.now_ns // S % 2,  # a live BMS is never quite still
            ),
        )
        inverters = self._read(
            "inverter",
            inverter(
                self.now_ns,
                battery_w=w.battery_w,
                pv_w=w.pv_w,
                ac_w=w.battery_w + w.pv_w,
                frequency_mhz=60_000 + self.now_ns // S % 7,  # nor is a grid
                grid_state=GridState.CONNECTED if w.grid else GridState.ISLANDED,
                remote_w=w.remote_w,
                remote_active=w.remote_w is not None,
                floor_permille=w.floor,
                soc_permille=reported,
            ),
        )
        grid_w = w.load_w - w.pv_w - w.battery_w if w.grid else 0
        meters = self._read(
            "meter",
            meter(
                self.now_ns,
                grid_w=grid_w,
                phase_w=(grid_w,),
                phase_mv=(240_000 if w.grid else 0,),
                frequency_mhz=60_000 if w.grid else 0,
            ),
        )
        devices = (
            Device("battery", DeviceRole.BATTERY, self.presence.get("battery", "ok"), None),
            Device("inverter", DeviceRole.INVERTER, self.presence.get("inverter", "ok"), capability()),
            Device("meter", DeviceRole.METER, self.presence.get("meter", "ok"), None),
        )
        return Inputs(
            self.now_ns, self.clock(), batteries, inverters, meters, devices, self.reserve, events,
            self.disk_ok, True, self.draw,
        )  # fmt: skip

    def _read(self, name: str, true: Any) -> tuple[Any, ...]:
        if name in self.mute:
            old = self.last.get(name)
            return () if old is None else (old,)
        if name in self.frozen and name in self.last:
            times = {k: getattr(true, k) for k in ("at_ns", "battery_at_ns", "grid_at_ns") if hasattr(true, k)}
            true = replace(self.last[name], **times)
        else:
            true = replace(true, **self.over.get(name, {}))
        self.last[name] = true
        return (true,)

    # --- what the cycle asked for ------------------------------------------------------------------------------------
    def _write(self, write: Write) -> None:
        fate = "silent" if "inverter" in self.mute and self.fate in APPLIED else self.fate
        self.writes.append((self.now_ns, write, fate))
        if fate in APPLIED:
            self.world.take(write, self.now_ns, self.params.timers.reversion_s)
        outcome = "silent" if fate == "silent_applied" else fate
        sent = 0 if fate in ("late", "superseded") else self.now_ns
        self.queue.append(WriteDone("inverter", write.intent.value, write.value, outcome, sent))

    def _store(self, commit: Commit) -> None:
        demand(from_json(to_json(commit.durable)) == commit.durable, "Durable survives its own text", commit.durable)
        if self.commits == "fail" or not self.disk_ok:
            self.queue.append(CommitFailed(commit.id, "no space left"))
        elif self.commits == "late":
            self.late.append(commit)
        else:
            self._committed(commit)

    def land(self) -> None:
        """What waits for the disk gets there, in order."""
        waiting, self.late = self.late, []
        for commit in waiting:
            self._committed(commit)

    def _committed(self, commit: Commit) -> None:
        self.disk = commit.durable
        self.durable_ids |= {r.command.id for r in commit.durable.commands}
        for record in commit.records:
            if record.kind == "ack":
                self._acked(dict(record.body))
            else:
                self.events.append(dict(record.body))
        self.queue.append(Committed(commit.id))

    # --- commands ----------------------------------------------------------------------------------------------------
    def _heard(self, event: Event) -> None:
        if isinstance(event, CommandIn) and event.command.kind is CommandKind.DISPATCH:
            life = self.lives.setdefault(event.command.id, Life(event.command))
            life.repeats += 1

    def _acked(self, body: dict[str, Any]) -> None:
        state, life = body["state"], self.lives.get(body["command_id"])
        demand(state in {s.value for s in CommandState}, "acks speak wire words", state)
        if life is None:
            return  # a cancel's or stop's own
        old = life.acks
        ended = [a for a in old if CommandState(a) in TERMINAL]
        if ended:
            demand(state == ended[-1] and life.repeats > 1, "nothing follows a terminal state", old, state)
        if state == "started":
            again = old.count("started") >= 1
            demand(not again or (old[-1] == "started" and life.repeats > 1), "started at most once", old)
        if state in ("started", "scheduled", "limited", "completed"):
            demand("received" in old, f"{state} only after received", old)
        if state == "completed":
            demand("started" in old or "limited" in old, "completed only after something was done", old)
        if state == "scheduled":
            demand("started" not in old, "scheduled only before started", old)
        old.append(state)

    def acks(self, command: Command) -> list[str]:
        return self.lives[command.id].acks

    # --- death -------------------------------------------------------------------------------------------------------
    def crash(self, down_s: float = 2.0, reboot: bool = False, lose_late: bool = True) -> None:
        """SIGKILL now; the home goes on; a new process with what the disk has."""
        if not lose_late:
            self.land()
        self.late, self.queue = [], []
        self.alive = False
        if self.blind_since_ns is None:
            self.blind_since_ns = self.now_ns
        self._pass(down_s)
        self.alive = True
        self.boots += 1
        if reboot:
            self.kernel_boot += "+"
        self.disk = from_json(to_json(self.disk))
        self.last = {}
        self.fresh = False
        self.born_ns = self.now_ns
        self.state = initial(self.params, self.disk, self.clock(), self.now_ns)

    # --- truth -------------------------------------------------------------------------------------------------------
    def raise_reserve(self, permille: int) -> None:
        if permille > self.reserve.permille:
            self.excused_ns = self.now_ns + (self.stated_ns or 70 * S) + 2 * S
        self.reserve = Reserve(permille, "file")

    def _judge_truth(self) -> None:
        w = self.world
        blind = not self.alive or bool(self.mute)
        if not blind:
            self.blind_since_ns = None
        elif self.blind_since_ns is None:
            self.blind_since_ns = self.now_ns
        if not w.grid or w.remote_w is None:
            return
        if self.blind_since_ns is not None and self.stated_ns and w.remote_w != 0:
            blind_s = (self.now_ns - self.blind_since_ns) / S
            demand(
                blind_s <= self.stated_ns / S + 1, "no watt flows unwatched", f"{w.remote_w} W for {blind_s} s blind"
            )
        if w.remote_w > 0 and self.now_ns > self.excused_ns and self.judge_truth:
            demand(w.permille >= self.reserve.permille, "the home keeps its reserve", w, self.reserve)
