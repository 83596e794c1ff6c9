"""One home of a group: the whole agent, its bus and its devices in memory, on a real broker and a real disk.

Its time is a virtual one that is kept in step with the clock. Stamps say how far a group's command has come in it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.core.inputs import CommandIn, Committed
from agent.mail import CommitRequest, Stored
from agent.runtime import part
from agent.runtime.mqtt import Tls
from agent.runtime.part import Effect, Now, Part
from drivers import events as bus_events
from drivers.bus import Bus
from hil.backends.machine import Adapter, Plug
from hil.backends.virtual import VirtualBackend
from hil.bench.command import POLLS
from hil.ceremony import Ceremony
from hil.group.post import MqttPort, Post
from hil.pki import DeviceFiles
from hil.scenario import Scenario, parse

S = 1_000_000_000
GROUP = "all"
WARM_S = 20
HOME = """
[scenario]
name = "group"
hazards = []
duration = "1h"

[home]
soc_permille = 600
load_w = 900

[config.agent]
id = "{device}"
"""


@dataclasses.dataclass(slots=True)
class Stamps:
    """Monotonic ns at which this home had it; 0 = not yet. CPU ns of the parts."""

    heard: int = 0
    verified: int = 0
    committed: int = 0
    gate: int = 0
    verify_ns: int = 0
    commit_ns: int = 0
    control_ns: int = 0

    def row(self) -> list[int]:
        """As numbers, in the order above."""
        return [getattr(self, field.name) for field in dataclasses.fields(self)]


class Watched:
    """A part, timed while it works on a command."""

    def __init__(self, name: str, inner: Part, home: GroupHome) -> None:
        self._inner, self._home = inner, home
        self._after: Callable[[object, Stamps, int, int], None] = {
            "link": self._link, "store": self._store, "control": self._control,
        }[name]  # fmt: skip

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        """As the part itself."""
        if not self._home.watching:
            return self._inner.handle(event, now)
        if isinstance(event, Stored):
            self._home.unsaid.append(event)
            return ()
        began = time.thread_time_ns()
        effects = self._inner.handle(event, now)
        self._after(event, self._home.stamps, time.monotonic_ns(), time.thread_time_ns() - began)
        return effects

    def _link(self, event: object, stamps: Stamps, at_ns: int, cpu_ns: int) -> None:
        if isinstance(event, part.MqttMessage) and event.topic.endswith("/command") and not stamps.verified:
            stamps.verified, stamps.verify_ns = at_ns, cpu_ns

    def _store(self, event: object, stamps: Stamps, at_ns: int, cpu_ns: int) -> None:
        if isinstance(event, CommitRequest) and stamps.verified and not stamps.committed:
            stamps.committed, stamps.commit_ns = at_ns, cpu_ns

    def _control(self, event: object, stamps: Stamps, at_ns: int, cpu_ns: int) -> None:
        if isinstance(event, CommandIn | Committed) and not stamps.gate:
            stamps.control_ns += cpu_ns


class WatchedBus(Plug):
    """A bus, and when the gate's first order came to it after a command."""

    def __init__(self, inner: Bus, home: GroupHome) -> None:
        super().__init__(inner, Adapter())
        self._home = home

    def handle(self, event: bus_events.BusEvent, now_ns: int) -> list[bus_events.BusEffect]:
        """As the bus itself."""
        home = self._home
        if home.watching and isinstance(event, bus_events.Execute) and home.stamps.committed and not home.stamps.gate:
            home.stamps.gate = time.monotonic_ns()
        return super().handle(event, now_ns)


class GroupHome(VirtualBackend):
    """See the module. `port` is its way to the broker."""

    disk_ns = 0  # the real one takes its time

    def __init__(self, files: DeviceFiles, post: Post, address: tuple[str, int]) -> None:
        super().__init__(POLLS, observed=False, traced=False)
        self.device = files.id
        self.begins_ms = time.time_ns() // 1_000_000
        self._files = files
        self.stamps, self.watching = Stamps(), False
        self.unsaid: list[Stored] = []  # what the link has not been told yet
        self._offset_ns = 0
        tls = files.tls
        self.port = MqttPort(post, address, Tls(tls.ca, tls.cert, tls.key))

    def begin(self, seed: int) -> None:
        """Build it, and let it come to know its devices; its link waits for `port.open`."""
        self.start(scenario(self.device), seed)
        self.run_until(WARM_S * S)

    def join(self) -> None:
        """From now on its time goes with the clock."""
        self._offset_ns = time.monotonic_ns() - self.runtime.mono_ns
        self.runtime.step_wall(time.time_ns() // 1_000_000 - self.runtime.now().wall_ms)

    def live(self, most_ns: int) -> None:
        """Up to now, or as far as that."""
        now_ns = time.monotonic_ns() - self._offset_ns
        self.runtime.run_until(min(now_ns, self.runtime.mono_ns + most_ns))

    def react(self) -> None:
        """Work off what was heard, and nothing that is due by time alone."""
        self.stamps.heard = self.stamps.heard or self.port.command_ns
        self.runtime.run_until(self.runtime.mono_ns)

    @property
    def due_ns(self) -> int:
        """When something happens here by time alone (monotonic ns)."""
        at = self.runtime.next_ns
        return (1 << 62) if at is None else at + self._offset_ns

    def watch(self) -> None:
        """The next command is the one to be timed."""
        self.stamps, self.watching = Stamps(), True
        self.port.command_ns = 0

    def say(self) -> None:
        """Sign and send what the command made it say. A home's link does that on a core of its own, beside the gate;
        here it would keep other homes from theirs."""
        self.watching = False
        unsaid, self.unsaid = self.unsaid, []
        for event in unsaid:
            self.runtime.post("link", event)
        self.react()

    def fresh(self) -> bool:
        """Whether it has been told the time: from now on it takes dispatch."""
        link = self._view.link if self._view is not None else None
        return link is not None and link.fresh

    # --- instead of what a home in virtual time has ------------------------------------------------------------------
    def _keys(self, directory: Path, seed: int) -> tuple[Path, Path, Ceremony | None]:
        own = self._files.tls.ca.parent
        return own, own, None

    def _reach(self, ring: Path, seed: int) -> None:
        self.runtime.attach_broker(self.port)

    def _bus(self, bus: Bus) -> Plug:
        return WatchedBus(bus, self)

    def _part(self, name: str, agent_part: Part) -> Part:
        if name == "local":
            return _Last(agent_part, self)
        return Watched(name, agent_part, self)


class _Last:
    """The local part, and the latest view that control gave it."""

    def __init__(self, inner: Part, home: GroupHome) -> None:
        self._inner, self._home = inner, home

    def handle(self, event: object, now: Now) -> Iterable[Effect]:
        self._home._told(event, now)
        return self._inner.handle(event, now)


def scenario(device: str) -> Scenario:
    """An ordinary home that is in the group."""
    made = dataclasses.replace(parse(HOME.format(device=device), device), name=device)
    link = {"groups": [GROUP]}
    return dataclasses.replace(made, config={**made.config, "link": link})  # type: ignore[dict-item]  # a list is TOML
