"""The settlement records for years, beside the database: one file a month, a signed token a line, only appended to.

A line is written when its record is committed, and the database lets go of a record only after that. What a power cut
tore is cut off at the next start and written again from the database; a line that was spoilt later stays where it is,
and so does all behind it. Months that are over are packed. The aggregator's receipts over the chain are lines too.

Files are named by their first record as well, so no clock decides which of them is the newest. A clock that nobody
believes begins none, and one that lies about months lets go of none: that takes years of records.

Everything here may raise OSError.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.core.guarantee import date
from agent.store.chain import Head, link
from agent.store.slots import sync_directory

KEPT_MONTHS = 30  # what is asked for is 25
KEPT_BYTES = 16 << 20  # packed: 25 months of a home at 100 records a day
TAIL = 128 * 1024  # more than one line
RECENT = 1000  # records: ten days. A receipt over an older one says nothing that one over a newer one does not
_RECENT_BYTES = 4 << 20  # where so many of them are, in a file that is not packed
_LAST_MS = 253_402_300_799_999  # of the year 9999
_GZIP = 31  # zlib's word for it


@dataclass(frozen=True, slots=True)
class Last:
    """The newest record of the archive: the chain up to it, its row number, and the key id of its signature."""

    head: Head
    seq: int
    kid: str | None


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where lines that are to be written belong: the first record's number, and when. `believed`: by a clock that may
    begin a new month."""

    n: int
    wall_ms: int
    believed: bool


class Recent(NamedTuple):
    """The newest `RECENT` records by their numbers, each with its hash, and over which records a receipt is kept."""

    hashes: dict[int, bytes]
    receipts: set[int]

    def add(self, line: bytes) -> None:
        """One line, in either direction."""
        found = record(line)
        if found is None:
            self.receipts.add(receipted(line))
            return
        self.hashes[_number(found[1])] = bytes.fromhex(link(str(found[1]["prev"]), found[0]))


class Archive:
    """Files `path`-NUMBER-YYYY-MM by their first record, the newest of them open to more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: Path | None = None
        self._size: int | None = None  # of the newest file, as far as its lines were written whole; None: not known
        self._recent: Recent | None = None  # None: not looked at yet
        self.untidy = True  # months may wait to be packed

    # --- reading -----------------------------------------------------------------------------------------------------
    def months(self) -> list[Path]:
        """The oldest first. Of one that was being packed when the power went, the packed one."""
        found = {p for p in self._path.parent.glob(f"{self._path.name}-*") if p.suffix != ".part"}
        return sorted([p for p in found if _packed(p) not in found], key=lambda p: (len(p.stem) > self._plain, p.name))

    @property
    def _plain(self) -> int:
        return len(f"{self._path.name}-YYYY-MM")  # an earlier version's names have no number

    def open(self, there: Callable[[], Container[int]] = tuple) -> Last | None:
        """The newest record; None: there is none. What was torn behind it is cut off. So is a bad line with all behind
        it if `there`, the numbers that can be written again, has every record of them; else it stays."""
        months = self.months()
        self._newest, self._size, self._recent = (months[-1] if months else None), None, None
        for path in reversed(months):
            found = _last(lines(path)) if path.suffix == ".gz" else _last(self._mended(path, there))
            if found is not None:
                return found
        return None

    def _mended(self, path: Path, there: Callable[[], Container[int]]) -> list[bytes]:
        """The last lines of a file that is not packed, without what was torn."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            start = max(0, size - TAIL)
            data = os.pread(fd, size - start, start)
            skipped = data.find(b"\n") + 1 if start else 0
            found = data[skipped:].split(b"\n")[:-1]
            good = next((i for i, line in enumerate(found) if not is_line(line)), len(found))
            if good < len(found) and not _replaceable(found, good, there()):
                good = len(found)
            end = skipped + sum(len(line) + 1 for line in found[:good])
            if end < len(data):
                os.ftruncate(fd, start + end)
                os.fsync(fd)
        finally:
            os.close(fd)
        if start and _last(found[:good]) is None:
            return list(lines(path))
        return found[:good]

    def hash_of(self, n: int) -> str | None:
        """h_n of one of the newest `RECENT` records; None: it is not among them, or its file cannot be read."""
        found = self._known().hashes.get(n)
        return found.hex() if found is not None else None

    def has_receipt(self, n: int) -> bool:
        """Whether one over record `n`, of the newest `RECENT`, is kept; it stands behind that record."""
        return n in self._known().receipts

    def _known(self) -> Recent:
        """Read once a start: whoever asks for what is not there, as often as they like, has nothing read again."""
        if self._recent is None:
            self._recent = Recent({}, set())
            for line in self._newest_lines():
                if len(self._recent.hashes) >= RECENT:
                    break
                self._recent.add(line)
            self._recent = Recent(dict(reversed(self._recent.hashes.items())), self._recent.receipts)
        return self._recent

    def _newest_lines(self) -> Iterator[bytes]:
        """The newest first, of a file that is not packed its last part; of a month that cannot be read none."""
        for path in reversed(self.months()):
            with contextlib.suppress(OSError):
                yield from reversed(list(lines(path)) if path.suffix == ".gz" else _tail(path))

    def newest(self) -> Iterator[bytes]:
        """Every line, the newest first; of a month that cannot be read none."""
        for path in reversed(self.months()):
            with contextlib.suppress(OSError):
                yield from reversed(list(lines(path)))

    # --- writing -----------------------------------------------------------------------------------------------------
    def append(self, tokens: Iterable[bytes], stamp: Stamp) -> None:
        """Durably all of them, or an exception and none."""
        path = self._file(stamp)
        begun = path != self._newest
        data = b"".join(token + b"\n" for token in tokens)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            at = os.fstat(fd).st_size
            if not begun and self._size is not None and self._size < at:  # what failed before, and could not be undone
                at = self._size
                os.ftruncate(fd, at)
            try:
                done = os.pwrite(fd, data, at)
                if done != len(data):
                    raise OSError(errno.ENOSPC, f"{done} of {len(data)} bytes were written", str(path))
                os.fsync(fd)
                if begun:
                    sync_directory(path.parent)
            except OSError:
                self._size = self._size if begun else at
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, at)
                    if begun:
                        path.unlink()
                raise
        finally:
            os.close(fd)
        self._newest, self._size = path, at + len(data)
        self._follow(data.split(b"\n")[:-1])
        self.untidy = self.untidy or begun

    def _follow(self, written: Iterable[bytes]) -> None:
        if self._recent is None:
            return
        for line in written:
            self._recent.add(line)
        hashes = self._recent.hashes
        for n in list(hashes)[: max(0, len(hashes) - RECENT)]:
            del hashes[n]

    def _file(self, stamp: Stamp) -> Path:
        month = month_of(stamp.wall_ms)
        newest = self._newest
        if newest is not None and newest.suffix != ".gz" and (not stamp.believed or newest.name.endswith(month)):
            return newest
        return self._path.with_name(f"{self._path.name}-{max(0, stamp.n):010d}-{month}")

    def cut(self, n: int) -> None:
        """Let go of every record from `n` on: they were told to nobody, and others take their place."""
        self._recent = None
        for path in reversed(self.months()):
            found = list(lines(path))
            keep = [line for line in found if (part := record(line)) is None or _number(part[1]) < n]
            if keep and len(keep) < len(found):
                _rewrite(path, path, keep)
            elif not keep:
                path.unlink()
            if any(record(line) is not None for line in keep):
                break
        months = self.months()
        self._newest, self._size = (months[-1] if months else None), None
        sync_directory(self._path.parent)

    def tidy(self) -> None:
        """Pack the months that are over, and let go of those beyond what is kept."""
        self.untidy = False  # if it fails: tried again with the next month, or at the next start
        for path in self._path.parent.glob(f"{self._path.name}-*"):
            if path.suffix != ".gz" and _packed(path).exists():  # the power went while it was packed
                (path if _is_whole(path) else _packed(path)).unlink()
        months = self.months()
        for path in months[:-1]:
            if path.suffix != ".gz":
                _pack(path)
        months = self.months()
        sizes = [path.stat().st_size for path in months]
        while len(months) > KEPT_MONTHS and sum(sizes[1:]) >= KEPT_BYTES:
            months.pop(0).unlink()
            sizes.pop(0)
        sync_directory(self._path.parent)


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _is_whole(path: Path) -> bool:
    """Whether the packed file says what `path` does."""
    try:
        return list(lines(_packed(path))) == list(lines(path))
    except OSError:
        return False


def _replaceable(found: list[bytes], good: int, there: Container[int]) -> bool:
    """Whether every record from line `good` on is among `there`."""
    before = _last(found[:good])
    numbers = [part[1]["n"] if (part := record(line)) is not None else None for line in found[good:] if is_line(line)]
    known = [n for n in numbers if isinstance(n, int)]
    if before is None or len(known) < len(numbers):
        return False
    last = max([before.head.n + len(found) - good, *known])
    return all(n in there for n in range(before.head.n + 1, last + 1))


def _number(body: dict[str, object]) -> int:
    n = body["n"]
    assert isinstance(n, int)
    return n


def _pack(path: Path) -> None:
    """Whole under its new name before the old one goes."""
    _rewrite(path, _packed(path), lines(path))
    path.unlink()


def _rewrite(path: Path, target: Path, found: Iterable[bytes]) -> None:
    """`target` with those lines, packed if its name says so; it is as it was, or whole."""
    part = path.with_name(f"{path.name}.part")
    if target.suffix == ".gz":
        packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        data = packer.compress(b"".join(_unfolded(line) + b"\n" for line in found)) + packer.flush()
    else:
        data = b"".join(line + b"\n" for line in found)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(f"{part}: not all of it was written")
        os.fsync(fd)
    finally:
        os.close(fd)
    part.rename(target)


def lines(path: Path) -> Iterator[bytes]:
    """Every line of a month, packed or not."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            plain = zlib.decompress(data, _GZIP)
        except zlib.error as error:
            raise OSError(errno.EIO, f"packed, and damaged ({error})", str(path)) from error
        return (_folded(line) for line in plain.split(b"\n") if line)
    return (line for line in data.split(b"\n") if line)


def _tail(path: Path) -> list[bytes]:
    """The whole lines in the last part of a file that is not packed."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start = max(0, os.fstat(fd).st_size - _RECENT_BYTES)
        found = os.pread(fd, _RECENT_BYTES, start).split(b"\n")
    finally:
        os.close(fd)
    return [line for line in (found[1:] if start else found) if line]


def _unfolded(token: bytes) -> bytes:
    """Header, payload and signature with tabs between, the first two decoded: packs to a third of the token. What does
    not come back byte for byte stays as it is."""
    head, _, rest = token.partition(b".")
    body, _, signature = rest.partition(b".")
    try:
        plain = b"\t".join((_unb64(head), _unb64(body), signature))
    except ValueError:
        return token
    return plain if _folded(plain) == token and b"\n" not in plain else token


def _folded(line: bytes) -> bytes:
    """Inverse of `_unfolded`."""
    parts = line.split(b"\t")
    return b".".join((_b64(parts[0]), _b64(parts[1]), parts[2])) if len(parts) == 3 else line


def _unb64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def is_line(line: bytes) -> bool:
    """A token, whole as far as its form tells."""
    return payload(line) is not None


def payload(line: bytes) -> tuple[bytes, dict[str, object]] | None:
    """The payload of a token: its bytes, and the object in them."""
    parts = line.split(b".")
    if len(parts) != 3:
        return None
    try:
        data = _unb64(parts[1])
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return (data, body) if isinstance(body, dict) else None


def record(line: bytes) -> tuple[bytes, dict[str, object], str | None] | None:
    """A settlement record: payload, body, key id (None: unsigned). None for another line."""
    found = payload(line)
    if found is None or type(found[1].get("n")) is not int or not isinstance(found[1].get("prev"), str):
        return None
    return *found, _kid(line)


def receipted(line: bytes) -> int:
    """Up to which record the line is a receipt over the chain; -1: it is none."""
    found = payload(line)
    checkpoint = found[1].get("checkpoint") if found is not None else None
    n = checkpoint.get("n") if isinstance(checkpoint, dict) else None
    return n if type(n) is int else -1


def _kid(line: bytes) -> str | None:
    head = line.partition(b".")[0]
    try:
        kid = json.loads(_unb64(head))["kid"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(kid)


def _last(found: Iterable[bytes]) -> Last | None:
    part = next((part for line in reversed(list(found)) if (part := record(line)) is not None), None)
    if part is None:
        return None
    data, body, kid = part
    n, seq = body["n"], body.get("seq", 0)
    assert isinstance(n, int) and isinstance(seq, int)
    return Last(Head(n, link(str(body["prev"]), data), n + 1), seq, kid)


def month_of(wall_ms: int) -> str:
    """YYYY-MM of UTC, at most of the year 9999."""
    return date(min(max(0, wall_ms), _LAST_MS) // 86_400_000)[:7]
