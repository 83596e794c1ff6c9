"""`bench footprint`: memory of the live daemon after traffic, start and memory of `batteryctl status`; bare Python beside.

Starts are minima of interleaved rounds: what a verb costs when nothing else has the core.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from hil.backends.process import ProcessBackend
from hil.bench.live import cancel, dispatch, running, wait_devices
from hil.figures import Figure, Report
from hil.program import batteryctl, installed_from
from hil.progress import Progress
from hil.rounds import interleave, median

DAEMON_REACH, VERB_RSS_REACH, VERB_START_REACH = 6.5, 1.5, 3.0
START_ROUNDS = 25
BARE = [sys.executable, "-I", "-c", "pass"]
RSS_CODE = "print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])"


def run(args: argparse.Namespace) -> Report:
    """Three ratios; --seconds is the length of the traffic."""
    with running(args.seed) as backend:
        wait_devices(backend)
        status = [*batteryctl(), "status", "--socket", str(backend.config.resolve(backend.config.file.agent.socket))]
        bare_kib = median([float(subprocess.check_output([sys.executable, "-I", "-c", RSS_CODE])) for _ in range(5)])
        daemon_kib = _traffic(backend, min(args.seconds, 300))
        starts = interleave(
            {"bare": lambda: _timed(BARE), "status": lambda: _timed(status)}, START_ROUNDS, title="start"
        )
        verb_kib = median([_peak_kib(*status[status.index("status") :]) for _ in range(5)])
        bare_peak = median([_peak_kib() for _ in range(5)])
    bare_s, verb_s = min(starts["bare"]), min(starts["status"])
    where = installed_from()
    return Report(
        "footprint",
        [
            Figure(
                "live daemon RSS / bare Python",
                round(daemon_kib / bare_kib, 2),
                "x",
                f"<= {DAEMON_REACH}",
                {"daemon_kib": daemon_kib, "bare_kib": bare_kib, "after_s": min(args.seconds, 300), "daemon": where},
            ),
            Figure(
                "batteryctl status start / bare Python",
                round(verb_s / bare_s, 2),
                "x",
                f"<= {VERB_START_REACH}",
                {"status_ms": round(verb_s * 1e3, 1), "bare_ms": round(bare_s * 1e3, 1)},
            ),
            Figure(
                "batteryctl status RSS / bare Python",
                round(verb_kib / bare_peak, 2),
                "x",
                f"<= {VERB_RSS_REACH}",
                {"status_kib": verb_kib, "bare_kib": bare_peak},
            ),
        ],
        seed=args.seed,
    )


def _traffic(backend: ProcessBackend, seconds: int) -> float:
    """RSS in KiB after that long, a dispatch and a cancel every ten seconds."""
    with Progress("traffic", seconds) as bar:
        signed = dispatch(backend, 2000)
        for second in range(seconds):
            if second % 10 == 0:
                signed = dispatch(backend, 2000)
                backend.live.publish(signed.publish)
            elif second % 10 == 7:
                cancel(backend, signed.id)
            time.sleep(1.0)
            bar.step()
    kib = backend.supervisor.rss_kib()
    if kib is None:
        raise RuntimeError("the daemon is not running")
    return float(kib)


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began


def _peak_kib(*arguments: str) -> float:
    """VmHWM of a fresh interpreter that has run `batteryctl` with these arguments; without any, of one that has done
    nothing. Asked from inside: a parent's own size would count in its child's rusage."""
    run = "from agent.cli.main import main\n    main(sys.argv[1:])" if arguments else "pass"
    code = (
        f"import sys\ntry:\n    {run}\nexcept SystemExit:\n    pass\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(done.stderr.split()[-1])
