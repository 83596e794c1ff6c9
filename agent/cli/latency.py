"""The latency timer of a USB adapter: how long it holds bytes back in the hope of more. FTDI's default is 16 ms."""

from __future__ import annotations

import os

SYSTEM = "/sys/bus/usb-serial/devices"
GOOD_MS = 2


def timer_ms(port: str, system: str = SYSTEM) -> int | None:
    """Of the adapter behind a port, None if it has none that is known."""
    try:
        with open(_file(port, system), encoding="ascii") as file:  # noqa: PTH123  # pathlib is slow to load
            return int(file.read())
    except (OSError, ValueError):
        return None


def remedy(port: str, system: str = SYSTEM) -> str:
    """What to type."""
    return (
        f"now: echo 1 | sudo tee {_file(port, system)} (or: sudo setserial {os.path.realpath(port)} low_latency); "
        "for good: the udev rule 60-batteryd.rules, then sudo udevadm control --reload and plug the adapter in again"
    )


def _file(port: str, system: str) -> str:
    return f"{system}/{os.path.basename(os.path.realpath(port))}/latency_timer"  # noqa: PTH119  # as above
