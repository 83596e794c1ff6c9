"""A stand-in that stays: to whoever asks it for anything it is the real module, imported when that first happens."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType

_LOADING = threading.RLock()


class Lazy(ModuleType):
    """In sys.modules in place of a module that is rarely used: the real one is imported when something of it is first
    asked for. `forget` lets go of it, and the next who asks has it imported anew."""

    def __init__(self, name: str, **attributes: object) -> None:
        super().__init__(name)
        self._real: ModuleType | None = None
        vars(self).update(attributes)

    def __getattr__(self, attribute: str) -> object:
        return getattr(self._load(), attribute)

    def forget(self) -> None:
        """What was taken out of the real module stays as it is."""
        self._real = None

    def _load(self) -> ModuleType:
        with _LOADING:
            if self._real is None:
                there = sys.modules.pop(self.__name__, None)
                try:
                    self._real = importlib.import_module(self.__name__)
                finally:
                    if there is not None:
                        sys.modules[self.__name__] = there
            return self._real


def lazy(name: str) -> Lazy | None:
    """`import name` finds a `Lazy` from here on; None, and nothing happens, when the real one is loaded already."""
    if name in sys.modules:
        return None
    module = Lazy(name)
    sys.modules[name] = module
    return module
