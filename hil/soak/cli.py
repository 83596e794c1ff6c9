"""`python -m hil soak --minutes N`: the real daemon at ordinary work for a long time: memory, descriptors, lateness.

Commands, telemetry, receipts and a lost connection now and then. What it holds at the end is compared with what it held
once it had settled; a run of less than an hour cannot tell a leak of a megabyte a day, one of less than a thousand
cycles no late one in a thousand, and then does not claim to.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from hil.amount import amount
from hil.backends.process import ProcessBackend
from hil.bench.rig import live
from hil.campaign.resume import commit
from hil.figures import Figure, Report
from hil.program import installed_from
from hil.progress import Progress
from hil.report import sheet
from hil.rounds import percentile
from hil.stall import STALL_MS, StallMeter

SAMPLE_S = 2.0
COMMAND_S = 20.0
LOST_S = 300.0  # so often the broker goes away, for a few seconds
GROWTH_KIB_A_DAY = 1024
SHORTEST_S = 3600  # of a run whose slope means something
CYCLE_MS = 1000
MOST_MS = CYCLE_MS + round(STALL_MS)  # between two cycles: the machine itself counts as stalled from there on
CYCLES = 1000  # of which the worst thousandth means something


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds at one moment."""

    at_s: float
    rss_kib: int
    descriptors: int
    threads: int


def main(argv: Sequence[str]) -> int:
    """0 when every figure with a reach holds."""
    parser = argparse.ArgumentParser(prog="python -m hil soak", description=__doc__)
    parser.add_argument(
        "--minutes",
        type=amount,
        default=10.0,
        help="default 10; memory is judged from an hour on, lateness from 17 minutes on",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    sheet.option(parser)
    args = parser.parse_args(argv)
    if sheet.refused(args):
        return 2
    return sheet.told(soak(60.0 * args.minutes), args, "soak", argv)


def soak(seconds: float) -> Report:
    """That long, with work to do."""
    stamps: list[int] = []
    with live() as backend, StallMeter() as meter, Progress("soak", seconds) as bar:
        backend.supervisor.heard = lambda state, at_ns: stamps.append(at_ns) if state == "WATCHDOG=1" else None
        held = _work(backend, seconds, bar)
        signals = backend.signals()
        starts, missing = backend.supervisor.starts, signals["agg.missing"]
        offset_s = time.time() - time.monotonic()  # stamps are the kernel's, by the wall; the meter's are not
        stalls = [(at_s + offset_s, ms) for at_s, ms in meter.read().stalls]
    return report(held, stamps, starts, missing if isinstance(missing, int) else None, seconds, stalls)


def _work(backend: ProcessBackend, seconds: float, bar: Progress) -> list[Held]:
    held: list[Held] = []
    began = time.monotonic()
    commanded = lost = began
    number = 0
    while (now := time.monotonic()) - began < seconds:
        if now - commanded >= COMMAND_S:
            commanded, number = now, number + 1
            power_w = (-4_000, 2_000, 5_000, 0)[number % 4]
            backend.aggregator(
                "dispatch", f"soak{number}", power_w=power_w, duration=15, start_in=None, primacy=1, ramp="direct"
            )
        if now - lost >= LOST_S:
            lost = now
            backend.broker(False)
            time.sleep(3.0)
            backend.broker(True)
        backend.signals()  # the wire's log is drained, as a long run must
        backend.happenings()
        pid = backend.supervisor.pid
        if pid is not None:
            with contextlib.suppress(OSError):
                held.append(look(pid, now - began, backend.supervisor.rss_kib() or 0))
        bar.to(now - began)
        time.sleep(SAMPLE_S)
    return held


def look(pid: int, at_s: float, rss_kib: int) -> Held:
    """From /proc. OSError when the process is gone."""
    process = Path(f"/proc/{pid}")
    return Held(at_s, rss_kib, sum(1 for _ in (process / "fd").iterdir()), sum(1 for _ in (process / "task").iterdir()))


def report(
    held: Sequence[Held],
    stamps: Sequence[int],
    starts: int,
    missing: int | None,
    seconds: float,
    stalls: Sequence[tuple[float, float]] = (),
) -> Report:
    """Second quarter against last: by then it has settled. `stalls`: (s at its end, ms) of the machine itself, by the
    clock of the stamps."""
    quarter = max(1, len(held) // 4)
    early, late = held[quarter : 2 * quarter] or held, held[-quarter:]
    span_s = max(1.0, late[0].at_s - early[0].at_s) if held else 1.0
    grown = median(h.rss_kib for h in late) - median(h.rss_kib for h in early)
    a_day = grown * 86_400 / span_s
    gaps = _gaps(stamps, stalls) or [float("nan")]
    judged = len(gaps) >= CYCLES
    long = seconds >= SHORTEST_S
    figures = [
        Figure(
            "memory grown a day, by its slope",
            round(a_day),
            "KiB",
            f"<= {GROWTH_KIB_A_DAY}" if long else None,
            {"KiB grown": round(grown), "in s": round(span_s), "RSS KiB": round(median(h.rss_kib for h in late))},
            "" if long else f"shorter than {SHORTEST_S} s: printed, not judged",
        ),
        Figure(
            "descriptors more than when it had settled",
            max(h.descriptors for h in late) - max(h.descriptors for h in early),
            "",
            "<= 0",
            {"open": late[-1].descriptors},
        ),
        Figure(
            "threads more than when it had settled",
            max(h.threads for h in late) - max(h.threads for h in early),
            "",
            "<= 0",
            {"running": late[-1].threads},
        ),
        Figure("starts", starts, "", "== 1"),
        Figure("records that never came", missing, "", "== 0"),
        Figure(
            "between two cycles, p99.9",
            round(percentile(gaps, 999), 1),
            "ms",
            f"<= {MOST_MS}" if judged else None,
            {"p50": round(median(gaps), 1), "most": round(max(gaps), 1), "cycles": len(stamps), "period": CYCLE_MS},
            "" if judged else f"fewer than {CYCLES} cycles: printed, not judged",
        ),
    ]
    if stalls:
        figures.append(Figure("stalls of the machine itself, of which no cycle is judged", len(stalls)))
    extra = {"commit": commit(), "daemon": installed_from()}
    return Report(f"soak of {seconds / 60:g} min", figures, extra=extra)


def _gaps(stamps: Sequence[int], stalls: Sequence[tuple[float, float]]) -> list[float]:
    """Milliseconds between cycles. Left out: those in which the machine stood still."""
    away = [(at_s * 1e9 - ms * 1e6, at_s * 1e9) for at_s, ms in stalls]
    pairs = itertools.pairwise(stamps)
    return [(b - a) / 1e6 for a, b in pairs if not any(begin < b and end > a for begin, end in away)]
