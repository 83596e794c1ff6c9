"""How long an order waits behind polls: for the transaction in flight at most, and here the bus' own thread shows it.

    python -m hil.bench.behind LINK BAUD COUNT SEED

The bus and the runtime of the daemon, on a line that is polled without a pause, in a process of their own: at any phase
of a poll an order is put into the mailbox of the bus' thread. The program prints when, one number (ns) a line; the log
of the wire says what began between that and the order's first byte.
"""

from __future__ import annotations

import os
import queue
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.runtime.part import Effect, Log, Now
from agent.runtime.real import RealRuntime
from drivers.binding import DeviceSpec
from drivers.bus import Bus, BusSpec
from drivers.events import DeviceStatus, Execute, Presence, RegisterWrite, WriteClass, WriteResult, WriteSequence
from drivers.line import SerialLine
from drivers.profile import load
from hil.bench.wire_daemon import PROFILE
from hil.bench.wire_line import UNIT, WRITABLE, BenchLine
from hil.bench.wire_log import Frame, frames
from hil.talk import data, say

DEVICE, BUS = "battery", "behind"
PAUSE_S = (0.10, 0.35)
LATEST_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Wait:
    """One order: ms to its first byte, and the transactions in between."""

    ms: float
    behind: int

    @property
    def overtaken(self) -> int:
        """Polls that went first beside the one that was in flight, or that the thread was just about to send."""
        return max(0, self.behind - 1)


def measure(line: BenchLine, count: int, seed: int) -> list[Wait]:
    """`count` orders on a line of the bench. RuntimeError if one never reached the wire."""
    begin_ns = time.monotonic_ns()
    command = [sys.executable, "-m", "hil.bench.behind", str(line.link), str(line.baud), str(count), str(seed)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], timeout=60 + count
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    time.sleep(0.2)  # the line writes its log when it is quiet
    return waits([int(text) for text in done.stdout.split()], frames(line.log, begin_ns, time.monotonic_ns()))


def waits(posted: Sequence[int], seen: Sequence[Frame]) -> list[Wait]:
    """The orders as they were posted, in turn, against the requests on the wire."""
    requests = [frame for frame in seen if frame.sender == "master"]
    writes = [frame for frame in requests if frame.function == 6]
    if len(writes) != len(posted):
        raise RuntimeError(f"{len(posted)} orders, {len(writes)} writes on the wire")
    out = []
    for at_ns, write in zip(posted, writes, strict=True):
        began = sum(at_ns < frame.t0 < write.t0 for frame in requests)
        out.append(Wait((write.t0 - at_ns) / 1e6, began + _in_flight(seen, at_ns)))
    return out


def _in_flight(seen: Sequence[Frame], at_ns: int) -> bool:
    """A request had begun and its reply was not over."""
    earlier = [n for n, frame in enumerate(seen) if frame.sender == "master" and frame.t0 <= at_ns]
    if not earlier:
        return False
    reply = next(iter(seen[earlier[-1] + 1 :]), None)
    return reply is not None and reply.sender == "slave" and at_ns < reply.t1


class Control:
    """Stands where the daemon's control is, and only listens."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[object] = queue.SimpleQueue()

    def handle(self, event: object, now: Now) -> list[Effect]:
        """Keep what an order or a start is waiting for."""
        if isinstance(event, WriteResult | DeviceStatus):
            self.heard.put(event)
        return []


def main(argv: Sequence[str]) -> int:
    """Post the orders, print their times."""
    link, baud, count, rng = argv[0], int(argv[1]), int(argv[2]), random.Random(int(argv[3]))
    profile = load(PROFILE.stem, PROFILE.parent)
    bus = Bus(BusSpec(BUS, baud), [DeviceSpec(name=DEVICE, role=profile.role, unit=UNIT, profile=profile)])
    control = Control()

    def log(line: Log) -> None:
        say(line.text)

    runtime = RealRuntime(log)
    runtime.add_bus(BUS, bus, SerialLine(link, baud))
    runtime.add("control", control)
    runtime.start()
    while not (isinstance(event := control.heard.get(timeout=20), DeviceStatus) and event.presence is Presence.OK):
        pass
    for number in range(count):
        time.sleep(rng.uniform(*PAUSE_S))
        at_ns = time.monotonic_ns()
        writes = (RegisterWrite(WRITABLE, (number,), function=6),)
        order = WriteSequence(number, DEVICE, WriteClass.POWER, 0, writes, (), at_ns + LATEST_NS)
        runtime.post(f"bus:{BUS}", Execute(order))
        while not isinstance(control.heard.get(timeout=20), WriteResult):
            pass
        data(str(at_ns))
    os._exit(0)  # its threads wait for a line and must not hold us


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
