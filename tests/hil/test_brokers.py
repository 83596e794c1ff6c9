"""One script of behaviour, run on the virtual broker, on a real mosquitto, and with `--brokers cluster` on RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from agent.runtime.part import MqttDown, MqttMessage, MqttUp
from hil.broker import Broker
from hil.cluster import Cluster
from hil.pki import Pki, Tls, make_pki
from hil.virtual_broker import VirtualBroker, matches
from tests.conftest import BrokerKind
from tests.hil.clients import Client, Heap, RealClient, VirtualClient

ROOT = "battery/v1/demo"
UP, DOWN = f"{ROOT}/home-1/up", f"{ROOT}/home-1/down"
Make = Callable[[str], Client]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), "demo", ["home-1", "home-2"], ["south"])


@pytest.fixture(scope="module")
def real(pki: Pki, tmp_path_factory: pytest.TempPathFactory, a_broker: BrokerKind) -> Iterator[Broker | Cluster]:
    with a_broker(tmp_path_factory.mktemp("broker"), pki) as broker:
        yield broker


@pytest.fixture(params=["virtual", pytest.param("real", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest, pki: Pki) -> Make:
    if request.param == "real":
        broker: Broker | Cluster = request.getfixturevalue("real")
        tls = {"aggregator": pki.aggregator} | {name: files.tls for name, files in pki.devices.items()}
        if isinstance(broker, Broker):
            broker.restart()  # forget what the last test left
        else:
            forget(tls, broker)
        return lambda name: RealClient(name, tls[name], broker.port)
    heap = Heap()
    virtual = VirtualBroker(heap.at, heap.now)
    return lambda name: VirtualClient(name, virtual, heap)


def forget(tls: Mapping[str, Tls], cluster: Cluster) -> None:
    """A cluster takes half a minute to start: its sessions are ended and its retained messages cleared one by one."""
    of = {"home-1": (f"{UP}/birth", f"{UP}/state"), "aggregator": (f"{DOWN}/command", f"{DOWN}/time"), "home-2": ()}
    for name, topics in of.items():
        client = RealClient(name, tls[name], cluster.port)
        client.connect()
        for topic in topics:
            client.publish(topic, b"", retain=True)
        client.disconnect()


def test_wildcards_and_plain_topics(make: Make) -> None:
    device, aggregator = make("home-1"), make("aggregator")
    device.connect()
    aggregator.connect()
    aggregator.subscribe(f"{ROOT}/+/up/#")
    device.subscribe(f"{DOWN}/command", f"{DOWN}/time")

    device.publish(f"{UP}/event", b"1")
    device.publish(f"{UP}/live", b"2", qos=0)
    device.publish(f"{UP}/a/b", b"3")
    aggregator.publish(f"{DOWN}/receipt", b"not asked for")
    aggregator.publish(f"{DOWN}/time", b"4")

    assert [aggregator.next() for _ in range(3)] == [
        MqttMessage(f"{UP}/event", b"1", 1, False),
        MqttMessage(f"{UP}/live", b"2", 0, False),
        MqttMessage(f"{UP}/a/b", b"3", 1, False),
    ]
    assert device.next() == MqttMessage(f"{DOWN}/time", b"4", 1, False)


def test_retained_is_flagged_for_the_late_only_and_can_be_cleared(make: Make) -> None:
    device, early, late = make("home-1"), make("aggregator"), make("home-2")
    early.connect()
    early.subscribe(f"{UP}/birth")
    device.connect()
    device.publish(f"{UP}/birth", b"old", retain=True)
    device.publish(f"{UP}/birth", b"new", retain=True)
    assert [early.next().retain, early.next().retain] == [False, False]

    early.disconnect()
    early.connect()
    early.subscribe(f"{UP}/birth")
    assert early.next() == MqttMessage(f"{UP}/birth", b"new", 1, True)

    device.publish(f"{UP}/birth", b"", retain=True)
    assert early.next() == MqttMessage(f"{UP}/birth", b"", 1, False)
    early.disconnect()
    early.connect()
    early.subscribe(f"{UP}/#")
    device.publish(f"{UP}/event", b"after")
    assert early.next().payload == b"after"  # and no retained one before it
    assert late is not device


@pytest.mark.mosquitto  # what RabbitMQ does instead: tests/cluster/test_lacks.py
def test_a_retained_command_waits_for_the_subscription(make: Make) -> None:
    device, aggregator = make("home-1"), make("aggregator")
    aggregator.connect()
    aggregator.publish(f"{DOWN}/command", b"trap", retain=True)
    device.connect()
    device.subscribe(f"{DOWN}/#")
    assert device.next() == MqttMessage(f"{DOWN}/command", b"trap", 1, True)


def test_the_lower_quality_of_service_holds(make: Make) -> None:
    device, aggregator = make("home-1"), make("aggregator")
    device.connect()
    aggregator.connect()
    aggregator.subscribe(f"{UP}/#", qos=0)
    device.publish(f"{UP}/event", b"x", qos=1)
    assert aggregator.next().qos == 0


def test_will_is_published_for_the_vanished_and_kept(make: Make) -> None:
    device, aggregator = make("home-1"), make("aggregator")
    aggregator.connect()
    aggregator.subscribe(f"{UP}/state")
    device.connect(will=(f"{UP}/state", b"lost"))
    device.publish(f"{UP}/state", b"ready", retain=True)
    assert aggregator.next().payload == b"ready"

    device.vanish()

    assert aggregator.next() == MqttMessage(f"{UP}/state", b"lost", 1, False)
    aggregator.disconnect()
    aggregator.connect()
    aggregator.subscribe(f"{UP}/state")
    assert aggregator.next() == MqttMessage(f"{UP}/state", b"lost", 1, True)


def test_no_will_after_a_proper_goodbye(make: Make) -> None:
    device, aggregator = make("home-1"), make("aggregator")
    aggregator.connect()
    aggregator.subscribe(f"{UP}/#")
    device.connect(will=(f"{UP}/state", b"lost"))
    device.disconnect()
    device.connect()
    device.publish(f"{UP}/event", b"after")
    assert aggregator.next().payload == b"after"


@pytest.mark.mosquitto  # what RabbitMQ does instead: tests/cluster/test_lacks.py
def test_another_client_of_the_same_id_takes_over_and_the_will_is_published(make: Make) -> None:
    device, twin, aggregator = make("home-1"), make("home-1"), make("aggregator")
    aggregator.connect()
    aggregator.subscribe(f"{UP}/#")
    device.connect(will=(f"{UP}/state", b"lost"))
    twin.connect()
    twin.publish(f"{UP}/event", b"after")
    assert [aggregator.next().payload, aggregator.next().payload] == [b"lost", b"after"]


@pytest.mark.mosquitto  # what RabbitMQ does instead: tests/cluster/test_lacks.py
def test_a_clean_session_forgets_and_a_kept_one_delivers(make: Make) -> None:
    device, aggregator = make("home-1"), make("aggregator")
    aggregator.connect()
    device.connect(clean=True)
    device.subscribe(f"{DOWN}/#")
    device.disconnect()
    aggregator.publish(f"{DOWN}/time", b"missed")

    device.connect(clean=False)
    device.subscribe(f"{DOWN}/#")
    device.disconnect()
    aggregator.publish(f"{DOWN}/time", b"not kept", qos=0)
    aggregator.publish(f"{DOWN}/time", b"kept")
    device.connect(clean=False)
    assert device.next() == MqttMessage(f"{DOWN}/time", b"kept", 1, False)


# --- the virtual one alone --------------------------------------------------------------------------------------------
class World:
    """A virtual broker with a device and an aggregator on it."""

    def __init__(self, latency_ns: int = 5_000_000) -> None:
        self.heap = Heap()
        self.broker = VirtualBroker(self.heap.at, self.heap.now, latency_ns)
        self.device = VirtualClient("home-1", self.broker, self.heap)
        self.aggregator = VirtualClient("aggregator", self.broker, self.heap)
        self.device.connect()
        self.aggregator.connect()
        self.aggregator.subscribe(f"{UP}/#")
        self.heap.run_until(1_000_000_000)


def test_latency_counts_each_way() -> None:
    world = World(latency_ns=7_000_000)
    world.broker.publish("home-1", 1, f"{UP}/event", b"x", 1, False)
    world.aggregator.next()
    assert world.heap.now_ns == 1_000_000_000 + 14_000_000


def test_a_killed_broker_tells_all_and_forgets_all() -> None:
    world = World()
    world.device.publish(f"{UP}/birth", b"forgotten", retain=True)
    world.aggregator.next()
    world.broker.set_up(False)
    assert isinstance(world.device.expect(MqttDown), MqttDown)
    assert isinstance(world.aggregator.expect(MqttDown), MqttDown)
    world.broker.connect("home-1", "", b"", world.device.events.append)
    assert world.device.expect(MqttDown).reason == "connection refused"

    world.broker.set_up(True)
    world.device.connect()
    world.aggregator.connect()
    world.device.publish(f"{UP}/event", b"x")
    world.heap.run_until(10**12)
    assert world.aggregator.events == []  # its subscription was forgotten with the session
    world.aggregator.subscribe(f"{UP}/#")
    world.device.publish(f"{UP}/event", b"y")
    assert world.aggregator.next().payload == b"y"  # and no retained one before it


def test_what_is_under_way_when_the_broker_dies_is_lost_with_its_ack() -> None:
    """The publisher cannot know whether it arrived: it must send again, and the receiver must count it once."""
    world = World()
    world.broker.publish("home-1", 1, f"{UP}/event", b"x", 1, False)
    world.heap.run_until(1_000_000_000 + 6_000_000)  # it reached the broker, the PUBACK is on its way
    world.broker.set_up(False)
    world.heap.run_until(10**12)
    assert [type(event) for event in world.device.events] == [MqttDown]


def test_a_kept_session_gets_again_what_was_under_way() -> None:
    world = World()
    world.aggregator.disconnect()
    world.aggregator.connect(clean=False)
    world.aggregator.subscribe(f"{UP}/#")
    world.device.publish(f"{UP}/event", b"x")  # acked to the device at the moment at which the copy leaves
    world.aggregator.events.clear()
    world.broker.publish("home-1", 2, f"{UP}/event", b"y", 1, False)
    world.heap.run_until(world.heap.now_ns + 6_000_000)
    world.aggregator.vanish()
    world.heap.run_until(10**11)
    world.aggregator.connect(clean=False)
    assert world.aggregator.next().payload == b"y"


def test_a_cut_network_is_noticed_by_both_after_the_keepalive() -> None:
    world = World()
    world.device.disconnect()
    world.device.connect(will=(f"{UP}/state", b"lost"))
    began = world.heap.now_ns
    world.broker.set_reachable("home-1", False)
    world.broker.publish("home-1", 1, f"{UP}/event", b"into the void", 1, False)

    assert isinstance(world.device.expect(MqttDown), MqttDown)
    assert world.heap.now_ns == began + 30_000_000_000
    assert world.aggregator.next().payload == b"lost"
    assert world.heap.now_ns >= began + 45_000_000_000

    world.broker.connect("home-1", "", b"", world.device.events.append)
    assert world.device.expect(MqttDown).reason == "timed out"
    world.broker.set_reachable("home-1", True)
    world.broker.connect("home-1", "", b"", world.device.events.append)
    assert isinstance(world.device.expect(MqttUp), MqttUp)


def test_the_vanished_hear_nothing() -> None:
    world = World()
    world.aggregator.vanish()
    world.device.publish(f"{UP}/event", b"x")
    world.heap.run_until(10**12)
    assert world.aggregator.events == []


def test_order_is_kept_though_latency_changes() -> None:
    heap = Heap()
    waits = iter([1, 1, 1, 50, 3, 40, 2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    broker = VirtualBroker(heap.at, heap.now, lambda: next(waits) * 1_000_000)
    client = VirtualClient("home-1", broker, heap)
    client.connect()
    client.subscribe("t")
    for index in range(3):
        broker.publish("home-1", index, "t", bytes([index]), 0, False)
    assert [client.next().payload for _ in range(3)] == [b"\0", b"\1", b"\2"]


def test_the_access_list_drops_in_silence() -> None:
    heap = Heap()
    broker = VirtualBroker(heap.at, heap.now, allow=lambda who, action, topic: (who, action) != ("home-1", "write"))
    device, aggregator = VirtualClient("home-1", broker, heap), VirtualClient("aggregator", broker, heap)
    aggregator.connect()
    aggregator.subscribe("#")
    device.connect()
    device.publish("anything", b"x")  # is acked all the same
    heap.run_until(10**12)
    assert aggregator.events == []


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0"])
def test_topics_that_nobody_can_publish_to(topic: str) -> None:
    with pytest.raises(ValueError, match="is not a topic"):
        World().broker.publish("home-1", 1, topic, b"", 0, False)


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True), ("a/b", "a/bc", False), ("a/+", "a/b", True), ("a/+", "a/b/c", False),
        ("a/+", "a", False), ("a/#", "a", True), ("a/#", "a/b/c", True), ("#", "a/b", True), ("+/b", "a/b", True),
        ("#", "$SYS/x", False), ("+/x", "$SYS/x", False), ("$SYS/#", "$SYS/x", True), ("a/+/c", "a//c", True),
    ],
)  # fmt: skip
def test_filters(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


def test_nothing_is_left_to_chance(tmp_path: Path) -> None:
    def trace() -> list[tuple[int, object]]:
        world = World()
        seen: list[tuple[int, object]] = []
        for index in range(20):
            world.broker.publish("home-1", index, f"{UP}/event", bytes([index]), index % 2, index % 3 == 0)
            if index == 10:
                world.broker.set_up(False)
                world.broker.set_up(True)
                world.device.connect()
        while world.heap.step():
            seen += [(world.heap.now_ns, event) for event in world.aggregator.events + world.device.events]
        return seen

    assert trace() == trace()
