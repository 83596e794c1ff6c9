"""`bench dispatch`: publish of a signed dispatch -> first byte of the first register write, on the wire's own log.

Over the polled demo bus, all devices answering, at random phases of the polls. Each command starts from a released
inverter, so that its first write is the first FC16 request after the publish.
"""

from __future__ import annotations

import argparse
import random
import time

from hil.backends.process import ProcessBackend
from hil.bench.live import WireLog, cancel, dispatch, running, wait_devices
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.rounds import percentile
from hil.stall import unstalled
from hil.talk import say

REACH_MS = 250
ANSWER_S = 5.0
UNIT, WRITE = 3, 0x10


def run(args: argparse.Namespace) -> Report:
    """p50, p99 and the worst, ms. A run in which the machine stalled is void and repeated, at most twice."""
    if args.count < 200:
        raise SystemExit("a p99 needs at least 200 commands: --count 200")
    (times, busy), void = unstalled(lambda: _measure(args.count, args.seed), say=say)
    beside = {"n": len(times), "one bus transaction, worst": round(busy, 1), "p50_ms": round(percentile(times, 500), 1)}
    figures = [
        Figure("dispatch p99", round(percentile(times, 990), 1), "ms", f"<= {REACH_MS}", beside),
        Figure("dispatch p50", round(percentile(times, 500), 1), "ms"),
        Figure("dispatch worst", round(max(times), 1), "ms"),
        Figure("commands that reached no register", args.count - len(times), "", "== 0"),
    ]
    return Report("publish -> first register byte, polled bus at 19200 baud", figures, seed=args.seed, void=void)


def _measure(count: int, seed: int) -> tuple[list[float], float]:
    """(ms of each command, ms of the longest transaction on the wire)."""
    rng, times, worst_ns = random.Random(seed), list[float](), 0
    with running(seed) as backend, Progress("dispatch", count) as bar:
        wait_devices(backend)
        log = WireLog(backend.directory / "home" / "wire.jsonl")
        time.sleep(2.0)
        for number in range(count):
            time.sleep(rng.uniform(0.0, 1.0))
            log.frames()
            signed = dispatch(backend, 1000 + 10 * (number % 100))
            began = time.monotonic_ns()
            backend.live.publish(signed.publish)
            found = _first_write(log, began)
            if found is not None:
                times.append((found[0] - began) / 1e6)
                worst_ns = max(worst_ns, found[1])
            cancel(backend, signed.id)
            backend.live.wait_ack(signed.id, {"cancelled"}, ANSWER_S)
            _until_released(backend)
            bar.step()
        log.close()
    return times, worst_ns / 1e6


def _first_write(log: WireLog, began: int) -> tuple[int, int] | None:
    """(first byte of the first FC16 to the inverter since `began`, longest transaction seen meanwhile), ns."""
    until, longest, request = time.monotonic() + ANSWER_S, 0, 0
    while time.monotonic() < until:
        for frame in log.frames():
            start, data = int(str(frame["t0"])), bytes.fromhex(str(frame["hex"]))
            if frame["from"] == "master":
                if start >= began and data[:2] == bytes((UNIT, WRITE)):
                    return start, longest
                request = start
            else:
                longest = max(longest, int(str(frame["t1"])) - request)
        time.sleep(0.005)
    return None


def _until_released(backend: ProcessBackend) -> None:
    until = time.monotonic() + ANSWER_S
    while backend.home_client.truth()["remote"] and time.monotonic() < until:
        time.sleep(0.02)
