"""File descriptors and sockets in front of slaves: what `hil.devices.process` and `hil.devices.serve` share."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from hil.devices.slave import Slaves, request_length
from hil.devices.still_dialect import StillDialect

STALE_NS = 30_000_000  # a request that pauses this long inside is broken; far above t3.5 because processes get paused


class Line:
    """RTU requests from a file descriptor, replies to it."""

    def __init__(self, fd: int, slaves: Slaves) -> None:
        self.fd = fd
        self._slaves = slaves
        self._buffer = bytearray()
        self._last_ns = 0

    def readable(self) -> bool:
        """Take what is there; answer what is complete. False = the line is gone."""
        now = time.monotonic_ns()
        if now - self._last_ns > STALE_NS:
            self._buffer.clear()
        self._last_ns = now
        try:
            self._buffer += os.read(self.fd, 4096)
        except OSError:
            return False
        length = request_length(self._buffer)
        while length and len(self._buffer) >= length:
            frame = bytes(self._buffer[:length])
            bad = self._slaves.bad_frames
            reply = self._slaves.rtu(frame, now)
            if self._slaves.bad_frames != bad:
                self._buffer.clear()  # out of step: only silence brings it back
                return True
            del self._buffer[:length]
            if reply is not None:
                try:
                    os.write(self.fd, reply)
                except OSError:
                    return False
            length = request_length(self._buffer)
        return True


class FrameLine:
    """Requests of a dialect that is not Modbus from a file descriptor, replies to it."""

    def __init__(self, fd: int, device: StillDialect) -> None:
        self.fd = fd
        self._device = device
        self._buffer = b""
        self._last_ns = 0

    def readable(self) -> bool:
        """Take what is there; answer what is complete. False = the line is gone."""
        now = time.monotonic_ns()
        if now - self._last_ns > STALE_NS:
            self._buffer = b""
        self._last_ns = now
        try:
            self._buffer += os.read(self.fd, 4096)
            while self._buffer:
                used, reply = self._device.take(self._buffer)
                if not used:
                    break
                self._buffer = self._buffer[used:]
                if reply:
                    os.write(self.fd, reply)
        except OSError:
            return False
        return True


class TcpPeer:
    """One Modbus/TCP client."""

    def __init__(self, connection: socket.socket, slaves: Slaves) -> None:
        self.connection = connection
        self._slaves = slaves
        self._buffer = bytearray()

    def readable(self) -> bool:
        """Answer what is complete; False = the client is gone."""
        try:
            data = self.connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            return False
        self._buffer += data
        while len(self._buffer) >= 6:
            length = 6 + int.from_bytes(self._buffer[4:6], "big")
            if len(self._buffer) < length:
                break
            adu = bytes(self._buffer[:length])
            del self._buffer[:length]
            reply = self._slaves.tcp(adu, time.monotonic_ns())
            if reply is not None:
                with contextlib.suppress(OSError):
                    self.connection.sendall(reply)
        return True
