"""A real daemon with its link up and a device on TCP or a serial line listens to nobody on any network."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.bench import rig

PROC = Path("/proc")
LISTENING = "0A"  # TCP_LISTEN of include/net/tcp_states.h
FAMILIES = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "sctp/eps")


def sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that the process holds."""
    found = set[str]()
    for link in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if socket_of := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                found.add(socket_of[1])
    return found


def open_to_others(pid: int) -> Iterator[str]:
    """What that process takes from a network: listening TCP sockets, and any socket that needs no connection."""
    own = sockets_of(pid)
    for family in FAMILIES:
        path = PROC / str(pid) / "net" / family
        if not path.exists():  # a family that this kernel does not have
            continue
        for line in path.read_text("ascii").splitlines()[1:]:
            words = line.split()
            if words[9] in own and (not family.startswith("tcp") or words[3] == LISTENING):
                yield f"{family} {words[1]}"


def test_the_search_finds_a_listener_and_a_datagram_socket() -> None:
    assert list(open_to_others(os.getpid())) == []
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        ports = [f"{sock.getsockname()[1]:04X}" for sock in (server, datagrams)]
        assert [f"{name.split()[0]} {name.split(':')[1]}" for name in open_to_others(os.getpid())] == [
            f"tcp {ports[0]}",
            f"udp {ports[1]}",
        ]


@pytest.mark.slow
def test_the_daemon_listens_to_nobody() -> None:
    with rig.live() as backend:
        pid = backend.supervisor.pid
        assert pid is not None
        assert len(sockets_of(pid)) >= 2, "the local socket and the link to the broker should be there"
        assert list(open_to_others(pid)) == []
