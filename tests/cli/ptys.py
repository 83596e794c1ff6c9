"""Several simulated units behind one pty that has a speed: who asks at another one is not understood."""

from __future__ import annotations

import os
import selectors
import termios
import threading
import tty
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from hil.devices.ports import Line
from hil.devices.slave import Slave, Slaves

SPEEDS = {2400: termios.B2400, 9600: termios.B9600, 19200: termios.B19200, 115200: termios.B115200}


class PtyLine:
    """`with PtyLine(path, slaves, baud) as line`: serves until the end; `asked` keeps every request."""

    def __init__(self, path: Path, slaves: Sequence[Slave], baud: int) -> None:
        self.path = path
        self.asked: list[bytes] = []
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._ours)
        tty.setraw(self._theirs)
        path.symlink_to(os.ttyname(self._theirs))
        self._speed = SPEEDS[baud]
        self._slaves = Slaves(list(slaves))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> PtyLine:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join(5)
        for fd in (self._ours, self._theirs, self._stop_read, self._stop_write):
            os.close(fd)
        self.path.unlink()

    def _serve(self) -> None:
        line = Line(self._ours, self._slaves)
        rtu = self._slaves.rtu

        def heard(frame: bytes, now_ns: int) -> bytes | None:
            self.asked.append(frame)
            return rtu(frame, now_ns)

        self._slaves.rtu = heard  # type: ignore[method-assign]  # a tap on the wire
        with selectors.DefaultSelector() as selector:
            selector.register(self._ours, selectors.EVENT_READ)
            selector.register(self._stop_read, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._stop_read in ready:
                    return
                if termios.tcgetattr(self._ours)[4] == self._speed:
                    line.readable()
                else:
                    os.read(self._ours, 4096)
