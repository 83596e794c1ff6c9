"""The real lines: a serial port or pty, a TCP connection. Bytes and naps only; what they mean is the port's affair.

Every method raises OSError and nothing else. A read naps until the reply should be complete, and while bytes are
missing for as long as they take on the wire: waking for every byte would cost a hundred times the CPU at 9600 baud.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import termios
import time
from collections.abc import Callable
from typing import Protocol

import serial

NAP_EARLY_NS = 300_000  # a nap must end before the reply does, or its end is not seen: more than a sleep oversleeps
CONNECT_S = 3.0
CHUNK = 512  # more than any frame

_TROUBLE = {
    errno.ENOENT: "is not there: is the adapter plugged in? `ls /dev/serial/by-id` shows those that are",
    errno.ENOTDIR: "is not there: check the path",
    errno.EACCES: "may not be opened: add the user to the group dialout",
    errno.EPERM: "may not be opened: add the user to the group dialout",
    errno.EAGAIN: "is held by another program: is a second batteryd running?",
    errno.EBUSY: "is held by another program: is a second batteryd running?",
}
Clock = Callable[[], int]
Sleep = Callable[[float], None]


class Line(Protocol):
    """What a bus thread owns."""

    def open(self) -> None:
        """Open, exclusively. OSError says why not."""

    def write(self, data: bytes) -> None:
        """Hand over all of `data`."""

    def read_until(self, length: int, predicted_end_ns: int, deadline_ns: int) -> tuple[bytes, int]:
        """At least `length` bytes, or what came until the deadline, and when the last of it was read (monotonic ns)."""

    def drain(self) -> bytes:
        """Take off what was received and not read: nobody asked for it, and it may be another master's."""

    def close(self) -> None:
        """Close; harmless when closed."""


class SerialLine:
    """An RS-485 adapter or a pty, owned alone: flock against other agents, TIOCEXCL against everyone else."""

    def __init__(
        self,
        port: str,
        baud: int = 19200,
        parity: str = "N",
        stop_bits: int = 1,
        clock: Clock = time.monotonic_ns,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._port, self._baud, self._parity, self._stop_bits = port, baud, parity, stop_bits
        self._char_ns = (1 + 8 + (parity != "N") + stop_bits) * 1_000_000_000 // baud
        self._clock, self._sleep = clock, sleep
        self._serial: serial.Serial | None = None
        self._fd = -1

    def open(self) -> None:
        """Open, exclusively. OSError says why not."""
        self.close()
        try:
            handle = serial.Serial(
                self._port, self._baud, 8, self._parity, self._stop_bits, timeout=0, write_timeout=1, exclusive=True
            )
            fcntl.ioctl(handle.fileno(), termios.TIOCEXCL)
            _nothing_is_not_the_end(handle.fileno())
        except OSError as error:  # serial.SerialException is one, with its errno buried
            raise OSError(f"{self._port} {_TROUBLE.get(_errno(error), f'cannot be opened: {error}')}") from error
        except (ValueError, termios.error) as error:
            raise OSError(f"{self._port} does not take {self._baud} baud, parity {self._parity}: {error}") from error
        self._serial, self._fd = handle, handle.fileno()

    def write(self, data: bytes) -> None:
        """Hand over all of `data`."""
        _write_all(self._fd, data)

    def read_until(self, length: int, predicted_end_ns: int, deadline_ns: int) -> tuple[bytes, int]:
        """See Line. An exception reply (5 bytes) ends it early, and the echo of a longer request does not."""
        self._nap(predicted_end_ns - self._clock())
        return _collect(self._fd, length, deadline_ns, self._clock, _rtu_refusal, self._missing)

    def _nap(self, until_end_ns: int) -> None:
        nap_ns = until_end_ns - NAP_EARLY_NS
        if nap_ns > 0:
            self._sleep(nap_ns / 1e9)

    def _missing(self, count: int) -> None:
        """So many bytes are still on the wire."""
        self._nap(count * self._char_ns)

    def drain(self) -> bytes:
        """See Line."""
        _require(self._fd)
        try:
            stale = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return b""
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
        except termios.error as error:
            raise OSError(*error.args) from error
        return stale

    def close(self) -> None:
        """Close; harmless when closed."""
        handle, self._serial, self._fd = self._serial, None, -1
        if handle is not None:
            handle.close()


class TcpLine:
    """One Modbus TCP connection."""

    def __init__(self, host: str, port: int = 502, clock: Clock = time.monotonic_ns) -> None:
        self._address = (host, port)
        self._clock = clock
        self._socket: socket.socket | None = None
        self._fd = -1

    def open(self) -> None:
        """Connect. OSError says why not."""
        self.close()
        connection = socket.create_connection(self._address, CONNECT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._socket, self._fd = connection, connection.fileno()

    def write(self, data: bytes) -> None:
        """Hand over all of `data`."""
        _write_all(self._fd, data)

    def read_until(self, length: int, predicted_end_ns: int, deadline_ns: int) -> tuple[bytes, int]:
        """See Line. Nothing is predicted on TCP; a shorter frame (an exception) ends it early."""
        return _collect(self._fd, length, deadline_ns, self._clock, _tcp_frame)

    def drain(self) -> bytes:
        """See Line."""
        _require(self._fd)
        stale = b""
        while select.select([self._fd], [], [], 0)[0]:
            chunk = os.read(self._fd, CHUNK)
            if not chunk:
                raise ConnectionResetError("the other end closed the connection")
            stale = (stale + chunk)[-CHUNK:]
        return stale

    def close(self) -> None:
        """Close; harmless when closed."""
        connection, self._socket, self._fd = self._socket, None, -1
        if connection is not None:
            connection.close()


def _nothing_is_not_the_end(fd: int) -> None:
    """With the VMIN of 0 that pyserial sets, an empty line and one that hung up read alike."""
    mode = termios.tcgetattr(fd)
    mode[6][termios.VMIN] = 1
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def _errno(error: OSError) -> int:
    """The number behind an error of pyserial, which keeps it in a context or in its text only."""
    inner = error.__context__
    return error.errno or (inner.errno if isinstance(inner, OSError) and inner.errno else 0)


def _require(fd: int) -> None:
    if fd < 0:
        raise OSError("the line is not open")


def _write_all(fd: int, data: bytes) -> None:
    _require(fd)
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            if not select.select([], [fd], [], 1.0)[1]:
                raise TimeoutError("the line takes no bytes") from None


def _collect(
    fd: int,
    length: int,
    deadline_ns: int,
    clock: Clock,
    short: Callable[[bytes], int],
    missing: Callable[[int], None] | None = None,
) -> tuple[bytes, int]:
    """Read until `length` bytes, a shorter whole frame as `short` knows it, or the deadline.

    `missing` is told how many bytes are left whenever some have come just now, and may nap.
    """
    _require(fd)
    buffer = b""
    at_ns = clock()
    waited = False
    while (rest := (short(buffer) or length) - len(buffer)) > 0:
        if waited and buffer and missing is not None:
            missing(rest)
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            left_ns = deadline_ns - clock()
            if left_ns <= 0 or not select.select([fd], [], [], left_ns / 1e9)[0]:
                break
            chunk, waited = os.read(fd, CHUNK), True
        else:
            waited = False
        if not chunk:
            raise ConnectionResetError("the other end closed the line")
        buffer += chunk
        at_ns = clock()
    return buffer, at_ns


def _rtu_refusal(buffer: bytes) -> int:
    """5 when the buffer begins like an exception reply."""
    return 5 if len(buffer) > 1 and buffer[1] & 0x80 else 0


def _tcp_frame(buffer: bytes) -> int:
    """The length of the frame that the buffer begins with, once it is known."""
    return 6 + int.from_bytes(buffer[4:6], "big") if len(buffer) >= 6 else 0
