"""A long run that goes on where it stopped: a file with its seed, its commit and what it has counted so far."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.strict import FileError

ROOT = Path(__file__).parents[2]


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
    """`path` None: nothing is kept. A file of another run, seed or commit is refused with FileError."""

    path: Path | None
    what: str
    seed: int
    commit: str

    def load(self) -> Mapping[str, Any] | None:
        """What was counted so far; None = nothing yet."""
        if self.path is None or not self.path.exists():
            return None
        try:
            raw = json.loads(self.path.read_text(encoding="utf-8"))
            mine = {"what": self.what, "seed": self.seed, "commit": self.commit}
            theirs = {key: raw[key] for key in mine}
            counted = dict(raw["counted"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{self.path}: not the state of a run ({error}); give another path, or delete it"
            ) from error
        if theirs != mine:
            raise FileError(f"{self.path}: is of {theirs}, this run is {mine}; give another path, or delete it")
        return counted

    def save(self, counted: Mapping[str, Any]) -> None:
        """Replace the file."""
        if self.path is None:
            return
        body = {"what": self.what, "seed": self.seed, "commit": self.commit, "counted": dict(counted)}
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)
