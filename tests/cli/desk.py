"""A TLS server on loopback that says, byte for byte, what a test tells it to; and a desk that does its work well."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from hil.pki import Tls

Answer = Callable[[str, bytes], bytes | None]  # path and the whole request -> what to send; None: hold the line


class Villain:
    """`with Villain(tls, answer) as there:`; one request a connection, `there.heard` has each as it came."""

    def __init__(self, tls: Tls, answer: Answer) -> None:
        self._answer = answer
        self.heard: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls.cert, tls.key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self._socket.getsockname()[1]}"

    @property
    def paths(self) -> list[str]:
        return [request.split()[1].decode() for request in self.heard]

    def __enter__(self) -> Villain:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                raw, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), raw, self._context.wrap_socket(raw, server_side=True) as secure:
                secure.settimeout(10)
                self._one(secure)

    def _one(self, secure: ssl.SSLSocket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            got = secure.recv(65_536)
            if not got:
                return
            request += got
        head, _, body = request.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower()[:15] == b"content-length:"), 0
        )
        while len(body) < length:
            body += secure.recv(65_536)
        self.heard.append(head + b"\r\n\r\n" + body)
        said = self._answer(head.split()[1].decode(), head + b"\r\n\r\n" + body)
        if said is None:
            self._ending.wait(30)
            return
        secure.sendall(said)


def reply(body: bytes, typ: str, status: str = "200 OK", more: str = "", length: int | None = None) -> bytes:
    """An HTTP answer; `length` other than the body's is a lie."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {typ}\r\nContent-Length: {size}\r\nConnection: close\r\n{more}\r\n"
    return head.encode() + body
