"""The shell around the core: freeze inputs, step, gate, hand out. Decides nothing itself.

A cycle runs every period and at once for a command, a finished write, a fault, a BMS that newly forbids something, or a
reading that would move the decision. Nothing here waits: buses, disk and link answer with later events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from agent import mail, selftest
from agent.clock import ClockKeeper
from agent.core.book import aside
from agent.core.decision import Decision, Outputs
from agent.core.durable import Durable
from agent.core.inputs import (
    CommandIn,
    CommitFailed,
    Committed,
    Consent,
    Event,
    FreshTime,
    Inputs,
    LocalResume,
    LocalStop,
    Outdated,
    PutBack,
    Reserve,
    WriteDone,
)
from agent.core.params import Params
from agent.core.state import State
from agent.core.step import final, initial, step
from agent.gate import Evidence, Gate
from agent.latest import Latest
from agent.refusals import Refusals
from agent.release import Releases
from agent.remote import Remote
from agent.runtime import part
from agent.runtime.part import Effect, Log, Now, Post, SdNotify, WakeAt
from agent.steward import Facts, Steward
from agent.telemetry import profile_body, running, sample_values
from agent.tighter import Tighter, suspected
from agent.verbs import done, raised, refuse, resumed, settled, stopped, storm, taken
from drivers.events import (
    Adopt,
    BusStats,
    DeviceStatus,
    Execute,
    Identity,
    Looked,
    Presence,
    Remember,
    Told,
    WriteClass,
    WriteOutcome,
    WriteResult,
)
from drivers.readings import BatteryReading, DeviceRole, InverterReading, MeterReading

SAMPLE_NS = 1_000_000_000
WORDS = {"optout": "opt_out", "optin": "opt_in"}  # of a consent record
LAST_COMMIT = 0  # the core counts its commits from 1
REMOTE = (mail.Document, mail.DocumentsStored, mail.ServiceHeard, mail.KeysRevoked)
MIN_GAP_NS = 100_000_000  # readings wake a cycle at most this often


@dataclass(frozen=True, slots=True)
class Home:
    """Which device hangs on which bus, and what is known before the first reading."""

    bus_of: dict[str, str]
    role_of: dict[str, DeviceRole]
    version: str
    pins: Mapping[str, Identity]  # who each device was at commissioning
    serials: Mapping[str, str] = field(default_factory=dict)  # what the configuration says of them


class Control:
    """Part "control"."""

    def __init__(
        self,
        params: Params,
        home: Home,
        durable: Durable,
        reserve: Reserve,
        clock: ClockKeeper,
        draw: Callable[[], int],
        steward: Steward | None = None,
    ) -> None:
        self._steward = Steward(params, Remote()) if steward is None else steward
        self._params = params = self._steward.params
        self._home = home
        self._clock = clock
        self._draw = draw
        self._gate = Gate(params)
        self._tighter = Tighter(params)
        self._reserve = reserve
        self._durable = durable
        self._state: State | None = None
        self._latest = Latest(home.role_of)
        self._events: list[Event] = []
        self._link: mail.LinkState | None = None
        self._disk: mail.DiskState | None = None
        self._decision: Decision | None = None
        self._verb_waiting: list[mail.Verb] = []
        self._profiled: object = None  # what the last Profile was made of
        self._aside: Durable | None = None  # what the store was given while the disk failed
        self._due_ns = 0
        self._last_ns = 0
        self._sample_ns = 0
        self._started_ns = 0
        self._ready = False
        self._release: Releases | None = None
        self._pins = dict(home.pins)
        self._refusals = Refusals()
        self._self_test = selftest.SelfTest(params)
        bare = params.wiring.bare
        inverters = (name for name, role in home.role_of.items() if role is DeviceRole.INVERTER)
        self._actuators = [name for name in inverters if name not in bare]  # in the order of the configuration

    # --- the one entrance --------------------------------------------------------------------------------------------
    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """Every event of docs/design.md 4; anything unknown is ignored."""
        if isinstance(event, InverterReading):
            return self._inverter(event, now)
        if isinstance(event, MeterReading):
            return self._meter(event, now)
        if isinstance(event, BatteryReading):
            return self._battery(event, now)
        if isinstance(event, part.Wake):
            return self._tick(now)
        if isinstance(event, selftest.FilesLooked):
            self._self_test.files(event, now)
            return ()
        return self._rare(event, now)

    def _rare(self, event: object, now: Now) -> Iterable[Effect]:
        match event:
            case part.Start():
                self._started_ns = self._due_ns = now.mono_ns
                return [*self._steered(event, now), *self._tick(now)]
            case part.Kernel():
                self._clock.ntp(event.ntp_synced, now)
                self._self_test.clock(now, event.ntp_synced)
                return ()
            case part.Stop():
                return self._stop(now)
            case WriteResult():
                return self._write_result(event, now)
            case Remember():
                return [Post("store", mail.WriteMemory(self._home.bus_of[event.device], event))]
            case DeviceStatus():
                return self._device(event, now)
            case BusStats():
                self._latest.buses[event.bus] = event
                return ()
            case Looked() | Told():
                return (Post("local", event),)
            case mail.LinkState():
                self._link = event
                if event.signed is not None:
                    self._clock.signed(*event.signed)
                return ()
            case mail.DiskState():
                self._disk, self._aside = event, None
                return self._say("info" if event.ok else "error", event.detail, now) if event.detail else ()
            case mail.Verb():
                return self._verb(event, now)
            case mail.ReserveStored():
                return self._reserve_stored(event, now)
            case CommandIn() | FreshTime() | Committed() | CommitFailed() | PutBack() | Outdated() | Consent():
                self._events.append(event)
                return self._cycle(now)
        return self._steered(event, now) if isinstance(event, REMOTE) else ()

    # --- readings ----------------------------------------------------------------------------------------------------
    def _inverter(self, reading: InverterReading, now: Now) -> Iterable[Effect]:
        before = self._latest.inverters.get(reading.device)
        self._latest.inverters[reading.device] = reading
        if self._release is not None:
            return self._release_step(now)
        if before is None or before.grid_state is not reading.grid_state:
            return self._cycle(now)
        return ()

    def _battery(self, reading: BatteryReading, now: Now) -> Iterable[Effect]:
        before = self._latest.batteries.get(reading.device)
        self._latest.batteries[reading.device] = reading
        ours = self._decision is not None and self._decision.given_w is not None
        if not ours or self._state is None or self._release is not None or before is None:
            return ()
        if not self._tighter.than(before, reading) and not suspected(self._state.trace, reading.device):
            return ()
        soonest_ns = self._last_ns + MIN_GAP_NS
        return self._cycle(now) if now.mono_ns >= soonest_ns else (WakeAt(min(self._due_ns, soonest_ns)),)

    def _meter(self, reading: MeterReading, now: Now) -> Iterable[Effect]:
        self._latest.meters[reading.device] = reading
        if self._release is not None or reading.grid_w is None or now.mono_ns - self._last_ns < MIN_GAP_NS:
            return ()
        site, dead_band_w = self._params.site, self._params.dead_band_w
        ours = self._decision is not None and self._decision.given_w is not None
        near = reading.grid_w > site.import_limit_w - dead_band_w or -reading.grid_w > site.export_limit_w - dead_band_w
        return self._cycle(now) if ours and near else ()

    def _device(self, status: DeviceStatus, now: Now) -> Iterable[Effect]:
        self._latest.told(status)
        pins = self._pin(status)
        level = "info" if status.presence in (Presence.OK, Presence.IDENTIFYING) else "warning"
        return [*self._say(level, f"{status.device}: {status.line or status.detail}", now), *pins, *self._cycle(now)]

    def _pin(self, status: DeviceStatus) -> list[Effect]:
        """Whoever answers first, or was adopted, is the one from now on."""
        identity = status.identity
        if status.presence is not Presence.OK or identity is None or self._pins.get(status.device) == identity:
            return []
        self._pins[status.device] = identity
        return [Post("store", mail.WritePins(dict(self._pins), self._home.serials))]

    def _write_result(self, result: WriteResult, now: Now) -> Iterable[Effect]:
        name = result.write_class.name.lower()
        done = WriteDone(result.device, name, result.value, str(result.outcome), result.sent_ns, result.free_ns)
        self._events.append(done)
        if self._release is not None:
            self._release.result(result)
            return self._release_step(now)
        ours = result.write_class in (WriteClass.POWER, WriteClass.HEARTBEAT)
        routine = ours and result.outcome is WriteOutcome.CONFIRMED
        refusal = self._refusals.sentence(result)
        told = [] if refusal is None else self._say("warning", refusal, now)
        return told if routine else [*told, *self._cycle(now)]  # a ramp must not run at the speed of the bus

    # --- the cycle ---------------------------------------------------------------------------------------------------
    def _tick(self, now: Now) -> Iterable[Effect]:
        if self._release is not None:
            return self._release_step(now)
        while self._due_ns <= now.mono_ns:
            self._due_ns += self._params.timers.cycle_ns
        return self._cycle(now)

    def _cycle(self, now: Now) -> list[Effect]:
        if self._release is not None:
            return []
        self._last_ns = now.mono_ns
        inputs = self._freeze(now)
        if self._state is None:
            self._state = initial(self._params, self._durable, inputs.clock, inputs.now_ns)
        self._state, out = step(self._params, self._state, inputs)
        self._decision = out.decision
        effects = self._writes(out, inputs)
        if out.commit is not None:
            request = mail.CommitRequest(
                out.commit.id, out.commit.durable, out.commit.records, inputs.clock, now.mono_ns // 1_000_000
            )
            effects.append(Post("store", request))
        if self._disk is not None and not self._disk.ok:
            self._keep_aside(effects)
        for notice in out.notices:
            effects.extend(self._say("info", notice, now))
        self._tell(out.decision, inputs, now, effects)
        wake_ns = self._due_ns if out.wake_ns is None else min(self._due_ns, max(out.wake_ns, now.mono_ns + MIN_GAP_NS))
        effects.append(WakeAt(wake_ns))
        return effects

    def _keep_aside(self, effects: list[Effect]) -> None:
        """While the database takes nothing: what must not act again after a restart, whenever it changed."""
        assert self._state is not None
        durable, plain = aside(self._state.book)
        if plain != self._aside:
            self._aside = plain
            effects.append(Post("store", mail.KeepAside(durable)))

    def _freeze(self, now: Now) -> Inputs:
        events, self._events = tuple(self._events), []
        return Inputs(
            now_ns=now.mono_ns,
            clock=self._clock.read(now),
            batteries=tuple(self._latest.batteries.values()),
            inverters=tuple(self._latest.inverters.values()),
            meters=tuple(self._latest.meters.values()),
            devices=self._latest.standing(),
            reserve=self._reserve,
            events=events,
            disk_ok=self._disk is None or self._disk.ok,
            link_up=self._link is not None and self._link.up,
            draw=self._draw(),
            looked=self._self_test.cycle(self._params),
        )

    def _writes(self, out: Outputs, inputs: Inputs) -> list[Effect]:
        effects: list[Effect] = []
        for write in out.writes:
            name = write.device or self._actuators[0]
            inverter, binding = self._latest.inverters.get(name), self._latest.binding(name)
            seen = Evidence(
                inputs.now_ns,
                inputs.batteries,
                inverter,
                inputs.meters,
                inputs.reserve.permille,
                len(self._actuators),
                self._latest.slowest_ns(),
            )
            order = self._gate.admit(write, out.decision, binding, seen)
            if isinstance(order, str):
                self._events.append(WriteDone(name, str(write.intent), write.value, "refused", 0))
                effects.append(Log("warning", order))
            else:
                effects.append(Post(f"bus:{self._home.bus_of[name]}", Execute(order)))
        return effects

    def _tell(self, decision: Decision, inputs: Inputs, now: Now, effects: list[Effect]) -> None:
        view = self._view(decision, inputs)
        if now.mono_ns - self._sample_ns >= SAMPLE_NS - MIN_GAP_NS:
            self._sample_ns = now.mono_ns
            values = sample_values(decision, inputs, self._params.wiring)
            dispatched = decision.source.startswith("dispatch")  # a schedule or a price needs no live records
            sample = mail.Sample(inputs.clock, now.mono_ns // 1_000_000, values, dispatched)
            effects.append(Post("link", sample))
            if self._steward.watching:
                effects.extend(self._steered(None, now))
            remote = self._steward.in_force.remote
            known = (decision.reserve_permille, decision.stated_end_s, self._latest.standing(), remote)
            if known != self._profiled:
                self._profiled = known
                site, told = self._steward.in_force.site, self._steward.versions()
                body = profile_body(site, self._home.version, decision, self._latest.devices.values(), told)
                effects.append(Post("link", mail.Profile(body)))
        effects.append(Post("local", view))
        if not self._ready:
            self._ready = True
            effects.append(SdNotify("READY=1"))
        effects.append(SdNotify("WATCHDOG=1"))

    def _view(self, decision: Decision, inputs: Inputs) -> mail.View:
        return mail.View(
            at_ns=inputs.now_ns,
            clock=inputs.clock,
            decision=decision,
            batteries=inputs.batteries,
            inverters=inputs.inverters,
            meters=inputs.meters,
            devices=tuple(self._latest.devices.values()),
            buses=tuple(self._latest.buses.values()),
            reserve_permille=self._reserve.permille,
            reserve_source=self._reserve.source,
            link=self._link,
            disk=self._disk,
            command=None if self._state is None else running(self._state.book, decision),
            stopped_by=self._state.book.durable.stopped_by if self._state is not None else None,
            opted_out=self._state.book.durable.opted_out if self._state is not None else None,
            started_ns=self._started_ns,
            wiring=self._params.wiring,
            soc_floor_permille=self._params.soc_floor_permille,
            critical_load_w=self._params.critical_load_w,
            looked=inputs.looked,
            in_force=self._steward.in_force,
        )

    def _say(self, level: str, text: str, now: Now) -> list[Effect]:
        return [Log(level, text), Post("local", mail.Line(now.wall_ms, level, text))]

    # --- from afar ---------------------------------------------------------------------------------------------------
    def _steered(self, event: object, now: Now) -> list[Effect]:
        """What the operator sets; None: a second has passed while it is watched."""
        steward, faults = self._steward, () if self._decision is None else self._decision.faults
        durable = self._state.book.durable if self._state is not None else self._durable
        clock = self._clock.read(now)
        facts = Facts(self._link is not None and self._link.up, faults, durable.overlays, clock)
        match event:
            case mail.Document():
                effects = steward.document(event, facts, now)
            case mail.DocumentsStored():
                effects = steward.stored(event, facts, now)
            case mail.KeysRevoked():
                effects = steward.revoked(event.kids, facts, now)
            case mail.ServiceHeard():
                steward.heard()
                return []
            case part.Start():
                effects = steward.begin(clock, now)
            case _:
                effects = steward.look(facts, now)
        if steward.params is not self._params:
            self._params = steward.params
            self._gate.renew(self._params)
            self._self_test.renew(self._params)
        self._events.extend(steward.taken())
        return effects

    # --- local people ------------------------------------------------------------------------------------------------
    def _verb(self, verb: mail.Verb, now: Now) -> Iterable[Effect]:
        if self._release is not None:
            return [done(verb, 4, "refused: the agent is stopping")]
        bus_of = self._home.bus_of
        refusal = refuse(verb, bus_of, self._reserve.permille, self._params.reserve_min_permille)
        if refusal is not None:
            return [refusal]
        if verb.verb == "adopt":
            status = self._latest.devices.get(verb.text)
            if status is None or status.capability is None:  # nobody is there, or it is of another family
                why = status.detail if status is not None else "it was not asked yet"
                return [done(verb, 5, f"{verb.text} cannot be adopted now: {why}")]
            told = f"{verb.text}: what answers now is taken as its own; see `batteryctl status`"
            return [Post(f"bus:{bus_of[verb.text]}", Adopt(verb.text)), done(verb, 0, told)]
        if verb.verb == "reserve":
            return self._set_reserve(verb, now)
        if verb.verb == "storm":
            return self._storm(verb, now)
        if verb.verb in ("optout", "optin", "override"):
            asked = taken(verb, self._state.book.durable if self._state is not None else self._durable)
            if isinstance(asked, Post):
                return [asked]
            self._events.append(asked)
            if verb.verb in WORDS:
                self._events.append(Consent(WORDS[verb.verb], verb.by, verb.conn != mail.LINK))
            return [*self._cycle(now), settled(verb, self._disk is None or self._disk.ok)]
        self._events.append(LocalStop(verb.by) if verb.verb == "stop" else LocalResume(verb.by))
        cycle = self._cycle(now)
        if verb.verb == "stop":
            return [*cycle, stopped(verb, self._disk is None or self._disk.ok)]
        return [*cycle, resumed(verb, self._state.book.durable if self._state is not None else self._durable)]

    def _set_reserve(self, verb: mail.Verb, now: Now) -> list[Effect]:
        self._verb_waiting.append(verb)
        effects: list[Effect] = [Post("store", mail.WriteReserve(verb.value, verb.by))]
        if verb.value > self._reserve.permille:  # tightening never waits for a disk
            self._reserve = Reserve(verb.value, self._reserve.source)
            effects.extend(self._cycle(now))
        return effects

    def _storm(self, verb: mail.Verb, now: Now) -> list[Effect]:
        overlays = self._state.book.durable.overlays if self._state is not None else self._durable.overlays
        event = storm(verb, overlays, self._clock.read(now), self._params)
        if isinstance(event, Post):
            return [event]
        self._events.append(event)
        self._events.append(Consent("storm", verb.by, verb.conn != mail.LINK, None, verb.value))
        return [*self._cycle(now), raised(verb, self._disk is None or self._disk.ok)]

    def _reserve_stored(self, stored: mail.ReserveStored, now: Now) -> list[Effect]:
        verbs = [self._verb_waiting.pop(0)] if self._verb_waiting else []  # the store answers in their order
        if stored.error is not None:
            text = f"the reserve could not be written: {stored.error}"
            return [*self._say("error", text, now), *(done(verb, 5, text) for verb in verbs)]
        raised_to = max((verb.value for verb in self._verb_waiting), default=0)
        self._reserve = Reserve(max(stored.permille, raised_to), "file")
        for verb in verbs:
            self._events.append(Consent("reserve", verb.by, verb.conn != mail.LINK, None, stored.permille))
        text = f"the reserve is {stored.permille / 10:.1f} %"
        told = [done(verb, 0, text, reserve_pct=stored.permille / 10) for verb in verbs]
        return [*self._say("info", text, now), *self._cycle(now), *told]

    # --- the clean stop ----------------------------------------------------------------------------------------------
    def _stop(self, now: Now) -> Iterable[Effect]:
        if self._release is not None:
            return ()
        effects: list[Effect] = [SdNotify("STOPPING=1"), *self._say("info", "stopping: releasing the inverter", now)]
        self._release = Releases(self._gate, now.mono_ns, self._actuators)
        effects.extend(self._release_step(now))
        return effects

    def _release_step(self, now: Now) -> list[Effect]:
        release = self._release
        if release is None:
            return []
        bindings = {name: self._latest.binding(name) for name in self._actuators}
        orders = release.next(now.mono_ns, self._latest.inverters, bindings)
        effects: list[Effect] = [Post(f"bus:{self._home.bus_of[name]}", Execute(order)) for name, order in orders]
        if release.ended and not release.told:
            release.told = True
            effects.extend(self._say("info" if release.confirmed else "error", release.sentence, now))
            effects.extend(self._last_commit(now))
            effects.append(Post("runtime", part.Stopped("control", release.confirmed)))
        elif not release.ended:
            effects.append(WakeAt(now.mono_ns + 200_000_000))
        return effects

    def _last_commit(self, now: Now) -> list[Effect]:
        """Marks the stop as clean, so that the next start is not counted as one after a crash."""
        if self._state is None:
            return []
        request = mail.CommitRequest(
            LAST_COMMIT, final(self._state), (), self._clock.read(now), now.mono_ns // 1_000_000
        )
        return [Post("store", request)]
