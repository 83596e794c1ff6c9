"""Worlds that a scenario can run in."""

from __future__ import annotations

from hil.backends.backend import Backend


def make_backend(name: str) -> Backend:
    """A fresh world of that kind; only its own module is imported."""
    if name == "virtual":
        from hil.backends.virtual import VirtualBackend

        return VirtualBackend()
    if name == "process":
        from hil.backends.process import ProcessBackend

        return ProcessBackend()
    raise ValueError(f"there is no backend {name!r}")
