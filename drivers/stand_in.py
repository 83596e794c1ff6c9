"""A stand-in for a module that a library imports and never uses for us, there only while that library is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def stand_in(name: str, **attributes: object) -> Iterator[None]:
    """`import name` finds an empty module with these attributes; afterwards the real one again. Nothing happens when
    the real one is loaded already: then it costs nothing more."""
    if name in sys.modules:
        yield
        return
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module  # before its parent, which may import it itself
    parent_name, _, child = name.rpartition(".")
    try:
        if parent_name:
            __import__(parent_name)
            vars(sys.modules[parent_name])[child] = module
        yield
    finally:
        del sys.modules[
            name
        ]  # its parent keeps it as an attribute until the real one is imported: the library may look
