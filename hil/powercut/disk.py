"""A disk that can lose its power: every write, sync and name in order, and what may be left when it stops anywhere.

What is modelled: a file's bytes are safe once it was synced. Unsynced writes may each survive, vanish or be torn,
in any combination: a disk reorders. A torn write keeps any of its 512-byte sectors, or a prefix of any length. Names
are safe once their directory was synced; unsynced ones survive up to some point of their order, as a journal keeps it.
What is not: sectors that rot or that were never written to, and a disk that lies about a sync.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from random import Random

SECTOR = 512


class Kind(IntEnum):
    """What happened to the disk; MARK is a note of who records."""

    WRITE = 0
    TRUNCATE = 1
    SYNC = 2
    LINK = 3
    UNLINK = 4
    SYNC_NAMES = 5
    MARK = 6


@dataclass(frozen=True, slots=True)
class Op:
    """`inode` of WRITE, TRUNCATE, SYNC and LINK; `name` of LINK and UNLINK; `at`: offset or new size."""

    kind: Kind
    inode: int = 0
    name: str = ""
    at: int = 0
    data: bytes = b""
    note: object = None


class Disk:
    """One directory: records what its writers do."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.before = dict(files or {})
        self.names = {name: number for number, name in enumerate(sorted(self.before))}
        self._inodes = len(self.names)
        self.ops: list[Op] = []
        self._sealed = False

    def seal(self) -> None:
        """The recording is over; what its writers still do on their way out is not part of it."""
        self._sealed = True

    def _record(self, op: Op) -> None:
        if not self._sealed:
            self.ops.append(op)

    def opened(self, name: str, existed: bool) -> int:
        """The file behind `name`; a new one if there was none."""
        if not existed or name not in self.names:
            self.names[name] = self._inodes
            self._inodes += 1
            self._record(Op(Kind.LINK, self.names[name], name))
        return self.names[name]

    def write(self, inode: int, at: int, data: bytes) -> None:
        """Bytes were handed over."""
        self._record(Op(Kind.WRITE, inode, at=at, data=data))

    def truncate(self, inode: int, size: int) -> None:
        """The file was cut, or grew by zeros, to `size`."""
        self._record(Op(Kind.TRUNCATE, inode, at=size))

    def sync(self, inode: int) -> None:
        """A sync of that file came back."""
        self._record(Op(Kind.SYNC, inode))

    def sync_names(self) -> None:
        """A sync of the directory came back."""
        self._record(Op(Kind.SYNC_NAMES))

    def delete(self, name: str) -> None:
        """The name is gone."""
        self.names.pop(name, None)
        self._record(Op(Kind.UNLINK, name=name))

    def mark(self, note: object) -> None:
        """Something was promised, or asked for, at this point."""
        self._record(Op(Kind.MARK, note=note))


class Platter:
    """What is safe of a recording so far; `run` goes forward only."""

    def __init__(self, disk: Disk) -> None:
        self._ops = disk.ops
        order = sorted(disk.before)
        self._bytes: dict[int, bytearray] = {n: bytearray(disk.before[name]) for n, name in enumerate(order)}
        self._names: dict[str, int] = {name: n for n, name in enumerate(order)}
        self._waiting: list[Op] = []  # writes and truncates
        self._named: list[Op] = []  # links and unlinks
        self._at = 0

    def run(self, to: int) -> Iterator[object]:
        """Everything before op `to` was handed over; the notes among it."""
        while self._at < to:
            op = self._ops[self._at]
            self._at += 1
            if op.kind is Kind.MARK:
                yield op.note
            elif op.kind in (Kind.WRITE, Kind.TRUNCATE):
                self._waiting.append(op)
            elif op.kind is Kind.SYNC:
                for waiting in self._waiting:
                    if waiting.inode == op.inode:
                        _apply(self._bytes.setdefault(op.inode, bytearray()), waiting)
                self._waiting = [waiting for waiting in self._waiting if waiting.inode != op.inode]
            elif op.kind is Kind.SYNC_NAMES:
                for named in self._named:
                    _name(self._names, named)
                self._named.clear()
            else:
                self._named.append(op)

    def cut(self, rng: Random) -> dict[str, bytes]:
        """The power goes now: name -> bytes of what is found afterwards."""
        content = {inode: bytearray(data) for inode, data in self._bytes.items()}
        names = dict(self._names)
        for named in self._named[: rng.randrange(len(self._named) + 1)]:
            _name(names, named)
        manner = rng.choice(("any", "any", "none", "all", "first", "last", "torn", "rags"))
        for place, op in enumerate(self._waiting):
            kept = _kept(manner, place, len(self._waiting), rng)
            if kept:
                _apply(content.setdefault(op.inode, bytearray()), op, rng if kept == "torn" else None)
        return {name: bytes(content.get(inode, b"")) for name, inode in names.items()}


def _kept(manner: str, place: int, count: int, rng: Random) -> str:
    """ "", "whole" or "torn"."""
    if manner == "any":
        share = rng.random()
        return "" if share < 0.4 else "torn" if share < 0.6 else "whole"
    if manner == "torn":  # in order, the one on its way torn
        return "whole" if place < count - 1 else "torn"
    if manner in ("first", "last"):
        return "whole" if (place < count // 2) is (manner == "first") else ""
    return {"all": "whole", "rags": "torn"}.get(manner, "")


def _name(names: dict[str, int], op: Op) -> None:
    if op.kind is Kind.LINK:
        names[op.name] = op.inode
    else:
        names.pop(op.name, None)


def _apply(data: bytearray, op: Op, torn: Random | None = None) -> None:
    if op.kind is Kind.TRUNCATE:
        del data[op.at :]
        data.extend(bytes(op.at - len(data)))
        return
    for at, piece in [(op.at, op.data)] if torn is None else _torn(op, torn):
        if len(data) < at + len(piece):
            data.extend(bytes(at + len(piece) - len(data)))
        data[at : at + len(piece)] = piece


def _torn(op: Op, rng: Random) -> list[tuple[int, bytes]]:
    if rng.random() < 0.3:
        return [(op.at, op.data[: rng.randrange(len(op.data) + 1)])]
    edges = [op.at, *range((op.at // SECTOR + 1) * SECTOR, op.at + len(op.data), SECTOR), op.at + len(op.data)]
    pieces = [(a, op.data[a - op.at : b - op.at]) for a, b in itertools.pairwise(edges)]
    return [piece for piece in pieces if rng.random() < 0.5]
