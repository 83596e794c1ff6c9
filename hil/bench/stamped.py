"""The daemon as shipped, with stamps: a message came from paho, what a command is between its parts, bytes were written
to the line, a read ended.

    python -m hil.bench.stamped FILE EVENT[,EVENT...] --config ...

One line a stamp in FILE: "m" | "r" and the time, "p", the time and which EVENT went from part to part, or "w", the time
and the bytes (monotonic ns). Each is taken before the daemon's own code goes on (after it, for a read), and written
when that has come back.
"""

from __future__ import annotations

import agent.runtime.lean  # isort: skip  # noqa: F401  # acts when imported, as in the daemon

import os
import sys
import time
from typing import Any

from agent import daemon
from agent.runtime.mqtt import MqttAdapter
from agent.runtime.real import RealRuntime
from drivers.line import SerialLine


def stamp(file: str, events: frozenset[str]) -> None:
    """Put the stamps in."""
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    message, write, read = vars(MqttAdapter)["_message"], vars(SerialLine)["write"], vars(SerialLine)["read_until"]
    post = vars(RealRuntime)["post"]

    def stamped_message(self: MqttAdapter, *args: Any) -> None:
        at_ns = time.monotonic_ns()
        message(self, *args)
        if args[2].topic.endswith("/command"):
            os.write(out, b"m %d\n" % at_ns)

    def stamped_write(self: SerialLine, data: bytes) -> None:
        at_ns = time.monotonic_ns()
        write(self, data)
        os.write(out, b"w %d %s\n" % (at_ns, data.hex().encode()))

    def stamped_read(self: SerialLine, *args: int) -> tuple[bytes, int]:
        found: tuple[bytes, int] = read(self, *args)
        os.write(out, b"r %d\n" % time.monotonic_ns())
        return found

    def stamped_post(self: RealRuntime, to: str, event: object) -> None:
        at_ns = time.monotonic_ns()
        post(self, to, event)
        if type(event).__name__ in events:
            os.write(out, b"p %d %s\n" % (at_ns, type(event).__name__.encode()))

    for owner, name, new in (
        (MqttAdapter, "_message", stamped_message),
        (RealRuntime, "post", stamped_post),
        (SerialLine, "write", stamped_write),
        (SerialLine, "read_until", stamped_read),
    ):
        setattr(owner, name, new)


if __name__ == "__main__":
    stamp(sys.argv[1], frozenset(sys.argv[2].split(",")))
    sys.exit(daemon.main(sys.argv[3:]))
