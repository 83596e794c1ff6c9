"""An MQTT broker in virtual time: what mosquitto does that an agent can notice, and nothing else.

Topics with + and #, retained messages, wills, QoS 0 and 1, clean and kept sessions, one latency each way. It has no
clock and no randomness: `at(ns, fn)` and `now_ns()` are the virtual runtime's. The tests run one script of behaviour
against this and against a real mosquitto.

The worst case is chosen wherever MQTT leaves a choice: whatever is under way when a connection ends is lost, in both
directions, so a message may have arrived whose PUBACK did not (and comes again); a broker that goes down forgets all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.runtime.part import MqttAcked, MqttDown, MqttMessage, MqttUp

KEEPALIVE_NS = 30_000_000_000
OnEvent = Callable[[object], None]


@dataclass(eq=False, slots=True)
class _Link:
    """One connection. `open`: the broker's end lives; `mute`: the network swallows everything."""

    client_id: str
    on_event: OnEvent
    will: tuple[str, bytes] | None
    open: bool = False
    mute: bool = False
    last_up_ns: int = 0  # arrival of the latest message toward the broker: order is kept
    last_down_ns: int = 0


@dataclass(eq=False, slots=True)
class _Session:
    client_id: str
    clean: bool
    link: _Link | None = None
    subscriptions: dict[str, int] = field(default_factory=dict)
    unacked: list[MqttMessage] = field(default_factory=list)  # QoS 1 toward this client, in order


class VirtualBroker:
    """See the module. All calls come from the virtual runtime's one thread; events come back through `at`."""

    def __init__(
        self,
        at: Callable[[int, Callable[[], None]], None],
        now_ns: Callable[[], int],
        latency_ns: int | Callable[[], int] = 5_000_000,
        keepalive_ns: int = KEEPALIVE_NS,
        allow: Callable[[str, str, str], bool] = lambda client_id, action, topic: True,
    ) -> None:
        """`allow(client_id, "read" | "write", topic)` is the access list; what it refuses is dropped in silence."""
        self._at = at
        self._now = now_ns
        self._latency: Callable[[], int] = (lambda: latency_ns) if isinstance(latency_ns, int) else latency_ns
        self._keepalive_ns = keepalive_ns
        self._allow = allow
        self._up = True
        self.turned_away = 0  # connections that ended, or were refused, because it is down
        self._unreachable: set[str] = set()
        self._links: dict[str, _Link] = {}  # the client's idea of its connection
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, MqttMessage] = {}

    # --- what a client does -------------------------------------------------------------------------------------------
    def connect(
        self, client_id: str, will_topic: str, will_payload: bytes, on_event: OnEvent, *, clean: bool = True
    ) -> None:
        """Answered by MqttUp, or by MqttDown if there is no way. The will is retained, QoS 1; no topic = no will."""
        link = _Link(client_id, on_event, (will_topic, will_payload) if will_topic else None)
        self._links[client_id] = link
        if client_id in self._unreachable:
            self._later(10_000_000_000, lambda: on_event(MqttDown("timed out")))
        else:
            self._later(self._latency(), lambda: self._accept(link, clean))

    def subscribe(self, client_id: str, topics: Sequence[tuple[str, int]]) -> None:
        """Add subscriptions; retained messages that match come at once."""
        self._toward_broker(client_id, lambda link: self._subscribe(link, topics))

    def publish(self, client_id: str, token: int, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """QoS 1 is answered by MqttAcked((token,)). Raises ValueError for a topic that no client library would send."""
        if not topic or "+" in topic or "#" in topic or "\0" in topic:
            raise ValueError(f"{topic!r} is not a topic to publish to")
        message = MqttMessage(topic, payload, qos, retain)
        self._toward_broker(client_id, lambda link: self._arrived(link, token, message))

    def disconnect(self, client_id: str) -> None:
        """A proper goodbye: no will."""

        def goodbye(link: _Link) -> None:
            link.will = None
            self._end(link)

        self._toward_broker(client_id, goodbye)
        self._links.pop(client_id, None)

    # --- what happens to it -------------------------------------------------------------------------------------------
    def vanish(self, client_id: str) -> None:
        """The client's process is gone: its socket closes, its will is published, it hears nothing any more."""
        link = self._links.pop(client_id, None)
        if link is not None and not link.mute:
            link.mute = True
            self._later(self._latency(), lambda: self._end(link))

    def set_up(self, up: bool) -> None:
        """Broker killed (every connection ends, sessions and retained messages are forgotten), or started again."""
        self._up = up
        if up:
            return
        for session in list(self._sessions.values()):
            if session.link is not None:
                session.link.will = None  # a killed broker publishes nothing
                self.turned_away += 1
                self._end(session.link, "the broker closed the connection")
        self._sessions.clear()
        self._retained.clear()

    def set_reachable(self, client_id: str, reachable: bool) -> None:
        """The network to one client. Cut: both ends notice after the keepalive, new connections time out."""
        if reachable:
            self._unreachable.discard(client_id)
            return
        self._unreachable.add(client_id)
        link = self._links.get(client_id)
        if link is not None:
            link.mute = True
            self._later(self._keepalive_ns, lambda: link.on_event(MqttDown("keepalive timed out")))
            self._later(self._keepalive_ns * 3 // 2, lambda: self._end(link))

    # --- the broker ---------------------------------------------------------------------------------------------------
    def _accept(self, link: _Link, clean: bool) -> None:
        if not self._up:
            self.turned_away += 1
            self._later(self._latency(), lambda: link.on_event(MqttDown("connection refused")))
            return
        session = self._sessions.get(link.client_id)
        if session is not None and session.link is not None:
            self._end(session.link, "another client took this id")
            session = self._sessions.get(link.client_id)
        if session is None or clean:
            session = self._sessions[link.client_id] = _Session(link.client_id, clean)
        session.clean, session.link, link.open = clean, link, True
        self._event(link, MqttUp())
        for message in session.unacked:
            self._deliver(session, link, message)

    def _subscribe(self, link: _Link, topics: Sequence[tuple[str, int]]) -> None:
        session = self._sessions[link.client_id]
        for pattern, qos in topics:
            session.subscriptions[pattern] = qos
            for message in [m for m in self._retained.values() if matches(pattern, m.topic)]:
                self._send(session, message, min(qos, message.qos), True)

    def _arrived(self, link: _Link, token: int, message: MqttMessage) -> None:
        if self._allow(link.client_id, "write", message.topic):
            self._publish(message)
        if message.qos:
            self._event(link, MqttAcked((token,)))  # also when refused: MQTT 3.1.1 has no other answer

    def _publish(self, message: MqttMessage) -> None:
        if message.retain and message.payload:
            self._retained[message.topic] = message
        elif message.retain:
            self._retained.pop(message.topic, None)
        for session in list(self._sessions.values()):
            granted = [qos for pattern, qos in session.subscriptions.items() if matches(pattern, message.topic)]
            if granted:
                self._send(session, message, min(max(granted), message.qos), False)

    def _send(self, session: _Session, message: MqttMessage, qos: int, retain: bool) -> None:
        if not self._allow(session.client_id, "read", message.topic):
            return
        copy = MqttMessage(message.topic, message.payload, qos, retain)
        if qos:
            session.unacked.append(copy)
        if session.link is not None:
            self._deliver(session, session.link, copy)

    def _deliver(self, session: _Session, link: _Link, message: MqttMessage) -> None:
        def arrive() -> None:
            session.unacked = [m for m in session.unacked if m is not message]
            link.on_event(message)

        self._toward_client(link, arrive)

    def _end(self, link: _Link, reason: str = "") -> None:
        """The broker's end of a connection closes; with a reason, the client hears of it."""
        if not link.open:
            return
        link.open = False
        session = self._sessions.get(link.client_id)
        if session is not None and session.link is link:
            session.link = None
            if session.clean:
                del self._sessions[link.client_id]
        if reason and not link.mute:
            self._later(self._latency(), lambda: link.on_event(MqttDown(reason)))
        if link.will is not None and self._allow(link.client_id, "write", link.will[0]):
            self._publish(MqttMessage(*link.will, qos=1, retain=True))

    # --- the network --------------------------------------------------------------------------------------------------
    def _later(self, delay_ns: int, fn: Callable[[], None]) -> None:
        self._at(self._now() + delay_ns, fn)

    def _toward_broker(self, client_id: str, fn: Callable[[_Link], None]) -> None:
        link = self._links.get(client_id)
        if link is None:
            return
        link.last_up_ns = max(link.last_up_ns, self._now() + self._latency())
        self._at(link.last_up_ns, lambda: fn(link) if link.open and not link.mute else None)

    def _event(self, link: _Link, event: object) -> None:
        self._toward_client(link, lambda: link.on_event(event))

    def _toward_client(self, link: _Link, fn: Callable[[], None]) -> None:
        link.last_down_ns = max(link.last_down_ns, self._now() + self._latency())
        self._at(link.last_down_ns, lambda: fn() if link.open and not link.mute else None)


def matches(pattern: str, topic: str) -> bool:
    """MQTT's topic filter: + is one level, # the rest and its parent; wildcards do not see $-topics."""
    if topic.startswith("$") and not pattern.startswith("$"):
        return False
    levels = topic.split("/")
    wanted = pattern.split("/")
    for index, want in enumerate(wanted):
        if want == "#":
            return True
        if index >= len(levels) or want not in ("+", levels[index]):
            return False
    return len(levels) == len(wanted)
