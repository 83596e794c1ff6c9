"""The settlement records for years, beside the database: one file a month, a signed token a line, only appended to.

A line is written when its record is committed, and the database lets go of a record only after that. A line that a
power cut tore is cut off at the next start and written again from the database. Months that are over are packed. The
aggregator's receipts over the chain are lines too. Everything here may raise OSError.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.core.guarantee import date
from agent.store.chain import Head, link
from agent.store.slots import sync_directory

KEPT_MONTHS = 30  # what is asked for is 25
TAIL = 128 * 1024  # more than one line
_GZIP = 31  # zlib's word for it


@dataclass(frozen=True, slots=True)
class Last:
    """The newest record of the archive: the chain up to it, its row number, and the key id of its signature."""

    head: Head
    seq: int
    kid: str | None


class Archive:
    """Files `path`-YYYY-MM, the newest of them open to more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._month = ""

    # --- reading -----------------------------------------------------------------------------------------------------
    def months(self) -> list[Path]:
        """The oldest first."""
        return sorted(p for p in self._path.parent.glob(f"{self._path.name}-*") if p.suffix != ".part")

    def open(self) -> Last | None:
        """The newest record; None: there is none. What was torn behind it is cut off."""
        for path in reversed(self.months()):
            self._month = max(self._month, path.name.removeprefix(f"{self._path.name}-")[:7])
            found = self._tail(path)
            if found is not None:
                return found
        return None

    def _tail(self, path: Path) -> Last | None:
        if path.suffix == ".gz":
            return _last([part for line in lines(path) if (part := record(line)) is not None][-1:])
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            start = max(0, size - TAIL)
            data = os.pread(fd, size - start, start)
            skipped = data.find(b"\n") + 1 if start else 0
            good, at = [], skipped
            for line in data[skipped:].split(b"\n")[:-1]:
                if not is_line(line):
                    break
                good.append(line)
                at += len(line) + 1
            if at < len(data):
                os.ftruncate(fd, start + at)
                os.fsync(fd)
        finally:
            os.close(fd)
        return _last([part for line in good if (part := record(line)) is not None][-1:])

    def hash_of(self, n: int) -> str | None:
        """h_n of a record that is kept; None: it is not. Reads the files, the newest first."""
        for path in reversed(self.months()):
            for line in lines(path):
                found = record(line)
                if found is not None and found[1]["n"] == n:
                    return link(str(found[1]["prev"]), found[0])
        return None

    # --- writing -----------------------------------------------------------------------------------------------------
    def append(self, tokens: Iterable[bytes], wall_ms: int) -> None:
        """Durably. A clock that goes back opens no older file."""
        month = max(self._month, month_of(wall_ms))
        path = self._path.with_name(f"{self._path.name}-{month}")
        data = b"".join(token + b"\n" for token in tokens)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            at = os.fstat(fd).st_size
            done = os.pwrite(fd, data, at)
            if done != len(data):
                os.ftruncate(fd, at)
                raise OSError(f"{path}: {done} of {len(data)} bytes were written")
            os.fsync(fd)
        finally:
            os.close(fd)
        if month != self._month:
            sync_directory(path.parent)
            self._month = month
            self._tidy()

    def _tidy(self) -> None:
        """Pack the months that are over, and let go of those beyond what is kept."""
        months = self.months()
        for path in months[: max(0, len(months) - KEPT_MONTHS)]:
            path.unlink()
        for path in months[-KEPT_MONTHS:-1]:
            if path.suffix != ".gz":
                _pack(path)
        sync_directory(self._path.parent)


def _pack(path: Path) -> None:
    """Whole under its new name before the old one goes."""
    part = path.with_name(f"{path.name}.part")
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        plain = b"".join(_unfolded(line) + b"\n" for line in lines(path))
        data = packer.compress(plain) + packer.flush()
        if os.write(fd, data) != len(data):
            raise OSError(f"{part}: not all of it was written")
        os.fsync(fd)
    finally:
        os.close(fd)
    part.rename(path.with_name(f"{path.name}.gz"))
    path.unlink()


def lines(path: Path) -> Iterator[bytes]:
    """Every line of a month, packed or not."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return (_folded(line) for line in zlib.decompress(data, _GZIP).split(b"\n") if line)
    return (line for line in data.split(b"\n") if line)


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


def _kid(line: bytes) -> str | None:
    head = line.partition(b".")[0]
    try:
        kid = json.loads(_unb64(head))["kid"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(kid)


def _last(found: list[tuple[bytes, dict[str, object], str | None]]) -> Last | None:
    if not found:
        return None
    data, body, kid = found[0]
    n, seq = body["n"], body.get("seq", 0)
    assert isinstance(n, int) and isinstance(seq, int)
    return Last(Head(n, link(str(body["prev"]), data), n + 1), seq, kid)


def month_of(wall_ms: int) -> str:
    """YYYY-MM of UTC."""
    return date(wall_ms // 86_400_000)[:7]
