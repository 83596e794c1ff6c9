"""The line that `bench wire` measures on: a paced wire that enforces t3.5, and a slave with plenty of registers.

The slave answers within the silence and the turnaround that the wire keeps for it, so its own speed does not count.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

from hil.devices.ports import Line
from hil.devices.slave import ILLEGAL_ADDRESS, Image, Slave, Slaves, Written

UNIT, REGISTERS = 1, 400
WRITABLE = 350  # a register that takes any word and does nothing
WORDS = {  # register -> value: what wire_battery.toml makes a healthy battery of; the others read 0
    **dict(enumerate((600, 990, 5280, 10, 2500, 1000, 1000, 1, 1))),
    58: 0x1234,
    59: 1,
    **{100 + n: 3300 + n for n in range(16)},
    **{200 + n: 2930 + n for n in range(8)},
}


class StillWorld:
    """Nothing ever changes."""

    revision = 0

    def advance_to(self, now_ns: int) -> None:
        """There is no time in it."""

    def sync(self, now_ns: int) -> None:
        """There is no time in it."""


class BenchLine:
    """`link` is the master's end; `log` has every frame with its times."""

    def __init__(self, directory: Path, baud: int, fifo: int) -> None:
        directory.mkdir(parents=True)
        self.baud, self.fifo = baud, fifo
        self.link, self.log = directory / "line", directory / "wire.jsonl"
        slaves, control = directory / "slaves", directory / "control"
        command = [sys.executable, "-m", "hil.wire.paced", "--link", str(self.link), "--slave-link", str(slaves)]
        command += ["--baud", str(baud), "--fifo", str(fifo), "--slave-fifo", "256", "--strict", "--die-with-parent"]
        command += ["--log", str(self.log), "--control", str(control)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        json.loads(self._process.stdout.readline())
        self._fd = os.open(slaves, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._fd)
        self._stop_read, self._stop_write = os.pipe()
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(str(control))
        self._thread = threading.Thread(target=self._serve, name=f"slave-{baud}", daemon=True)
        self._thread.start()

    def noise(self, share: float) -> None:
        """Flip a bit in that share of all bytes from now on."""
        self._control.sendall(json.dumps({"do": "noise", "share": share}).encode() + b"\n")
        self._control.recv(4096)

    def close(self) -> None:
        """End slave and wire."""
        os.write(self._stop_write, b"x")
        self._thread.join()
        self._control.close()
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        for fd in (self._fd, self._stop_read, self._stop_write):
            os.close(fd)

    def _serve(self) -> None:
        line = Line(self._fd, Slaves([bench_slave()]))
        while True:
            ready, _, _ = select.select([self._fd, self._stop_read], [], [])
            if self._stop_read in ready or not line.readable():
                return


def bench_slave() -> Slave:
    """The battery that wire_battery.toml describes, at unit 1."""
    image = Image(0, REGISTERS)
    for address, word in WORDS.items():
        image.data[2 * address : 2 * address + 2] = word.to_bytes(2, "big")

    def write(address: int, words: tuple[int, ...], now_ns: int) -> Written:
        return Written(0 if (address, len(words)) == (WRITABLE, 1) else ILLEGAL_ADDRESS)

    return Slave(UNIT, StillWorld(), {3: [image]}, write=write)


@contextlib.contextmanager
def bench_line(directory: Path, baud: int, fifo: int) -> Iterator[BenchLine]:
    """A line for the time of the block."""
    line = BenchLine(directory, baud, fifo)
    try:
        yield line
    finally:
        line.close()
