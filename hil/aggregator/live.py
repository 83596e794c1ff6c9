"""The aggregator over a real broker: paho on a thread of its own, mutual TLS, and scores that can be waited for."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.runtime.part import MqttMessage, Now
from hil.aggregator.aggregator import Aggregator, Publish, Signed, Verdict

T = TypeVar("T")
_TICK_S = 0.5
_KEEPALIVE_S = 15
_RECONNECT_S = 0.2  # before any device comes back: a broker keeps nothing for who has not subscribed yet


def now() -> Now:
    """Both clocks of this machine."""
    return Now(time.monotonic_ns(), time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class Access:
    """How a broker lets us in. Without `user`: by the certificate of the directory. `tls` False: a broker on this
    machine, for a lab. `mqtt5`: the newer version of MQTT; everything works the same."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None  # default: ca.crt of the directory
    tls: bool = True
    mqtt5: bool = False


class LiveAggregator:
    """Runs an `Aggregator` on a broker; reconnects by itself. Every method may be called from any thread.

    `directory` holds ca.crt, tls.crt and tls.key. `others`: further addresses of the same broker, taken in turn when
    one is lost. `kept`: the broker keeps the session, and what comes while nobody listens; it needs a `client_id`.
    `on_verdict` is called on the network thread with every message that was judged, `on_raw` before that with the
    message itself.
    """

    def __init__(
        self,
        aggregator: Aggregator,
        directory: Path,
        host: str,
        port: int,
        *,
        others: Sequence[tuple[str, int]] = (),
        client_id: str = "",
        kept: bool = False,
        on_verdict: Callable[[Verdict, Now], None] | None = None,
        on_raw: Callable[[MqttMessage, Now], None] | None = None,
        access: Access | None = None,
    ) -> None:
        self.aggregator = aggregator
        self.connected = False
        self.connections = 0
        self.last_error: str | None = None
        self.failures = 0  # messages that we could not judge: a bug of ours, told on stderr
        self._changed = threading.Condition(threading.RLock())
        self._on_verdict = on_verdict
        self._on_raw = on_raw
        self._addresses = [(host, port), *others]
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="aggregator-tick", daemon=True)
        self._access = access or Access()
        self._client = self._make_client(directory, client_id or f"aggregator-{os.urandom(4).hex()}", kept)

    def start(self) -> LiveAggregator:
        """Begin to connect; does not wait (`wait_connected` does)."""
        self._client.connect_async(*self.address, keepalive=_KEEPALIVE_S)
        self._client.loop_start()
        self._ticker.start()
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Where it is connected, or tries to."""
        return self._addresses[0]

    def close(self) -> None:
        """Say goodbye and end both threads."""
        self._stopping.set()
        self._client.disconnect()
        self._client.loop_stop()
        if self._ticker.is_alive():
            self._ticker.join()

    def __enter__(self) -> LiveAggregator:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- waiting ------------------------------------------------------------------------------------------------------
    def wait_for(self, predicate: Callable[[Aggregator], T], timeout_s: float) -> T | None:
        """Block until `predicate(aggregator)` is true and return its value; None when time is up.

        It is asked again after every message and connection change, and sees a state that nobody changes meanwhile.
        """
        with self._changed:
            value: T | None = None

            def ready() -> bool:
                nonlocal value
                value = predicate(self.aggregator)
                return bool(value)

            return value if self._changed.wait_for(ready, timeout_s) else None

    def wait_connected(self, timeout_s: float) -> bool:
        """Whether the broker accepted us (subscriptions included) within the time."""
        return bool(self.wait_for(lambda _: self.connected, timeout_s))

    def wait_ack(self, command_id: str, states: frozenset[str] | set[str], timeout_s: float) -> bool:
        """Whether a command reached one of `states` within the time."""

        def reached(aggregator: Aggregator) -> bool:
            acks = (book.acks.get(command_id, ()) for book in aggregator.books.values())
            return any(ack.state in states for row in acks for ack in row)

        return bool(self.wait_for(reached, timeout_s))

    def look(self, view: Callable[[Aggregator], T]) -> T:
        """Read from the aggregator while nobody changes it."""
        with self._changed:
            return view(self.aggregator)

    # --- sending ------------------------------------------------------------------------------------------------------
    def send(self, build: Callable[[Aggregator, Now], Signed]) -> Signed:
        """Build and publish a message: `live.send(lambda a, now: a.dispatch("home-1", 5000, 60, now))`."""
        signed = self.build(build)
        self.publish(signed.publish)
        return signed

    def build(self, build: Callable[[Aggregator, Now], T]) -> T:
        """Build a message without sending it, or look, while nobody else does."""
        with self._changed:
            return build(self.aggregator, now())

    def publish(self, message: Publish, timeout_s: float | None = None) -> bool:
        """Send, QoS 1; while disconnected it is kept, and goes out at the next connection.

        With a timeout, wait for the broker's PUBACK and tell whether it came.
        """
        info = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        if timeout_s is not None and info.rc == mqtt.MQTT_ERR_SUCCESS:
            info.wait_for_publish(timeout_s)
            return info.is_published()
        return info.rc == mqtt.MQTT_ERR_SUCCESS

    # --- paho's thread ------------------------------------------------------------------------------------------------
    def _make_client(self, directory: Path, client_id: str, kept: bool) -> mqtt.Client:
        access = self._access
        clean = None if access.mqtt5 else not kept  # MQTT 5 says clean_start, which is paho's default
        protocol = mqtt.MQTTv5 if access.mqtt5 else mqtt.MQTTv311
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean, protocol=protocol)
        if access.tls:
            client.tls_set_context(_context(directory, access))
        if access.user is not None:
            client.username_pw_set(access.user, access.password)
        client.reconnect_delay_set(_RECONNECT_S, _RECONNECT_S)  # type: ignore[arg-type]  # annotated int, used as a float
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        return client

    def _connected(self, client: mqtt.Client, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            self._note(False, str(code))
        else:
            client.subscribe(list(self.aggregator.subscriptions()))

    def _subscribed(self, client: mqtt.Client, userdata: Any, mid: int, codes: Any, properties: Any) -> None:
        self._note(True, None)

    def _failed(self, client: mqtt.Client, userdata: Any) -> None:
        self._turn()
        self._note(False, "no connection")

    def _disconnected(self, client: mqtt.Client, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        self._turn()
        self._note(False, str(code))

    def _turn(self) -> None:
        """The next address: paho takes it when it reconnects."""
        if len(self._addresses) > 1 and not self._stopping.is_set():
            self._addresses = [*self._addresses[1:], self._addresses[0]]
            self._client.connect_async(*self.address, keepalive=_KEEPALIVE_S)

    def _note(self, connected: bool, error: str | None) -> None:
        with self._changed:
            self.connections += connected and not self.connected
            self.connected, self.last_error = connected, error
            self._changed.notify_all()

    def _message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        """Whatever a message does to us must not end the thread that all other homes are heard by."""
        try:
            self._judge(MqttMessage(message.topic, bytes(message.payload), message.qos, bool(message.retain)), now())
        except Exception:  # noqa: BLE001  # whatever it is, it is our bug
            self.failures += 1
            print(f"aggregator: a message on {message.topic!r} could not be judged:", file=sys.stderr)
            traceback.print_exc()

    def _judge(self, heard: MqttMessage, at: Now) -> None:
        if self._on_raw is not None:
            self._on_raw(heard, at)
        with self._changed:
            verdict, answers = self.aggregator.receive(heard, at)
            self._changed.notify_all()
        for answer in answers:
            self.publish(answer)
        if self._on_verdict is not None:
            self._on_verdict(verdict, at)

    def _tick(self) -> None:
        while not self._stopping.wait(_TICK_S):
            with self._changed:
                receipts = self.aggregator.tick(now()) if self.connected else ()
            for receipt in receipts:
                with contextlib.suppress(ValueError):  # paho's queue is full: the next tick makes a newer one
                    self.publish(receipt)


def _context(directory: Path, access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(access.ca or directory / "ca.crt"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.user is None or (directory / "tls.crt").exists():
        context.load_cert_chain(str(directory / "tls.crt"), str(directory / "tls.key"))
    return context
