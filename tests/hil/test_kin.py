"""A bench that is killed with -9 leaves nothing behind."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from hil.kin import kin

ROOT = Path(__file__).parents[2]
BENCH = """
import subprocess, sys
from hil.kin import kin
child = subprocess.Popen(kin(["sleep", "600"], sys.argv[1]), start_new_session=True)
print(child.pid, flush=True)
sys.stdin.read()
"""
PARENT_TELLS = {"hil/devices/process.py"}  # --die-with-parent
RUNS_BESIDE = {"hil/wire/accuracy.py"}  # a figure of seconds, inside a `with`


@pytest.mark.parametrize("number", ["KILL", "TERM"])
def test_a_child_ends_with_the_bench_however_that_ends(number: str) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-c", BENCH, number], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert bench.stdout is not None
    with bench:
        child = int(bench.stdout.readline())
        ended = os.pidfd_open(child)
        try:
            assert not select.select([ended], [], [], 0)[0]
            bench.kill()
            bench.wait()
            assert select.select([ended], [], [], 30)[0], f"process {child} lives on"
        finally:
            os.close(ended)


def test_the_process_is_the_command_s_own() -> None:
    child = subprocess.Popen(kin([sys.executable, "-c", "import os; print(os.getpid())"]), stdout=subprocess.PIPE)
    out, _ = child.communicate()
    assert int(out) == child.pid


def test_whatever_the_bench_starts_and_leaves_running_ends_with_it() -> None:
    """All but hil/bench, whose figures start processes for seconds."""
    starts = re.compile(r"subprocess\.Popen\(\s*(\S+)")
    loose = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "hil").rglob("*.py")
        if any(not first.startswith("kin(") for first in starts.findall(path.read_text(encoding="utf-8")))
    }
    loose = {name for name in loose if not name.startswith("hil/bench/")}
    assert loose == PARENT_TELLS | RUNS_BESIDE
