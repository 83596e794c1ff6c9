"""The clocks of a person at a terminal. batteryctl is a process of its own, outside what is replayed: it may look."""

from __future__ import annotations

import time


def monotonic_s() -> float:
    return time.monotonic()  # noqa: TID251  # see the module


def nap(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251  # between two questions of `wait`


def local_time(wall_ms: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """`2026-10-18 14:03:22 +02:00`: this terminal's zone, with its offset."""
    local = _local(wall_ms)
    zone = time.strftime("%z", local)
    return f"{time.strftime(form, local)} {zone[:3]}:{zone[3:]}"


def local_minute(wall_ms: int) -> str:
    """`2026-10-18 14:03` in this terminal's zone; of any year, also of those that `datetime` does not know."""
    return time.strftime("%Y-%m-%d %H:%M", _local(wall_ms))


def _local(wall_ms: int) -> time.struct_time:
    return time.localtime(wall_ms / 1000)  # noqa: TID251  # people read the time of the place where they stand
