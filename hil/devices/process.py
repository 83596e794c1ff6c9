"""The simulated home as a process in real time: three slaves behind a paced wire and, if asked, over TCP.

    python -m hil.devices.process --link /tmp/run/bus0 --control /tmp/run/home.sock --out /tmp/run --tcp 127.0.0.1:0

It starts `hil.wire.paced` as a process of its own (the pacing stays true while the plant computes), answers on the
slaves' end of it, and prints one JSON line on stdout when everything is up: {"ready": true, "link": ...,
"tcp": [host, port] or null, "wire_log": ..., "pid": ...}.

Control: JSON lines over a Unix socket, one answer each, {"ok": true, ...} or {"ok": false, "error": sentence}:
  {"do": OP, ...}          every operation of `hil.devices.world.World` (outage, mute, freeze, cut, noise, load, ...)
  {"do": "truth"}          {"truth": {...}} of `hil.plant.home.Truth`
  {"do": "signals"}        {"signals": {...}} by the names of hil.signals
  {"do": "writes", "since": N}   {"writes": [...], "next": M}: the register trace from entry N on
  {"do": "wire", "command": {...}}   passed to the wire
  {"do": "stop"}           as SIGTERM
In `--out`: truth.jsonl (every --truth-ms), writes.jsonl (each register write as it happens), wire.jsonl (each frame
with its times), wire-stats.json (at the end).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from hil.devices.ports import Line, TcpPeer
from hil.devices.world import World

TICK_NS = 100_000_000


class WireProcess:
    """`hil.wire.paced` as a child, and its control socket. Fulfils `hil.devices.world.WireControl`."""

    def __init__(self, link: Path, out: Path, extra: list[str]) -> None:
        self.slave_link = Path(f"{link}.slaves")
        self.log, self.stats = out / "wire.jsonl", out / "wire-stats.json"
        control = out / "wire.sock"
        command = [sys.executable, "-m", "hil.wire.paced"]
        command += ["--link", str(link), "--slave-link", str(self.slave_link), "--slave-fifo", "256"]
        command += [
            "--log",
            str(self.log),
            "--stats",
            str(self.stats),
            "--control",
            str(control),
            "--die-with-parent",
            *extra,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(control))
        self._socket.settimeout(5.0)
        self._file = self._socket.makefile("r")

    def tell(self, command: Mapping[str, object]) -> dict[str, object]:
        """One command, one answer."""
        self._socket.sendall(json.dumps(command).encode() + b"\n")
        answer = json.loads(self._file.readline())
        if not answer.pop("ok", False):
            raise ValueError(str(answer.get("error")))
        return dict(answer)

    def set_noise(self, share: float) -> None:
        """This share of bytes flips a bit."""
        self.tell({"do": "noise", "share": share})

    def set_cut(self, unit: int, on: bool) -> None:
        """The unit's own stub of the line is cut, or joined again."""
        self.tell({"do": "cut", "unit": unit, "on": on})

    def set_broken(self, on: bool) -> None:
        """The whole line is cut, or joined again."""
        self.tell({"do": "break", "on": on})

    def set_echo(self, on: bool) -> None:
        """The adapter hears its own words."""
        self.tell({"do": "echo", "on": on})

    def set_late(self, unit: int, ms: float) -> None:
        """That unit answers so much later."""
        self.tell({"do": "late", "unit": unit, "ms": ms})

    def set_stranger(self, every_ms: float) -> None:
        """Another master asks on this line every so often; 0 = it is gone."""
        self.tell({"do": "stranger", "every_ms": every_ms})

    def counters(self) -> dict[str, int]:
        """Since the start."""
        return {key: value for key, value in self.tell({"do": "stats"}).items() if isinstance(value, int)}

    def stop(self) -> None:
        """End it and wait until its files are written."""
        self.process.terminate()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Recorder:
    """truth.jsonl and writes.jsonl, line by line: what is written survives a SIGKILL of this process."""

    def __init__(self, world: World, out: Path, truth_ns: int) -> None:
        self._world = world
        self._truth: TextIO = (out / "truth.jsonl").open("a", buffering=1)
        self._writes: TextIO = (out / "writes.jsonl").open("a", buffering=1)
        self._truth_ns, self._due_ns, self._written = truth_ns, 0, 0

    def turn(self, now_ns: int) -> None:
        """Write what is new."""
        trace = self._world.slaves.trace
        while self._written < len(trace):
            self._writes.write(json.dumps(asdict(trace[self._written])) + "\n")
            self._written += 1
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + self._truth_ns
            self._world.home.advance_to(now_ns)
            self._truth.write(json.dumps(self._world.home.truth().as_dict()) + "\n")

    def close(self) -> None:
        """Write the rest."""
        self._due_ns = 0
        self.turn(time.monotonic_ns())
        self._truth.close()
        self._writes.close()


class HomeProcess:
    """One select loop over line, TCP, control and the plant's clock."""

    def __init__(self, options: argparse.Namespace) -> None:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        self.world = World(options.seed, json.loads(options.home), time.monotonic_ns())
        self.wire: WireProcess | None = None
        self.stopped = False
        self._selector = selectors.DefaultSelector()
        self._recorder = Recorder(self.world, out, options.truth_ms * 1_000_000)
        self.tcp_address: tuple[str, int] | None = None
        if options.link:
            self._open_line(options, out)
        if options.tcp:
            host, _, port = options.tcp.rpartition(":")
            listener = socket.create_server((host, int(port)))
            self.tcp_address = listener.getsockname()[:2]
            self._watch(listener, lambda: self._accept_tcp(listener))
        self.control_path = Path(options.control)
        self.control_path.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.bind(str(self.control_path))
        control.listen(8)
        self._watch(control, lambda: self._accept_control(control))
        gc.freeze()  # what is there now stays: the collector need not look at it between two replies
        self._wake = os.pipe()
        os.set_blocking(self._wake[1], False)
        self._watch(self._wake[0], lambda: os.read(self._wake[0], 64))

    def _open_line(self, options: argparse.Namespace, out: Path) -> None:
        extra = ["--baud", str(options.baud), "--seed", str(options.seed), "--strict"]
        extra += [
            "--fifo",
            str(options.fifo),
            "--latency",
            str(options.latency),
            "--turnaround",
            str(options.turnaround),
        ]
        self.wire = WireProcess(Path(options.link), out, extra)
        self.world.wire = self.wire
        fd = os.open(self.wire.slave_link, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        line = Line(fd, self.world.slaves)

        def readable() -> None:
            if not line.readable():
                print("the paced wire is gone; the home stops", file=sys.stderr)
                self.stop()

        self._watch(fd, readable)

    def _watch(self, source: int | socket.socket, fn: Callable[[], object]) -> None:
        self._selector.register(source, selectors.EVENT_READ, fn)

    def stop(self, *_: object) -> None:
        """From a signal handler or a command."""
        self.stopped = True
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"x")

    def run(self) -> None:
        """Until `stop`."""
        due = time.monotonic_ns()
        while not self.stopped:
            now = time.monotonic_ns()
            if now >= due:
                self.world.home.advance_to(now)
                due = now + TICK_NS
            self._recorder.turn(now)
            for key, _ in self._selector.select(max(due - time.monotonic_ns(), 0) / 1e9):
                key.data()

    def close(self) -> None:
        """Write what is left and take the sockets away."""
        if self.wire is not None:
            self.wire.stop()
        self._recorder.close()
        self.control_path.unlink(missing_ok=True)

    def _accept_tcp(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = TcpPeer(connection, self.world.slaves)

        def readable() -> None:
            if not peer.readable():
                self._forget(connection)

        self._watch(connection, readable)

    def _accept_control(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        buffer = bytearray()

        def readable() -> None:
            try:
                data = connection.recv(65_536)
                buffer.extend(data)
                while b"\n" in buffer:
                    line, _, rest = bytes(buffer).partition(b"\n")
                    buffer[:] = rest
                    connection.sendall(json.dumps(self.obey(line)).encode() + b"\n")
            except OSError:
                data = b""
            if not data:
                self._forget(connection)

        self._watch(connection, readable)

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()

    def obey(self, line: bytes) -> dict[str, object]:
        """One line of the control socket."""
        try:
            command = json.loads(line)
            op = command.pop("do")
            return {"ok": True, **self._do(str(op), command)}
        except (ValueError, KeyError, AttributeError, TypeError, OSError) as wrong:
            return {"ok": False, "error": f"{wrong}"}

    def _do(self, op: str, args: dict[str, object]) -> dict[str, object]:
        world, now = self.world, time.monotonic_ns()
        if op == "truth":
            world.home.advance_to(now)
            return {"truth": world.home.truth().as_dict()}
        if op == "signals":
            return {"signals": world.signals(now), "at_ns": now}
        if op == "writes":
            since = int(str(args.get("since", 0)))
            writes = world.slaves.trace[since:]
            return {"writes": [asdict(write) for write in writes], "next": since + len(writes)}
        if op == "wire":
            if self.wire is None:
                raise ValueError("this home is on no wire")
            return self.wire.tell(dict(args["command"]))  # type: ignore[call-overload]  # refused above if not a mapping
        if op == "stop":
            self.stop()
            return {}
        world.do(op, now, **args)  # type: ignore[arg-type]  # JSON gives nothing else, and `do` checks
        return {"at_ns": now}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.devices.process", description="the simulated home in real time"
    )
    parser.add_argument("--link", default="", help="name of the master's pty; none = no serial line")
    parser.add_argument("--tcp", default="", help="HOST:PORT for Modbus/TCP, port 0 = any free one")
    parser.add_argument("--control", required=True, help="Unix socket for JSON commands")
    parser.add_argument("--out", required=True, help="directory for traces")
    parser.add_argument("--home", default="{}", help='JSON of initial state, e.g. {"soc_permille": 305, "load_w": 800}')
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--baud", type=int, default=19_200)
    parser.add_argument("--fifo", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--turnaround", type=float, default=2.0)
    parser.add_argument("--truth-ms", type=int, default=250)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or {"do": "stop"}."""
    options = arguments().parse_args(argv)
    if not options.link and not options.tcp:
        print("give --link or --tcp: a home that nobody can reach is of no use", file=sys.stderr)
        return 2
    process = HomeProcess(options)
    signal.signal(signal.SIGTERM, process.stop)
    signal.signal(signal.SIGINT, process.stop)
    ready = {
        "ready": True,
        "link": options.link or None,
        "tcp": process.tcp_address,
        "wire_log": str(process.wire.log) if process.wire else None,
        "sched_fifo": process.wire.ready["sched_fifo"] if process.wire else None,
        "pid": os.getpid(),
    }
    print(json.dumps(ready), flush=True)
    try:
        process.run()
    finally:
        process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
