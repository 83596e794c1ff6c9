"""The shipped store on a recording disk: what `agent.store` asks of sqlite3 and os is done and written down.

SQLite itself is apsw's copy, because only that one takes a file system of ours; statements, pragmas and transactions
are those of `agent.store.database`, unchanged. What is found after a cut is opened with Python's own sqlite3.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from unittest import mock

import apsw

from agent.store import archive, database, slots
from hil.powercut.disk import Disk

_VFS = "hil-powercut"
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: Disk) -> None:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        existed = path.exists()
        super().__init__("unix", name, flags)
        self._disk = disk
        self._inode = disk.opened(path.name, existed)
        self._unnamed = not existed and bool(flags[0] & _JOURNALS)  # SQLite syncs the directory with its first sync

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.write(self._inode, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - as above
        self._disk.truncate(self._inode, newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - as above
        super().xSync(flags)
        self._disk.sync(self._inode)
        if self._unnamed:
            self._disk.sync_names()
            self._unnamed = False


class _FileSystem(apsw.VFS):
    def __init__(self, disk: Disk, rng: Random) -> None:
        super().__init__(_VFS, "unix")
        self._disk = disk
        self._rng = rng

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - as above
        if name is None:
            return apsw.VFSFile("unix", name, flags)
        return _File(name, flags, self._disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - as above
        super().xDelete(filename, syncdir)
        self._disk.delete(Path(filename).name)
        if syncdir:
            self._disk.sync_names()

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802 - as above; the same seed gives the same bytes
        return self._rng.randbytes(numbytes)


class _Connection:
    """As much of sqlite3.Connection as `agent.store.database` uses."""

    def __init__(self, path: Path) -> None:
        with _told():
            self._db = apsw.Connection(str(path), vfs=_VFS)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> apsw.Cursor:
        with _told():
            return self._db.execute(statement, tuple(values))

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def close(self) -> None:
        with _told():
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._db.in_transaction:
            self.execute("COMMIT" if kind is None else "ROLLBACK")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors as sqlite3 gives them."""
    try:
        yield
    except apsw.Error as error:
        told = sqlite3.OperationalError(str(error))
        told.sqlite_errorcode = getattr(error, "extendedresult", sqlite3.SQLITE_ERROR)
        raise told from error


class _Os:
    """`os` for `agent.store.slots` and `agent.store.archive`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._files: dict[int, int | None] = {}  # descriptor -> inode; None = the directory

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        existed = Path(path).exists()
        fd = os.open(path, flags, mode)
        self._files[fd] = None if flags & os.O_DIRECTORY else self._disk.opened(Path(path).name, existed)
        return fd

    def close(self, fd: int) -> None:
        self._files.pop(fd)
        os.close(fd)

    def pwrite(self, fd: int, data: bytes, at: int) -> int:
        inode = self._files[fd]
        assert inode is not None, "nobody writes to a directory"
        self._disk.write(inode, at, data)
        return os.pwrite(fd, data, at)

    def ftruncate(self, fd: int, size: int) -> None:
        inode = self._files[fd]
        assert inode is not None, "nobody cuts a directory"
        self._disk.truncate(inode, size)
        os.ftruncate(fd, size)

    def posix_fallocate(self, fd: int, at: int, length: int) -> None:
        inode = self._files[fd]
        assert inode is not None, "nobody writes to a directory"
        self._disk.truncate(inode, at + length)  # of a new file
        os.posix_fallocate(fd, at, length)

    def fsync(self, fd: int) -> None:
        inode = self._files[fd]
        if inode is None:
            self._disk.sync_names()
        else:
            self._disk.sync(inode)


@contextlib.contextmanager
def recording(disk: Disk, rng: Random, checkpoint_pages: int | None = None) -> Iterator[None]:
    """What the shipped store does within goes to `disk`. `checkpoint_pages`: fold the WAL in that early instead."""

    def connect(path: Path, **options: Any) -> _Connection:
        return _Connection(path)

    pragmas = list(database._PRAGMAS)
    if checkpoint_pages is not None:
        own = f"PRAGMA wal_autocheckpoint = {database.CHECKPOINT_PAGES}"
        pragmas[pragmas.index(own)] = f"PRAGMA wal_autocheckpoint = {checkpoint_pages}"
    module = SimpleNamespace(**{**vars(sqlite3), "connect": connect})
    system, system_os = _FileSystem(disk, rng), _Os(disk)
    try:
        with (
            mock.patch.object(database, "sqlite3", module),
            mock.patch.object(database, "_PRAGMAS", tuple(pragmas)),
            mock.patch.object(slots, "os", system_os),
            mock.patch.object(archive, "os", system_os),
        ):
            yield
    finally:
        system.unregister()
