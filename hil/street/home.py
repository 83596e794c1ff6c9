"""One home of a fleet: a virtual backend whose broker and aggregator are shared with all the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from agent.runtime.virtual import VirtualRuntime
from hil import site
from hil.aggregator.aggregator import Aggregator
from hil.aggregator.keys import load_keyring
from hil.aggregator.virtual import VirtualAggregator
from hil.backends.virtual import WALL_MS, VirtualBackend
from hil.campaign.run import PLAIN_POLLS
from hil.ceremony import Ceremony
from hil.pki import AGGREGATOR
from hil.virtual_broker import VirtualBroker


class Street:
    """What the homes share: one broker and one aggregator, on a heap of their own."""

    def __init__(self, directory: Path, seed: int, count: int) -> None:
        self.devices = [f"home-{n:04}" for n in range(1, count + 1)]
        self.directory = directory
        self.runtime = runtime = VirtualRuntime(WALL_MS)
        self.broker = VirtualBroker(runtime.at, lambda: runtime.mono_ns)
        self.touched: set[int] = set()  # homes whose heap somebody else has put something on; 1 = the first
        _, self.ceremony = site.seeded_keys(directory, seed, WALL_MS, {name: name for name in self.devices})
        self._streams = {name: Random(f"{seed}/ids/{name}") for name in (*self.devices, "")}
        self._stream = ""
        ring = load_keyring(directory / AGGREGATOR)
        # Ids of commands are drawn per device: what one home asks for must not change what another is sent.
        self.aggregator = Aggregator(ring, self._random)
        self.live = VirtualAggregator(self.aggregator, self.broker, runtime.at, runtime.now, lambda verdict, now: None)

    def _random(self, count: int) -> bytes:
        return self._streams[self._stream].randbytes(count)

    def touch(self, home: FleetHome) -> None:
        """Something was put on that home's heap."""
        self.touched.add(self.devices.index(home.device) + 1)

    def for_device(self, name: str, act: Callable[[], None]) -> None:
        """Ids drawn within are that device's own."""
        self._stream = name
        act()
        self._stream = ""


class _Port:
    """The shared broker as one home reaches it: answers come into the home's own heap."""

    def __init__(self, street: Street, home: FleetHome) -> None:
        self._street, self._home = street, home

    def connect(self, client_id: str, will_topic: str, will_payload: bytes, on_event: Callable[[object], None]) -> None:
        def arrived(event: object) -> None:
            self._home.runtime.at(self._street.runtime.mono_ns, lambda: on_event(event))
            self._street.touch(self._home)

        self._street.broker.connect(client_id, will_topic, will_payload, arrived)

    def subscribe(self, client_id: str, topics: tuple[tuple[str, int], ...]) -> None:
        self._street.broker.subscribe(client_id, topics)

    def publish(self, client_id: str, token: int, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        self._street.broker.publish(client_id, token, topic, payload, qos, retain)

    def disconnect(self, client_id: str) -> None:
        self._street.broker.disconnect(client_id)

    def vanish(self, client_id: str) -> None:
        self._street.broker.vanish(client_id)


class FleetHome(VirtualBackend):
    """See the module."""

    def __init__(self, street: Street, device: str) -> None:
        super().__init__(PLAIN_POLLS)
        self.device = device
        self._street = street

    def _keys(self, directory: Path, seed: int) -> tuple[Path, Path, Ceremony]:
        street = self._street
        return street.directory / "device" / self.device, street.directory / AGGREGATOR, street.ceremony

    def _reach(self, ring: Path, seed: int) -> None:
        self._broker = self._street.broker
        self._aggregator, self._live = self._street.aggregator, self._street.live
        self.runtime.attach_broker(_Port(self._street, self))

    def broker(self, up: bool) -> None:
        """In a fleet the way to the broker is gone, not the broker."""
        self._street.broker.set_reachable(self.device, up)
