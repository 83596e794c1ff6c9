"""The local socket, by people who do not keep to its rules."""

from __future__ import annotations

import contextlib
import queue
import socket
from pathlib import Path

from agent.runtime import part
from agent.runtime.unix_socket import MAX_ASKED, UnixSocket

WAIT_S = 10.0


def test_a_burst_of_lines_costs_two_requests_and_the_connection(tmp_path: Path) -> None:
    heard: queue.SimpleQueue[object] = queue.SimpleQueue()
    path = tmp_path / "socket"
    UnixSocket(path, heard.put).start()

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(WAIT_S)
        client.connect(str(path))
        client.sendall(b"\n" * 60_000)
        with contextlib.suppress(ConnectionResetError):  # hung up on, with lines that nobody has read
            assert client.recv(1) == b""

    events = [heard.get(timeout=WAIT_S)]
    while not isinstance(events[-1], part.LocalClosed):
        events.append(heard.get(timeout=WAIT_S))
    assert [type(event) for event in events] == [part.LocalRequest] * MAX_ASKED + [part.LocalClosed]
