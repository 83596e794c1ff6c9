"""systemd's notification socket: one datagram a state line, nothing if there is no such socket."""

from __future__ import annotations

import os
import socket


class SdNotifier:
    """Reads NOTIFY_SOCKET once. Never raises: a service manager that went away must not stop protection."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if address[:1] in ("/", "@"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                self._socket.connect("\0" + address[1:] if address[0] == "@" else address)
            except OSError:
                self._socket.close()
                self._socket = None

    def __call__(self, state: str) -> None:
        if self._socket is not None:
            try:
                self._socket.send(state.encode())
            except OSError:
                return
