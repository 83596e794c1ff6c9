"""Imported by the daemon before everything else: libraries come without what it never uses, memory stays in one heap.

pydantic imports importlib.metadata (with it email, zipfile, csv) to look for plugins of its own; the daemon has none.
paho imports urllib.request (with it http and email) to look for a proxy in the environment; a gateway has none.
The two stand-ins save 4 MB; whoever imports the real modules later gets them.
"""

from __future__ import annotations

import ctypes
import os
from types import ModuleType

from drivers.stand_in import stand_in

M_ARENA_MAX = -8  # of mallopt(3): a heap a thread would cost half a megabyte and help nobody


def import_paho() -> ModuleType:
    """paho.mqtt.client, without its look at the environment's proxies."""
    with stand_in("urllib.request", getproxies=dict):
        import paho.mqtt.client

    return paho.mqtt.client


def _import_pydantic() -> None:
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    with stand_in("importlib.metadata", entry_points=tuple, version=str, distributions=tuple, distribution=None):
        import pydantic
        import pydantic.networks
        import pydantic.plugin._loader

        assert pydantic.BaseModel is not None  # its lazy import is made here and now


def _one_heap() -> None:
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    except (OSError, AttributeError):
        return  # another C library


_one_heap()
_import_pydantic()
