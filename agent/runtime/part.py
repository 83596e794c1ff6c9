"""The one shape of every part that decides: an event and the time in, effects out.

Parts never call each other, sleep, or look at a clock. `runtime.real` runs each on a thread of its own,
`runtime.virtual` runs all of them on one heap of events; both route the effects below. Names of parts: "control",
"link", "local", "store", "bus:<name>".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Now(NamedTuple):
    """The time a part is told: monotonic for ages and deadlines, wall for records and schedules (UTC ms)."""

    mono_ns: int
    wall_ms: int


# --- effects of any part ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Post:
    """Put `event` into the mailbox of part `to`. Order between two parts is kept."""

    to: str
    event: object


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send `Wake` to this part at that monotonic time; replaces an earlier one."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Wake:
    """The time that this part asked for."""


@dataclass(frozen=True, slots=True)
class Log:
    """One line for the journal (stderr). `level`: "info" | "warning" | "error"."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Start:
    """First event of every part."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Clean stop was asked for (SIGTERM, Ctrl-C). The part ends its work and posts `Stopped` to "runtime"."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """To "control", at start and about every 16 s: whether the kernel says that its clock is disciplined by NTP."""

    ntp_synced: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """`part` has finished its part of a clean stop; `ok`: as it should."""

    part: str
    ok: bool = True


# --- MQTT (the link's world) ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class MqttConnect:
    """Connect to broker number `broker` of the configuration, with this will (retained, QoS 1)."""

    broker: int
    client_id: str
    will_topic: str
    will_payload: bytes


@dataclass(frozen=True, slots=True)
class MqttSubscribe:
    """Topics with their QoS."""

    topics: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class MqttPublish:
    """`token` comes back in `MqttAcked` (QoS 1 only)."""

    token: int
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class MqttDisconnect:
    """Say goodbye properly: no will."""


@dataclass(frozen=True, slots=True)
class MqttUp:
    """CONNACK with success."""


@dataclass(frozen=True, slots=True)
class MqttDown:
    """Connection refused, failed or lost. `taken`: the broker says that another client of this id has it now."""

    reason: str
    taken: bool = False


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message as the broker gave it; nothing of it is trusted."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class MqttAcked:
    """PUBACK for those `MqttPublish`; several that came at once are one event."""

    tokens: tuple[int, ...]


# --- local socket (the local part's world) ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LocalRequest:
    """One line of JSON from a client, as bytes; `uid`/`gids` come from the kernel's peer credentials."""

    conn: int
    uid: int
    gids: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class LocalClosed:
    """The client is gone."""

    conn: int


@dataclass(frozen=True, slots=True)
class LocalReply:
    """One line of JSON to a client; `close` ends the connection after it."""

    conn: int
    data: bytes
    close: bool


# --- service manager --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SdNotify:
    """A state line for systemd: "READY=1", "WATCHDOG=1", "STOPPING=1", "STATUS=..."."""

    state: str


Effect = Post | WakeAt | Log | MqttConnect | MqttSubscribe | MqttPublish | MqttDisconnect | LocalReply | SdNotify


class Part(Protocol):
    """`handle` never raises for anything from outside, and never blocks for longer than a disk write (store) takes."""

    def handle(self, event: object, now: Now) -> Iterable[Effect]: ...
