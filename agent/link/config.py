"""What the link is built with: frozen, checked once by `agent.config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.link.anchor import Anchor
from agent.link.trust import Trust
from agent.remote import Settings

S = 1_000_000_000  # ns in a second


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """Durations are ns unless the name says otherwise. Only a configuration marked `demo` may shorten them."""

    device: str  # also the MQTT client id and the CN of the certificate
    fleet: str
    groups: tuple[str, ...]
    brokers: int  # how many addresses the runtime has; the link takes them in turn
    seed: bytes = field(repr=False)  # of the device's Ed25519 signing key, 32 bytes
    trust: Trust  # as the start found it
    block_s: int = 60  # telemetry samples a batch
    backoff_floor_ns: int = 1 * S
    backoff_cap_ns: int = 300 * S
    live_ns: int = 2 * S  # a live record at most this often: twice in a dispatch centre's slowest scan of 4 s
    resend_ns: int = 60 * S  # a row without a receipt is published again after this long, doubling
    resend_cap_ns: int = 900 * S
    repeat_ack_ns: int = 10 * S  # a repeated command gets its stored ack at most this often
    stop_ns: int = 3 * S  # a clean stop waits this long for the store and the broker
    anchor: Anchor | None = None  # what the trust was made of; None: a plain file
    floors: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # kind of document -> version, digest
    settings: Settings = field(default_factory=Settings)  # as set from afar when this started
    rotations: tuple[Mapping[str, object], ...] = ()  # announcements that led to this signing key, the latest last

    @property
    def root(self) -> str:
        """Topics of this device begin so."""
        return f"battery/v1/{self.fleet}/{self.device}"

    def group_topic(self, group: str) -> str:
        """Where commands to a group arrive."""
        return f"battery/v1/{self.fleet}/group/{group}/command"
