"""Imported by the daemon before everything else: libraries come without what it never uses, memory stays in one heap.

pydantic imports importlib.metadata (with it email, zipfile, csv) to look for plugins of its own; the daemon has none.
It names types of zoneinfo (with it sysconfig), ipaddress, uuid (with it platform) and decimal, of which no model of
ours has a field, and compares secrets (with it random), of which it sees none. fractions knows decimal too.
paho imports urllib.request (with it http and email) to look for a proxy in the environment, and uuid for the name of a
client that was given none; a gateway has no proxy, and its clients have names.
The stand-ins save 5 MB; whoever imports the real modules later gets them.
"""

from __future__ import annotations

import ctypes
import os
import sys
from types import ModuleType

from drivers.stand_in import stand_in

M_ARENA_MAX = -8  # of mallopt(3): a heap a thread would cost half a megabyte and help nobody


def import_paho() -> ModuleType:
    """paho.mqtt.client, without its look at the environment's proxies."""
    with stand_in("urllib.request", getproxies=dict), stand_in("uuid"), stand_in("platform", system=lambda: "Linux"):
        import paho.mqtt.client

    return paho.mqtt.client


ADDRESSES = [f"IPv{version}{kind}" for version in (4, 6) for kind in ("Address", "Interface", "Network")]


MAKERS = ("pydantic", "pydantic_core", "annotated_types", "typing_inspection")
VALIDATES = ("pydantic.main", "pydantic.type_adapter")
LIBRARY = "pydantic_core._pydantic_core"  # a process may load it only once


def forget_model_makers() -> None:
    """Models that were defined go on validating; what only defines new ones is let go, 3 MB that later imports and
    traffic take. Whoever imports pydantic again gets it anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in MAKERS and name != LIBRARY]:
        module = sys.modules.pop(name)
        if name not in VALIDATES:
            vars(module).clear()


def _import_pydantic() -> None:
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    with (
        stand_in("importlib.metadata", entry_points=tuple, version=str, distributions=tuple, distribution=None),
        stand_in("zoneinfo", ZoneInfo=type("ZoneInfo", (), {}), ZoneInfoNotFoundError=KeyError),
        stand_in("ipaddress", **{name: type(name, (), {}) for name in ADDRESSES}),
        stand_in("uuid", UUID=type("UUID", (), {})),
        stand_in("decimal", Decimal=type("Decimal", (), {})),
        stand_in("secrets"),
    ):
        import fractions  # noqa: F401  # for the drivers

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
