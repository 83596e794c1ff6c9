"""Real lines: a pty and a loopback connection."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
import tty
from collections.abc import Iterator

import pytest

from drivers.line import SerialLine, TcpLine
from tests.drivers.wire import crc

S = 1_000_000_000


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """Our end's file descriptor, and the name of the other."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    with contextlib.suppress(OSError):
        os.close(ours)
    os.close(theirs)


def now() -> int:
    return time.monotonic_ns()


def test_bytes_go_both_ways_and_the_time_is_of_the_last_one(pty: tuple[int, str]) -> None:
    ours, name = pty
    line = SerialLine(name, 19200)
    line.open()
    line.write(b"ask")
    assert os.read(ours, 10) == b"ask"
    before = now()
    os.write(ours, b"reply")
    data, at_ns = line.read_until(5, 0, now() + 5 * S)
    assert data == b"reply"
    assert before <= at_ns <= now()
    line.close()


def test_a_read_naps_once_until_the_predicted_end(pty: tuple[int, str]) -> None:
    ours, name = pty
    naps: list[float] = []
    line = SerialLine(name, sleep=naps.append)
    line.open()
    os.write(ours, b"12345")
    line.read_until(5, now() + S, now() + 5 * S)
    assert len(naps) == 1
    assert 0.9 < naps[0] < 1.0
    line.close()


def test_bytes_that_are_missing_are_napped_for(pty: tuple[int, str]) -> None:
    ours, name = pty
    naps: list[float] = []
    looks = iter(("on entry", "before the first read", "nothing yet: how long to wait"))

    def clock() -> int:
        if next(looks, "") == "nothing yet: how long to wait":
            os.write(ours, b"12")
        return now()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        os.write(ours, b"345")

    line = SerialLine(name, 9600, clock=clock, sleep=nap)
    line.open()
    assert line.read_until(5, 0, now() + 5 * S)[0] == b"12345"
    assert naps == [pytest.approx(3 * 10 / 9600, abs=0.0005)]
    assert naps[0] < 3 * 10 / 9600
    line.close()


def test_bytes_that_lay_there_already_do_not_tell_when_the_next_come(pty: tuple[int, str]) -> None:
    ours, name = pty
    naps: list[float] = []
    line = SerialLine(name, 9600, sleep=naps.append)
    line.open()
    os.write(ours, b"12")
    assert line.read_until(5, 0, now() + S // 50)[0] == b"12"
    assert naps == []
    line.close()


def test_a_line_that_hangs_up_is_lost(pty: tuple[int, str]) -> None:
    ours, name = pty
    line = SerialLine(name)
    line.open()
    os.close(ours)
    with pytest.raises(OSError, match=r"."):
        line.read_until(1, 0, now() + 5 * S)
    line.close()


def test_a_read_ends_at_its_deadline_with_what_came(pty: tuple[int, str]) -> None:
    ours, name = pty
    line = SerialLine(name)
    line.open()
    os.write(ours, b"123")
    deadline = now() + S // 20
    assert line.read_until(5, 0, deadline)[0] == b"123"
    assert now() >= deadline
    assert line.read_until(5, 0, now())[0] == b""
    line.close()


def test_an_exception_reply_does_not_wait_for_the_deadline(pty: tuple[int, str]) -> None:
    ours, name = pty
    line = SerialLine(name)
    line.open()
    body = bytes((3, 0x83, 2))
    os.write(ours, body + crc(body))
    started = now()
    assert line.read_until(45, 0, started + 60 * S)[0] == body + crc(body)
    line.close()


def test_stale_input_is_drained(pty: tuple[int, str]) -> None:
    ours, name = pty
    line = SerialLine(name)
    line.open()
    os.write(ours, b"old")
    assert line.read_until(3, 0, now() + 5 * S)[0] == b"old"
    os.write(ours, b"older")
    stale = b""
    while stale != b"older":  # a pty hands over when it likes
        stale += line.drain()
    assert line.drain() == b""
    assert line.read_until(1, 0, now())[0] == b""
    line.close()


def test_a_line_has_one_owner(pty: tuple[int, str]) -> None:
    _, name = pty
    first, second = SerialLine(name), SerialLine(name)
    first.open()
    with pytest.raises(OSError, match="another program"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_another_program_that_asks_for_the_lock_does_not_get_it(pty: tuple[int, str]) -> None:
    _, name = pty
    line = SerialLine(name)
    line.open()
    try:
        other = os.open(name, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        pass  # TIOCEXCL: only root may open it at all
    else:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
    line.close()


def test_everything_wrong_is_an_oserror(pty: tuple[int, str]) -> None:
    _, name = pty
    closed = SerialLine(name)
    for attempt in (
        SerialLine("/dev/does-not-exist").open,
        SerialLine(name, 12345, "X").open,
        lambda: closed.write(b"x"),
        lambda: closed.read_until(1, 0, 0),
        closed.drain,
        TcpLine("127.0.0.1", 1).open,
        TcpLine("127.0.0.1", 1).drain,
        lambda: TcpLine("127.0.0.1", 1).write(b"x"),
    ):
        with pytest.raises(OSError, match=r"."):
            attempt()
    closed.close()


def test_tcp_reads_one_frame_and_notices_the_end() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    line = TcpLine("127.0.0.1", server.getsockname()[1])
    line.open()
    peer, _ = server.accept()
    frame = bytes((0, 1, 0, 0, 0, 3, 3, 0x83, 2))

    def answer() -> None:
        peer.recv(100)
        peer.sendall(frame[:5])
        peer.sendall(frame[5:])

    thread = threading.Thread(target=answer)
    thread.start()
    line.write(b"ask")
    assert line.read_until(13, 0, now() + 60 * S)[0] == frame  # shorter than hoped for, and complete
    thread.join()
    peer.sendall(b"stale")
    while not line.read_until(5, 0, now() + 5 * S)[0]:
        pass
    peer.sendall(b"more")
    stale = b""
    while stale != b"more":
        stale += line.drain()
    peer.close()
    with pytest.raises(ConnectionResetError):
        line.read_until(1, 0, now() + 5 * S)
    line.close()
    server.close()
