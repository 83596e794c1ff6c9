"""The peer of `bench wire`: a loop in C on Debian's libmodbus, built when it is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hil.talk import say

SOURCE = Path(__file__).with_name("guarded.c")
INSTALL = "scripts/libmodbus.sh installs it: apt-get install --no-install-recommends gcc libc6-dev libmodbus-dev"


class NoPeer(RuntimeError):
    """The peer cannot be built here; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of the loop. CPU of its own process; both moments on CLOCK_MONOTONIC."""

    reads: int
    failed: int
    cpu_ns: int
    begin_ns: int
    end_ns: int


def build_or_exit(directory: Path) -> Path:
    """The program. One sentence and exit 2 if it cannot be built."""
    try:
        return build(directory)
    except NoPeer as missing:
        say(str(missing))
        raise SystemExit(2) from None


def build(directory: Path) -> Path:
    """The program. NoPeer if there is no compiler or no libmodbus."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoPeer(f"there is no C compiler to build the libmodbus loop with; {INSTALL}")
    program = directory / "guarded"
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-Werror", "-o", str(program), str(SOURCE), "-lmodbus"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoPeer(f"the libmodbus loop does not build: {_first_line(done.stderr)}; {INSTALL}")
    return program


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "the compiler does not say why")


def run(program: Path, device: Path, baud: int, registers: int, guard_ns: int, seconds: float, timeout_ms: int) -> Ran:
    """Read for so long. RuntimeError with its own words when it fails."""
    command = [str(program), str(device), str(baud), str(registers), str(guard_ns), str(seconds), str(timeout_ms)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 30)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return Ran(**json.loads(done.stdout))
