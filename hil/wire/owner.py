"""Who has a pty open: exclusive as it is, it must be given back when its owner is killed. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import termios


class Owner:
    """A pty stays exclusive (TIOCEXCL) when its owner is killed. `fd`, readable when somebody closed it, is answered by
    `release`. `held`: our own descriptor of the same side."""

    def __init__(self, held: int) -> None:
        self._held = held
        libc = ctypes.CDLL(None)
        self.fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        libc.inotify_add_watch(self.fd, os.ttyname(held).encode(), 0x18)  # IN_CLOSE_WRITE | IN_CLOSE_NOWRITE

    def release(self) -> None:
        """The next one may open it."""
        with contextlib.suppress(OSError):
            os.read(self.fd, 4096)
            fcntl.ioctl(self._held, termios.TIOCNXCL)

    def close(self) -> None:
        """Look no longer."""
        os.close(self.fd)
