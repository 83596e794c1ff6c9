"""Which batteryd and batteryctl the bench starts: the installed, compiled ones; the clone's if nothing is installed."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

from hil.strict import FileError

CLONE = Path(__file__).parents[1]


def batteryd() -> list[str]:
    """The command line of the daemon, without arguments."""
    return _program("batteryd", "agent.daemon")


def batteryctl() -> list[str]:
    """The command line of the technician's tool, without arguments."""
    return _program("batteryctl", "agent.cli")


def _program(script: str, module: str) -> list[str]:
    installed = Path(sys.prefix) / "bin" / script
    return [str(installed)] if installed.is_file() else [sys.executable, "-m", module]


@cache
def installed_from() -> str:
    """Where the started daemon imports `agent` from: "source" when that is the clone itself."""
    if len(batteryd()) != 1:
        return "source"
    path = str(_imported(sys.executable).get("agent", ""))
    return "source" if path in ("", str(CLONE / "agent")) else f"{path}/__init__.py"


def _imported(python: str) -> dict[str, Path]:
    """Where a daemon that is started with `python` has its packages from: PYTHONPATH counts for it as well."""
    asked = [python, "-c", "import agent, drivers; print(agent.__path__[0], drivers.__path__[0], sep='\\n')"]
    found = subprocess.run(asked, cwd="/", capture_output=True, text=True, check=False).stdout.split("\n")
    return {name: Path(path) for name, path in zip(("agent", "drivers"), found, strict=False) if path}


def of_this_source(python: str | None = None, root: Path = CLONE) -> None:
    """FileError when the daemon that would be started is not what the clone says: whatever is counted of it would stand
    under a source that never ran."""
    if python is None and len(batteryd()) != 1:
        return
    for name, there in _imported(python or sys.executable).items():
        for path in (root / name).rglob("*.py"):
            other = there / path.relative_to(root / name)
            if not other.is_file() or other.read_bytes() != path.read_bytes():
                raise FileError(f"the installed daemon is not of this source ({name}/{path.name} differs): make env")
