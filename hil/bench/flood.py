"""`bench flood`: how late control's cycle comes at 10 Hz while a thousand messages a second are to be refused.

Real daemon, real mosquitto with mutual TLS. In the other rounds the same messages go to a home that is not there, so
that sender and broker take as much of the processor; rounds are interleaved. Lateness is counted as in `bench tick`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hil import site
from hil.backends.process import ProcessBackend
from hil.bench.rig import live
from hil.bench.tick import PERIOD_NS, lateness_ms, unit_nice
from hil.figures import Figure, Report
from hil.rounds import MIN_ROUNDS, interleave, median, percentile
from hil.stall import unstalled
from hil.talk import say

ROUND_S = 30.0
SETTLE_S = 1.0
REACH = 1.2
RATE_REACH = 900  # of 1,000 messages a second, that this machine managed to deliver
NOBODY = "home-nobody"
CYCLE = "WATCHDOG=1"

Sides = dict[str, list[float]]


def run(args: argparse.Namespace) -> Report:
    """p99 with the flood over p99 without; medians of both beside."""
    rounds = max(MIN_ROUNDS, args.rounds)
    (late, refused, writes, rss), void = unstalled(lambda: measure(rounds), say=say)
    p99 = {side: percentile(values, 990) for side, values in late.items()}
    p50 = {side: median(values) for side, values in late.items()}
    rate = refused / (rounds * (ROUND_S + SETTLE_S))
    beside = {"p99 with": round(p99["flood"], 3), "p99 without": round(p99["quiet"], 3), "ticks": len(late["flood"])}
    figures = [
        Figure(
            "lateness of the tick, flood / none, p99", round(p99["flood"] / p99["quiet"], 3), "x", f"<= {REACH}", beside
        ),
        Figure(
            "the same, p50", round(p50["flood"] / p50["quiet"], 3), "x", None, {k: round(v, 3) for k, v in p50.items()}
        ),
        Figure("refused", round(rate), "1/s", f">= {RATE_REACH}", {"in all": refused}),
        Figure("register writes that it caused", writes, "", "== 0"),
        Figure("memory after it, above before", rss, "KiB", None),
    ]
    return Report("tick under a flood of garbage", figures, seed=args.seed, void=void)


def measure(rounds: int) -> tuple[Sides, int, int, int]:
    """Lateness by side, ms; messages that were refused; register writes; growth of the daemon's memory, KiB."""
    late: Sides = {"quiet": [], "flood": []}
    with live(fast=True) as backend, _sender(backend) as sender:
        stamps: list[int] = []
        backend.supervisor.heard = lambda state, at_ns: stamps.append(at_ns) if state == CYCLE else None
        _renice(backend)
        before, rss = backend.signals()["wire.power"], _rss(backend)

        def side(name: str, device: str) -> float:
            _tell(sender, device)
            time.sleep(SETTLE_S)
            stamps.clear()
            time.sleep(ROUND_S)
            late[name] += lateness_ms(list(stamps), PERIOD_NS)
            return 0.0

        sides = {"quiet": lambda: side("quiet", NOBODY), "flood": lambda: side("flood", site.DEVICE)}
        interleave(sides, rounds, title="flood")
        _tell(sender, "")
        time.sleep(SETTLE_S)
        signals = backend.signals()
        told = backend._told or {}
        refused = sum(told["link"].get("refused", {}).values())
        return late, refused, int(signals["wire.power"] or 0) - int(before or 0), _rss(backend) - rss


@contextlib.contextmanager
def _sender(backend: ProcessBackend) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "hil.bench.garbage", backend.mosquitto.host, str(backend.mosquitto.port)]
    command.append(str(backend.directory / "pki" / "aggregator"))
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _tell(sender: subprocess.Popen[str], device: str) -> int:
    """To whom it goes from now on; how many went to the last one."""
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdin.write(device + "\n")
    sender.stdin.flush()
    return int(json.loads(sender.stdout.readline())["sent"])


def _renice(backend: ProcessBackend) -> None:
    """Every thread of the daemon, as the unit would; said when this user may not."""
    try:
        for task in Path(f"/proc/{backend.supervisor.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), unit_nice())
    except PermissionError:
        say(f"-- not root: the daemon runs at nice 0 instead of the unit's {unit_nice()}")


def _rss(backend: ProcessBackend) -> int:
    status = Path(f"/proc/{backend.supervisor.pid}/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
