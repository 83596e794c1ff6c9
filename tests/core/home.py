"""A home for tests of the core: one pack, one inverter, one meter, all good, every field easy to change.

`Home` drives `step` on a clock of its own and answers its writes and commits as a healthy gate, inverter and store
would; each of the three can be told not to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core.command import Command, CommandKind
from agent.core.decision import Commit, Decision, Intent, Mode, Outputs, Write
from agent.core.durable import Durable
from agent.core.inputs import (
    NOT_LOOKED,
    Clock,
    ClockTrust,
    CommandIn,
    CommitFailed,
    Committed,
    Device,
    Event,
    FreshTime,
    Inputs,
    Reserve,
    WriteDone,
)
from agent.core.params import Params, S, Site, Timers
from agent.core.state import State
from agent.core.step import initial, step
from drivers.readings import BatteryReading, Capability, DeviceRole, GridState, InverterReading, MeterReading

SITE = Site(
    nameplate_charge_w=11_400,
    nameplate_discharge_w=11_400,
    capacity_wh=25_000,
    import_limit_w=20_000,
    export_limit_w=20_000,
)
PARAMS = Params(site=SITE, timers=Timers())
WALL_MS = 1_760_000_000_000
START_NS = 1_000 * S


def capability(device: str = "inverter", **changes: Any) -> Capability:
    """The demo inverter's."""
    base = Capability(
        device=device,
        signed_setpoint=True,
        unit="pct_of_wchamax",
        control_point="battery",
        reversion="device_s",
        reversion_s=60,
        reversion_verified=True,
        floor=True,
        wearing=(),
        min_refresh_s=0,
        read_back=True,
        pv_curtailment=False,
        rated_charge_w=11_400,
        rated_discharge_w=11_400,
        resolution_w=2,
        refresh_s=1,
        stale_s=5,
        control="model_124",
    )
    return replace(base, **changes)


def battery(at_ns: int, **changes: Any) -> BatteryReading:
    """A 16s LFP pack of 488 Ah at 60 %, 20 °C, 3.30 V a cell, with room both ways."""
    base = BatteryReading(
        device="battery",
        at_ns=at_ns,
        soc_permille=600,
        soc_quantum_permille=1,
        soh_permille=1000,
        pack_mv=52_800,
        pack_ma=0,
        cell_max_mv=3305,
        cell_min_mv=3300,
        temp_max_dc=210,
        temp_min_dc=200,
        ccl_ma=240_000,
        dcl_ma=240_000,
        charge_enabled=True,
        discharge_enabled=True,
        alarms=(),
    )
    return replace(base, **changes)


def inverter(at_ns: int, **changes: Any) -> InverterReading:
    """On grid, released, idle, its floor equal to the reserve."""
    base = InverterReading(
        device="inverter",
        at_ns=at_ns,
        battery_w=0,
        battery_at_ns=at_ns,
        pv_w=0,
        ac_w=0,
        grid_state=GridState.CONNECTED,
        grid_at_ns=at_ns,
        frequency_mhz=60_000,
        soc_permille=600,
        floor_permille=200,
        remote_w=None,
        remote_active=False,
        reversion_s=60,
        status="running",
    )
    return replace(base, **changes)


def meter(at_ns: int, **changes: Any) -> MeterReading:
    """The house takes 500 W from the grid."""
    base = MeterReading(
        device="meter",
        at_ns=at_ns,
        grid_w=500,
        phase_w=(500,),
        phase_mv=(240_000,),
        phase_ma=(2_100,),
        frequency_mhz=60_000,
        import_wh=0,
        export_wh=0,
    )
    return replace(base, **changes)


def devices(**presence: str) -> tuple[Device, ...]:
    """All three "ok" unless told otherwise by role."""
    return (
        Device("battery", DeviceRole.BATTERY, presence.get("battery", "ok"), None),
        Device("inverter", DeviceRole.INVERTER, presence.get("inverter", "ok"), capability()),
        Device("meter", DeviceRole.METER, presence.get("meter", "ok"), None),
    )


def command(number: int = 1, **changes: Any) -> Command:
    """A direct setpoint of 5 kW for ten minutes."""
    base = Command(
        id=f"{number:032x}",
        kind=CommandKind.DISPATCH,
        issuer="agg",
        digest=f"{number:064x}",
        created_ms=WALL_MS + number,
        exp_ms=WALL_MS + 3_600_000,
        duration_s=600,
        power_w=5_000,
    )
    return replace(base, **changes)


def arriving(c: Command) -> CommandIn:
    return CommandIn(c, ())


class Home:
    """`step` in its loop. `tick()` is one cycle; readings are renewed each time and follow the last confirmed write."""

    def __init__(self, params: Params = PARAMS, durable: Durable | None = None, at_ns: int = START_NS) -> None:
        self.params = params
        self.now_ns = at_ns
        self.wall_offset_ms = WALL_MS - START_NS // 1_000_000
        self.trust = ClockTrust.SYNCED
        self.signed = False  # by the aggregator's word alone
        self.kernel_boot = "kernel-1"
        self.boot = "boot-1"
        self.battery: dict[str, Any] = {}
        self.inverter: dict[str, Any] = {}
        self.meter: dict[str, Any] = {}
        self.presence: dict[str, str] = {}
        self.told: dict[str, Any] = {}  # what the inverter's capability says otherwise
        self.house_w = 500  # what the house takes beyond its PV
        self.line = ""  # what the bus says of the line that all three hang on
        self.mute: set[str] = set()  # devices that stop answering
        self.frozen: dict[str, Any] = {}
        self.reserve = Reserve(200, "file")
        self.disk_ok = True
        self.commits = True  # the store answers
        self.obeys = True  # the inverter follows what it confirmed
        self.outcome = "confirmed"
        self.draw = 0
        self.looked = NOT_LOOKED
        self.remote_w: int | None = None
        self.floor_permille = 200
        self.disk = durable if durable is not None else Durable()
        self.acks: list[dict[str, Any]] = []
        self.events_seen: list[dict[str, Any]] = []
        self.settled: list[dict[str, Any]] = []
        self.writes: list[tuple[int, Write]] = []
        self.notices: list[str] = []
        self.queue: list[Event] = []
        self.state: State = initial(params, self.disk, self.clock(), at_ns)
        self.out: Outputs | None = None

    def clock(self) -> Clock:
        wall_ms = self.now_ns // 1_000_000 + self.wall_offset_ms
        return Clock(wall_ms, self.trust, self.kernel_boot, self.boot, self.signed)

    @property
    def decision(self) -> Decision:
        assert self.out is not None
        return self.out.decision

    def mode(self) -> Mode:
        return self.decision.mode

    def given(self) -> int | None:
        return self.decision.given_w

    def faults(self) -> list[str]:
        return [f.id for f in self.decision.faults]

    def reading(self, name: str, make: Any, **values: Any) -> tuple[Any, ...]:
        if name in self.mute:
            return (self.frozen[name],) if name in self.frozen else ()
        self.frozen[name] = make(self.now_ns, **values)
        return (self.frozen[name],)

    def inputs(self, events: tuple[Event, ...]) -> Inputs:
        power = self.remote_w if self.remote_w is not None and self.obeys else 0
        shown = self.inverter.get("battery_w", power) or 0
        pack_ma = shown * 1_000_000 // (self.battery.get("pack_mv") or 52_800)
        return Inputs(
            now_ns=self.now_ns,
            clock=self.clock(),
            batteries=self.reading(  # a live BMS is never still to the last digit
                "battery",
                battery,
                **{"capacity_mah": 488_000 + self.now_ns // S % 2, "pack_ma": pack_ma, **self.battery},
            ),
            inverters=self.reading(
                "inverter",
                inverter,
                **{
                    "battery_w": power,
                    "frequency_mhz": 60_000 + self.now_ns // S % 7,  # as that of a real grid
                    "remote_active": self.remote_w is not None,
                    "remote_w": self.remote_w,
                    "floor_permille": self.floor_permille,
                    "soc_permille": self.battery.get("soc_permille", 600),
                    **self.inverter,
                },
            ),
            meters=self.reading("meter", meter, **{"grid_w": self.house_w - shown, **self.meter}),
            devices=tuple(
                replace(d, line=self.line, capability=capability(**self.told))
                if d.role is DeviceRole.INVERTER
                else replace(d, line=self.line)
                for d in devices(**self.presence)
            ),
            reserve=self.reserve,
            events=events,
            disk_ok=self.disk_ok,
            link_up=True,
            draw=self.draw,
            looked=self.looked,
        )

    def tick(self, *events: Event, s: float = 1.0) -> Outputs:
        """One cycle, `s` seconds after the last."""
        self.now_ns += round(s * S)
        queued, self.queue = tuple(self.queue), []
        self.state, self.out = step(self.params, self.state, self.inputs((*queued, *events)))
        self.notices.extend(self.out.notices)
        for write in self.out.writes:
            self.writes.append((self.now_ns, write))
            self.answer(write)
        if self.out.commit is not None:
            self.store(self.out.commit)
        return self.out

    def answer(self, write: Write) -> None:
        outcome = self.outcome if "inverter" not in self.mute else "silent"
        if outcome == "confirmed":
            if write.intent is Intent.POWER:
                self.remote_w = write.value
            elif write.intent is Intent.CLEAR:
                self.remote_w = None
            elif write.intent is Intent.STOP:
                self.remote_w = 0
            else:
                self.floor_permille = write.value
        self.queue.append(WriteDone("inverter", write.intent.value, write.value, outcome, self.now_ns))

    def store(self, commit: Commit) -> None:
        if not self.commits:
            self.queue.append(CommitFailed(commit.id, "no space left"))
            return
        self.disk = commit.durable
        for record in commit.records:
            kept = {"ack": self.acks, "event": self.events_seen, "settlement": self.settled}[record.kind]
            kept.append(dict(record.body))
        self.queue.append(Committed(commit.id))

    def run(self, seconds: int) -> Outputs:
        """That many cycles of a second."""
        out = None
        for _ in range(seconds):
            out = self.tick()
        assert out is not None
        return out

    def ready(self) -> Home:
        """Started, tested, with fresh time: ready for dispatch."""
        self.tick(FreshTime())
        self.run(4)
        return self

    def crash(self, kernel_boot: str | None = None, clean: bool = False) -> Home:
        """The process that starts next, with what the disk has, on the same home."""
        later = Home.__new__(Home)
        later.__dict__.update(self.__dict__)
        later.queue = []
        later.acks, later.events_seen, later.settled, later.writes, later.notices = [], [], [], [], []
        if kernel_boot is not None:
            later.kernel_boot = kernel_boot
        if clean:
            later.disk = replace(later.disk, clean_stop=True)
        later.boot = self.boot + "+"
        later.state = initial(later.params, later.disk, later.clock(), later.now_ns)
        return later

    def states(self, number: int = 1) -> list[str]:
        """Ack states of one command, in order."""
        return [a["state"] for a in self.acks if a["command_id"] == f"{number:032x}"]

    def powers(self) -> list[int]:
        return [w.value for _, w in self.writes if w.intent is Intent.POWER]

    def intents(self) -> list[str]:
        return [w.intent.value for _, w in self.writes]
