"""The wire bench's own arithmetic, and that its line does catch who breaks the silence."""

from __future__ import annotations

import json
import os
import select
import time
import tty
from pathlib import Path

import pytest

from drivers.port import Timing
from drivers.profile import load
from hil.bench import libmodbus
from hil.bench.behind import Wait, measure, waits
from hil.bench.wire import Round, Side, cpu_figure, cycle_figures, goodput_figure, order_figure, violation_figure
from hil.bench.wire_daemon import PROFILE, thread_cpu_ns
from hil.bench.wire_line import bench_line, bench_slave
from hil.bench.wire_log import Frame, Traffic, frames, limit_ns, t35_ns, traffic
from hil.devices.slave import Slaves, seal
from hil.figures import Figure

MS = 1_000_000


def exchange(t0_ms: int, request: str = "", reply: str | None = "") -> list[Frame]:
    """A request of 8 ms, and after 2 ms a reply of 50 ms unless it is None."""
    asked = Frame("master", t0_ms * MS, (t0_ms + 8) * MS, request)
    return [asked] if reply is None else [asked, Frame("slave", (t0_ms + 10) * MS, (t0_ms + 60) * MS, reply)]


@pytest.mark.parametrize("baud", [9_600, 19_200, 115_200])
def test_the_limit_is_what_the_bytes_take(baud: int) -> None:
    timing = Timing.serial(baud, 10, 0)
    assert t35_ns(baud) == pytest.approx(timing.t35_ns, abs=4)
    assert limit_ns(baud, 60) == pytest.approx(133 * timing.char_ns + 2 * timing.t35_ns + 2 * MS, rel=1e-4)


def test_traffic_of_a_window() -> None:
    seen = [
        *exchange(0),
        *exchange(100),
        *exchange(200, reply="noise"),
        *exchange(300, request="noise", reply=None),
        *exchange(420, request="inside t3.5", reply=None),
        *exchange(520, request="collision"),
        *exchange(620),  # its end is not in the window
    ]
    assert traffic(seen) == Traffic(7, 2, 2, 100.0 * MS, 620 * MS)
    assert traffic(seen).goodput(62.0 * MS) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="1 requests on the wire"):
        traffic(exchange(0))


def test_the_log_is_read_by_its_times(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rows = [{"from": "master", "t0": t0, "t1": t0 + 5, "hex": "00"} for t0 in (10, 20, 30)]
    log.write_text("\n".join(json.dumps(row) for row in [*rows[:2], {**rows[2], "note": "noise"}]) + "\n")
    assert frames(log, 20, 31) == [Frame("master", 20, 25, ""), Frame("master", 30, 35, "noise")]
    assert frames(log, 10, 30) == [Frame("master", 10, 15, ""), Frame("master", 20, 25, "")]


def side(cycle_ms: float, cpu_us: float = 1.0) -> Side:
    return Side(Traffic(10, 9, 0, cycle_ms * MS, round(9 * cycle_ms * MS)), cpu_us)


def test_cycles_are_compared_within_a_round() -> None:
    limit_ms = limit_ns(9_600, 60) / MS
    slow_minute = Round(side(2 * limit_ms), side(2 * limit_ms))
    rounds = [slow_minute, Round(side(limit_ms / 0.98), side(limit_ms / 0.99)), Round(side(limit_ms), side(limit_ms))]
    ours, ratio = cycle_figures(9_600, rounds)
    assert (ours.value, ours.holds, ours.beside["n"]) == (0.98, False, 30)
    assert (ratio.value, ratio.holds) == (1.0, True)


def test_cpu_goodput_and_violations_have_a_reach() -> None:
    rounds = [Round(side(1, 300), side(1, peer)) for peer in (100, 400, 600)]
    cpu = cpu_figure("CPU", rounds)
    assert (cpu.value, cpu.holds) == (0.75, True)
    full = limit_ns(115_200, 60) / MS
    assert goodput_figure([Round(side(full), side(full))]).value == 1.0
    assert not goodput_figure([Round(side(full / 0.8), side(full))]).holds
    clean, broken = Traffic(10, 10, 0, 1.0, 9), Traffic(10, 5, 5, 1.0, 9)
    assert violation_figure([clean, clean], broken).holds
    missed = violation_figure([clean, broken], broken)
    assert (missed.value, missed.holds, missed.beside["requests"]) == (5, False, 20)
    assert isinstance(missed, Figure)


def test_an_order_is_behind_what_began_after_it_was_known() -> None:
    seen = [
        Frame("master", 0, 8 * MS, "", 3),
        Frame("slave", 10 * MS, 60 * MS, "", 3),
        Frame("master", 64 * MS, 72 * MS, "", 6),
        Frame("slave", 74 * MS, 82 * MS, "", 6),
        Frame("master", 101 * MS, 108 * MS, "", 3),  # the thread was about to send it when the order came
        Frame("slave", 110 * MS, 160 * MS, "", 3),
        Frame("master", 164 * MS, 172 * MS, "", 3),
        Frame("slave", 174 * MS, 224 * MS, "", 3),
        Frame("master", 264 * MS, 272 * MS, "", 6),
    ]
    assert waits([20 * MS, 100 * MS], seen) == [Wait(44.0, 1), Wait(164.0, 2)]
    assert waits([62 * MS, 130 * MS], seen) == [Wait(2.0, 0), Wait(134.0, 2)]
    assert waits([20 * MS, 230 * MS], seen) == [Wait(44.0, 1), Wait(34.0, 0)]
    assert not order_figure(waits([20 * MS, 100 * MS], seen)).holds
    assert order_figure(waits([20 * MS, 230 * MS], seen)).holds
    with pytest.raises(RuntimeError, match="1 orders, 2 writes"):
        waits([20 * MS], seen)


@pytest.mark.slow
def test_orders_pass_the_polls_of_a_busy_line(tmp_path: Path) -> None:
    with bench_line(tmp_path / "line", 115_200, 8) as line:
        waited = measure(line, 3, 1)
    assert len(waited) == 3
    assert all(order.ms > 0 for order in waited)


def test_the_daemon_is_given_reads_of_60_registers_that_the_slave_answers() -> None:
    profile = load(PROFILE.stem, PROFILE.parent)
    slaves = Slaves([bench_slave()])
    for block in profile.blocks:
        assert block.read is not None
        function, start, count = block.read
        assert (function, count) == (3, 60)
        reply = slaves.rtu(seal(bytes((1, function)) + start.to_bytes(2, "big") + count.to_bytes(2, "big")), 0)
        assert reply is not None
        assert len(reply) == 125


def test_without_libmodbus_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        libmodbus.build_or_exit(tmp_path)
    assert ended.value.code == 2
    assert "scripts/libmodbus.sh" in capsys.readouterr().err


def test_a_thread_is_found_by_the_name_that_the_kernel_keeps() -> None:
    own = Path("/proc/self/task") / str(os.getpid()) / "comm"
    assert thread_cpu_ns(os.getpid(), own.read_text().strip()) > 0


@pytest.mark.slow
def test_the_line_counts_and_ignores_a_request_inside_the_silence(tmp_path: Path) -> None:
    request = seal(bytes((1, 3, 0, 0, 0, 1)))
    with bench_line(tmp_path / "line", 300, 1) as line:  # t3.5 = 117 ms: any process is quick enough to break it
        fd = os.open(line.link, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        assert ask(fd, request) == seal(bytes((1, 3, 2, 600 >> 8, 600 & 255)))
        assert ask(fd, request, wait_s=1.5) == b""
        assert ask(fd, request) != b""
        os.close(fd)
    seen = traffic(frames(line.log, 0, time.monotonic_ns()))
    assert (seen.requests, seen.violations, seen.good) == (3, 1, 1)


@pytest.mark.slow
def test_libmodbus_keeps_the_silence_only_when_it_is_told_to(tmp_path: Path) -> None:
    program = libmodbus.build_or_exit(tmp_path)
    with bench_line(tmp_path / "line", 9_600, 8) as line:
        guarded = libmodbus.run(program, line.link, 9_600, 2, t35_ns(9_600), 0.5, 100)
        left_alone = libmodbus.run(program, line.link, 9_600, 2, 0, 0.5, 100)
    assert (guarded.failed, traffic(frames(line.log, guarded.begin_ns, guarded.end_ns)).violations) == (0, 0)
    assert traffic(frames(line.log, left_alone.begin_ns, left_alone.end_ns)).violations > 0


def ask(fd: int, request: bytes, wait_s: float = 5.0) -> bytes:
    """What answers until 7 bytes are there or nothing came for so long."""
    os.write(fd, request)
    data = b""
    while len(data) < 7 and select.select([fd], [], [], wait_s)[0]:
        data += os.read(fd, 7 - len(data))
    return data
