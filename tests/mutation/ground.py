"""What a verdict rests on: the files that its test can have imported, directly or by way of others."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tests.proof.sources import ROOT

THEOREM = re.compile(r"[A-Z]\w*( \w+)?: ")
TOPS = ("agent", "drivers", "hil", "tests")


def ground(by: str) -> str:
    """One hash. `by`: the test or theorem that decided; anything else rests on everything."""
    file = ROOT / by.partition("::")[0]
    if file.suffix == ".py" and file.is_file():
        return _hash(_reached([file]))
    if THEOREM.match(by):
        proof, core = (ROOT / "tests/proof").glob("*.py"), (ROOT / "agent/core").glob("*.py")
        return _hash(_reached([*proof, *core, ROOT / "agent/gate.py"]))
    return _hash(_everything())


def changed() -> None:
    """Look at the disk anew."""
    for cached in (_imports, _bytes, _data):
        cached.cache_clear()


@cache
def _data() -> tuple[Path, ...]:
    """What code reads without importing it, and what pytest imports by itself."""
    tables = (ROOT / "drivers").rglob("*.toml")
    return (*sorted(tables), *sorted((ROOT / "tests").rglob("conftest.py")), ROOT / "pyproject.toml")


def _everything() -> set[Path]:
    return {file for top in TOPS for file in (ROOT / top).rglob("*.py")}


def _reached(begin: Iterable[Path]) -> set[Path]:
    """These files, and all of this repository that they import."""
    found: set[Path] = set()
    waiting = list(begin)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imports(file))
    return found


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    return tuple({path for name in _names(ast.parse(_bytes(file))) for path in _files(name)})


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files(name: str) -> Iterator[Path]:
    """Of a module and of the packages that it is in."""
    parts = name.split(".")
    if parts[0] not in TOPS:
        return
    for n in range(1, len(parts) + 1):
        path = ROOT.joinpath(*parts[:n])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield file


@cache
def _bytes(file: Path) -> bytes:
    return file.read_bytes()


def _hash(files: Iterable[Path]) -> str:
    one = hashlib.sha256()
    for file in sorted({*files, *_data()}):
        one.update(f"{file.relative_to(ROOT)}\n{len(_bytes(file))}\n".encode() + _bytes(file))
    return one.hexdigest()[:16]
