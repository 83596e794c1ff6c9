"""The two drivers of the aggregator: over a real broker with mutual TLS, and in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.runtime.part import MqttMessage, Now
from hil.aggregator.aggregator import Aggregator, Publish
from hil.aggregator.keys import load_keyring
from hil.aggregator.live import LiveAggregator
from hil.aggregator.virtual import VirtualAggregator
from hil.broker import Broker
from hil.cluster import Cluster
from hil.pki import Pki, make_pki
from hil.virtual_broker import VirtualBroker
from tests.conftest import BrokerKind
from tests.hil.clients import Heap, RealClient, VirtualClient
from tests.hil.tokens import HandDevice, counting, keyring, unb64

WAIT_S = 15.0
DOWN = "battery/v1/demo/home-1/down"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def pki(directory: Path) -> Pki:
    return make_pki(directory / "pki", "demo", ["home-1"], ["south"])


@pytest.fixture(scope="module")
def broker(pki: Pki, directory: Path, a_broker: BrokerKind) -> Iterator[Broker | Cluster]:
    with a_broker(directory / "broker", pki) as running:
        yield running


@pytest.fixture
def live(broker: Broker | Cluster, pki: Pki) -> Iterator[LiveAggregator]:
    aggregator = Aggregator(load_keyring(pki.devices_file.parent), counting(), receipt_every_ns=1)
    with LiveAggregator(aggregator, pki.aggregator.ca.parent, broker.host, broker.port) as running:
        assert running.wait_connected(WAIT_S)
        yield running


@pytest.fixture
def device(broker: Broker | Cluster, pki: Pki) -> RealClient:
    client = RealClient("home-1", pki.devices["home-1"].tls, broker.port)
    client.connect()
    client.subscribe(f"{DOWN}/#")
    return client


@pytest.fixture
def hand(pki: Pki) -> HandDevice:
    """A hand-made gateway with the key that the PKI gave it."""
    key = load_pem_private_key(pki.devices["home-1"].sign_key.read_bytes(), None)
    return HandDevice(seed=key.private_bytes_raw())  # type: ignore[union-attr]  # it is an Ed25519 key


def _body(message: MqttMessage) -> dict[str, object]:
    body = json.loads(unb64(message.payload.split(b".")[1]))
    assert isinstance(body, dict)
    return body


@pytest.mark.slow
def test_birth_time_row_receipt_over_the_real_broker(
    live: LiveAggregator, device: RealClient, hand: HandDevice
) -> None:
    birth = hand.message("birth", 1)
    device.publish(birth.topic, birth.payload, retain=True)
    time = device.next()
    assert (time.topic, _body(time)["nonce"]) == (f"{DOWN}/time", "0f" * 16)

    row = hand.message("event", 1)
    device.publish(row.topic, row.payload)
    device.publish(row.topic, row.payload)
    assert live.wait_for(lambda a: a.books["home-1"].ledger.duplicates == 1, WAIT_S)
    receipt = device.next()
    assert (receipt.topic, _body(receipt)["upto"]) == (f"{DOWN}/receipt", 1)
    assert live.look(lambda a: a.score()["refused"]) == 0


@pytest.mark.slow
def test_a_command_goes_out_and_its_acks_are_waited_for(
    live: LiveAggregator, device: RealClient, hand: HandDevice
) -> None:
    signed = live.send(lambda a, now: a.dispatch("home-1", 5000, 60, now))
    arrived = device.next()
    while arrived.topic == f"{DOWN}/time":  # the answer to a retained birth of another test
        arrived = device.next()
    assert (arrived.topic, arrived.payload, arrived.retain) == (f"{DOWN}/command", signed.token, False)

    assert not live.wait_ack(signed.id, {"received"}, 0)
    ack = hand.message("ack", 2, command_id=signed.id)
    device.publish(ack.topic, ack.payload)
    assert live.wait_ack(signed.id, {"received"}, WAIT_S)


@pytest.mark.slow
def test_it_comes_back_after_the_broker_was_killed(live: LiveAggregator, broker: Broker | Cluster) -> None:
    broker.kill()
    assert live.wait_for(lambda _: not live.connected, WAIT_S)
    broker.start()
    assert live.wait_connected(WAIT_S)
    assert live.connections == 2
    assert live.publish(Publish(f"{DOWN}/receipt", b"x"), WAIT_S)


@pytest.mark.slow
def test_waiting_ends_when_time_is_up(live: LiveAggregator) -> None:
    assert live.wait_for(lambda a: a.books["home-1"].birth and False, 0.01) is None


class World:
    """A hand-made gateway and the aggregator on the virtual broker."""

    def __init__(self) -> None:
        self.heap = Heap()
        self.broker = VirtualBroker(self.heap.at, self.heap.now)
        self.hand = HandDevice()
        self.aggregator = Aggregator(keyring(self.hand), counting())
        self.driver = VirtualAggregator(self.aggregator, self.broker, self.heap.at, self.now)
        self.device = VirtualClient("home-1", self.broker, self.heap)
        self.device.connect()
        self.device.subscribe(f"{DOWN}/#")

    def now(self) -> Now:
        return Now(self.heap.now_ns, 1_700_000_000_000 + self.heap.now_ns // 1_000_000)

    def connected(self) -> bool:
        return self.driver.connected

    def say(self, message: MqttMessage) -> None:
        self.device.publish(message.topic, message.payload)


def test_the_same_object_in_virtual_time() -> None:
    world = World()
    world.say(world.hand.message("birth", 1))
    assert world.device.next().topic == f"{DOWN}/time"
    world.say(world.hand.message("event", 1))
    assert _body(world.device.next())["upto"] == 1


def test_in_virtual_time_it_comes_back_and_counts_once() -> None:
    world = World()
    world.say(world.hand.message("event", 1))
    world.broker.set_up(False)
    world.heap.run_until(20_000_000_000)
    assert world.connected() is False
    world.broker.set_up(True)
    world.heap.run_until(25_000_000_000)
    assert world.connected() is True
    world.device.connect()
    world.say(world.hand.message("event", 1))
    world.say(world.hand.message("event", 2))
    world.heap.run_until(26_000_000_000)
    ledger = world.aggregator.books["home-1"].ledger
    assert (len(ledger), ledger.missing()) == (2, ())


def test_a_message_that_cannot_be_judged_costs_no_other_its_turn(
    live: LiveAggregator, device: RealClient, hand: HandDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours must not end the thread that all homes are heard by; it is counted."""
    receive = live.aggregator.receive

    def fragile(message: MqttMessage, at: Now) -> object:
        if message.topic.endswith("/live"):
            raise ValueError("a bug")
        return receive(message, at)

    monkeypatch.setattr(live.aggregator, "receive", fragile)
    for kind in ("live", "event"):
        message = hand.message(kind, 900)
        device.publish(message.topic, message.payload)
    assert live.wait_for(lambda a: 900 in a.books["home-1"].ledger, WAIT_S)
    assert live.failures == 1
    device.disconnect()
