"""The aggregator on the virtual broker: same object, virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agent.runtime.part import MqttDown, MqttMessage, MqttUp, Now
from hil.aggregator.aggregator import Aggregator, Publish, Verdict
from hil.virtual_broker import VirtualBroker

T = TypeVar("T")
CLIENT = "aggregator"
_SECOND_NS = 1_000_000_000


class VirtualAggregator:
    """Connects at once, comes back a second after every loss, ticks once a second while connected."""

    def __init__(
        self,
        aggregator: Aggregator,
        broker: VirtualBroker,
        at: Callable[[int, Callable[[], None]], None],
        now: Callable[[], Now],
        on_verdict: Callable[[Verdict, Now], None] = lambda verdict, now: None,
    ) -> None:
        self.aggregator = aggregator
        self.connected = False
        self._broker = broker
        self._at = at
        self._now = now
        self._on_verdict = on_verdict
        self._token = 0
        self._connect()
        self._at(self._now().mono_ns + _SECOND_NS, self._tick)

    def build(self, build: Callable[[Aggregator, Now], T]) -> T:
        """Build a message without sending it, or look."""
        return build(self.aggregator, self._now())

    def publish(self, message: Publish) -> None:
        """Send, QoS 1; lost if not connected, as a caller of the real one would see an error."""
        self._token += 1
        self._broker.publish(CLIENT, self._token, message.topic, message.payload, 1, message.retain)

    def _connect(self) -> None:
        self._broker.connect(CLIENT, "", b"", self._event)

    def _event(self, event: object) -> None:
        if isinstance(event, MqttUp):
            self.connected = True
            self._broker.subscribe(CLIENT, self.aggregator.subscriptions())
        elif isinstance(event, MqttDown):
            self.connected = False
            self._at(self._now().mono_ns + _SECOND_NS, self._connect)
        elif isinstance(event, MqttMessage):
            verdict, answers = self.aggregator.receive(event, self._now())
            self._on_verdict(verdict, self._now())
            for answer in answers:
                self.publish(answer)

    def _tick(self) -> None:
        if self.connected:
            for receipt in self.aggregator.tick(self._now()):
                self.publish(receipt)
        self._at(self._now().mono_ns + _SECOND_NS, self._tick)
