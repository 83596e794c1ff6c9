"""What the configuration says of the lines and devices of this home, for those who ask about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.binding import DeviceSpec


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One [[bus]]: a serial `port` (with its own path resolved) or `tcp` = "host:port"."""

    name: str
    port: str | None
    tcp: str | None
    baud: int
    parity: str
    stop_bits: int


@dataclass(frozen=True, slots=True)
class Installed:
    """Devices by name, the line of each, and the lines by name; what the home as a whole may charge and discharge."""

    specs: Mapping[str, DeviceSpec] = field(default_factory=dict)
    bus_of: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, LineFacts] = field(default_factory=dict)
    nameplate_w: tuple[int, int] | None = None
