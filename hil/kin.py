"""Children that end with the bench, also when it is killed with -9 and nothing of it can clean up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import cache

_ORPHAN = '[ "$PPID" = "$0" ] && exec "$@"'  # whoever started it may have ended before the kernel was told


def kin(command: Sequence[str], signal: str = "KILL") -> list[str]:
    """That command, to which the kernel sends `signal` when the thread that starts it is gone (PR_SET_PDEATHSIG): start
    it from one that lives as long as it should. The process that runs is the command's own. Without `setpriv`, which is
    part of every Linux of the last ten years, nothing changes."""
    program = _setpriv()
    if program is None:
        return [*command]
    return [program, "--pdeathsig", signal, "--", "/bin/sh", "-c", _ORPHAN, str(os.getpid()), *command]


@cache
def _setpriv() -> str | None:
    return shutil.which("setpriv")
