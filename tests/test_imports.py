"""What is on the import path, seen at run time; import-linter (pyproject.toml) checks the same borders in source."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "agent" / "core"

HEAVY = {"asyncio", "cryptography", "paho", "pydantic", "pymodbus", "rich", "serial", "textual"}
"""A verb must answer in the time of a bare Python; `rich` and `textual` are imported where a screen is shown."""

PURE_STDLIB = {
    *("__future__", "abc", "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools", "json"),
    *("math", "operator", "types", "typing"),
}
WORLD = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}
"""Builtins that read or change the world."""


@pytest.mark.parametrize("module", ["agent.cli.main", "agent.local.client"])
def test_command_line_stays_off_the_heavy_packages(module: str) -> None:
    code = f"import json, sys; import {module}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(run.stdout)}

    assert module.partition(".")[0] in loaded
    assert loaded & HEAVY == set()


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _may_core_import(name: str) -> bool:
    ours = ("agent.core.", "drivers.readings.")
    return name.partition(".")[0] in PURE_STDLIB or f"{name}.".startswith(ours)


def impure(source: str) -> list[str]:
    """What a module of the core says that it must not: imports off the list, and builtins that touch the world."""
    tree = ast.parse(source)
    found = [f"line {line}: imports {name}" for line, name in _imports(tree) if not _may_core_import(name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLD:
            found.append(f"line {node.lineno}: calls {node.func.id}()")
    return found


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_core_is_pure(path: Path) -> None:
    assert impure(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "import agent.mail",
        "from agent import mail",
        "from drivers import codec",
        "from drivers.readings_extra import X",
        "from . import step",
        "import json, os",
        "print('x')",
        "open('/etc/passwd')",
    ],
)
def test_purity_check_sees(line: str) -> None:
    assert len(impure(line)) == 1


def test_purity_check_allows_what_the_design_allows() -> None:
    allowed = """
from __future__ import annotations
from dataclasses import dataclass
from agent.core import command
from agent.core.command import Command
from drivers.readings import BatteryReading
import agent.core.decision
"""

    assert impure(allowed) == []


@pytest.mark.parametrize("package", ["agent", "drivers"])
def test_top_package_is_empty(package: str) -> None:
    assert (ROOT / package / "__init__.py").read_text("utf-8") == ""
