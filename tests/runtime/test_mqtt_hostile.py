"""The MQTT adapter between brokers that fail, and a broker or a neighbour that means harm. Real mosquittos."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.link.session import Session
from agent.runtime import part
from agent.runtime.mqtt import MAX_PACKET, MAX_READ, WAITING, MqttAdapter, Tls
from agent.runtime.real import now
from hil.broker import Broker
from hil.pki import Authority, Pki, make_pki
from tests.link.home import config

pytestmark = pytest.mark.slow
DEVICE, FLEET = "home-0001", "bench"
ROOT = f"battery/v1/{FLEET}/{DEVICE}"
WAIT_S = 20.0
Events = queue.SimpleQueue[object]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"), FLEET, [DEVICE], authority=authority)


@pytest.fixture
def broker(pki: Pki, tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", pki) as found:
        yield found


def tls_of(pki: Pki) -> Tls:
    tls = pki.devices[DEVICE].tls
    return Tls(tls.ca, tls.cert, tls.key)


def up(mqtt: MqttAdapter, events: Events, broker: int = 0) -> None:
    mqtt.handle(part.MqttConnect(broker, DEVICE, f"{ROOT}/up/state", b"lost"))
    event = events.get(timeout=WAIT_S)
    assert isinstance(event, part.MqttUp), event


def listen(mqtt: MqttAdapter, events: Events) -> None:
    """Up, and the broker has the subscription."""
    up(mqtt, events)
    mqtt.handle(part.MqttSubscribe(((f"{ROOT}/down/#", 1),)))
    mqtt.handle(part.MqttPublish(1, f"{ROOT}/up/event", b"x", 1, False))
    assert events.get(timeout=WAIT_S) == part.MqttAcked((1,))


class Line:
    """A session on an adapter, driven by this thread; pauses end as soon as they are asked for."""

    def __init__(self, pki: Pki, brokers: tuple[tuple[str, int], ...]) -> None:
        self.events: Events = queue.SimpleQueue()
        self.adapter = MqttAdapter(brokers, tls_of(pki), self.events.put)
        link = config(device=DEVICE, fleet=FLEET, brokers=len(brokers))
        self.session = Session(link, "b" * 32, bytes)
        self.ahead_ns = 0
        self.downs: list[str] = []
        self.tried: list[int] = []

    def hand(self, event: object) -> None:
        at = now()
        if isinstance(event, part.MqttDown):
            self.downs.append(event.reason)
        for effect in self.session.handle(event, at._replace(mono_ns=at.mono_ns + self.ahead_ns)):
            if isinstance(effect, part.WakeAt):
                self.wake_ns = effect.at_ns
            elif isinstance(effect, part.MqttConnect):
                self.tried.append(effect.broker)
                self.adapter.handle(effect)
            elif isinstance(effect, part.MqttPublish | part.MqttSubscribe | part.MqttDisconnect):
                self.adapter.handle(effect)

    def until_up(self) -> None:
        while True:
            event = self.events.get(timeout=WAIT_S)
            self.hand(event)
            if isinstance(event, part.MqttUp):
                return
            if isinstance(event, part.MqttDown):
                self.ahead_ns += max(0, self.wake_ns - now().mono_ns - self.ahead_ns) + 1_000_000
                self.hand(part.Wake())


def test_two_brokers_of_which_one_dies_then_the_other(pki: Pki, tmp_path: Path) -> None:
    with Broker(tmp_path / "one", pki) as one, Broker(tmp_path / "two", pki) as two:
        line = Line(pki, (("localhost", one.port), ("localhost", two.port)))
        line.hand(part.Start())
        line.until_up()
        one.kill()
        line.until_up()
        one.start()
        two.kill()
        line.until_up()
        assert line.tried == [0, 1, 0]
        line.hand(part.Stop())


def test_a_name_that_no_server_knows_is_passed_over(pki: Pki, broker: Broker) -> None:
    line = Line(pki, (("no-such-broker.invalid", 8883), ("localhost", broker.port)))
    line.hand(part.Start())
    line.until_up()
    assert line.tried == [0, 1]
    assert "no-such-broker.invalid" in line.downs[0]
    line.hand(part.Stop())


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves the socket to the collector
def test_a_broker_with_another_authoritys_certificate_is_passed_over(pki: Pki, broker: Broker, tmp_path: Path) -> None:
    other = make_pki(tmp_path / "other", FLEET, [DEVICE])
    with Broker(tmp_path / "impostor", other) as impostor:
        line = Line(pki, (("localhost", impostor.port), ("localhost", broker.port)))
        line.hand(part.Start())
        line.until_up()
        assert line.tried == [0, 1]
        assert "certificate" in line.downs[0]
        line.hand(part.Stop())


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves the socket to the collector
@pytest.mark.parametrize("wrong", ["Hostname mismatch", "certificate has expired"])
def test_a_certificate_of_our_authority_that_is_not_this_brokers_or_is_over_is_passed_over(
    pki: Pki, authority: Authority, broker: Broker, tmp_path: Path, wrong: str
) -> None:
    if wrong == "Hostname mismatch":
        served = authority.issue(tmp_path / "bad", "broker", ["broker.example"])
    else:
        served = authority.aged(timedelta(days=5000)).issue(tmp_path / "bad", "broker", ["localhost"])
    with Broker(tmp_path / "impostor", pki, tls=served) as impostor:
        line = Line(pki, (("localhost", impostor.port), ("localhost", broker.port)))
        line.hand(part.Start())
        line.until_up()
        assert line.tried == [0, 1]
        assert wrong in line.downs[0]
        line.hand(part.Stop())


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves the socket to the collector
def test_a_broker_without_tls_hears_a_handshake_and_nothing_in_clear(pki: Pki, broker: Broker) -> None:
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            heard.append(connection.recv(4096))
            connection.sendall(b"\x20\x02\x00\x00")  # CONNACK: welcome

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        line = Line(pki, (("127.0.0.1", server.getsockname()[1]), ("localhost", broker.port)))
        line.hand(part.Start())
        line.until_up()
        thread.join(WAIT_S)
        assert line.tried == [0, 1]
        assert heard[0][:1] == b"\x16", "a TLS handshake record"
        assert DEVICE.encode() not in heard[0], "its name is for the broker alone"
        line.hand(part.Stop())


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves the socket to the collector
def test_an_open_port_that_says_nothing_is_passed_over(pki: Pki, broker: Broker) -> None:
    """TCP is there, TLS never answers: an own timeout ends it."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        line = Line(pki, (("127.0.0.1", mute.getsockname()[1]), ("localhost", broker.port)))
        line.hand(part.Start())
        line.until_up()
        assert line.tried == [0, 1]
        line.hand(part.Stop())


@pytest.mark.parametrize("five", [False, True], ids=["3.1.1", "5"])
def test_a_session_ends_with_its_connection(pki: Pki, broker: Broker, five: bool) -> None:
    """A command that was published meanwhile must not wait at the broker."""
    events: Events = queue.SimpleQueue()
    mqtt = MqttAdapter((("localhost", broker.port),), tls_of(pki), events.put, five=five)
    for _ in range(2):
        up(mqtt, events)
        assert events.empty()
        mqtt.handle(part.MqttSubscribe(((f"{ROOT}/down/#", 1),)))
        mqtt.handle(part.MqttPublish(1, f"{ROOT}/up/event", b"x", 1, False))
        assert events.get(timeout=WAIT_S) == part.MqttAcked((1,))
        mqtt.handle(part.MqttDisconnect())
        assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)
        publish(pki, broker, f"{ROOT}/down/command", b"stale")


@pytest.mark.parametrize("five", [False, True], ids=["3.1.1", "5"])
def test_a_client_of_the_same_name_takes_over(pki: Pki, broker: Broker, five: bool) -> None:
    events: Events = queue.SimpleQueue()
    twins: Events = queue.SimpleQueue()
    mqtt, twin = (
        MqttAdapter((("localhost", broker.port),), tls_of(pki), each.put, five=five) for each in (events, twins)
    )
    up(mqtt, events)
    up(twin, twins)
    assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)  # this mosquitto does not say why, in 5 neither
    twin.handle(part.MqttDisconnect())
    assert isinstance(twins.get(timeout=WAIT_S), part.MqttDown)


def test_a_broker_that_says_who_took_the_connection_is_heard(pki: Pki) -> None:
    """MQTT 5, told by hand: CONNACK, and DISCONNECT with 0x8E."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.broker.ca))
    context.load_cert_chain(str(pki.broker.cert), str(pki.broker.key))
    events: Events = queue.SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        mqtt = MqttAdapter((("localhost", listening.getsockname()[1]),), tls_of(pki), events.put, five=True)
        mqtt.handle(part.MqttConnect(0, DEVICE, f"{ROOT}/up/state", b"lost"))
        raw, _ = listening.accept()
        with context.wrap_socket(raw, server_side=True) as line:
            assert line.recv(1000)[0] == 0x10
            line.sendall(b"\x20\x03\x00\x00\x00")
            assert isinstance(events.get(timeout=WAIT_S), part.MqttUp)
            line.sendall(b"\xe0\x02\x8e\x00")
            down = events.get(timeout=WAIT_S)
    assert isinstance(down, part.MqttDown)
    assert down.taken
    assert "taken over" in down.reason


@pytest.mark.parametrize("kept", [False, True], ids=["clean", "kept"])
def test_what_is_far_too_long_is_read_past_counted_and_never_comes_again(pki: Pki, tmp_path: Path, kept: bool) -> None:
    """At a broker without a limit: what is not acknowledged it would deliver at every connection of a kept session."""
    broker = Broker(tmp_path / "broker", pki)
    broker._config = lambda: Broker._config(broker).replace("max_packet_size 262144", "")  # type: ignore[method-assign]
    with broker:
        events: Events = queue.SimpleQueue()
        mqtt = MqttAdapter((("localhost", broker.port),), tls_of(pki), events.put, kept=kept)
        listen(mqtt, events)
        for size in (MAX_READ + 1, 5_000_000):
            publish(pki, broker, f"{ROOT}/down/command", b"x" * size)
        publish(pki, broker, f"{ROOT}/down/command", b"a genuine stop")
        came = [events.get(timeout=WAIT_S) for _ in range(3)]
        assert [len(each.payload) for each in came if isinstance(each, part.MqttMessage)] == [MAX_PACKET + 1] * 2 + [14]
        session = Session(config(device=DEVICE, fleet=FLEET), "b" * 32, bytes)
        for event in came:
            session.handle(event, now())
        assert session._counters["oversized"] == 2
        mqtt.handle(part.MqttDisconnect())
        assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)
        listen(mqtt, events)
        publish(pki, broker, f"{ROOT}/down/command", b"another")
        assert events.get(timeout=WAIT_S) == part.MqttMessage(f"{ROOT}/down/command", b"another", 1, False)
        mqtt.handle(part.MqttDisconnect())


def test_one_that_the_broker_retains_is_read_past_at_every_connection(pki: Pki, tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", pki)
    broker._config = lambda: Broker._config(broker).replace("max_packet_size 262144", "")  # type: ignore[method-assign]
    with broker:
        events: Events = queue.SimpleQueue()
        mqtt = MqttAdapter((("localhost", broker.port),), tls_of(pki), events.put)
        publish(pki, broker, f"{ROOT}/down/trust", b"x" * (MAX_READ + 1), retain=True)
        for _ in range(3):
            up(mqtt, events)
            mqtt.handle(part.MqttSubscribe(((f"{ROOT}/down/#", 1),)))
            long = events.get(timeout=WAIT_S)
            assert isinstance(long, part.MqttMessage)
            assert (len(long.payload), long.retain) == (MAX_PACKET + 1, True)
            publish(pki, broker, f"{ROOT}/down/command", b"a genuine stop")
            assert events.get(timeout=WAIT_S) == part.MqttMessage(f"{ROOT}/down/command", b"a genuine stop", 1, False)
            mqtt.handle(part.MqttDisconnect())
            assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)


def test_more_than_a_broker_was_told_with_mqtt_5_ends_the_connection(pki: Pki) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.broker.ca))
    context.load_cert_chain(str(pki.broker.cert), str(pki.broker.key))
    events: Events = queue.SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        mqtt = MqttAdapter((("localhost", listening.getsockname()[1]),), tls_of(pki), events.put, five=True)
        mqtt.handle(part.MqttConnect(0, DEVICE, f"{ROOT}/up/state", b"lost"))
        raw, _ = listening.accept()
        with context.wrap_socket(raw, server_side=True) as line:
            asked = line.recv(1000)
            assert b"\x27" + MAX_READ.to_bytes(4, "big") in asked, "Maximum Packet Size"
            line.sendall(b"\x20\x03\x00\x00\x00")
            assert isinstance(events.get(timeout=WAIT_S), part.MqttUp)
            line.sendall(b"\x30\xff\xff\xff\x7f" + b"\x00\x01a\x00")
            assert isinstance(events.get(timeout=WAIT_S), part.MqttDown)


def test_a_link_that_is_behind_is_handed_no_more(pki: Pki, broker: Broker) -> None:
    """Ten times as many as it may have before it: it has so many, and later all."""
    events: Events = queue.SimpleQueue()
    mqtt = MqttAdapter((("localhost", broker.port),), tls_of(pki), events.put, waiting=events.qsize)
    listen(mqtt, events)
    sender = threading.Thread(target=publish, args=(pki, broker, f"{ROOT}/down/command", b"y", 10 * WAITING))
    sender.start()
    came = most = 0
    while came < 10 * WAITING:
        most = max(most, events.qsize())
        came += isinstance(events.get(timeout=WAIT_S), part.MqttMessage)
    sender.join()
    assert most <= WAITING
    mqtt.handle(part.MqttDisconnect())


def publish(pki: Pki, broker: Broker, topic: str, payload: bytes, count: int = 1, retain: bool = False) -> None:
    """As the aggregator, and the broker has it."""
    import paho.mqtt.client as paho

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="aggregator-x")  # type: ignore[attr-defined]
    client.tls_set(str(pki.aggregator.ca), str(pki.aggregator.cert), str(pki.aggregator.key))
    client.connect("localhost", broker.port)
    client.loop_start()
    last = [client.publish(topic, payload, 1, retain) for _ in range(count)][-1]
    last.wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()
