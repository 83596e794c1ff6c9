"""The shipped source of what decides, loaded apart from the running one: as it is, or with one piece of it replaced."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

ROOT = Path(__file__).parents[2]
DECIDING = ("agent.core", "agent.gate")  # these are loaded anew; what they import of drivers is shared


DECLARED: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()  # names that a class's module knows


def path_of(module: str) -> Path:
    """The file of a module of this repository."""
    return ROOT / (module.replace(".", "/") + ".py")


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code = compile(self._source, self.path, "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code


class Replaced:
    """Finds these modules with other text than their files have."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._sources:
            return None
        file = str(path_of(name))
        return importlib.util.spec_from_file_location(name, file, loader=_Loader(name, file, self._sources[name]))


def belongs(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@contextmanager
def _apart() -> Iterator[None]:
    """Modules that decide are imported anew inside, and are what they were afterwards."""
    kept = {name: module for name, module in sys.modules.items() if belongs(name, DECIDING)}
    parents = {name: dict(vars(sys.modules[name])) for name in ("agent",) if name in sys.modules}
    for name in kept:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if belongs(name, DECIDING)]:
            del sys.modules[name]
        sys.modules.update(kept)
        for name, names in parents.items():
            vars(sys.modules[name]).update(names)


class Modules:
    """Modules by their last name: `m.permit.permit`, `m.gate.Gate`. A fresh set: nothing outside refers to it."""

    def __init__(self, replaced: Mapping[str, str] | None = None) -> None:
        finder = Replaced(replaced or {})
        with _apart():
            sys.meta_path.insert(0, finder)
            try:
                for file in sorted((ROOT / "agent/core").glob("*.py")):
                    if file.stem != "__init__":
                        importlib.import_module(f"agent.core.{file.stem}")
                importlib.import_module("agent.gate")
            finally:
                sys.meta_path.remove(finder)
            self.loaded = {name: module for name, module in sys.modules.items() if belongs(name, DECIDING)}
        for name, module in self.loaded.items():
            for value in vars(module).values():
                if isinstance(value, type) and value.__module__ == name:
                    DECLARED[value] = vars(module)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is put into a module inside, is not in it afterwards."""
        before = {name: dict(vars(module)) for name, module in self.loaded.items()}
        try:
            yield
        finally:
            for name, names in before.items():
                vars(self.loaded[name]).clear()
                vars(self.loaded[name]).update(names)

    def __getattr__(self, name: str) -> ModuleType:
        for full in (f"agent.core.{name}", f"agent.{name}"):
            if full in self.loaded:
                return self.loaded[full]
        raise AttributeError(name)


def edited(module: str, old: str, new: str) -> dict[str, str]:
    """That module with the one place that reads `old` replaced. AssertionError = the place is not there any more."""
    text = path_of(module).read_text("utf-8")
    assert text.count(old) == 1, f"{module} has {old!r} {text.count(old)} times: plant the defect elsewhere"
    return {module: text.replace(old, new)}
