"""A long run that goes on where it stopped: a file with its seed, the source it tries and what it has counted so far.

The source is told by a hash, not by the commit: a commit that touches a page or a test tries the same product.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from hil.strict import FileError

ROOT = Path(__file__).parents[2]
_CLAIMED: dict[Path, TextIO] = {}  # the kernel lets go of them when the process ends, however it ends
TRIED = ("agent", "drivers", "hil")
SHOWN = tuple(  # no long run's outcome passes through them
    f"hil/{name}"
    for name in (
        *("bench/", "long/", "report/", "results/", "scenarios/", "soak/", "street/", "teeth/"),
        *("coverage.py", "coverage_cli.py", "demo.py", "hazards.py", "phases.py", "progress.py", "serve.py"),
    )
)


@functools.cache
def source(root: Path = ROOT) -> str:
    """Twelve characters of the SHA-256 over every file of `TRIED` that a long run can pass through."""
    total = hashlib.sha256()
    for path in sorted(path for name in TRIED for path in (root / name).rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and "__pycache__" not in name and not name.startswith(SHOWN):
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]


def commit() -> str:
    """The commit that runs, with `+` when the source differs from it; "unknown" outside a clone."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "agent", "drivers", "hil") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Resume:
    """`path` None: nothing is kept. A file of another run, seed or source is refused with FileError; the commit is
    told, and not asked for."""

    path: Path | None
    what: str
    seed: int
    source: str = field(default_factory=source)
    commit: str = field(default_factory=commit)

    def load(self) -> Mapping[str, Any] | None:
        """What was counted so far; None = nothing yet."""
        if self.path is None:
            return None
        _claim(self.path)
        if not self.path.exists():
            return None
        mine = {"what": self.what, "seed": self.seed, "source": self.source}
        try:
            raw = json.loads(self.path.read_text(encoding="utf-8"))
            theirs = {key: raw[key] for key in mine}
            counted, at = dict(raw["counted"]), str(raw["commit"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{self.path}: not the state of a run ({error}); give another path, or delete it"
            ) from error
        if theirs != mine:
            raise FileError(
                f"{self.path}: is of {_told(theirs)}, commit {at}; this run is {_told(mine)}, commit {self.commit}; "
                "give another path, or delete it"
            )
        return counted

    def save(self, counted: Mapping[str, Any]) -> None:
        """Replace the file."""
        if self.path is None:
            return
        names = ("what", "seed", "source", "commit")
        body = {name: getattr(self, name) for name in names} | {"counted": dict(counted)}
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)


def _claim(path: Path) -> None:
    """One run a file, as long as this process lives. FileError for a second one, and where nothing can be written."""
    lock = path.resolve().with_name(path.name + ".lock")
    if lock in _CLAIMED:
        return
    try:
        handle = lock.open("w", encoding="utf-8")
    except OSError as error:
        raise FileError(
            f"{path}: cannot be written ({error.strerror}); give a path in a directory that is there"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise FileError(f"{path}: another run goes on with it; wait for it, or give another path") from error
    _CLAIMED[lock] = handle


def _told(whose: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in whose.items())
