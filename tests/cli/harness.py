"""The Server part behind a real Unix socket: one thread that does what `runtime.real` does, and no more."""

from __future__ import annotations

import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from agent.local.server import LocalConfig, Server
from agent.mail import Verb, VerbDone
from agent.runtime.part import LocalClosed, LocalReply, LocalRequest, Now, Post, Wake, WakeAt
from drivers.events import Look, Looked, Tell, Told
from tests.local.home import NOW

Answer = Callable[[Verb], VerbDone | None]
AskLine = Callable[[Look | Tell], Looked | Told | None]


class Harness:
    """`with Harness(path, config, view, ...)`: serves until the end. Time starts at the home's NOW and runs on.

    `events` are handled before the socket opens; `post` hands over more while it runs. `answer` plays control.
    `uid` is who the peer is taken for, whoever runs the tests. `ask_line` plays the line.
    """

    def __init__(
        self,
        path: Path,
        config: LocalConfig,
        *events: object,
        answer: Answer | None = None,
        uid: int = 0,
        ask_line: AskLine = lambda asked: None,
    ) -> None:
        self.path = path
        self.verbs: list[Verb] = []
        self._server = Server(config)
        self._answer, self._uid, self._ask_line = answer, uid, ask_line
        self._epoch_ns = time.monotonic_ns()
        self._conns: dict[int, socket.socket] = {}
        self._buffers: dict[int, bytes] = {}
        self._numbers = itertools.count(1)
        self._wake_ns: int | None = None
        self._inbox: list[object] = []
        self._wake_read, self._wake_write = os.pipe()
        self._ended = threading.Event()
        self._turned = threading.Condition()  # notified after each turn of the serving thread
        for event in events:
            self._handle(event)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Harness:
        self._thread.start()
        return self

    def until(self, reached: Callable[[], bool], seconds: float = 20.0) -> None:
        """Waits for what the serving thread will bring about; AssertionError if it does not."""
        with self._turned:
            assert self._turned.wait_for(reached, seconds), "never reached"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        os.write(self._wake_write, b"x")
        self._thread.join(5)
        assert not self._thread.is_alive(), "the harness hangs"
        for each in (self._listener, *self._conns.values()):
            each.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self.path.unlink(missing_ok=True)

    def post(self, event: object) -> None:
        self._inbox.append(event)
        os.write(self._wake_write, b"x")

    def now(self) -> Now:
        passed_ns = time.monotonic_ns() - self._epoch_ns
        return Now(NOW.mono_ns + passed_ns, NOW.wall_ms + passed_ns // 1_000_000)

    def _serve(self) -> None:
        while not self._ended.is_set():
            files = [self._listener.fileno(), self._wake_read, *(s.fileno() for s in self._conns.values())]
            wait_s = None if self._wake_ns is None else max(0.0, (self._wake_ns - self.now().mono_ns) / 1e9)
            ready, _, _ = select.select(files, [], [], wait_s)
            if self._wake_ns is not None and self.now().mono_ns >= self._wake_ns:
                self._wake_ns = None
                self._handle(Wake())
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                while self._inbox:
                    self._handle(self._inbox.pop(0))
            if self._listener.fileno() in ready:
                self._conns[next(self._numbers)] = self._listener.accept()[0]
            for conn, peer in list(self._conns.items()):
                if peer.fileno() in ready:
                    self._read(conn, peer)
            with self._turned:
                self._turned.notify_all()

    def _read(self, conn: int, peer: socket.socket) -> None:
        try:
            data = peer.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._drop(conn)
            self._handle(LocalClosed(conn))
            return
        *lines, rest = (self._buffers.get(conn, b"") + data).split(b"\n")
        self._buffers[conn] = rest
        for line in lines:
            self._handle(LocalRequest(conn, self._uid, (), line))

    def _handle(self, event: object) -> None:
        for effect in self._server.handle(event, self.now()):
            match effect:
                case LocalReply(conn, data, close):
                    self._send(conn, data, close)
                case WakeAt(at_ns):
                    self._wake_ns = at_ns
                case Post("control", Verb() as verb):
                    self.verbs.append(verb)
                    for done in self._played(verb):
                        self._handle(done)
                case Post(_, Look() | Tell() as asked):
                    told = self._ask_line(asked)
                    if told is not None:
                        self._handle(told)

    def _played(self, verb: Verb) -> Iterator[VerbDone]:
        done = None if self._answer is None else self._answer(verb)
        if done is not None:
            yield done

    def _send(self, conn: int, data: bytes, close: bool) -> None:
        peer = self._conns.get(conn)
        if peer is None:
            return
        try:
            peer.sendall(data + b"\n")
        except ConnectionError:
            close = True
        if close:
            self._drop(conn)

    def _drop(self, conn: int) -> None:
        peer = self._conns.pop(conn, None)
        if peer is not None:
            peer.close()
