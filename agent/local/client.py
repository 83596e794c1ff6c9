"""A client of the local API in the standard library alone: connect, ask once, read the replies."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs a third of batteryctl's start
    from typing import Any

MAX_REPLY = 1 << 20


class Client:
    """One connection. Raises OSError as sockets do: FileNotFoundError and ConnectionRefusedError = not running."""

    def __init__(self, path: str, timeout_s: float = 15.0) -> None:
        self._rest = b""
        self._ended = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def ask(self, verb: str, **args: object) -> Iterator[dict[str, Any]]:
        """Send the request; yield each reply until the other side closes. TimeoutError if none comes in time."""
        self.send(verb, **args)
        while True:
            yield from self._split()
            if self._ended:
                return
            self._receive()

    def send(self, verb: str, **args: object) -> None:
        line = json.dumps({"v": 1, "verb": verb, **args}, separators=(",", ":")) + "\n"
        self._socket.sendall(line.encode())

    def poll(self, timeout_s: float, *others: int) -> tuple[list[dict[str, Any]], list[int]]:
        """Replies that come within `timeout_s`, and which of the descriptors `others` can be read."""
        own = self._socket.fileno()
        ready, _, _ = select.select([own, *others], [], [], timeout_s)
        if own in ready:
            self._receive()
        return list(self._split()), [fd for fd in others if fd in ready]

    def patient(self) -> None:
        """From now on a reply may take for ever: a stream is quiet while nothing happens."""
        self._socket.settimeout(None)

    @property
    def ended(self) -> bool:
        """The other side has closed, and all that it sent was read."""
        return self._ended

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        self._ended = not data
        self._rest += data
        if len(self._rest) > MAX_REPLY and b"\n" not in self._rest:
            raise ConnectionError(f"a reply is longer than {MAX_REPLY} bytes: another program's socket?")

    def _split(self) -> Iterator[dict[str, Any]]:
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            if line.strip():
                reply = json.loads(line)
                if not (isinstance(reply, dict) and reply.get("v") == 1 and isinstance(reply.get("code"), int)):
                    raise ConnectionError("that is no reply of batteryd, API version 1: another program's socket?")
                yield reply
