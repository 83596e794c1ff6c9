"""A real RS-485 line between two ptys: every byte takes its time, one sender at a time, absolute deadlines.

    python -m hil.wire.paced --link /tmp/bus0 --slave-link /tmp/bus0.slaves --baud 19200

The master opens `--link`, the slaves (one process that answers for all units) open `--slave-link`. Standard library and
three modules beside this one, nothing else of the project: it must not share a mistake with what it measures.
SCHED_FIFO and 1 ns timer slack where the kernel permits. Times are CLOCK_MONOTONIC nanoseconds, the same in every
process of the machine.

`--log FILE` gets one JSON object a frame: {"from": "master"|"slave", "t0": first byte begins, "t1": last byte complete,
"hex": as sent, "note": what befell it}. Lines are written while the line is quiet, at the latest 50 ms after the frame.
`--control SOCKET` takes JSON lines and answers each with one: {"do": "noise", "share": 0.001}, {"do": "drop",
"share": 0}, {"do": "cut", "unit": 1, "on": true}, {"do": "break", "on": true}, {"do": "plug", "on": false},
{"do": "echo", "on": true}, {"do": "late", "unit": 1, "ms": 600}, {"do": "stranger", "every_ms": 700}, {"do": "stats"}.
SIGTERM ends it; `--stats FILE` then holds its counters and what pacing error it saw of itself.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from hil.wire.line import Wire, now_ns


class Control:
    """JSON lines over a Unix socket, served between bytes."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(4)
        self.listener.setblocking(False)
        self.peers: dict[socket.socket, bytearray] = {}

    def serve(self, ready: list[int | socket.socket], wire: Wire) -> None:
        """Answer everything that is complete."""
        if self.listener in ready:
            peer, _ = self.listener.accept()
            peer.setblocking(False)
            self.peers[peer] = bytearray()
        for peer in [peer for peer in self.peers if peer in ready]:
            try:
                data = peer.recv(4096)
                self.peers[peer] += data
                *lines, rest = self.peers[peer].split(b"\n")
                self.peers[peer] = rest
                for line in lines:
                    peer.sendall(json.dumps(wire.obey(line)).encode() + b"\n")
            except OSError:
                data = b""
            if not data:
                peer.close()
                del self.peers[peer]


def be_punctual() -> bool:
    """Timer slack of 1 ns and, where permitted, SCHED_FIFO; whether the latter took."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    except OSError:
        return False
    return True


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.wire.paced", description="a paced RS-485 line between two ptys"
    )
    parser.add_argument("--link", required=True, help="name of the master's pty")
    parser.add_argument("--slave-link", required=True, help="name of the slaves' pty")
    parser.add_argument("--baud", type=int, default=19_200)
    parser.add_argument("--bits", type=int, default=10, help="bits a character: 10 for 8N1, 11 for 8E1 and 8N2")
    parser.add_argument("--turnaround", type=float, default=2.0, help="ms that a slave thinks beyond t3.5")
    parser.add_argument("--fifo", type=int, default=1, help="bytes that the master's UART hands over at once")
    parser.add_argument("--slave-fifo", type=int, default=1, help="the same for the slaves; 256 = whole frames")
    parser.add_argument("--latency", type=float, default=0.0, help="ms of the USB adapter's latency timer, 0 = none")
    parser.add_argument("--noise", type=float, default=0.0, help="share of bytes that flip a bit")
    parser.add_argument("--drop", type=float, default=0.0, help="share of frames that are lost")
    parser.add_argument("--echo", action="store_true", help="the master hears itself")
    parser.add_argument("--strict", action="store_true", help="slaves do not understand a request inside t3.5")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", default="", help="file that gets one JSON object a frame")
    parser.add_argument("--control", default="", help="Unix socket for JSON commands")
    parser.add_argument("--stats", default="", help="file that gets the counters at the end")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started this ends")
    parser.add_argument("--plain-scheduling", action="store_true", help="do not ask for SCHED_FIFO")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    options = arguments().parse_args(argv)
    wire = Wire(options)
    control = Control(options.control) if options.control else None
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        os.write(wake_write, b"x")  # Python retries select after a signal: it needs a reason to return

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if options.die_with_parent:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
    fifo = False if options.plain_scheduling else be_punctual()
    print(json.dumps({"ready": True, "sched_fifo": fifo}), flush=True)
    while not stopped:
        timeout = wire.turn()
        sources: list[int | socket.socket] = [wire.slaves.fd, wake_read]
        if wire.plugged:
            sources += [wire.master.fd, wire.master.owner.fd]
        if control is not None:
            sources += [control.listener, *control.peers]
        ready, _, _ = select.select(sources, [], [], timeout)
        now = now_ns()
        if wire.plugged and wire.master.fd in ready and (data := wire.master.read()):
            wire.from_master(data, now)
        if wire.plugged and wire.master.owner.fd in ready:
            wire.master.owner.release()
        if wire.slaves.fd in ready and (data := wire.slaves.read()):
            wire.from_slaves(data, now)
        if control is not None and ready:
            control.serve(ready, wire)
    wire.write_log(now_ns())
    if options.stats:
        Path(options.stats).write_text(json.dumps({**wire.summary(), "sched_fifo": fifo}) + "\n")
    wire.plug(False)
    wire.slaves.close()
    if control is not None:
        control.path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
