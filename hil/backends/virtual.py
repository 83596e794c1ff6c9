"""Everything in one process on one heap of events: the agent's own parts, home, wire, broker and aggregator.

The same seed gives the same trace: `Ending.trace` is a hash over every register write, every payload byte that the
agent publishes, and every decision, each with its time. It does not depend on process, directory or hash seed.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from agent import config as configuration
from agent.compose import compose
from agent.mail import View
from agent.runtime import part
from agent.runtime.part import Effect, Now, Part
from agent.runtime.virtual import VirtualRuntime
from drivers.bus import Bus
from hil import site
from hil.aggregator.aggregator import Aggregator, Publish, Verdict
from hil.aggregator.keys import load_keyring
from hil.aggregator.virtual import VirtualAggregator
from hil.backends.backend import Ending
from hil.backends.machine import Machine, Plug
from hil.backends.timers import timers_of
from hil.ceremony import Ceremony
from hil.commission import commission
from hil.desk import Desk, ack_fields, aggregator_signals, local_fields, uplink_fields
from hil.devices.world import World
from hil.expr import Value
from hil.faults.shown import grew
from hil.heard import Heard
from hil.scenario import RESERVE, VARIANT, Scenario
from hil.signals import SIGNALS, Happening
from hil.told import decided, decision_key, from_decision, from_view, refusals
from hil.virtual_broker import VirtualBroker
from hil.wire.virtual import VirtualWire
from hil.writes import WriteLog

T = TypeVar("T")
S = 1_000_000_000
WALL_MS = 1_767_286_800_000  # 2026-01-01 17:00 UTC: any fixed evening
DISK_NS = 3_000_000  # what a commit takes
RESTART_NS = 2 * S  # RestartSec of the unit
STOP_NS = 14 * S
_STOP_ORDER = {"control": "link", "link": "store", "store": "local"}
KERNEL_BOOT = "11111111-2222-3333-4444-555555555555"
STRANGER = 4242  # a user that nobody knows
GARBAGE = b'{"v": 1, "verb": [[[[\xff\x00\n'


class Tap:
    """A part, with a look at what it is told."""

    def __init__(self, inner: Part, look: Callable[[object, Now], None]) -> None:
        self._inner = inner
        self._look = look

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """As the part itself."""
        self._look(event, now)
        return self._inner.handle(event, now)


class VirtualBackend:
    """See the module."""

    name = "virtual"
    device = site.DEVICE
    disk_ns = DISK_NS
    begins_ms = WALL_MS

    def __init__(
        self, polls: Mapping[str, Mapping[str, int]] | None = None, observed: bool = True, traced: bool = True
    ) -> None:
        """`polls`: block periods in ms instead of the profiles', by role. `observed` off: no trace, no stream of
        decisions, for a bench that measures the agent and not its observer. `traced` off: no trace, for whoever looks
        at the home and not at whether two runs are the same."""
        self._polls = polls
        self._observed = observed
        self._traced = traced
        self._directory = tempfile.TemporaryDirectory(prefix="bench-")
        self._hash = hashlib.sha256()
        self._records: list[Happening] = []
        self._seen_writes = 0
        self._view: View | None = None
        self._decided: tuple[Value, ...] = ()
        self._starts = self._killed = 0
        self._exit: int | None = None
        self._held = False
        self._life = 0
        self._conn = 0
        self._typed: dict[int, tuple[str, Value]] = {}  # requests on the local socket that are not answered yet
        self._heard = Heard()
        self._refused = 0
        self.log: list[tuple[int, part.Log]] = []

    # --- life --------------------------------------------------------------------------------------------------------
    def start(self, scenario: Scenario, seed: int) -> None:
        """Home, wire, broker, aggregator; then the agent's first start at scenario time 0."""
        directory = Path(self._directory.name)
        device, ring, ceremony = self._keys(directory, seed)
        path = site.write_config(
            directory,
            line={"port": "virtual"},
            brokers=("virtual:8883",),
            device=device,
            overrides=scenario.config,
            polls=self._polls,
            home=scenario.home,
        )
        self.config = configuration.load(path)
        self._rng = random.Random(f"{seed}/agent")
        self.runtime = runtime = VirtualRuntime(self.begins_ms)
        self._t0 = runtime.mono_ns
        settings = {key: value for key, value in scenario.home.items() if key != RESERVE}
        self._machine = Machine(runtime, site.BUS, self.config.state_dir, lambda: self._ended(-9))
        self.world = World(seed, {"load_w": 900, "pv_w": 0, **settings}, runtime.mono_ns)
        self.wire = self.world.wire = VirtualWire(
            self.world.slaves,
            site.BAUD,
            runtime.at,
            lambda data, at: runtime.deliver(site.BUS, data, at),
            seed,
        )
        self._writes = WriteLog(by_device=scenario.home.get(VARIANT, "124") != "124")
        runtime.attach_line(site.BUS, self.wire)
        self._reach(ring, seed)
        self._desk = Desk(self, self.device, self._take_over, ceremony)
        runtime.on_publish = self._published
        runtime.on_local = self._answered
        runtime.on_log = lambda now, entry: self.log.append((now.mono_ns - self._t0, entry))
        commission(self.config, self.config.state_dir, scenario, ring)
        runtime.run_until(self._t0 + S // 2)  # the world is there before the agent
        self._t0 = runtime.mono_ns
        self._boot()

    def _keys(self, directory: Path, seed: int) -> tuple[Path, Path, Ceremony | None]:
        """Directories of the device and of the aggregator, and who signs the trust bundles; None: nobody here does."""
        aggregator, ceremony = site.seeded_keys(directory, seed, self.begins_ms)
        return directory / "device" / self.device, aggregator, ceremony

    def _reach(self, ring: Path, seed: int) -> None:
        """The broker that the agent finds, and who is behind it."""
        runtime = self.runtime
        self._broker = VirtualBroker(runtime.at, lambda: runtime.mono_ns)
        runtime.attach_broker(self._broker)
        self._aggregator = Aggregator(load_keyring(ring), random.Random(f"{seed}/aggregator").randbytes)
        self._live = VirtualAggregator(self._aggregator, self._broker, runtime.at, runtime.now, self._verdict)

    def now_ns(self) -> int:
        return self.runtime.mono_ns - self._t0

    def wall_ms(self) -> int:
        return self.begins_ms + 500  # the world is half a second old when the agent starts

    def run_until(self, at_ns: int) -> None:
        self.runtime.run_until(self._t0 + at_ns)

    def finish(self) -> Ending:
        notes = tuple(f"{at / S:.2f} {entry.level} {entry.text}" for at, entry in self.log if entry.level == "error")
        self._view = None
        self._directory.cleanup()  # the trace and the notes tell all that its files could
        return Ending(self._hash.hexdigest() if self._traced else None, notes[:20])

    def discard(self) -> None:
        """Nothing is left after `finish`."""

    def _boot(self) -> None:
        rng, runtime = self._rng, self.runtime
        agent = compose(
            self.config,
            boot=rng.randbytes(16).hex(),
            kernel_boot=KERNEL_BOOT,
            draw=lambda: rng.getrandbits(64),
            random=rng.randbytes,
        )
        for name, bus in agent.buses.items():
            runtime.add_bus(name, cast(Bus, self._bus(bus)))
        for name, agent_part in agent.parts.items():
            runtime.add(name, self._part(name, agent_part), self.disk_ns if name == "store" else 0)
        self._starts += 1
        self._exit = None
        self._record("process", what="start", status=None)
        runtime.start()

    def _bus(self, bus: Bus) -> Plug:
        return Plug(bus, self._machine.adapter)

    def _part(self, name: str, agent_part: Part) -> Part:
        return Tap(agent_part, self._told) if name == "local" and self._observed else agent_part

    def _ended(self, status: int) -> None:
        self._life += 1
        life = self._life
        self._exit = status
        self._killed += status == -9
        self._view = None
        self.runtime.kill()
        self._bury()
        self._record("process", what="exit", status=status)
        restart_ns = self.runtime.mono_ns + RESTART_NS  # what withholds it may come in between
        self.runtime.at(restart_ns, lambda: self._boot() if self._life == life and not self._held else None)

    def _bury(self) -> None:
        """A dead process holds no locks: its successor gets the files as they stand, not the open connection."""
        state = self.config.state_dir
        dead = state.with_name(f"dead-{self._life}")
        state.rename(dead)
        shutil.copytree(dead, state)

    # --- what the agent does -----------------------------------------------------------------------------------------
    def _told(self, event: object, now: Now) -> None:
        if not isinstance(event, View):
            return
        self._view = event
        if self._traced:
            self._trace("decision", now, repr(event.decision).encode())
        told = from_decision(event.decision)
        key = decision_key(told)
        if key != self._decided:
            self._decided = key
            self._record("decision", **decided(told))

    def _published(self, now: Now, publish: part.MqttPublish) -> None:
        self._trace("publish " + publish.topic, now, publish.payload)

    def _verdict(self, verdict: Verdict, now: Now) -> None:
        heard = verdict.message
        if heard is None:
            return
        self._record("uplink", **uplink_fields(verdict))
        if heard.kind == "ack" and verdict.fate is not None and verdict.fate.value == "new":
            self._record("ack", **ack_fields(heard.claims, self._desk, self._t0))

    def _record(self, stream: str, **fields: Value) -> None:
        self._records.append(Happening(stream, self.now_ns(), fields))

    def _trace(self, what: str, now: Now, data: bytes) -> None:
        self._hash.update(f"{what} {now.mono_ns} {len(data)} ".encode())
        self._hash.update(data)

    def _drain_writes(self) -> None:
        """Writes that reached a device since the last look."""
        trace = self.wire.trace
        for written in trace[self._seen_writes :]:
            record = self._writes.take(written, written.at_ns - self._t0)
            self._records.append(record)
            line = f"{written.unit} {written.function} {written.address} {written.words} {written.exception}"
            self._trace("write", Now(written.at_ns, 0), line.encode())
        self._seen_writes = len(trace)

    # --- what the runner looks at ------------------------------------------------------------------------------------
    def signals(self) -> Mapping[str, Value]:
        self._drain_writes()
        told = from_view(self._view) if self._view is not None else {}
        home = self.world.signals(self.runtime.mono_ns)
        return {
            **dict.fromkeys(SIGNALS),
            **home,
            **self._writes.signals(),
            **aggregator_signals(self._aggregator, self.device),
            **self._heard.look(self.runtime.now().wall_ms, home, self._aggregator.books[self.device]),
            **told,
            "bench.faults": self._on(),
            "local.refused": self._refused,
            "proc.alive": self.runtime.alive(),
            "proc.starts": self._starts,
            "proc.exit": self._exit,
        }

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        view = self._view
        return {
            **self._desk.functions(),
            "refused": lambda reason: 0 if view is None else refusals(view).get(reason, 0),
            "fault": lambda name: None if view is None else any(f.id == name for f in view.decision.faults),
            "on": lambda name: name in self._on().split(),
        }

    def happenings(self) -> Sequence[Happening]:
        self._drain_writes()
        records, self._records = sorted(self._records, key=lambda r: r.at_ns), []
        return records

    def timers(self) -> Mapping[str, tuple[float, float]]:
        return timers_of(self.config)

    # --- what the verbs do -------------------------------------------------------------------------------------------
    def home(self, op: str, **args: Value) -> None:
        self.world.do(op, self.runtime.mono_ns, **args)

    def aggregator(self, op: str, label: str, **args: Value) -> None:
        self._desk.do(op, label, args)

    def broker(self, up: bool) -> None:
        shown, broker = self._machine.shown, self._broker
        probe = grew(lambda: broker.turned_away)
        broker.set_up(up)
        if up:
            shown.end("broker")
        else:
            shown.ask("broker", probe)

    def process(self, op: str) -> None:
        if op in ("hold", "unhold"):
            self._held = op == "hold"
        elif op == "kill9":
            self._machine.shown.ask("killed", grew(lambda: self._killed))
            if self.runtime.alive():
                self._ended(-9)
        elif op == "start" and not self.runtime.alive():
            self._life += 1
            self._boot()
        elif op == "term" and self.runtime.alive():
            self.runtime.post("control", part.Stop())
            self._await_stop("control", self.runtime.mono_ns + STOP_NS, self._life)

    def _await_stop(self, waiting: str, until_ns: int, life: int) -> None:
        """As `agent.daemon` does: first the inverter, then what tells of it."""
        runtime = self.runtime
        if life != self._life:
            return  # killed meanwhile
        if waiting in runtime.stopped or runtime.mono_ns >= until_ns:
            rest = _STOP_ORDER.get(waiting)
            if rest is None:
                self._ended(0 if "control" in runtime.stopped else 5)
                return
            runtime.post(rest, part.Stop())
            waiting = rest
        runtime.at(runtime.mono_ns + 50_000_000, lambda: self._await_stop(waiting, until_ns, life))

    def build(self, build: Callable[[Aggregator, Now], T]) -> T:
        """For the desk."""
        return build(self._aggregator, self.runtime.now())

    def publish(self, message: Publish) -> None:
        """For the desk."""
        self._live.publish(message)

    def gateway(self, op: str, **args: Value) -> None:
        self._machine.do(op, args, Path(self._directory.name) / "image", self._rng)

    def _on(self) -> str:
        return " ".join(sorted(self._machine.shown.names() | self.world.shown()))

    def local(self, verb: str, **args: Value) -> None:
        self._conn += 1
        who = STRANGER if args.pop("who", None) == "stranger" else 0
        line = json.dumps({"v": 1, "verb": verb, **args}).encode() + b"\n" if verb != "garbage" else GARBAGE
        self._typed[self._conn] = verb if who == 0 else "stranger", args.get("permille")
        self.runtime.post("local", part.LocalRequest(self._conn, who, (who,), line))

    def _answered(self, reply: part.LocalReply) -> None:
        told = json.loads(reply.data)
        self._refused += not told.get("ok", False)
        if reply.conn in self._typed:
            self._record("local", **local_fields(*self._typed.pop(reply.conn), told))

    def _take_over(self, then: Callable[[], None]) -> None:
        """Connect with the device's own id: the broker ends its session. `then` comes before it is back."""

        def connected(event: object) -> None:
            if isinstance(event, part.MqttUp):
                then()
                self.runtime.at(self.runtime.mono_ns + 100_000_000, lambda: self._broker.disconnect(self.device))

        self._broker.connect(self.device, "", b"", connected)
