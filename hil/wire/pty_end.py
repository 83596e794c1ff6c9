"""One end of a paced line. Standard library and `hil.wire` only."""

from __future__ import annotations

import contextlib
import os
import tty
from pathlib import Path

from hil.wire.owner import Owner


class Pty:
    """One end of the line, reachable by a stable name. Both sides are held open so that a reader may come and go."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.fd, self._held = os.openpty()
        tty.setraw(self.fd)
        tty.setraw(self._held)
        os.set_blocking(self.fd, False)
        link.unlink(missing_ok=True)
        name = os.ttyname(self._held)
        link.symlink_to(name)
        self.owner = Owner(self._held)

    def read(self) -> bytes:
        """What the other side wrote; b"" if nothing."""
        try:
            return os.read(self.fd, 4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Lost if nobody reads for 4 kB."""
        with contextlib.suppress(OSError):
            os.write(self.fd, data)

    def close(self) -> None:
        """Unplug: whoever has it open sees a hang-up."""
        self.link.unlink(missing_ok=True)
        self.owner.close()
        os.close(self.fd)
        os.close(self._held)
