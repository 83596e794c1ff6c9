"""The real wire: what befalls frames on it, seen from both ends and from its own log."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

REQUEST = bytes.fromhex("010410050001250b")
REPLY = bytes.fromhex("01040201f4b927")
BYTE_NS = 10 * 1_000_000_000 // 19_200


class Ends:
    """A wire process with both its ends open."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        near, far, control = folder / "near", folder / "far", folder / "control"
        command = [sys.executable, "-m", "hil.wire.paced", "--link", str(near), "--slave-link", str(far)]
        command += ["--slave-fifo", "256", "--log", str(self.log), "--control", str(control)]
        command += ["--stats", str(folder / "stats"), *extra]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline())["ready"] is True
        self.near, self.far = self.open(near), self.open(far)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(control))
        self.file = self.socket.makefile("r")

    @staticmethod
    def open(path: Path) -> int:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        return fd

    def tell(self, **command: object) -> dict[str, Any]:
        self.socket.sendall(json.dumps(command).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self.file.readline())
        return answer

    def heard(self, fd: int, count: int, wait_s: float = 1.0) -> bytes:
        """Up to `count` bytes; fewer if none come for `wait_s`."""
        data = b""
        while len(data) < count and select.select([fd], [], [], wait_s)[0]:
            data += os.read(fd, count - len(data))
        return data

    def exchange(self) -> tuple[bytes, bytes]:
        """One request and its reply: what the slave heard, what the master heard."""
        os.write(self.near, REQUEST)
        heard = self.heard(self.far, len(REQUEST), 0.2)
        if not heard:
            return b"", b""
        os.write(self.far, REPLY)
        return heard, self.heard(self.near, len(REPLY), 0.2)

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> dict[str, Any]:
        self.file.close()
        self.socket.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(5) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.near)
        os.close(self.far)
        stats: dict[str, Any] = json.loads((self.folder / "stats").read_text())
        return stats


Open = Callable[..., Ends]


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Open]:
    made: list[Ends] = []

    def make(*extra: str) -> Ends:
        made.append(Ends(tmp_path, *extra))
        return made[-1]

    yield make
    for ends in made:
        if ends.process.poll() is None:
            ends.stop()


def test_bytes_pass_and_the_log_has_their_times(wire: Open) -> None:
    ends = wire()
    before = time.monotonic_ns()
    assert ends.exchange() == (REQUEST, REPLY)
    after = time.monotonic_ns()
    stats = ends.stop()
    request, reply = ends.frames()
    assert (request["hex"], reply["hex"]) == (REQUEST.hex(), REPLY.hex())
    assert before < request["t0"] < request["t1"] < reply["t0"] < reply["t1"] < after
    assert request["t1"] - request["t0"] == 8 * BYTE_NS
    assert reply["t1"] - reply["t0"] == 7 * BYTE_NS
    assert reply["t0"] >= request["t1"] + 3.5 * BYTE_NS + 2_000_000 - 2
    assert (stats["requests"], stats["replies"], stats["violations"]) == (1, 1, 0)
    assert not (ends.folder / "near").exists()


def test_a_strict_line_loses_a_request_inside_t35(wire: Open) -> None:
    ends = wire("--strict", "--baud", "150", "--turnaround", "0")  # t3.5 = 233 ms: any process is quick enough
    os.write(ends.near, REQUEST)
    assert ends.heard(ends.far, 8) == REQUEST
    os.write(ends.far, REPLY)
    assert ends.heard(ends.near, 7) == REPLY
    os.write(ends.near, REQUEST)
    assert ends.heard(ends.far, 8, 0.9) == b""
    assert ends.stop()["violations"] == 1
    assert [frame.get("note") for frame in ends.frames()] == [None, None, "inside t3.5"]


def test_a_request_into_a_reply_is_a_collision(wire: Open) -> None:
    ends = wire("--baud", "300", "--turnaround", "0")
    os.write(ends.near, REQUEST)
    assert ends.heard(ends.far, 8) == REQUEST
    os.write(ends.far, REPLY)
    first = ends.heard(ends.near, 1)
    os.write(ends.near, REQUEST)
    rest = ends.heard(ends.near, 6, 0.3)
    assert first == REPLY[:1]
    assert rest != REPLY[1:]
    assert ends.heard(ends.far, 8, 0.5) == b""
    assert ends.stop()["collisions"] == 1


def test_noise_can_be_switched_on_and_off(wire: Open) -> None:
    ends = wire()
    assert ends.tell(do="noise", share=1.0)["ok"] is True
    heard, _ = ends.exchange()
    assert len(heard) == len(REQUEST)
    assert all(a != b for a, b in zip(heard, REQUEST, strict=True))
    ends.tell(do="noise", share=0.0)
    assert ends.exchange() == (REQUEST, REPLY)
    assert ends.tell(do="stats")["flips"] == 15


def test_cut_break_and_drop(wire: Open) -> None:
    ends = wire()
    ends.tell(do="cut", unit=1, on=True)
    assert ends.exchange() == (b"", b"")
    ends.tell(do="cut", unit=1, on=False)
    ends.tell(do="break", on=True)
    assert ends.exchange() == (b"", b"")
    ends.tell(do="break", on=False)
    ends.tell(do="drop", share=1.0)
    assert ends.exchange() == (b"", b"")
    ends.tell(do="drop", share=0.0)
    assert ends.exchange() == (REQUEST, REPLY)
    assert ends.tell(do="dance")["ok"] is False
    assert ends.tell(verb="noise")["ok"] is False


def test_echo_and_latency_timer(wire: Open) -> None:
    ends = wire("--echo", "--latency", "16")
    begun = time.monotonic()
    os.write(ends.near, REQUEST)
    assert ends.heard(ends.far, 8) == REQUEST
    os.write(ends.far, REPLY)
    assert ends.heard(ends.near, 15) == REQUEST + REPLY
    assert time.monotonic() - begun > 0.016


def test_an_owner_that_was_killed_leaves_the_line_free(wire: Open) -> None:
    """A pty would stay exclusive for ever; TIOCEXCL does not bind root, so the flag itself is looked at."""
    ends = wire()
    os.close(ends.near)
    name = str(ends.folder / "near")
    script = (
        "import fcntl, os, sys, termios; fd = os.open(sys.argv[1], 2 | os.O_NOCTTY); fcntl.ioctl(fd, termios.TIOCEXCL)"
    )
    subprocess.run([sys.executable, "-c", f"{script}; os.kill(os.getpid(), 9)", name], check=False)
    ends.near = ends.open(ends.folder / "near")
    ends.tell(do="stats")  # answered in the turn that learns of the death, or in a later one
    assert not exclusive(ends.near)
    assert ends.exchange() == (REQUEST, REPLY)


def exclusive(fd: int) -> bool:
    """TIOCGEXCL."""
    return fcntl.ioctl(fd, 0x80045440, b"\0\0\0\0") != b"\0\0\0\0"


def test_unplug_hangs_up_and_plug_brings_the_name_back(wire: Open) -> None:
    ends = wire()
    ends.tell(do="plug", on=False)
    assert not (ends.folder / "near").exists()
    with pytest.raises(OSError, match=r"Input/output|error"):
        os.write(ends.near, REQUEST)
    ends.tell(do="plug", on=True)
    os.close(ends.near)
    ends.near = ends.open(ends.folder / "near")
    assert ends.exchange() == (REQUEST, REPLY)
