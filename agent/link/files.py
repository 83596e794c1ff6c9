"""Small files that people and machines hand us: read whole, bounded, and never from what is not a plain file."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read(path: Path, most: int, *, private: bool = False, follow: bool = True) -> bytes | str:
    """The bytes of a regular file of at most `most` bytes; or what is wrong with it, without its name.

    `private`: nobody else may be able to read or write it, and it is ours or root's. A FIFO or a device is never waited
    for. `follow` False: a symbolic link is refused too.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        fd = os.open(path, flags)
    except OSError as error:
        loop = not follow and path.is_symlink()
        return "it is a symbolic link" if loop else f"cannot be read ({error.strerror})"
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            return "it is not a regular file"
        mode = stat.S_IMODE(facts.st_mode)
        if private and mode & 0o077:
            return f"mode is {mode:04o}, so others may reach it; expected 0600 (chmod 600 {path})"
        if private and facts.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
            return f"it belongs to user {facts.st_uid}; expected {os.geteuid()}"
        if facts.st_size > most:
            return f"{facts.st_size} bytes, at most {most} expected"
        return os.read(fd, most + 1)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    finally:
        os.close(fd)
