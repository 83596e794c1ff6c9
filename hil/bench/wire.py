"""`bench wire`: the port of the live daemon against what the wire allows, and against libmodbus in C.

The daemon polls 60 registers back to back on a paced wire that ignores whoever breaks the silence of 3.5 characters.
Daemon and libmodbus take turns on the same line, and the line's own log is what is measured; CPU is that of the one
thread that owns the line, against the process of the loop in C. What the wire itself is worth is measured first.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.bench import behind, libmodbus
from hil.bench.behind import Wait
from hil.bench.wire_daemon import BUS, WireBackend, thread_cpu_ns, wire_backend
from hil.bench.wire_line import BenchLine, bench_line
from hil.bench.wire_log import Traffic, frames, limit_ns, t35_ns, traffic
from hil.figures import Figure, Report, Scalar
from hil.program import installed_from
from hil.progress import Progress
from hil.rounds import MIN_ROUNDS, interleave, median, percentile
from hil.wire.accuracy import measure

REGISTERS = 60
OF_LIMIT: Mapping[int, float] = {9_600: 0.99, 19_200: 0.985, 115_200: 0.97}
OF_LIBMODBUS, GOODPUT, CPU = 0.98, 0.85, 1.0
FIFO = 8  # bytes that the adapter's UART hands over at once
NOISE, NOISE_BAUD, NOISE_SECONDS = 5e-4, 115_200, 10.0
SECONDS: Mapping[int, float] = {9_600: 8.0, 19_200: 6.0, 115_200: 5.0}
SETTLE_S = 0.7  # after the daemon is up, or a line has changed hands
ORDER_BAUD, ORDERS = 19_200, 100
TIMEOUT_MS = 60  # response_ms of wire_battery.toml, for both
ACCURACY_PERCENT = 3
PEERS = ("libmodbus with a guard",)  # measured in the same run, in the same unit
ACCURACY = ((9_600, 1, 12), (19_200, 1, 24), (115_200, FIFO, 100))  # baud, UART fifo, frames a round


@dataclass(frozen=True, slots=True)
class Side:
    """One side in one round. CPU of its port thread or process, per transaction."""

    traffic: Traffic
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Round:
    """Both sides on the same line, one after the other."""

    ours: Side
    peer: Side


def run(args: argparse.Namespace) -> Report:
    """All of docs/design.md §9 that the wire decides."""
    rounds = max(MIN_ROUNDS, args.rounds)
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        peer = libmodbus.build_or_exit(Path(folder))
        figures = accuracy(rounds)
        with wire_backend() as backend, Progress("wire", rounds * (len(OF_LIMIT) + 2) + 1) as bar:
            bench = Bench(backend, peer, Path(folder), bar)
            clean = {baud: bench.rounds(baud, FIFO, rounds) for baud in OF_LIMIT}
            single = bench.rounds(9_600, 1, rounds)
            noisy, unguarded = bench.noisy(rounds), bench.unguarded()
        with bench_line(Path(folder) / "behind", ORDER_BAUD, FIFO) as line:
            orders = behind.measure(line, ORDERS, args.seed)
    for baud, seen in clean.items():
        figures += cycle_figures(baud, seen)
    every = [seen.ours.traffic for group in (*clean.values(), single, noisy) for seen in group]
    figures += [
        violation_figure(every, unguarded),
        goodput_figure(noisy),
        order_figure(orders),
        cpu_figure(f"port thread CPU at 9600 baud, {FIFO} bytes at a time", clean[9_600]),
        cpu_figure("port thread CPU at 9600 baud, byte by byte", single),
        Figure("program", installed_from()),
    ]
    return Report("the live daemon's port on a paced wire", figures)


class Bench:
    """Runs both sides on lines of their own making."""

    def __init__(self, backend: WireBackend, peer: Path, folder: Path, bar: Progress) -> None:
        self._backend, self._peer, self._folder, self._bar = backend, peer, folder, bar

    def rounds(self, baud: int, fifo: int, rounds: int) -> list[Round]:
        """On one clean line."""
        with bench_line(self._folder / f"{baud}-{fifo}", baud, fifo) as line:
            return [self._round(line, SECONDS[baud]) for _ in range(rounds)]

    def noisy(self, rounds: int) -> list[Round]:
        """On a line that hits bytes; longer, because chance decides."""
        with bench_line(self._folder / "noisy", NOISE_BAUD, FIFO) as line:
            return [self._round(line, NOISE_SECONDS, NOISE) for _ in range(rounds)]

    def unguarded(self) -> Traffic:
        """libmodbus left alone: what the line does to who keeps no silence."""
        with bench_line(self._folder / "unguarded", NOISE_BAUD, FIFO) as line:
            self._bar.step("libmodbus without a guard")
            return self._libmodbus(line, 2.0, guard_ns=0).traffic

    def _round(self, line: BenchLine, seconds: float, noise: float = 0.0) -> Round:
        self._bar.step(f"{line.baud} baud")
        ours = self._daemon(line, seconds, noise)
        line.noise(noise)
        peer = self._libmodbus(line, seconds, guard_ns=t35_ns(line.baud))
        line.noise(0.0)
        return Round(ours, peer)

    def _daemon(self, line: BenchLine, seconds: float, noise: float) -> Side:
        with self._backend.run_on(line.link, line.baud) as pid:
            line.noise(noise)
            time.sleep(SETTLE_S)
            begin_ns, cpu_ns = time.monotonic_ns(), thread_cpu_ns(pid, f"bus:{BUS}")
            time.sleep(seconds)
            cpu_ns, end_ns = thread_cpu_ns(pid, f"bus:{BUS}") - cpu_ns, time.monotonic_ns()
            line.noise(0.0)
        seen = traffic(frames(line.log, begin_ns, end_ns))
        return Side(seen, cpu_ns / seen.requests / 1e3)

    def _libmodbus(self, line: BenchLine, seconds: float, guard_ns: int) -> Side:
        time.sleep(SETTLE_S)
        ran = libmodbus.run(self._peer, line.link, line.baud, REGISTERS, guard_ns, seconds, TIMEOUT_MS)
        time.sleep(SETTLE_S)
        return Side(traffic(frames(line.log, ran.begin_ns, ran.end_ns)), ran.cpu_ns / ran.reads / 1e3)


def cycle_figures(baud: int, rounds: Sequence[Round]) -> list[Figure]:
    """Cycle against the limit, and against the peer of the same round."""
    limit = limit_ns(baud, REGISTERS)
    ours = median([limit / seen.ours.traffic.cycle_ns for seen in rounds])
    peer = median([limit / seen.peer.traffic.cycle_ns for seen in rounds])
    ratio = median([seen.peer.traffic.cycle_ns / seen.ours.traffic.cycle_ns for seen in rounds])
    beside = {
        "libmodbus with a guard": round(peer, 4),
        "limit ms": round(limit / 1e6, 2),
        "n": sum(seen.ours.traffic.requests for seen in rounds),
    }
    return [
        Figure(f"wire limit / cycle at {baud} baud", round(ours, 4), "", f">= {OF_LIMIT[baud]}", beside, peers=PEERS),
        Figure(f"cycle of libmodbus with a guard / cycle at {baud} baud", round(ratio, 4), "", f">= {OF_LIBMODBUS}"),
    ]


def violation_figure(ours: Sequence[Traffic], unguarded: Traffic) -> Figure:
    """Requests inside t3.5 or into a reply, on every line of this run."""
    beside: dict[str, Scalar] = {
        "requests": sum(seen.requests for seen in ours),
        "libmodbus without a guard": f"{unguarded.violations} of {unguarded.requests}",
    }
    return Figure(
        "requests that broke the silence of 3.5 characters", sum(v.violations for v in ours), "", "== 0", beside
    )


def goodput_figure(rounds: Sequence[Round]) -> Figure:
    """Good transactions of the noisy line against the clean limit."""
    limit = limit_ns(NOISE_BAUD, REGISTERS)
    size = 13 + 2 * REGISTERS
    beside = {
        "libmodbus with a guard": round(median([seen.peer.traffic.goodput(limit) for seen in rounds]), 3),
        "unhurt exchanges": round((1 - NOISE) ** size, 3),
        "n": sum(seen.ours.traffic.requests for seen in rounds),
    }
    value = round(median([seen.ours.traffic.goodput(limit) for seen in rounds]), 3)
    name = f"goodput at {NOISE:g} byte errors, {NOISE_BAUD} baud"
    return Figure(name, value, "", f">= {GOODPUT}", beside, peers=(*PEERS, "unhurt exchanges"))


def cpu_figure(name: str, rounds: Sequence[Round]) -> Figure:
    """Per transaction, against the peer of the same round."""
    ratio = median([seen.ours.cpu_us / seen.peer.cpu_us for seen in rounds])
    beside = {
        "us a transaction": round(median([seen.ours.cpu_us for seen in rounds])),
        "libmodbus with a guard": round(median([seen.peer.cpu_us for seen in rounds])),
    }
    return Figure(f"{name} / libmodbus with a guard", round(ratio, 2), "", f"<= {CPU:g}", beside)


def order_figure(orders: Sequence[Wait]) -> Figure:
    """What began between an order and its write, and how long that took."""
    waited = [order.ms for order in orders]
    beside: dict[str, Scalar] = {
        "p50 ms": round(percentile(waited, 500), 1),
        "p99 ms": round(percentile(waited, 990), 1),
        "one poll ms": round(limit_ns(ORDER_BAUD, REGISTERS) / 1e6, 1),
        "n": len(orders),
    }
    most = max(order.overtaken for order in orders)
    return Figure(f"polls that overtook an order at {ORDER_BAUD} baud, most", most, "", "== 0", beside)


def accuracy(rounds: int) -> list[Figure]:
    """Median frame error of each line, medians over interleaved rounds: the bench must not lie about time."""
    sides = {f"{baud}": _Accuracy(baud, fifo, frames) for baud, fifo, frames in ACCURACY}
    errors = interleave(sides, rounds, title="accuracy")
    return [
        Figure(f"median frame error of the paced wire at {baud} baud", round(abs(median(values)), 3), "%", _WITHIN)
        for baud, values in errors.items()
    ]


_WITHIN = f"<= {ACCURACY_PERCENT}"


class _Accuracy:
    def __init__(self, baud: int, fifo: int, frames: int) -> None:
        self._line = (baud, fifo, frames)

    def __call__(self) -> float:
        """Percent."""
        return 100 * measure(*self._line).p50
