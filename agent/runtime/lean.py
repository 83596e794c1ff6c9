"""Imported by the daemon before everything else: libraries come without what it never uses, memory stays in one heap.

pydantic imports importlib.metadata (with it email, zipfile, csv) to look for plugins of its own; the daemon has none.
It names types of zoneinfo (with it sysconfig) and ipaddress, of which no model of ours has a field.
paho imports urllib.request (with it http and email) to look for a proxy in the environment; a gateway has none.
The stand-ins save 5 MB; whoever imports the real modules later gets them.
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


ADDRESSES = [f"IPv{version}{kind}" for version in (4, 6) for kind in ("Address", "Interface", "Network")]


def _import_pydantic() -> None:
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    with (
        stand_in("importlib.metadata", entry_points=tuple, version=str, distributions=tuple, distribution=None),
        stand_in("zoneinfo", ZoneInfo=type("ZoneInfo", (), {}), ZoneInfoNotFoundError=KeyError),
        stand_in("ipaddress", **{name: type(name, (), {}) for name in ADDRESSES}),
    ):
        import pydantic
        import pydantic.networks
        import pydantic.plugin._loader

        pydantic.create_model("First", field=(int, 0))  # its lazy imports are made here and now


def _one_heap() -> None:
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    except (OSError, AttributeError):
        return  # another C library


_one_heap()
_import_pydantic()
