"""The local part's world: a Unix socket, one line of JSON each way, who asks told by the kernel."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from agent.runtime import part

MAX_LINE = 65_536
MAX_UNSENT = 1_048_576
MAX_CLIENTS = 32
MAX_PER_USER = 8  # so that one user cannot lock the others out
MAX_ASKED = 2  # lines of a connection that are passed on: the second one is told that it is one too many


class UnixSocket:
    """Accepts, splits lines, sends replies; a client that does not read is dropped, never waited for."""

    def __init__(self, path: Path, post: Callable[[object], None]) -> None:
        self._path = path
        self._post = post
        self._lock = threading.Lock()
        self._clients: dict[int, socket.socket] = {}
        self._owners: dict[int, int] = {}
        self._groups: dict[int, tuple[int, ...]] = {}
        self._asked: dict[int, int] = {}
        self._unsent: dict[int, bytearray] = {}
        self._closing: set[int] = set()
        self._next = 1
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)

    def start(self) -> None:
        """Binds (an old socket file is removed) and serves on a thread. OSError if it cannot bind."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        self._path.chmod(0o666)  # anyone may look; who may change is decided by peer credentials
        listener.listen(8)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, ("accept", listener))
        self._selector.register(self._wake_read, selectors.EVENT_READ, ("wake", self._wake_read))
        threading.Thread(target=self._run, name="socket", daemon=True).start()

    def reply(self, effect: part.LocalReply) -> None:
        """From any thread."""
        with self._lock:
            buffer = self._unsent.get(effect.conn)
            if buffer is None:
                return
            buffer += effect.data + b"\n"
            if effect.close:
                self._closing.add(effect.conn)
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            self._wake_write.send(b"x")

    def _run(self) -> None:
        lines: dict[int, bytearray] = {}
        while True:
            for key, _ in self._selector.select():
                kind, what = key.data
                if kind == "accept":
                    self._accept(what, lines)
                elif kind == "wake":
                    what.recv(4096)
                else:
                    self._read(what, lines)
            self._flush(lines)

    def _accept(self, listener: socket.socket, lines: dict[int, bytearray]) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        uid, gids = _peer(client)
        of_user = sum(owner == uid for owner in self._owners.values())
        if of_user >= MAX_PER_USER or (len(self._clients) >= MAX_CLIENTS and uid != os.getuid()):
            client.close()
            return
        client.setblocking(False)
        conn, self._next = self._next, self._next + 1
        with self._lock:
            self._clients[conn] = client
            self._owners[conn] = uid
            self._groups[conn] = gids
            self._asked[conn] = 0
            self._unsent[conn] = bytearray()
        lines[conn] = bytearray()
        self._selector.register(client, selectors.EVENT_READ, ("client", conn))

    def _read(self, conn: int, lines: dict[int, bytearray]) -> None:
        client = self._clients.get(conn)
        if client is None:
            return
        try:
            data = client.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn, lines)
            return
        buffer = lines[conn]
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            self._asked[conn] += 1
            if self._asked[conn] > MAX_ASKED:
                self._drop(conn, lines)
                return
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            self._post(part.LocalRequest(conn, self._owners[conn], self._groups[conn], line))
        if len(buffer) > MAX_LINE:
            self._drop(conn, lines)

    def _flush(self, lines: dict[int, bytearray]) -> None:
        with self._lock:
            for conn, buffer in list(self._unsent.items()):
                client = self._clients[conn]
                try:
                    while buffer and (sent := client.send(buffer)):
                        del buffer[:sent]
                except BlockingIOError:
                    pass
                except OSError:
                    buffer.clear()
                    self._closing.add(conn)
                if len(buffer) > MAX_UNSENT or (conn in self._closing and not buffer):
                    self._forget(conn, lines)
                    continue
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if buffer else 0)
                self._selector.modify(client, events, ("client", conn))

    def _drop(self, conn: int, lines: dict[int, bytearray]) -> None:
        with self._lock:
            self._forget(conn, lines)

    def _forget(self, conn: int, lines: dict[int, bytearray]) -> None:
        client = self._clients.pop(conn, None)
        if client is None:
            return
        self._unsent.pop(conn, None)
        for known in (self._owners, self._groups, self._asked):
            known.pop(conn, None)
        self._closing.discard(conn)
        lines.pop(conn, None)
        self._selector.unregister(client)
        client.close()
        self._post(part.LocalClosed(conn))


def _peer(client: socket.socket) -> tuple[int, tuple[int, ...]]:
    """uid and groups of the process at the other end."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, gid = struct.unpack("3i", raw)
    try:
        name = pwd.getpwuid(uid).pw_name
        return uid, tuple(sorted({gid, *(g.gr_gid for g in grp.getgrall() if name in g.gr_mem)}))
    except KeyError:
        return uid, (gid,)
