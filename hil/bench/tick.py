"""`bench tick`: how late control's cycle comes at 10 Hz while both cores are busy, beside a bare timer in the same run.

The live daemon tells systemd of every completed cycle, the bare timer tells the bench of every wake-up; the kernel
stamps both datagrams as they are sent, so that only their senders can be late. Lateness counts from the earliest phase
that nine in ten of the ticks keep, by the same rule on both sides. Daemon and timer run at the nice value of the unit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hil.backends.process import ProcessBackend
from hil.bench.rig import live
from hil.figures import Figure, Report
from hil.progress import Progress
from hil.rounds import median, percentile
from hil.stall import unstalled
from hil.supervisor import SO_TIMESTAMPNS, stamp_ns
from hil.talk import say

PERIOD_NS = 100_000_000
TICKS = 3000
OVER_FLOOR_MS = 1.0
PEERS = ("bare timer p99", "p50", "bare timer p50")  # of what stands beside, to be drawn beside
KEPT = 0.9  # share of ticks that define the phase
EARLY_NS = 5_000_000  # the rest may come this much before it and are in time
UNIT = Path(__file__).parents[2] / "systemd" / "batteryd.service"
BARE = Path(__file__).with_name("bare_timer.py")
BUSY = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"

Stamps = dict[str, list[int]]


def run(args: argparse.Namespace) -> Report:
    """p99 of both sides over at least `TICKS` ticks."""
    ticks = max(TICKS, args.seconds * 1_000_000_000 // PERIOD_NS) if args.seconds < 600 else TICKS
    stamps, void = unstalled(lambda: measure(ticks), say=say)
    late = {name: lateness_ms(times) for name, times in stamps.items()}
    daemon, bare = (percentile(late[name], 990) for name in ("daemon", "bare"))
    reach = f"<= {round(bare + OVER_FLOOR_MS, 2)}"
    beside = {
        "bare timer p99": round(bare, 2),
        "bare timer p50": round(median(late["bare"]), 2),
        "p50": round(median(late["daemon"]), 2),
        "worst": round(max(late["daemon"]), 2),
        "bare timer worst": round(max(late["bare"]), 2),
        "ticks": len(late["daemon"]),
        "nice": unit_nice(),
    }
    figures = [
        Figure(
            "lateness of the tick at 10 Hz, both cores loaded, p99", round(daemon, 2), "ms", reach, beside, peers=PEERS
        ),
        Figure("ticks measured", len(late["daemon"]), "", f">= {TICKS}"),
    ]
    return Report("control tick", figures, void=void)


def measure(ticks: int) -> Stamps:
    """Wall ns of every tick of both sides, taken at the same time."""
    stamps: Stamps = {"daemon": [], "bare": []}
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(live(fast=True))
        for core in cores:
            stack.enter_context(_process([sys.executable, "-I", "-S", "-c", BUSY, str(core)]))
        bare = stack.enter_context(_bare(stamps["bare"]))
        _renice(backend, bare)
        time.sleep(2.0)  # the start of the load is not part of it
        stamps["bare"].clear()
        backend.supervisor.heard = lambda state, at_ns: stamps["daemon"].append(at_ns) if _cycle(state) else None
        with Progress("tick", ticks // 10) as bar:
            for _ in range(ticks // 10 + 2):
                time.sleep(10 * PERIOD_NS / 1e9)
                bar.step()
        backend.supervisor.heard = None
    return stamps


def _cycle(state: str) -> bool:
    return state == "WATCHDOG=1"


def lateness_ms(stamps: Sequence[int], period_ns: int = PERIOD_NS) -> list[float]:
    """How late each period's first stamp came, ms. Between ticks others may stand: cycles that something woke."""
    start = phase_ns(stamps, period_ns)
    first = stamps[0] - (stamps[0] - start) % period_ns + period_ns
    late, index = [], 0
    for due in range(first, stamps[-1] + EARLY_NS, period_ns):
        while index < len(stamps) - 1 and stamps[index] < due - EARLY_NS:
            index += 1
        late.append(max(0, stamps[index] - due) / 1e6)
    return late


def phase_ns(stamps: Sequence[int], period_ns: int) -> int:
    """Where in the period the ticks begin: the start of the shortest arc that holds nine in ten of them."""
    rest = sorted(stamp % period_ns for stamp in stamps)
    count = len(rest)
    span = max(1, int(count * KEPT))
    around = [*rest, *(r + period_ns for r in rest)]
    begin = min(range(count), key=lambda i: around[i + span - 1] - around[i])
    return rest[begin]


@contextlib.contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _bare(stamps: list[int]) -> Iterator[subprocess.Popen[bytes]]:
    """The bare timer and who listens to it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, _listening(Path(directory) / "ticks") as inbox:
        thread = threading.Thread(target=_listen, args=(inbox, stamps), daemon=True)
        thread.start()
        with _process([sys.executable, "-I", "-S", str(BARE), inbox.getsockname(), str(PERIOD_NS)]) as process:
            yield process
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", inbox.getsockname())
        thread.join()


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        inbox.bind(str(path))
        yield inbox


def _listen(inbox: socket.socket, stamps: list[int]) -> None:
    while True:
        data, told, _, _ = inbox.recvmsg(64, 64)
        if not data:
            return
        stamps.append(stamp_ns(told))


def unit_nice() -> int:
    """The unit's own nice value."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return next((int(line.partition("=")[2]) for line in lines if line.startswith("Nice=")), 0)


def _renice(backend: ProcessBackend, bare: subprocess.Popen[bytes]) -> None:
    """Every thread of both, as the unit would; said when this user may not."""
    try:
        for pid in (backend.supervisor.pid, bare.pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.setpriority(os.PRIO_PROCESS, int(task.name), unit_nice())
    except PermissionError:
        say(f"-- not root: both sides run at nice 0 instead of the unit's {unit_nice()}")
