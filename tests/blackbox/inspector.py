"""Judges every cycle of the rig by the specification. The rules are written from the hazard table and the invariants of
the design, not from the code that they judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.command import TERMINAL, CommandState
from agent.core.decision import Intent, Mode, Outputs
from agent.core.inputs import Inputs
from agent.core.params import S
from drivers.readings import BatteryReading, GridState, InverterReading, MeterReading
from tests.blackbox.world import SITE, demand

if TYPE_CHECKING:
    from tests.blackbox.rig import Rig

HOT = 550
FULL_MV = 3550
STEP_W = 2  # of the inverter's setpoint
WAKES_S = 5  # after a start, until the first permit that counts
LISTENS_S = 10  # instead, where a device has not been heard since the start


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
        heard = self.b is not None and self.m is not None
        if waking and self.i.now_ns - self.rig.born_ns <= (WAKES_S if heard else LISTENS_S) * S:
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
