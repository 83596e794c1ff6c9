"""A small file system of the state's own, in a mount namespace: it can be full, and it can be read-only.

The daemon is started inside the namespace; the bench reaches its files through /proc. No root is needed where the
kernel lets users have namespaces of their own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from hil.kin import kin

ROOT = Path(__file__).parents[2]
SIZE_KB = 4096
HOLD = 'mount -t tmpfs -o size={size}k,mode=0700 bench "$1" && echo ready && exec cat'


class Disk:
    """`mount` is where the daemon sees it, `path` where the bench does."""

    def __init__(self, mount: Path) -> None:
        mount.mkdir(parents=True, exist_ok=True)
        self._mount = mount
        command = [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            HOLD.format(size=SIZE_KB),
            "-",
            str(mount),
        ]
        self._holder = subprocess.Popen(
            kin(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            _, said = self._holder.communicate(timeout=5)
            raise OSError(f"this machine gives no file system of our own (unshare, tmpfs): {said.decode().strip()}")
        self.path = Path(f"/proc/{self._holder.pid}/root{mount.resolve()}")

    @property
    def enter(self) -> list[str]:
        """What a command line is prefixed with to run inside."""
        return [
            "nsenter",
            "--preserve-credentials",
            "--user",
            "--mount",
            f"--wd={ROOT}",
            f"--target={self._holder.pid}",
            "--",
        ]

    def fill(self, on: bool) -> None:
        """Not a byte is left, or all of that is free again."""
        filler = self.path / "filler"
        if not on:
            filler.unlink(missing_ok=True)
            return
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            size = 65_536
            while size:
                try:
                    os.write(fd, bytes(size))
                except OSError:
                    size //= 2
        finally:
            os.close(fd)

    def read_only(self, on: bool) -> None:
        """Remount. ValueError when somebody still writes there."""
        mode = "ro" if on else "rw"
        done = subprocess.run(
            [*self.enter, "mount", "-o", f"remount,{mode}", str(self._mount)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ValueError(f"remount,{mode}: {done.stderr.strip()}")

    def close(self) -> None:
        """The namespace and its file system are gone with their last process."""
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._holder.communicate(timeout=5)
        if self._holder.poll() is None:
            self._holder.kill()
            self._holder.wait()
