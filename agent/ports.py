"""Whether the serial ports of a configuration keep their names when an adapter is plugged in anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent.config import Config

NUMBERED = re.compile(r"/dev/tty(USB|ACM)\d+")  # given out in the order in which adapters are found
STABLE = ("by-id", "by-path")  # udev's names: of the adapter itself, or of the socket that it is in


def unstable(config: Config, udev: Path = Path("/dev/serial")) -> list[str]:
    """One sentence for each port that may be another adapter after the next start, with the path to use instead."""
    found = []
    for n, bus in enumerate(config.file.bus):
        if bus.port is None or not NUMBERED.fullmatch(bus.port):
            continue
        better = [f'port = "{path}"' for path in stable_paths(bus.port, udev)]
        advice = f"use {better[0]}" if better else f"plug it in and use what `ls -l {udev}/by-id {udev}/by-path` shows"
        found.append(f"bus[{n}].port: {bus.port} may be another adapter after the next start; {advice}")
    return found


def stable_paths(port: str, udev: Path) -> list[str]:
    """udev's links to that port, the adapter's own name first."""
    target = os.path.realpath(port)
    return [
        str(link)
        for kind in STABLE
        for link in sorted((udev / kind).glob("*"))
        if link.exists() and os.path.realpath(link) == target
    ]
