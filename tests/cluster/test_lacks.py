"""What the packaged RabbitMQ's MQTT does otherwise than mosquitto: each is told in docs/scale.md with its remedy."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from agent.runtime.part import MqttMessage
from hil.cluster import Cluster
from hil.pki import Pki, Tls, make_pki
from tests.hil.clients import RealClient

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = "battery/v1/demo"
UP, DOWN = f"{ROOT}/home-1/up", f"{ROOT}/home-1/down"
SILENCE_S = 3.0


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), "demo", ["home-1", "home-2"])


@pytest.fixture(scope="module")
def cluster(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), pki) as running:
        yield running


class Parties:
    """Clients by name and node."""

    def __init__(self, pki: Pki, cluster: Cluster) -> None:
        self._tls: dict[str, Tls] = {name: files.tls for name, files in pki.devices.items()}
        self._tls["aggregator"] = pki.aggregator
        self._cluster = cluster

    def at(self, node: int, name: str) -> RealClient:
        """A client that has not connected yet."""
        return RealClient(name, self._tls[name], self._cluster.addresses[node][1])


@pytest.fixture
def parties(pki: Pki, cluster: Cluster) -> Parties:
    return Parties(pki, cluster)


def silent(client: RealClient) -> bool:
    """Whether nothing comes for a while."""
    try:
        client._messages.get(timeout=SILENCE_S)
    except queue.Empty:
        return True
    return False


def test_a_retained_message_is_for_its_own_topic_and_its_own_node(parties: Parties) -> None:
    aggregator, here, there = parties.at(0, "aggregator"), parties.at(0, "home-1"), parties.at(1, "home-1")
    aggregator.connect()
    aggregator.publish(f"{DOWN}/trust", b"bundle", retain=True)
    here.connect()
    here.subscribe(f"{DOWN}/trust")
    assert here.next() == MqttMessage(f"{DOWN}/trust", b"bundle", 1, True)
    here.disconnect()
    here.connect()
    here.subscribe(f"{DOWN}/#")  # as the agent does
    assert silent(here)
    here.disconnect()
    there.connect()
    there.subscribe(f"{DOWN}/trust")
    assert silent(there)
    there.disconnect()
    aggregator.disconnect()


def test_a_kept_session_gets_what_was_sent_at_qos_0_too(parties: Parties) -> None:
    aggregator, device = parties.at(0, "aggregator"), parties.at(1, "home-2")
    aggregator.connect()
    device.connect(clean=False)
    device.subscribe(f"{ROOT}/home-2/down/#")
    device.disconnect()
    aggregator.publish(f"{ROOT}/home-2/down/time", b"at QoS 0", qos=0)
    device.connect(clean=False)
    assert device.next().payload == b"at QoS 0"
    device.disconnect()
    aggregator.disconnect()


def test_who_takes_over_a_name_gets_its_messages(parties: Parties) -> None:
    """Its will too, or not: nobody may rely on it."""
    aggregator, device, twin = parties.at(0, "aggregator"), parties.at(1, "home-1"), parties.at(2, "home-1")
    aggregator.connect()
    aggregator.subscribe(f"{UP}/event")
    device.connect(will=(f"{UP}/state", b"lost"))
    twin.connect()
    twin.publish(f"{UP}/event", b"after")
    assert aggregator.next().payload == b"after"
    twin.disconnect()
    aggregator.disconnect()


@pytest.mark.parametrize("clean", [False, True], ids=["kept", "clean"])
def test_after_a_node_died_only_kept_sessions_come_back(parties: Parties, cluster: Cluster, clean: bool) -> None:
    aggregator, device, moved = parties.at(0, "aggregator"), parties.at(1, "home-1"), parties.at(2, "home-1")
    aggregator.connect()
    device.connect(clean=clean)
    device.subscribe(f"{DOWN}/#")
    cluster.nodes[1].kill()
    moved.connect(clean=clean)
    if clean:
        with pytest.raises(AssertionError):
            moved.subscribe(f"{DOWN}/#")  # the connection is closed: its queue is on the node that is down
    else:
        moved.subscribe(f"{DOWN}/#")
        aggregator.publish(f"{DOWN}/time", b"on")
        assert moved.next().payload == b"on"
    cluster.start_node(cluster.nodes[1])
    again = parties.at(1, "home-1")
    again.connect(clean=True)  # ends what is left of it
    again.disconnect()
    aggregator.disconnect()
