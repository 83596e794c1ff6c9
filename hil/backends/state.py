"""What may befall the state directory of an agent that does not run: an older image, rotten bytes, a torn log."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

TORN_BYTES = 4096


def keep(state: Path, image: Path) -> None:
    """An image of the state as the card would give it now."""
    shutil.rmtree(image, ignore_errors=True)
    shutil.copytree(state, image)


def restore(state: Path, image: Path) -> None:
    """The state is the image's again; ValueError when none was taken."""
    if not image.is_dir():
        raise ValueError("there is no image: disk.keep comes first")
    for path in state.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(image, state, dirs_exist_ok=True)


def corrupt(state: Path, rng: random.Random) -> int:
    """Other bytes in the middle of every page of the database; how many files were hit."""
    hit = 0
    for path in database(state):
        data = bytearray(path.read_bytes())
        for at in range(0, len(data), 512):
            data[at + rng.randrange(min(512, len(data) - at))] ^= 0xFF
        path.write_bytes(data)
        hit += bool(data)
    return hit


def changes(directory: Path, act: Callable[[], object], files: str = "*") -> bool:
    """Do `act`; whether other bytes are in those files of the directory then."""
    before = _contents(directory, files)
    act()
    return _contents(directory, files) != before


def _contents(directory: Path, files: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob(files) if path.is_file()}


def log_size(state: Path) -> dict[str, tuple[bytes, int]]:
    """By log: its header, which changes when it begins anew, and its length."""
    return {path.name: (path.read_bytes()[:32], path.stat().st_size) for path in state.glob("*-wal")}


def tear(state: Path, needed: dict[str, tuple[bytes, int]], rng: random.Random) -> int:
    """Cut each log at any byte beyond what was `needed` (of `log_size`), rubbish after the cut; bytes lost."""
    lost = 0
    for path in state.glob("*-wal"):
        head, size = needed.get(path.name, (b"", 0))
        data = path.read_bytes()
        if data[:32] != head or len(data) <= size:
            continue
        cut = rng.randrange(size, len(data))
        path.write_bytes(data[:cut] + rng.randbytes(min(TORN_BYTES, len(data) - cut)))
        lost += len(data) - cut
    return lost


def database(state: Path) -> list[Path]:
    """SQLite files, logs included."""
    return sorted(
        p for p in state.glob("*") if p.is_file() and (p.suffix == ".db" or p.name.endswith(("-wal", "-shm")))
    )
