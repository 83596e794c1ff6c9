"""Worlds that a scenario can run in."""

from __future__ import annotations

from pathlib import Path

from hil.backends.backend import Backend


def make_backend(name: str, keep: Path | None = None) -> Backend:
    """A fresh world of that kind; only its own module is imported. `keep`: where its logs and traces are to stay."""
    if name == "virtual":
        from hil.backends.virtual import VirtualBackend

        return VirtualBackend()
    if name == "process":
        from hil.backends.process import ProcessBackend

        return ProcessBackend(keep)
    raise ValueError(f"there is no backend {name!r}")
