"""MQTT for hundreds of homes in one process: paho without threads, one epoll for all of their sockets.

paho's own loop is select(), which takes no more than about a thousand descriptors a process, and a thread a client.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.runtime import part
from agent.runtime.mqtt import IN_FLIGHT, KEEPALIVE_S, MAX_PACKET, Tls

CONNECT_S = 60.0


class Post:
    """Every socket of the process. `turn` delivers what has come and sends what waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._clients: dict[int, MqttPort] = {}

    def add(self, port: MqttPort, fd: int) -> None:
        """Its socket, from now on."""
        self._clients[fd] = port
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """It is closed."""
        if self._clients.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def turn(self, timeout_s: float) -> list[MqttPort]:
        """Read every socket on which something came; the ports that were read."""
        found = [self._clients[fd] for fd, _ in self._epoll.poll(timeout_s) if fd in self._clients]
        for port in found:
            port.read()
        return found


class MqttPort:
    """One home's broker as `runtime.virtual` wants it. Nothing is connected before `open`."""

    def __init__(self, post: Post, address: tuple[str, int], tls: Tls) -> None:
        self._post, self._address, self._tls = post, address, tls
        self._client: mqtt.Client | None = None
        self._wanted: tuple[str, str, bytes] | None = None
        self._on_event: Callable[[object], None] = lambda event: None
        self._tokens: dict[int, int | None] = {}
        self._waiting: list[tuple[int, str, bytes, int, bool]] = []
        self.command_ns = 0  # when the first command since the last look was read from the socket
        self.heard = 0  # bytes of messages
        self.said = 0
        self.sent = 0  # messages

    # --- what the runtime calls --------------------------------------------------------------------------------------
    def connect(self, client_id: str, will_topic: str, will_payload: bytes, on_event: Callable[[object], None]) -> None:
        """Remember it: `open` connects."""
        self._wanted, self._on_event = (client_id, will_topic, will_payload), on_event

    def subscribe(self, client_id: str, topics: tuple[tuple[str, int], ...]) -> None:
        """At once."""
        if self._client is not None:
            self._client.subscribe(list(topics))

    def publish(self, client_id: str, token: int, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """At the next `flush`: what moves the home goes first."""
        self._waiting.append((token, topic, payload, qos, retain))

    def disconnect(self, client_id: str) -> None:
        """Properly."""
        if self._client is not None:
            self._client.disconnect()

    def vanish(self, client_id: str) -> None:
        """Not used: nobody kills these homes."""

    # --- what the driver calls ---------------------------------------------------------------------------------------
    def open(self) -> None:
        """Connect as the home asked; OSError if nobody answers."""
        assert self._wanted is not None
        client_id, topic, payload = self._wanted
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, reconnect_on_failure=False
        )
        client.max_inflight_messages_set(IN_FLIGHT)
        client.will_set(topic, payload, qos=1, retain=True)
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self._tls.ca))
        context.load_cert_chain(str(self._tls.cert), str(self._tls.key))
        client.tls_set_context(context)
        client.on_connect = self._connected
        client.on_message = self._message
        client.on_publish = self._published
        client.connect_timeout = CONNECT_S
        client.connect(*self._address, keepalive=KEEPALIVE_S)
        self._client = client
        sock = client.socket()
        if sock is None:
            raise OSError(f"no connection to {self._address[0]}:{self._address[1]}")
        self._post.add(self, sock.fileno())

    def read(self) -> None:
        """Whatever came, TLS's own buffer included."""
        client = self._client
        if client is None:
            return
        while True:
            client.loop_read()
            sock = client.socket()
            if sock is None:
                self._gone()
                return
            if not getattr(sock, "pending", lambda: 0)():
                break
        if client.want_write():
            client.loop_write()

    def flush(self) -> int:
        """Send what waits; how many messages that were."""
        waiting, self._waiting = self._waiting, []
        client = self._client
        if client is None:
            return 0
        for token, topic, payload, qos, retain in waiting:
            info = client.publish(topic, payload, qos, retain)
            self._tokens[info.mid] = token if qos else None
            self.said += len(payload)
        self.sent += len(waiting)
        return len(waiting)

    def misc(self) -> None:
        """Keepalive."""
        if self._client is not None:
            self._client.loop_misc()

    def close(self) -> None:
        """Goodbye."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def _gone(self) -> None:
        self._client = None
        self._on_event(part.MqttDown("the connection ended"))

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        self._on_event(part.MqttDown(str(code)) if code.is_failure else part.MqttUp())

    def _message(self, client: Any, userdata: Any, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload[: MAX_PACKET + 1])
        self.heard += len(payload)
        if not self.command_ns and message.topic.endswith("/command"):
            self.command_ns = time.monotonic_ns()
        self._on_event(part.MqttMessage(message.topic, payload, message.qos, bool(message.retain)))

    def _published(self, client: Any, userdata: Any, mid: int, code: Any, properties: Any) -> None:
        token = self._tokens.pop(mid, None)
        if token is not None:
            self._on_event(part.MqttAcked((token,)))
