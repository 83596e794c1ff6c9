"""paho's sockets served by a loop of ours, on the thread that calls `serve`.

paho's own threaded loop is woken by a system call for each publication, and the two threads then wait for each other
at every record. Here a publication wakes the loop only when nothing waits to be written, through the callback that paho
has for loops of others.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import paho.mqtt.client as paho

    from agent.runtime.tls_socket import BufferedTls

PATIENCE_S = 1.0  # between two looks at the keepalive
FULL_S = 0.002  # between two looks at whether there is room again


class MqttLoop:
    """Of one client, which was not connected yet. `after_read` is called when what came was looked at; while `full`
    nothing more is read, so that the socket fills, and then the broker has to keep it."""

    def __init__(self, client: paho.Client, after_read: Callable[[], None], full: Callable[[], bool]) -> None:
        self._client, self._after_read, self._full = client, after_read, full
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        client.on_socket_register_write = self._woken  # without one, `publish` would write from its caller's thread

    def __del__(self) -> None:
        os.close(self._wake)  # not before: another thread may be within `publish`

    def serve(self) -> None:
        """Until the connection has ended; paho tells why."""
        while (connection := cast("BufferedTls | None", self._client.socket())) is not None:
            self._turn(connection)

    def _turn(self, connection: BufferedTls) -> None:
        client, full = self._client, self._full()
        left = not full and connection.pending() > 0  # bytes that select does not see
        reads: list[Any] = [self._wake, *([] if full else [connection])]
        wanted = client.want_write() or connection.unsent  # looked at after paho has taken its own wish back
        patience_s = 0 if left else FULL_S if full else PATIENCE_S
        try:
            ready, writable, _ = select.select(reads, [connection] if wanted else [], [], patience_s)
        except (OSError, ValueError):
            ready, writable = [connection], list[BufferedTls]()  # closed meanwhile: paho finds out
        if left or connection in ready:
            client.loop_read()
            self._after_read()
        if self._wake in ready:
            os.eventfd_read(self._wake)
        if writable or self._wake in ready:
            client.loop_write()
            try:
                connection.flush()
            except OSError:
                connection.close()  # paho finds out at its next read
        client.loop_misc()

    def _woken(self, client: Any, userdata: Any, sock: Any) -> None:
        os.eventfd_write(self._wake, 1)
