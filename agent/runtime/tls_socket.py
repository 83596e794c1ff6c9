"""A TLS socket with a buffer on each side: what is small is read and written many at a time.

paho reads a PUBACK in three pieces and writes each packet by itself. A system call each, and a turn of the other
threads at each, would be most of what a record costs. Import it late: `ssl` costs a start 20 ms.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from agent.runtime.shorten import Shortener

CHUNK = 16_384  # one record of TLS
UNSENT = 4 * CHUNK


class BufferedTls(ssl.SSLSocket):
    """As `SSLContext.sslsocket_class`. Non-blocking after the handshake: `send` only fills the buffer, which `flush`
    empties as far as the connection takes it. `recv` of more than `most` bytes in one piece is refused; with `keep` a
    longer publication of MQTT 3.1.1 is cut to so much of its payload before."""

    most = UNSENT
    keep = 0
    _shortener: Shortener | None = None
    _in = b""
    _at = 0
    _out = b""

    def recv(self, buflen: int = CHUNK, flags: int = 0) -> bytes:
        """At most `buflen` bytes, which may be fewer. Raises as `SSLSocket.recv`, and ConnectionAbortedError."""
        if buflen > self.most:
            raise ConnectionAbortedError(f"a message of {buflen} bytes")
        if self._at == len(self._in):
            self._in, self._at = self._come(flags), 0
        piece = self._in[self._at : self._at + buflen]
        self._at += len(piece)
        return piece

    def _come(self, flags: int) -> bytes:
        """One read of the connection; empty at its end."""
        came = super().recv(CHUNK, flags)
        if not came or not self.keep:
            return came
        if self._shortener is None:
            self._shortener = Shortener(self.most, self.keep)
        left = self._shortener.feed(came)
        if not left:
            raise ssl.SSLWantReadError
        return left

    def pending(self) -> int:
        """Bytes that can be read without the network."""
        return len(self._in) - self._at + super().pending()

    def send(self, data: Any, flags: int = 0) -> int:
        """All of it goes into the buffer; SSLWantWriteError if that is full."""
        if len(self._out) >= UNSENT:
            raise ssl.SSLWantWriteError
        self._out += data
        return len(data)

    @property
    def unsent(self) -> int:
        """Bytes that `flush` has still to write."""
        return len(self._out)

    def flush(self) -> None:
        """Write what can be written now. Raises OSError if the connection is broken."""
        with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while self._out:
                self._out = self._out[super().send(self._out[:CHUNK]) :]

    def close(self) -> None:
        """With a last attempt to say what was to be said."""
        with contextlib.suppress(OSError, ValueError):
            self.flush()
        super().close()
