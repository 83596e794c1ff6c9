"""Imported by the daemon before everything else: libraries come without what it never uses, memory stays in one heap.

pydantic imports importlib.metadata (with it email, zipfile, csv) to look for plugins of its own; the daemon has none.
It names types of zoneinfo (with it sysconfig), ipaddress, uuid (with it platform) and decimal, of which no model of
ours has a field, and compares secrets (with it random), of which it sees none. fractions knows decimal too.
paho imports urllib.request (with it http and email) to look for a proxy in the environment, and uuid for the name of a
client that was given none; a gateway has no proxy, and its clients have names.
dataclasses, typing_extensions and logging import inspect and traceback (with them ast, dis, tokenize), of which they
need something when models are made or an exception is logged; they come when they are asked for.
Classes of ours share what dataclasses compiles for each (records). All this saves 9 MB; whoever imports the real
modules later gets them.
"""

from __future__ import annotations

import ctypes
import os
import sys
import typing
from types import ModuleType

from agent.runtime.lazy import lazy
from drivers.stand_in import stand_in

M_ARENA_MAX = -8  # of mallopt(3): a heap a thread would cost half a megabyte and help nobody


def import_paho() -> ModuleType:
    """paho.mqtt.client, without its look at the environment's proxies."""
    with stand_in("urllib.request", getproxies=dict), stand_in("uuid"), stand_in("platform", system=lambda: "Linux"):
        import paho.mqtt.client

    return paho.mqtt.client


ADDRESSES = [f"IPv{version}{kind}" for version in (4, 6) for kind in ("Address", "Interface", "Network")]


MAKERS = ("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions")
VALIDATES = ("pydantic.main", "pydantic.type_adapter")
LIBRARY = "pydantic_core._pydantic_core"  # a process may load it only once
LOOKS = ("ast", "dis", "opcode", "tokenize", "linecache", "textwrap")  # what `inspect` and `traceback` are made of
LAZY = [module for module in map(lazy, ("inspect", "traceback")) if module is not None]
BEFORE = frozenset(sys.modules)  # what was there already may be of use to whoever imported it
TYPING = dict(vars(typing))
CLEANUPS = len(getattr(typing, "_cleanups", ()))


def forget_model_makers() -> None:
    """Models that were defined go on validating; what only defines new ones is let go, 4 MB that later imports and
    traffic take. Whoever imports pydantic again gets it anew."""
    _clean_typing()
    for name in [name for name in sys.modules if name.partition(".")[0] in MAKERS and name != LIBRARY]:
        module = sys.modules.pop(name)
        if name not in VALIDATES:
            vars(module).clear()
    for module in LAZY:
        module.forget()
    for module in let_go(*LOOKS):
        vars(module).clear()


def _clean_typing() -> None:
    """typing_extensions has put functions of its own there, and the makers are in its lists."""
    vars(typing).update(TYPING)
    del getattr(typing, "_cleanups", [])[CLEANUPS:]
    typing.clear_overloads()


def let_go(*names: str) -> list[ModuleType]:
    """Modules that were imported since this one and are not needed again; whoever imports one later has it anew."""
    return [sys.modules.pop(name) for name in names if name in sys.modules and name not in BEFORE]


def _share_records() -> None:
    from agent.runtime import records  # imports dataclasses, which shall find the stand-ins

    records.share()


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
_share_records()
_import_pydantic()
