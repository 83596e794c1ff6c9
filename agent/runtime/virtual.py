"""All parts on one heap of events, in virtual time: the same objects as `runtime.real`; same seed, same trace.

The world around the agent (wire, broker, home) schedules itself with `at`; it lives on when the agent's parts are
killed.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from agent.runtime import part
from agent.runtime.part import Now, Part
from drivers import events as bus_events
from drivers.bus import Bus

KERNEL_NS = 16_000_000_000  # as the daemon: how often the kernel is asked about its clock


class Line(Protocol):
    """The far side of one bus: takes what the port sends, answers by calling what it was given for deliveries."""

    def transmit(self, data: bytes, now_ns: int) -> None: ...


class Broker(Protocol):
    """An MQTT broker in virtual time. `on_event` takes the Mqtt* events of `runtime.part`."""

    def connect(
        self, client_id: str, will_topic: str, will_payload: bytes, on_event: Callable[[object], None]
    ) -> None: ...

    def subscribe(self, client_id: str, topics: tuple[tuple[str, int], ...]) -> None: ...

    def publish(self, client_id: str, token: int, topic: str, payload: bytes, qos: int, retain: bool) -> None: ...

    def disconnect(self, client_id: str) -> None: ...

    def vanish(self, client_id: str) -> None:
        """The client is gone without a goodbye: its will is published."""
        ...


class VirtualRuntime:
    """One heap. Times are ns of the virtual monotonic clock; wall time runs beside it."""

    def __init__(self, wall_ms: int, mono_ns: int = 1_000_000_000) -> None:
        self.mono_ns = mono_ns
        self._wall_offset_ns = wall_ms * 1_000_000 - mono_ns
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._ready: deque[tuple[str, object]] = deque()
        self._order = 0
        self._parts: dict[str, Part] = {}
        self._buses: dict[str, Bus] = {}
        self._lines: dict[str, Line] = {}
        self._wakes: dict[str, int] = {}
        self._delays: dict[str, int] = {}
        self._broker: Broker | None = None
        self._client_id = ""
        self._life = 0  # counts kills: what a dead process had under way never arrives
        self.stopped: set[str] = set()
        self.notified: list[str] = []
        self.ntp_synced = True
        self.on_log: Callable[[Now, part.Log], None] = lambda now, log: None
        self.on_local: Callable[[part.LocalReply], None] = lambda reply: None
        self.on_publish: Callable[[Now, part.MqttPublish], None] = lambda now, publish: None

    # --- the world ---------------------------------------------------------------------------------------------------
    def now(self) -> Now:
        """Both clocks at this moment."""
        return Now(self.mono_ns, (self.mono_ns + self._wall_offset_ns) // 1_000_000)

    def step_wall(self, by_ms: int) -> None:
        """The wall clock jumps; monotonic time does not."""
        self._wall_offset_ns += by_ms * 1_000_000

    def at(self, mono_ns: int, fn: Callable[[], None]) -> None:
        """Call `fn` at that time (now, if it has passed); equal times keep their order."""
        self._order += 1
        heapq.heappush(self._heap, (max(mono_ns, self.mono_ns), self._order, fn))

    def attach_line(self, bus: str, line: Line) -> None:
        """The line behind bus `bus`. Its deliveries come in by `deliver`."""
        self._lines[bus] = line

    def attach_broker(self, broker: Broker) -> None:
        """The broker that every MqttConnect reaches."""
        self._broker = broker

    def deliver(self, bus: str, data: bytes, at_ns: int) -> None:
        """Bytes arrive on `bus`, the last of them at `at_ns`."""
        self.post(f"bus:{bus}", bus_events.Received(data, at_ns))

    # --- the agent ---------------------------------------------------------------------------------------------------
    def add(self, name: str, agent_part: Part, post_delay_ns: int = 0) -> None:
        """A part and, for parts that do real work (a disk), how long its answers take."""
        self._parts[name] = agent_part
        self._delays[name] = post_delay_ns

    def add_bus(self, name: str, bus: Bus) -> None:
        """A bus; its line must be attached."""
        self._buses[f"bus:{name}"] = bus

    def start(self) -> None:
        """The process begins: every part gets Start, every line opens."""
        self.stopped.clear()
        self._tell_kernel(self._life)
        for name in self._parts:
            self.post(name, part.Start())
        for name in self._buses:
            self.post(name, bus_events.Opened())

    def _tell_kernel(self, life: int) -> None:
        """As the daemon's chores do."""
        if life == self._life and "control" in self._parts:
            self.post("control", part.Kernel(self.ntp_synced))
            self.at(self.mono_ns + KERNEL_NS, lambda: self._tell_kernel(life))

    def kill(self) -> None:
        """SIGKILL: every part is gone, what was in their mailboxes too; the broker sees the client vanish."""
        self._life += 1
        self._parts.clear()
        self._buses.clear()
        self._ready.clear()
        self._wakes.clear()
        if self._broker is not None and self._client_id:
            self._broker.vanish(self._client_id)
        self._client_id = ""

    def terminate(self) -> None:
        """SIGTERM: every part gets Stop; `stopped` fills as they finish."""
        for name in [*self._parts]:
            self.post(name, part.Stop())

    def alive(self) -> bool:
        """Whether a process runs."""
        return bool(self._parts)

    def post(self, to: str, event: object) -> None:
        """Into a mailbox; lost if nobody of that name lives."""
        self._ready.append((to, event))

    @property
    def next_ns(self) -> int | None:
        """When something happens here next; now, while mail waits."""
        if self._ready:
            return self.mono_ns
        return self._heap[0][0] if self._heap else None

    def run_until(self, mono_ns: int) -> None:
        """Everything up to and including that time happens."""
        heap, ready = self._heap, self._ready
        while True:
            while ready:
                self._dispatch(*ready.popleft())
            if not heap or heap[0][0] > mono_ns:
                break
            self.mono_ns, _, fn = heapq.heappop(heap)
            fn()
        self.mono_ns = max(self.mono_ns, mono_ns)

    # --- inside ------------------------------------------------------------------------------------------------------
    def _dispatch(self, to: str, event: object) -> None:
        bus = self._buses.get(to)
        if bus is not None:
            self._bus_effects(to, bus.handle(event, self.mono_ns))  # type: ignore[arg-type]  # only bus events are posted to a bus
            return
        if to == "runtime" and isinstance(event, part.Stopped):
            self.stopped.add(event.part)
        agent_part = self._parts.get(to)
        if agent_part is not None:
            self._effects(to, agent_part.handle(event, self.now()))

    def _bus_effects(self, name: str, effects: Iterable[bus_events.BusEffect]) -> None:
        for effect in effects:
            if isinstance(effect, bus_events.Emit):
                self._ready.append(("control", effect.event))
            elif isinstance(effect, bus_events.Transmit):
                self._lines[name[4:]].transmit(effect.data, self.mono_ns)
            elif isinstance(effect, bus_events.WakeAt):
                self._wake(name, effect.at_ns, bus_events.Wake())
            else:
                self._later(name, effect.at_ns, bus_events.Opened())

    def _effects(self, name: str, effects: Iterable[part.Effect]) -> None:
        delay = self._delays.get(name, 0)
        for effect in effects:
            if isinstance(effect, part.Post):
                if delay:
                    self._later(effect.to, self.mono_ns + delay, effect.event)
                else:
                    self._ready.append((effect.to, effect.event))
            elif isinstance(effect, part.WakeAt):
                self._wake(name, effect.at_ns, part.Wake())
            elif isinstance(effect, part.Log):
                self.on_log(self.now(), effect)
            elif isinstance(effect, part.SdNotify):
                self.notified.append(effect.state)
            elif isinstance(effect, part.LocalReply):
                self.on_local(effect)
            else:
                self._mqtt(effect)

    def _mqtt(self, effect: part.Effect) -> None:
        if self._broker is None:
            if isinstance(effect, part.MqttConnect):
                self.post("link", part.MqttDown("there is no broker"))
            return
        if isinstance(effect, part.MqttConnect):
            self._client_id = effect.client_id
            self._broker.connect(effect.client_id, effect.will_topic, effect.will_payload, self._to_link())
        elif isinstance(effect, part.MqttSubscribe):
            self._broker.subscribe(self._client_id, effect.topics)
        elif isinstance(effect, part.MqttPublish):
            self.on_publish(self.now(), effect)
            self._broker.publish(self._client_id, effect.token, effect.topic, effect.payload, effect.qos, effect.retain)
        elif isinstance(effect, part.MqttDisconnect):
            self._broker.disconnect(self._client_id)

    def _to_link(self) -> Callable[[object], None]:
        life = self._life
        return lambda event: self.post("link", event) if self._life == life else None

    def _later(self, to: str, at_ns: int, event: object) -> None:
        life = self._life
        self.at(at_ns, lambda: self.post(to, event) if self._life == life else None)

    def _wake(self, name: str, at_ns: int, event: object) -> None:
        self._order += 1
        token = self._wakes[name] = self._order

        def due() -> None:
            if self._wakes.get(name) == token:
                del self._wakes[name]
                self.post(name, event)

        heapq.heappush(self._heap, (max(at_ns, self.mono_ns), token, due))
