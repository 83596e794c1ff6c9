"""The product's own sender alone: its store full of records, its link, its MQTT thread; no home, no control.

    python -m hil.bench.publish_sender CONFIG COUNT BODY

COUNT event records with a text of BODY bytes are committed first, then the link comes up and sends them. One line to
stdout when the last has its PUBACK: how many were sent, first publication, last PUBACK (monotonic ns), bytes of the
longest token, CPU ns of the process between the two.
"""

from __future__ import annotations

import agent.runtime.lean  # isort: skip  # noqa: F401  # acts when imported, as in the daemon

import os
import sys
import threading
import time
from pathlib import Path

from agent import compose as composition
from agent import config as configuration
from agent import mail
from agent.core.decision import Record
from agent.core.durable import Durable
from agent.core.inputs import Clock, ClockTrust
from agent.runtime import part
from agent.runtime.mqtt import MqttAdapter, Tls
from agent.runtime.real import RealRuntime, now
from hil.talk import data, say

COMMIT = 100  # records a transaction


class Meter:
    """What passes between the link and its MQTT thread."""

    def __init__(self, count: int) -> None:
        self._left = {seq + 1 for seq in range(count)}
        self.first_ns = self.last_ns = self.longest = self.sent = 0
        self._cpu_ns = self.spent_ns = 0
        self.done = threading.Event()

    def out(self, effect: part.Effect) -> None:
        """Toward the broker."""
        if isinstance(effect, part.MqttPublish) and effect.token > 0:
            if not self.first_ns:
                self.first_ns, self._cpu_ns = time.monotonic_ns(), time.process_time_ns()
            self.sent += 1
            self.longest = max(self.longest, len(effect.payload))

    def back(self, event: object) -> None:
        """From the broker."""
        if isinstance(event, part.MqttAcked):
            self._left.difference_update(event.tokens)
            if not self._left and not self.last_ns:
                self.last_ns, self.spent_ns = time.monotonic_ns(), time.process_time_ns() - self._cpu_ns
                self.done.set()


def main(path: str, count: int, body: int) -> None:
    """Until the parent has heard the line."""
    config = configuration.load(Path(path))
    made = composition.compose(
        config, boot=os.urandom(16).hex(), kernel_boot="bench", draw=lambda: 0, random=os.urandom
    )
    store, link = made.parts["store"], made.parts["link"]
    clock = Clock(now().wall_ms, ClockTrust.SYNCED, "kernel", os.urandom(16).hex())
    records = tuple(Record("event", {"event": "note", "text": "x" * body}) for _ in range(COMMIT))
    for _ in range(0, count, COMMIT):
        store.handle(mail.CommitRequest(1, Durable(), records[: min(COMMIT, count)], clock, 0), now())
    section = config.file.link
    assert section is not None
    brokers = tuple((b.rpartition(":")[0], int(b.rpartition(":")[2])) for b in section.brokers)
    tls = Tls(*(config.resolve(file) for file in (section.ca, section.cert, section.key)))
    meter = Meter(max(COMMIT, count))
    runtime = RealRuntime(lambda log: say(log.text))

    def back(event: object) -> None:
        meter.back(event)
        runtime.post("link", event)

    adapter = MqttAdapter(brokers, tls, back)

    def out(effect: part.Effect) -> None:
        meter.out(effect)
        adapter.handle(effect)

    runtime.mqtt = out
    runtime.add("store", store)
    runtime.add("link", link)
    runtime.start()
    meter.done.wait()
    data(f"{meter.sent} {meter.first_ns} {meter.last_ns} {meter.longest} {meter.spent_ns}")
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
