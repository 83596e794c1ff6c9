"""One face for an MQTT client of the real broker and of the virtual one, so that one script can be run on both."""

from __future__ import annotations

import heapq
import queue
import socket
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.runtime.part import MqttAcked, MqttDown, MqttMessage, MqttUp
from hil.pki import Tls
from hil.virtual_broker import VirtualBroker

WAIT_S = 10.0
Will = tuple[str, bytes]


class Client(Protocol):
    """What the script does; every call returns when the broker has answered."""

    def connect(self, will: Will | None = None, clean: bool = True) -> None: ...

    def subscribe(self, *patterns: str, qos: int = 1) -> None: ...

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None: ...

    def next(self) -> MqttMessage: ...

    def disconnect(self) -> None: ...

    def vanish(self) -> None: ...


class Heap:
    """Virtual time for one test."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0

    def at(self, ns: int, fn: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (ns, self._order, fn))

    def now(self) -> int:
        return self.now_ns

    def step(self) -> bool:
        """The next thing happens; False if there is none."""
        if not self._heap:
            return False
        self.now_ns, _, fn = heapq.heappop(self._heap)
        fn()
        return True

    def run_until(self, ns: int) -> None:
        while self._heap and self._heap[0][0] <= ns:
            self.step()
        self.now_ns = ns


class VirtualClient:
    def __init__(self, name: str, broker: VirtualBroker, heap: Heap) -> None:
        self._name, self._broker, self._heap = name, broker, heap
        self.events: list[object] = []
        self._token = 0

    def connect(self, will: Will | None = None, clean: bool = True) -> None:
        self._broker.connect(self._name, *(will or ("", b"")), self.events.append, clean=clean)
        self.expect(MqttUp)

    def subscribe(self, *patterns: str, qos: int = 1) -> None:
        self._broker.subscribe(self._name, [(pattern, qos) for pattern in patterns])

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self._token += 1
        self._broker.publish(self._name, self._token, topic, payload, qos, retain)
        if qos:
            assert self.expect(MqttAcked).tokens == (self._token,)

    def next(self) -> MqttMessage:
        found = self.expect(MqttMessage)
        assert isinstance(found, MqttMessage)
        return found

    def disconnect(self) -> None:
        self._broker.disconnect(self._name)

    def vanish(self) -> None:
        self._broker.vanish(self._name)

    def expect(self, kind: type) -> Any:
        """The oldest event of that kind, for which virtual time runs on."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    self.events.remove(event)
                    return event
            assert self._heap.step(), f"no {kind.__name__} ever comes"


def _message(message: mqtt.MQTTMessage) -> MqttMessage:
    return MqttMessage(message.topic, bytes(message.payload), message.qos, bool(message.retain))


class RealClient:
    def __init__(self, name: str, tls: Tls, port: int) -> None:
        self._name, self._tls, self._port = name, tls, port
        self._client: mqtt.Client | None = None
        self._events: queue.Queue[object] = queue.Queue()
        self._messages: queue.Queue[MqttMessage] = queue.Queue()

    def connect(self, will: Will | None = None, clean: bool = True) -> None:
        events = self._events = queue.Queue()  # what an earlier connection still says is not for us
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._name, clean_session=clean, reconnect_on_failure=False
        )
        context = ssl.create_default_context(cafile=str(self._tls.ca))
        context.load_cert_chain(self._tls.cert, self._tls.key)
        client.tls_set_context(context)
        if will:
            client.will_set(*will, qos=1, retain=True)
        client.on_connect = lambda *a: events.put(MqttDown(str(a[3])) if a[3].is_failure else MqttUp())
        client.on_disconnect = lambda *a: events.put(MqttDown(str(a[3])))
        client.on_subscribe = lambda *a: events.put("subscribed")
        client.on_publish = lambda *a: events.put(MqttAcked((a[2],)))
        client.on_message = lambda c, u, m: self._messages.put(_message(m))
        client.connect("localhost", self._port, keepalive=30)
        client.loop_start()
        self._client = client
        assert isinstance(self.event(), MqttUp)

    def subscribe(self, *patterns: str, qos: int = 1) -> None:
        self._live.subscribe([(pattern, qos) for pattern in patterns])
        assert self.event() == "subscribed"

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self._live.publish(topic, payload, qos, retain)
        assert isinstance(self.event(), MqttAcked)  # paho tells of QoS 0 too, once it is sent

    def next(self) -> MqttMessage:
        return self._messages.get(timeout=WAIT_S)

    def next_or_none(self, wait_s: float = 0.3) -> MqttMessage | None:
        try:
            return self._messages.get(timeout=wait_s)
        except queue.Empty:
            return None

    def disconnect(self) -> None:
        self._live.disconnect()
        assert isinstance(self.event(), MqttDown)
        self._live.loop_stop()

    def vanish(self) -> None:
        """Close the socket under paho, without a goodbye."""
        sock = self._live.socket()
        assert isinstance(sock, socket.socket)
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
        assert isinstance(self.event(), MqttDown)
        self._live.loop_stop()

    def event(self) -> object:
        return self._events.get(timeout=WAIT_S)

    @property
    def _live(self) -> mqtt.Client:
        assert self._client is not None
        return self._client
