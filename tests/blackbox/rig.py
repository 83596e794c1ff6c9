"""A home of a few lines around `agent.core.step`, and an inspector that judges every cycle by the specification.

The plant knows its true energy; the inverter obeys a window with a reversion timer, and in its own mode follows the
load down to its own floor. Writes may be lost, applied without an answer, or refused; the disk may fail; the process
may die at any moment and come back with what the disk has. The inspector's rules are written from the hazard table and
the invariants of the design, not from the code that they judge.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.command import TERMINAL, Command, CommandKind, CommandState
from agent.core.decision import Commit, Decision, Intent, Mode, Outputs, Write
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
from agent.core.params import Params, S, Site, Timers
from agent.core.state import State
from agent.core.step import initial, step
from drivers.readings import BatteryReading, DeviceRole, GridState, InverterReading, MeterReading
from tests.core.home import battery, capability, inverter, meter

SITE = Site(11_400, 11_400, 25_000, 20_000, 20_000)
PARAMS = Params(site=SITE, timers=Timers())
WALL_MS = 1_760_000_000_000
START_NS = 1_000 * S
APPLIED = ("confirmed", "silent_applied")  # fates of a write after which the device has it
FATES = (*APPLIED, "silent", "rejected", "mismatch", "late", "superseded")
HOT = 550
FULL_MV = 3550
RESERVE = Reserve(200, "file")
STEP_W = 2  # of the inverter's setpoint


class Broken(AssertionError):
    """A promise did not hold."""


def demand(holds: bool, promise: str, *seen: object) -> None:
    """Raise Broken with what was seen."""
    if not holds:
        raise Broken(f"{promise}: {', '.join(map(str, seen))}")


@dataclass
class World:
    """The truth. Powers + = toward the house."""

    wh: float = 15_000.0
    load_w: int = 900
    pv_w: int = 0
    grid: bool = True
    battery_w: int = 0
    remote_w: int | None = None
    revert_ns: int = 0
    floor: int = 200
    obeys: bool = True

    @property
    def permille(self) -> float:
        return self.wh / SITE.capacity_wh * 1000

    def live(self, from_ns: int, to_ns: int) -> None:
        """Let time pass, in steps of a quarter of a second."""
        at = from_ns
        while at < to_ns:
            dt = min(S // 4, to_ns - at)
            at += dt
            if self.remote_w is not None and at >= self.revert_ns:
                self.remote_w = None
            self.battery_w = self._power()
            self.wh = min(SITE.capacity_wh, max(0.0, self.wh - self.battery_w * dt / 3600 / S))

    def _power(self) -> int:
        need = self.load_w - self.pv_w
        if self.grid and self.remote_w is not None:
            want = self.remote_w if self.obeys else 0
        elif self.grid and need > 0 and self.permille <= self.floor:
            want = 0
        else:
            want = max(-11_400, min(11_400, need))
        if (want > 0 and self.wh <= 0) or (want < 0 and self.wh >= SITE.capacity_wh):
            return 0
        return want

    def take(self, write: Write, now_ns: int, reversion_s: int) -> None:
        if write.intent is Intent.CLEAR:
            self.remote_w = None
        elif write.intent is Intent.FLOOR:
            self.floor = write.value
        else:
            self.remote_w = write.value if write.intent is Intent.POWER else 0
            self.revert_ns = now_ns + reversion_s * S


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


class Inspector:
    """One cycle against the specification."""

    def __init__(self, rig: Rig, seen: Inputs, out: Outputs) -> None:
        self.rig, self.i, self.out, self.d = rig, seen, out, out.decision
        self.p = rig.params
        self.b: BatteryReading | None = seen.batteries[0] if seen.batteries else None
        self.v: InverterReading | None = seen.inverters[0] if seen.inverters else None
        self.m: MeterReading | None = seen.meters[0] if seen.meters else None

    def judge(self) -> None:
        self._shape()
        self._permit()
        self._evidence()
        self._obedience()
        self._commands()

    def _age(self, at_ns: int) -> int:
        return self.i.now_ns - at_ns

    def _shape(self) -> None:
        d = self.d
        demand(d.lo_w <= 0 <= d.hi_w, "I1 the permit contains 0", d.lo_w, d.hi_w)
        demand(
            -SITE.nameplate_charge_w <= d.lo_w and d.hi_w <= SITE.nameplate_discharge_w, "I2 nameplate", d.lo_w, d.hi_w
        )
        if d.given_w is not None:
            demand(d.lo_w <= d.given_w <= d.hi_w, "given is inside the permit", d.given_w, d.lo_w, d.hi_w)
        demand(all(f.id != "internal_error" for f in d.faults), "no error of our own", d.faults, self.out.notices)
        if d.asked_w is not None and d.given_w is not None and d.asked_w != d.given_w:
            outside = not d.lo_w <= d.asked_w <= d.hi_w
            demand(not outside or d.binding is not None, "what bound is named", d.asked_w, d.given_w)

    def _permit(self) -> None:
        d, b, t = self.d, self.b, self.p.timers
        if b is None or self.v is None or self.m is None:
            demand(d.lo_w == d.hi_w == 0, "I7 nothing known, nothing permitted", d.lo_w, d.hi_w)
            return
        stale = (
            self._age(b.at_ns) > t.stale_battery_ns
            or self._age(self.v.at_ns) > t.stale_inverter_ns
            or self._age(self.m.at_ns) > t.stale_meter_ns
            or any(x.presence == "mismatch" for x in self.i.devices)
        )
        if stale:
            demand(d.lo_w == d.hi_w == 0, "I7 stale is zero", d.lo_w, d.hi_w)
        if b.soc_permille is None:
            demand(d.lo_w == d.hi_w == 0, "SoC unknown: neither direction", d.lo_w, d.hi_w)
        else:
            if b.soc_permille - b.soc_quantum_permille <= self.i.reserve.permille:
                demand(d.hi_w == 0, "I3 at the reserve nothing is discharged", b.soc_permille, self.i.reserve, d.hi_w)
            if b.soc_permille <= self.p.soc_floor_permille:
                demand(d.hi_w == 0, "I3b floor", b.soc_permille, d.hi_w)
            if b.soc_permille >= 1000:
                demand(d.lo_w == 0, "I11 full", d.lo_w)
            room = (b.soc_permille - self.i.reserve.permille) * SITE.capacity_wh // 1000
            horizon = t.reversion_s  # at the very least
            demand(d.hi_w == 0 or d.hi_w * horizon <= room * 3600, "I12 not even a dead agent crosses it", d.hi_w, room)
        self._cells(b)
        self._currents(b)
        self._site()

    def _cells(self, b: BatteryReading) -> None:
        d = self.d
        if b.temp_min_dc is None or b.temp_min_dc <= 0:
            demand(d.lo_w == 0, "I4 no charge in frost", b.temp_min_dc, d.lo_w)
        if b.temp_max_dc is None or b.temp_max_dc >= HOT:
            demand(d.lo_w == d.hi_w == 0, "I4 hot", b.temp_max_dc, d.lo_w, d.hi_w)
        if b.temp_min_dc is None or b.temp_min_dc <= -100:
            demand(d.hi_w == 0, "I4 no discharge in deep frost", b.temp_min_dc, d.hi_w)
        if b.cell_max_mv is None or b.cell_max_mv >= FULL_MV:
            demand(d.lo_w == 0, "I5 a full cell", b.cell_max_mv, d.lo_w)
        if b.cell_min_mv is None or b.cell_min_mv <= 2900:
            demand(d.hi_w == 0, "I6 an empty cell", b.cell_min_mv, d.hi_w)

    def _currents(self, b: BatteryReading) -> None:
        d = self.d
        mv = b.pack_mv or 0
        charge, discharge = mv * (b.ccl_ma or 0) // 1_000_000, mv * (b.dcl_ma or 0) // 1_000_000
        demand(-d.lo_w <= charge, "I9 CCL", d.lo_w, b.ccl_ma, b.pack_mv)
        demand(d.hi_w <= discharge, "I9 DCL", d.hi_w, b.dcl_ma, b.pack_mv)
        if b.charge_enabled is not True:
            demand(d.lo_w == 0, "I10 charge is not enabled", d.lo_w)
        if b.discharge_enabled is not True:
            demand(d.hi_w == 0, "I10 discharge is not enabled", d.hi_w)

    def _site(self) -> None:
        """I8, with what the battery does now taken out of what the meter sees."""
        assert self.m is not None and self.v is not None
        battery_w, b = self.v.battery_w, self.b
        if battery_w is None and b is not None and b.pack_mv is not None and b.pack_ma is not None:
            battery_w = b.pack_mv * b.pack_ma // 1_000_000  # the BMS knows it too
        if self.m.grid_w is None or battery_w is None:
            self.rig.unmetered_ns = self.rig.unmetered_ns or self.i.now_ns
            if self.i.now_ns - self.rig.unmetered_ns > self.p.timers.stale_inverter_ns:
                demand(self.d.lo_w == self.d.hi_w == 0, "I8 no grid power known", self.d.lo_w, self.d.hi_w)
            return
        self.rig.unmetered_ns = 0
        need = self.m.grid_w + battery_w
        export, imported = need + SITE.export_limit_w + 1, SITE.import_limit_w - need + 1  # rounding of the BMS' power
        demand(self.d.hi_w <= max(0, export), "I8 export", self.d.hi_w, need)
        demand(-self.d.lo_w <= max(0, imported), "I8 import", self.d.lo_w, need)

    def _evidence(self) -> None:
        """I13 and hands off."""
        v, m, t = self.v, self.m, self.p.timers
        said = v is not None and v.grid_state is GridState.CONNECTED and self._age(v.grid_at_ns) <= t.stale_grid_ns
        felt = (
            m is not None
            and self._age(m.at_ns) <= t.stale_grid_ns
            and any(mv is not None and mv > 100_000 for mv in m.phase_mv)
            and (m.frequency_mhz or 0) > 40_000
        )
        islanded = v is not None and v.grid_state is GridState.ISLANDED
        evidence = not islanded and (said or felt)
        if evidence and not islanded:
            self.rig.cleared_in_island = False
        hot = self.b is not None and (
            (self.b.temp_max_dc or 0) >= HOT or (self.b.cell_max_mv or 0) >= FULL_MV or bool(self.b.alarms)
        )
        for write in self.out.writes:
            what = (write, self.d.mode, self.d.grid)
            if write.intent in (Intent.POWER, Intent.FLOOR):
                demand(evidence, "I13 no power or floor without fresh evidence of the grid", *what)
                demand(self.d.grid == "connected", "the decision knows the grid that it writes on", *what)
            elif write.intent is Intent.STOP:
                demand(evidence or hot, "islanded, STOP only for heat or over-voltage", *what)
            elif islanded:
                demand(not self.rig.cleared_in_island, "islanded: one CLEAR until it is read back", *what)
                self.rig.cleared_in_island = self.rig.fate == "confirmed" and "inverter" not in self.rig.mute

    def _obedience(self) -> None:
        """Writes stay inside; tightening is in the very cycle that sees the cause."""
        d = self.d
        for write in self.out.writes:
            if write.intent is Intent.POWER:
                demand(d.lo_w <= write.value <= d.hi_w, "POWER is inside the permit", write, d.lo_w, d.hi_w)
                demand(d.given_w is not None, "released writes no power", write)
            if write.intent is Intent.FLOOR:
                demand(write.value >= self.i.reserve.permille, "the floor is never put below the reserve", write)
        if d.grid != "connected" or self.v is None or self.v.remote_w is None or self.v.remote_active is not True:
            return
        if self._age(self.v.at_ns) > 0 or not d.lo_w <= self.v.remote_w <= d.hi_w:
            self._tightened()

    def _tightened(self) -> None:
        assert self.v is not None and self.v.remote_w is not None
        if self.d.lo_w - STEP_W <= self.v.remote_w <= self.d.hi_w + STEP_W:
            return
        waking = self.d.mode in (Mode.INIT, Mode.SELF_TEST, Mode.STANDBY)
        if waking and self.i.now_ns - self.rig.born_ns <= 5 * S:
            return  # after a crash work goes on under the lease that it has, until the first permit that counts
        since = [w for _, w, _ in self.rig.writes[-3:]]
        under_way = bool(self.rig.writes) and self.i.now_ns - self.rig.writes[-1][0] <= 3 * S and since
        acts = bool(self.out.writes) or under_way
        demand(bool(acts), "tightening is at once", self.v.remote_w, self.d.lo_w, self.d.hi_w, self.d.mode)

    def _commands(self) -> None:
        d = self.d
        powers = [w for w in self.out.writes if w.intent is Intent.POWER]
        if d.command_id is not None and powers and d.source.startswith("dispatch"):
            life = self.rig.lives.get(d.command_id)
            demand(life is not None, "only what was sent is followed", d.command_id)
            assert life is not None
            demand(d.command_id in self.rig.durable_ids, "accept, commit, act", d.command_id)
            ended = any(CommandState(a) in TERMINAL for a in life.acks)
            demand(not ended, "what has ended is not followed", life.acks)
