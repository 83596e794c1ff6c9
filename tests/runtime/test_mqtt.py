"""The MQTT adapter against a real mosquitto: every publish is answered once, whoever writes while messages come in."""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from agent.runtime import part
from agent.runtime.mqtt import MqttAdapter, Tls
from hil.broker import Broker
from hil.cluster import Cluster
from hil.pki import Authority, Pki, make_pki
from tests.conftest import BrokerKind

pytestmark = pytest.mark.slow
DEVICE, FLEET = "home-0001", "bench"
ROOT = f"battery/v1/{FLEET}/{DEVICE}"
WAIT_S = 20.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, a_broker: BrokerKind) -> Iterator[tuple[Pki, Broker | Cluster]]:
    directory = tmp_path_factory.mktemp("mqtt")
    pki = make_pki(directory / "pki", FLEET, [DEVICE])
    with a_broker(directory / "broker", pki) as broker:
        yield pki, broker


def adapter(pki: Pki, port: int, events: queue.SimpleQueue[object]) -> MqttAdapter:
    tls = pki.devices[DEVICE].tls
    return MqttAdapter((("localhost", port),), Tls(tls.ca, tls.cert, tls.key), events.put)


def connect(mqtt: MqttAdapter, events: queue.SimpleQueue[object]) -> None:
    mqtt.handle(part.MqttConnect(0, DEVICE, f"{ROOT}/up/state", b"lost"))
    assert isinstance(events.get(timeout=WAIT_S), part.MqttUp)


def flood(pki: Pki, broker: Broker | Cluster, count: int) -> None:
    """QoS 1 messages to the device: each makes paho's own thread write a PUBACK."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="aggregator-flood")  # type: ignore[attr-defined]
    client.tls_set(str(pki.aggregator.ca), str(pki.aggregator.cert), str(pki.aggregator.key))
    client.connect("localhost", broker.port)
    client.loop_start()
    last = [client.publish(f"{ROOT}/down/command", b"y" * 500, qos=1) for _ in range(count)][-1]
    last.wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()


def test_every_publish_is_acknowledged_once_while_messages_come_in(world: tuple[Pki, Broker | Cluster]) -> None:
    pki, broker = world
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    mqtt = adapter(pki, broker.port, events)
    connect(mqtt, events)
    mqtt.handle(part.MqttSubscribe(((f"{ROOT}/down/#", 1),)))
    sender = threading.Thread(target=flood, args=(pki, broker, 3000))
    sender.start()
    for token in range(1, 3001):
        mqtt.handle(part.MqttPublish(token, f"{ROOT}/up/event", b"x" * 2000, 1, False))
    acked: list[int] = []
    came = 0
    until = time.monotonic() + WAIT_S
    while (len(acked) < 3000 or came == 0) and time.monotonic() < until:
        event = events.get(timeout=WAIT_S)
        assert not isinstance(event, part.MqttDown), event
        if isinstance(event, part.MqttAcked):
            acked.extend(event.tokens)
        came += isinstance(event, part.MqttMessage)
    sender.join()
    assert sorted(acked) == list(range(1, 3001))
    assert came > 0
    mqtt.handle(part.MqttDisconnect())
    while isinstance(event := events.get(timeout=WAIT_S), part.MqttMessage):  # of the flood, some may still come
        pass
    assert isinstance(event, part.MqttDown)


def test_a_broker_that_is_not_there_is_told_and_raises_nothing(world: tuple[Pki, Broker | Cluster]) -> None:
    pki, _ = world
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    adapter(pki, 9, events).handle(part.MqttConnect(0, DEVICE, f"{ROOT}/up/state", b"lost"))
    down = events.get(timeout=WAIT_S)
    assert isinstance(down, part.MqttDown)
    assert "is the broker up" in down.reason


@pytest.mark.mosquitto
def test_a_broker_that_dies_is_told(tmp_path: Path) -> None:
    pki = make_pki(tmp_path / "pki", FLEET, [DEVICE])
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    with Broker(tmp_path / "broker", pki) as broker:
        mqtt = adapter(pki, broker.port, events)
        connect(mqtt, events)
        broker.kill()
        assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)
        broker.start()
        connect(mqtt, events)
        mqtt.handle(part.MqttPublish(7, f"{ROOT}/up/event", b"again", 1, False))
        assert events.get(timeout=WAIT_S) == part.MqttAcked((7,))
        mqtt.handle(part.MqttDisconnect())
        assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)


def test_a_renewed_certificate_needs_no_restart(tmp_path: Path) -> None:
    authority = Authority()
    tls = authority.issue(tmp_path, "home-1")
    mqtt = MqttAdapter((("localhost", 1),), Tls(tls.ca, tls.cert, tls.key), lambda event: None)
    first = mqtt._tls_context()
    assert mqtt._tls_context() is first, "each costs memory that OpenSSL gives back late"
    other = authority.issue(tmp_path / "new", "home-1")
    other.key.rename(tls.key)
    with pytest.raises(ssl.SSLError):  # half-way: the key is not the certificate's
        mqtt._tls_context()
    other.cert.rename(tls.cert)
    assert mqtt._tls_context() is not first
