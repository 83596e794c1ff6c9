"""The link's MQTT effects done by paho: one client a connection, on a thread of its own, mutual TLS.

MQTT 3.1.1, which every broker speaks, or 5 where the configuration says so; a clean session in both, that ends with its
connection (a queue at the broker would only deliver stale commands), unless the configuration has it kept. A broker is
not trusted with our memory: of what is larger than any message of the protocol we keep so much that the link counts it
as too long (with MQTT 5 the broker knows our limit, and it ends the connection), and while the link has `WAITING`
messages before it nothing more is read from the socket; no message is dropped here, so that a stop is not either.

paho and ssl are imported by that thread, so that the first control cycle never waits for them.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.runtime import lean, part
from agent.runtime.mqtt_loop import MqttLoop

if TYPE_CHECKING:
    import ssl

    import paho.mqtt.client as paho

CONNECT_S = 10.0
KEEPALIVE_S = 30
IN_FLIGHT = 20
MAX_PACKET = 65_536
KEPT_S = 3600  # of a kept session of MQTT 5
MAX_READ = 4 * MAX_PACKET + 1024  # what is longer is shortened on its way (MQTT 5: ends the connection)
WAITING = 128  # messages that the link has not looked at: 8 MB at most
TAKEN_OVER = 142  # reason code of MQTT 5


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the mutual TLS: what we trust, who we are."""

    ca: Path
    cert: Path
    key: Path


class MqttAdapter:
    """`handle` takes the Mqtt* effects; `post` gets the Mqtt* events for the link, of which `waiting` tells how many it
    has not looked at.

    `kept`: the broker keeps the session while we are away. What it then delivers late is refused by its own times; but
    a RabbitMQ cluster lets nobody back whose clean session was on a node that died (docs/scale.md).
    """

    def __init__(
        self,
        brokers: tuple[tuple[str, int], ...],
        tls: Tls,
        post: Callable[[object], None],
        kept: bool = False,
        waiting: Callable[[], int] = lambda: 0,
        five: bool = False,
    ) -> None:
        self._waiting = waiting
        self._five = five
        self._brokers = brokers
        self._tls = tls
        self._post = post
        self._kept = kept
        self._context: ssl.SSLContext | None = None
        self._made_of: tuple[tuple[int, int], ...] = ()
        self._client: paho.Client | None = None
        self._tokens: dict[int, int | None] = {}  # by packet id; None: QoS 0, of which nobody wants to hear
        self._early: set[int] = set()
        self._acked: deque[int] = deque()  # told by `_flush`
        self._code: Any = None  # why the connection ended, as far as paho knows

    def handle(self, effect: part.Effect) -> None:
        """Never raises; a failure comes back as MqttDown."""
        if isinstance(effect, part.MqttConnect):
            threading.Thread(target=self._run, args=(effect,), name="mqtt", daemon=True).start()
            return
        client = self._client
        if client is None:
            return
        if isinstance(effect, part.MqttPublish):
            info = client.publish(effect.topic, effect.payload, effect.qos, effect.retain)
            self._tokens[info.mid] = effect.token if effect.qos else None  # paho tells of both
            if info.mid in self._early:
                self._settle(info.mid)
                self._flush()
        elif isinstance(effect, part.MqttSubscribe):
            client.subscribe(list(effect.topics))
        elif isinstance(effect, part.MqttDisconnect):
            client.disconnect()

    def _run(self, want: part.MqttConnect) -> None:
        paho = lean.import_paho()
        host, port = self._brokers[want.broker % len(self._brokers)]
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=want.client_id,
            protocol=paho.MQTTv5 if self._five else paho.MQTTv311,
            clean_session=None if self._five else not self._kept,  # of 5: `clean_start`
            reconnect_on_failure=False,  # the link decides when to come back
        )
        client.max_inflight_messages_set(IN_FLIGHT)
        client.will_set(want.will_topic, want.will_payload, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_message = self._message
        client.on_publish = self._published
        self._code = None
        client.on_disconnect = self._disconnected
        loop = MqttLoop(client, self._flush, lambda: self._waiting() >= WAITING)
        reason = f"the connection to {host}:{port} ended"
        try:
            client.tls_set_context(self._tls_context())
            client.connect_timeout = CONNECT_S
            options: dict[str, Any] = {}
            if self._five:
                options = {"clean_start": not self._kept, "properties": _asked(self._kept)}
            client.connect(host, port, keepalive=KEEPALIVE_S, **options)
            self._tokens, self._early, self._acked = {}, set(), deque()
            self._client = client
            loop.serve()
        except (OSError, ValueError) as error:
            reason = f"no connection to {host}:{port}: {error}; is the broker up and are the certificates right?"
        finally:
            self._client = None
        code = self._code
        if code is not None and code.is_failure:
            reason = f"{reason}: {code}"
        self._post(part.MqttDown(reason, code is not None and code.value == TAKEN_OVER))

    def _tls_context(self) -> ssl.SSLContext:
        """Made once, and anew when a file changed: a renewed certificate needs no restart. OSError for a bad one."""
        import ssl

        from agent.runtime.tls_socket import BufferedTls

        files = [path.stat() for path in (self._tls.ca, self._tls.cert, self._tls.key)]
        made_of = tuple((facts.st_ino, facts.st_mtime_ns) for facts in files)
        if self._context is not None and made_of == self._made_of:
            return self._context
        self._made_of = made_of
        self._context = None
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self._tls.ca))
        bounds = {"most": MAX_READ, "keep": 0 if self._five else MAX_PACKET + 1}
        context.sslsocket_class = type("MqttSocket", (BufferedTls,), bounds)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(str(self._tls.cert), str(self._tls.key))
        self._context = context
        return context

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            client.disconnect()
        else:
            self._post(part.MqttUp())

    def _disconnected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        self._flush()
        self._code = code if self._code is None else self._code  # what the broker said, not that the socket then closed

    def _message(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(message.payload[: MAX_PACKET + 1])
        self._post(part.MqttMessage(topic, payload, message.qos, bool(message.retain)))

    def _published(self, client: Any, userdata: Any, mid: int, code: Any, properties: Any) -> None:
        self._early.add(mid)  # the PUBACK may come before `publish` has returned
        self._settle(mid)

    def _settle(self, mid: int) -> None:
        """Dict and set steps are atomic; a lock here would meet paho's own, which it holds around callbacks."""
        if mid not in self._tokens:
            return
        token = self._tokens.pop(mid, None)
        self._early.discard(mid)
        if token is not None:
            self._acked.append(token)

    def _flush(self) -> None:
        """What one read of the socket brought wakes the link once: a wake-up costs more than a PUBACK."""
        acked: list[int] = []
        with contextlib.suppress(IndexError):  # the link's own thread may be here as well
            while True:
                acked.append(self._acked.popleft())
        if acked:
            self._post(part.MqttAcked(tuple(acked)))


def _asked(kept: bool) -> Any:
    """What the broker is asked for with MQTT 5; without an expiry a session ends with its connection."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho annotates no return
    if kept:
        properties.SessionExpiryInterval = KEPT_S
    properties.ReceiveMaximum = IN_FLIGHT
    properties.MaximumPacketSize = MAX_READ
    return properties
