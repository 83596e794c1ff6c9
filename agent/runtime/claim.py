"""One agent a state directory: a second one would take over its socket, its records and its session at the broker."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class Claim:
    """Held until the process ends, however it ends. `refusal`: the sentence if another process holds it.

    A directory that cannot be made or opened is not claimed: a broken disk must not stop protection, and the port's own
    lock still keeps a second master away from the devices.
    """

    def __init__(self, state_dir: Path) -> None:
        self.refusal: str | None = None
        self._fd = -1
        with contextlib.suppress(OSError):
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            self.refusal = (
                f"{state_dir} is in use: another batteryd runs with it. `batteryctl status` asks that one; "
                "`systemctl stop batteryd` ends it."
            )
        except OSError:
            return
