"""Imported by the daemon before everything else: libraries come without what it never uses, memory stays in one heap.

pydantic imports importlib.metadata (with it email, zipfile, csv) to look for plugins of its own; the daemon has none.
An empty stand-in during that one import saves 2 MB; whoever imports importlib.metadata later gets the real one.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from types import ModuleType

M_ARENA_MAX = -8  # of mallopt(3): a heap a thread would cost half a megabyte and help nobody
_METADATA = "importlib.metadata"


def _import_pydantic() -> None:
    if _METADATA in sys.modules:
        return
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    empty = ModuleType(_METADATA)
    vars(empty).update(entry_points=tuple, version=str, distributions=tuple, distribution=None)
    sys.modules[_METADATA] = vars(importlib)["metadata"] = empty
    try:
        import pydantic
        import pydantic.networks
        import pydantic.plugin._loader

        assert pydantic.BaseModel is not None  # its lazy import is made here and now
    except ImportError:
        return  # another version of pydantic: it comes as it likes
    finally:
        del sys.modules[_METADATA], importlib.metadata


def _one_heap() -> None:
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    except (OSError, AttributeError):
        return  # another C library


_one_heap()
_import_pydantic()
