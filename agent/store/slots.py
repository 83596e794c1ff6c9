"""Two slots in one file: a value that a power cut, a torn write or a full disk cannot take away.

Each slot is `magic, generation, length, CRC-32, payload`. A write goes into the slot that is not current, in place and
fsynced, so an interrupted write leaves the current one whole, and a full disk does not matter once the file exists.
`mirror`: the write then goes into the other slot too. Only so may a damaged slot be answered from the other one:
without it, rot in the current slot would bring back the value before.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct(">4sQII")
_MAGIC = b"BAT1"
_OURS = os.O_CLOEXEC | os.O_NOFOLLOW  # root writes here too, where the daemon's user may put links


@dataclass(frozen=True, slots=True)
class Content:
    """What the file holds. `payload` None: nothing valid. `fresh`: no write came to its end. `whole`: both alike."""

    payload: bytes | None
    generation: int
    slot: int  # of the payload
    fresh: bool
    whole: bool


class Slots:
    """One file of two slots of `size` bytes. `read` and `write` raise OSError only."""

    def __init__(self, path: Path, size: int = 4096, mirror: bool = False) -> None:
        self._path = path
        self._size = size
        self._mirror = mirror

    def read(self) -> Content:
        """The newest valid slot; OSError if the file exists but cannot be read."""
        try:
            fd = os.open(self._path, os.O_RDONLY | _OURS)
        except FileNotFoundError:
            return Content(None, 0, 0, fresh=True, whole=False)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # readahead would make a later write dirty all of it
            found = [self._slot(fd, i * self._size) for i in (0, 1)]
            valid = [(slot[0], -i, slot[1]) for i, slot in enumerate(found) if slot is not None]
            if not valid:
                return Content(None, 0, 0, fresh=self._unwritten(fd), whole=False)
        finally:
            os.close(fd)
        generation, index, payload = max(valid)
        return Content(payload, generation, -index, fresh=False, whole=found[0] == found[1])

    def write(self, payload: bytes) -> None:
        """Make `payload` the value, durably. OSError: it is not, or (mirrored) not in both places."""
        if _HEAD.size + len(payload) > self._size:
            raise OSError(f"{len(payload)} bytes do not fit into a slot of {self._size}")
        now = self.read()
        first = 1 - now.slot if now.payload is not None else 0
        data = self._pack(now.generation + 1, payload)
        fd = self._open()
        try:
            for slot in (first, 1 - first) if self._mirror else (first,):
                if os.pwrite(fd, data, slot * self._size) != len(data):
                    raise OSError("short write")
                os.fsync(fd)
        finally:
            os.close(fd)

    def _unwritten(self, fd: int) -> bool:
        """No write was ever told as done. With a mirror one empty slot says so: a first write was cut off."""
        slots = [os.pread(fd, self._size, i * self._size) for i in (0, 1)]
        return (self._mirror and bytes(self._size) in slots) or not b"".join(slots).strip(b"\0")

    def _open(self) -> int:
        """The file, of full size and known to its directory."""
        try:
            return os.open(self._path, os.O_RDWR | _OURS)
        except FileNotFoundError:
            pass
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OURS, 0o600)
        try:
            os.posix_fallocate(fd, 0, 2 * self._size)  # zeros that a full disk cannot refuse later
            os.fsync(fd)
            sync_directory(self._path.parent)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _pack(self, generation: int, payload: bytes) -> bytes:
        crc = zlib.crc32(payload, zlib.crc32(struct.pack(">QI", generation, len(payload))))
        return _HEAD.pack(_MAGIC, generation, len(payload), crc) + payload

    def _slot(self, fd: int, at: int) -> tuple[int, bytes] | None:
        """Generation and payload of the slot at that offset, if it is valid."""
        head = os.pread(fd, _HEAD.size, at)
        if len(head) < _HEAD.size:
            return None
        _, generation, length, _ = _HEAD.unpack(head)
        payload = os.pread(fd, min(length, self._size - _HEAD.size), at + _HEAD.size)
        return (generation, payload) if head + payload == self._pack(generation, payload) else None


def sync_directory(path: Path) -> None:
    """Make a new or renamed file's name durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
