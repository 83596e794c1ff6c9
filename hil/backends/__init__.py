"""Worlds that a scenario can run in."""

from __future__ import annotations

from pathlib import Path

from hil.backends.backend import Backend
from hil.strict import FileError


def make_backend(name: str, keep: Path | None = None, rig: Path | None = None) -> Backend:
    """A fresh world of that kind; only its own module is imported. `keep`: where its logs and traces are to stay.
    `rig`: the rig file of a bench; FileError says what is wrong with it."""
    if name == "virtual":
        from hil.backends.virtual import VirtualBackend

        return VirtualBackend()
    if name == "process":
        from hil.backends.process import ProcessBackend

        return ProcessBackend(keep)
    if name == "bench":
        from hil.backends.bench import BenchBackend
        from hil.bench.rig_file import load

        if rig is None:
            raise FileError("bench runs on real ports: give --rig FILE.toml; hil/bench/README.md tells what is in it")
        return BenchBackend(load(rig), keep)
    raise ValueError(f"there is no backend {name!r}")
