"""`bench footprint`: memory of the live daemon beside a bare Python, and what one `batteryctl status` costs.

RSS is VmRSS (live) and VmHWM (short programs) of /proc; both sides are taken in turn, starts compared by minima.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hil.backends.process import ProcessBackend
from hil.bench.rig import live
from hil.figures import Figure, Report
from hil.program import batteryctl, installed_from
from hil.progress import Progress
from hil.rounds import interleave, median

DAEMON, CLI_RSS, CLI_START = 6.5, 1.5, 3.0
TRAFFIC_S = 300
STARTS = 20
BARE = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def run(args: argparse.Namespace) -> Report:
    """Three ratios, each with its reach and the absolute figures beside."""
    traffic = min(args.seconds, TRAFFIC_S)
    with live() as backend:
        cli = [*batteryctl(), "--socket", str(backend.config.resolve(backend.config.file.agent.socket)), "status"]
        starts = interleave(
            {"bare": lambda: _start([sys.executable, "-c", "pass"])[0], "cli": lambda: _start(cli)[0]},
            STARTS,
            title="starts",
        )
        peaks = interleave(
            {"bare": lambda: _start([sys.executable, "-c", "pass"])[1], "cli": lambda: _start(cli)[1]}, args.rounds
        )
        _traffic(backend, traffic)
        rss = interleave({"bare": _bare_kib, "daemon": lambda: float(backend.supervisor.rss_kib() or 0)}, args.rounds)
    daemon, bare = median(rss["daemon"]), median(rss["bare"])
    fastest, slowest = min(starts["bare"]), min(starts["cli"])
    figures = [
        Figure(
            "live daemon RSS / bare Python",
            round(daemon / bare, 2),
            "",
            f"<= {DAEMON}",
            {"daemon MB": round(daemon / 1024, 1), "bare MB": round(bare / 1024, 1), "traffic s": traffic},
        ),
        Figure(
            "batteryctl status start / bare Python",
            round(slowest / fastest, 2),
            "",
            f"<= {CLI_START}",
            {"cli ms": round(slowest * 1e3, 1), "bare ms": round(fastest * 1e3, 1)},
        ),
        Figure(
            "batteryctl status RSS / bare Python",
            round(median(peaks["cli"]) / median(peaks["bare"]), 2),
            "",
            f"<= {CLI_RSS}",
            {"cli MB": round(median(peaks["cli"]) / 1024, 1)},
        ),
        Figure("program", installed_from()),
    ]
    return Report("footprint", figures)


def _traffic(backend: ProcessBackend, seconds: int) -> None:
    """Commands and telemetry for that long."""
    with Progress("traffic", seconds) as bar:
        for second in range(seconds):
            if second % 3 == 0:
                power = 1000 + 100 * (second % 9)
                backend.aggregator("dispatch", f"t{second}", power_w=power, duration=60, primacy=1, ramp="direct")
            time.sleep(1.0)
            bar.step()


def _bare_kib() -> float:
    process = subprocess.Popen(BARE, stdin=subprocess.PIPE)
    try:
        _until_asleep(process.pid)
        return _kib(process.pid, "VmRSS")
    finally:
        process.communicate()


def _until_asleep(pid: int) -> None:
    """It has started when it waits for its input."""
    state = ""
    while state != "S":
        time.sleep(0.01)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    time.sleep(0.05)


def _start(command: Sequence[str]) -> tuple[float, float]:
    """Seconds to its end, and its highest RSS in KiB as seen while it ran."""
    peak = 0.0
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=_cwd(command))
    while True:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, _kib(process.pid, "VmHWM"))
        time.sleep(0.0005)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1 = unhealthy, which a fresh home may be
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return took, peak


def _cwd(command: Sequence[str]) -> str | None:
    """A module of the clone needs the clone; an installed program must not see it."""
    return None if "-m" in command else "/"


def _kib(pid: int, field: str) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(field + ":")), 0.0)
