"""`bench payload`: how many bytes a home sends in a day that is dispatched for two hours, by kind of message.

The whole agent in virtual time, its real encoders, a house whose load and sun change every few seconds. Counted is the
payload of every publication, repeated ones included; MQTT and TLS add about 80 bytes to each.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from random import Random

from agent.runtime.part import MqttPublish, Now
from hil.backends.virtual import VirtualBackend
from hil.bench.virtual import SLOW_POLLS
from hil.expr import Value
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.scenario import parse

S = 1_000_000_000
MB = 1_000_000
DAY_S = 86_400
DISPATCHED_S = 2 * 3600
CHANGE_S = 5  # somebody switches something this often
Sums = Counter[str]
BATCH_REACH, REACH = 6, 10  # MB a day
_SCENARIO = """
[scenario]
name = "payload"
duration = "24h"
[home]
soc_permille = 600
load_w = 900
"""


def run(args: argparse.Namespace) -> Report:
    """MB of a day, of batches and of everything."""
    sent, messages, batches = measure(args.seed)
    total = sum(sent.values())
    beside = {f"{kind} MB": round(count / MB, 3) for kind, count in sorted(sent.items())}
    beside |= {f"{kind} messages": count for kind, count in sorted(messages.items())}
    figures = [
        Figure("payload of a day, two hours of it dispatched", round(total / MB, 3), "MB", f"<= {REACH}", beside),
        Figure("of it batches", round(sent["batch"] / MB, 3), "MB", f"<= {BATCH_REACH}"),
        Figure("minutes of the day in a batch", batches, "", f">= {DAY_S // 60 - 2}"),
    ]
    return Report("payload bytes of a home", figures, seed=args.seed)


def measure(seed: int, seconds: int = DAY_S, dispatched_s: int = DISPATCHED_S) -> tuple[Sums, Sums, int]:
    """Bytes and messages by kind, and how many batches the aggregator has counted."""
    backend = VirtualBackend(SLOW_POLLS, observed=False, traced=False)
    backend.start(parse(_SCENARIO, "bench"), seed)
    sent: Sums = Counter()
    messages: Sums = Counter()

    def count(now: Now, publish: MqttPublish) -> None:
        kind = publish.topic.rpartition("/")[2]
        sent[kind] += len(publish.payload)
        messages[kind] += 1

    backend.runtime.on_publish = count
    draw = Random(f"{seed}/house")
    begins = seconds // 2 // CHANGE_S * CHANGE_S
    with Progress("payload", seconds // 600) as bar:
        for second in range(0, seconds, CHANGE_S):
            if begins <= second < begins + dispatched_s and (second - begins) % 600 < CHANGE_S:
                power_w = draw.choice((-4000, -2000, 1500, 3000, 5000))
                order: dict[str, Value] = {"power_w": power_w, "duration": 600, "primacy": 1, "ramp": "direct"}
                backend.aggregator("dispatch", f"at {second}", **order)
            _change(backend, draw, second * DAY_S // seconds)
            backend.run_until((second + CHANGE_S) * S)
            if second % 600 < CHANGE_S:
                bar.step()
    batches = len(backend.build(lambda aggregator, now: aggregator.books[backend.device].batches))
    backend.finish()
    backend.discard()
    return sent, messages, batches


def _change(backend: VirtualBackend, draw: Random, of_day_s: int) -> None:
    """Appliances come and go; clouds pass."""
    backend.home("load", w=round(300 + draw.random() * 400 + draw.choice((0, 0, 0, 0, 1200, 2500))))
    sun = max(0.0, math.sin((of_day_s / DAY_S - 0.25) * 2 * math.pi))
    backend.home("pv", w=round(6000 * sun * (0.4 + 0.6 * draw.random())))
