"""`bench dispatch`: from publishing a signed dispatch to the first byte of its first register write on the wire.

Real broker with mutual TLS, real daemon, commit on the real disk before it acts, and a bus at 19200 baud that is polled
all the time, so that a command comes at any phase of a poll. The end is read from the wire's own log.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil import site
from hil.backends.process import ProcessBackend
from hil.bench.rig import live, wait
from hil.devices import sunspec_hybrid as model
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.rounds import percentile
from hil.stall import unstalled
from hil.talk import say

REACH_MS = 250
HIGHEST_W, STEP_W, STEPS = 4000, 10, 300  # each command asks for less: what tightens is not ramped, one write answers
PAUSE_S = (0.35, 0.85)
SETTLE_S = 12.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One command: when it was published, and the OutWRte that answers it."""

    at_ns: int
    rate: int


@dataclass(frozen=True, slots=True)
class Write:
    """One write request to the inverter on the wire: first byte, and OutWRte if it sets it."""

    at_ns: int
    rate: int | None


def run(args: argparse.Namespace) -> Report:
    """p50 and p99 over all commands; the p99 has a reach."""
    times, void = unstalled(lambda: measure(args.count, args.seed), say=say, fine=_fine)
    late = sum(ms > REACH_MS for ms in times)
    beside = {"n": len(times), "worst": round(max(times), 1), f"over {REACH_MS} ms": late}
    figures = [
        Figure(
            "publish -> first register byte, p99",
            round(percentile(times, 990), 1),
            "ms",
            f"<= {REACH_MS}",
            beside,
            peers=("worst",),
        ),
        Figure("publish -> first register byte, p50", round(percentile(times, 500), 1), "ms"),
        Figure("commands answered", len(times), "", f">= {args.count}"),
    ]
    return Report("dispatch over the polled demo bus", figures, seed=args.seed, void=void)


def _fine(times: Sequence[float]) -> bool:
    return percentile(times, 990) <= REACH_MS


def measure(count: int, seed: int) -> list[float]:
    """Milliseconds of each command; one that never reached the wire counts as an hour."""
    rng = random.Random(seed)
    with live() as backend, Progress("dispatch", count, unit="commands") as bar:
        sent = []
        for index in range(count):
            if index % STEPS == 0:
                _dispatch(backend, HIGHEST_W)
                wait(backend, lambda s: s["agent.given_w"] == HIGHEST_W, SETTLE_S)
            time.sleep(rng.uniform(*PAUSE_S))
            power = HIGHEST_W - STEP_W * (index % STEPS + 1)
            sent.append(Sent(_dispatch(backend, power), rate_of(power)))
            bar.step()
        time.sleep(1.0)
        writes = list(writes_of(backend.directory / "home" / "wire.jsonl"))
    return [latency_ms(command, writes) for command in sent]


def _dispatch(backend: ProcessBackend, power_w: int) -> int:
    message = backend.build(lambda aggregator, now: aggregator.dispatch(site.DEVICE, power_w, 600, now))
    at_ns = time.monotonic_ns()
    backend.publish(message.publish)
    return at_ns


def latency_ms(command: Sent, writes: Sequence[Write]) -> float:
    """From publishing to the first byte of the sequence that sets its rate; its reversion time goes before the rate."""
    for index, write in enumerate(writes):
        if write.at_ns >= command.at_ns and write.rate == command.rate:
            first = writes[index - 1] if index and writes[index - 1].rate is None else write
            start = first if first.at_ns >= command.at_ns else write
            return (start.at_ns - command.at_ns) / 1e6
    return 3_600_000.0


def writes_of(log: Path) -> Iterator[Write]:
    """Write requests to the inverter, from the wire's log."""
    for line in log.read_text(encoding="ascii").splitlines():
        row = json.loads(line)
        written = write_of(bytes.fromhex(row["hex"]), int(row["t0"])) if row["from"] == "master" else None
        if written is not None:
            yield written


def write_of(data: bytes, at_ns: int) -> Write | None:
    """What a master's frame writes to the inverter; None if it does not."""
    if len(data) < 8 or data[0] != 3 or data[1] not in (6, 16):
        return None
    address = int.from_bytes(data[2:4], "big")
    count = int.from_bytes(data[4:6], "big") if data[1] == 16 else 1
    offset = model.OUT_W_RTE - address
    rate = None
    if data[1] == 16 and 0 <= offset < count:
        rate = int.from_bytes(data[7 + 2 * offset : 9 + 2 * offset], "big")
    return Write(at_ns, rate)


def rate_of(power_w: int) -> int:
    """OutWRte of a power, as the profile rounds it: toward zero, in hundredths of a percent."""
    return power_w * 10_000 // site.RATED_W
