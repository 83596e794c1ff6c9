"""Lateness of ticks is arithmetic over stamps: worked out by hand here, whatever the machine does."""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

import pytest

from hil.bench.tick import PERIOD_NS, lateness_ms, phase_ns
from hil.supervisor import Supervisor

MS = 1_000_000


def test_ticks_in_step_are_not_late() -> None:
    stamps = [7 * MS + k * PERIOD_NS for k in range(50)]
    assert phase_ns(stamps, PERIOD_NS) == 7 * MS
    assert lateness_ms(stamps) == [0.0] * 49


def test_each_delay_is_found_at_its_own_tick() -> None:
    delays = [0] * 100
    delays[10], delays[20], delays[30] = 3 * MS, 40 * MS, 99 * MS
    late = lateness_ms([k * PERIOD_NS + 5 * MS + delay for k, delay in enumerate(delays)])
    assert [(i + 1, ms) for i, ms in enumerate(late) if ms] == [(10, 3.0), (20, 40.0), (30, 99.0)]


def test_a_tick_that_never_came_is_as_late_as_the_next_one() -> None:
    stamps = [k * PERIOD_NS for k in range(40) if k not in (20, 21)]
    assert [ms for ms in lateness_ms(stamps) if ms] == [200.0, 100.0]


def test_cycles_between_ticks_do_not_move_the_phase() -> None:
    rng = random.Random(3)
    ticks = [k * PERIOD_NS + 30 * MS + rng.randrange(MS) for k in range(400)]
    woken = [rng.randrange(400 * PERIOD_NS) for _ in range(30)]
    assert max(lateness_ms(sorted(ticks + woken))) < 1.0


def test_a_phase_that_begins_at_the_end_of_the_period() -> None:
    stamps = [k * PERIOD_NS - 2 * MS + (k % 4) * MS for k in range(1, 60)]
    assert phase_ns(stamps, PERIOD_NS) == PERIOD_NS - 2 * MS
    assert max(lateness_ms(stamps)) == pytest.approx(3.0)


@pytest.mark.slow
def test_the_kernel_stamps_what_the_program_told(tmp_path: Path) -> None:
    program = (
        "import os, socket, time\n"
        "out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "out.connect(os.environ['NOTIFY_SOCKET'])\n"
        "out.send(b'READY=1')\n"
        "time.sleep(60)\n"
    )
    heard: list[tuple[str, int]] = []
    told = threading.Event()
    supervisor = Supervisor([sys.executable, "-c", program], tmp_path / "run", restart_s=0.01)

    def hear(state: str, at_ns: int) -> None:
        heard.append((state, at_ns))
        told.set()

    supervisor.heard = hear
    began_ns = time.time_ns()
    with supervisor:
        assert told.wait(20.0)
    state, at_ns = heard[0]
    assert state == "READY=1"
    assert began_ns < at_ns < time.time_ns()
