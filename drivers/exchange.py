"""One transaction after the other on a line of one's own: for tools that own a port while no daemon runs."""

from __future__ import annotations

import time

from drivers.line import Line
from drivers.port import Outcome, Port, Request


class Exchange:
    """A port and the line behind it. The line must be open."""

    def __init__(self, line: Line, port: Port) -> None:
        self._line, self._port = line, port

    def ask(self, request: Request) -> Outcome:
        """Send it when the line is free, and wait for how it ends. OSError if the line is lost."""
        port, line = self._port, self._line
        ready_ns = max(port.ready_ns, port.held_until(request))
        wait_ns = ready_ns - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
        line.drain()
        send = port.send(request, time.monotonic_ns())
        line.write(send.data)
        length, predicted_ns = send.reply_len, send.predicted_end_ns
        while True:
            data, at_ns = line.read_until(length, predicted_ns, port.deadline_ns)
            outcome = (port.feed(data, at_ns) if data else None) or port.expire(time.monotonic_ns())
            if outcome is not None:
                return outcome
            length, predicted_ns = 1, 0
