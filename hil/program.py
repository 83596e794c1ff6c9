"""Which batteryd and batteryctl the bench starts: the installed, compiled ones; the clone's if nothing is installed."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

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
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import agent; print(agent.__file__)"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    path = done.stdout.strip()
    return "source" if done.returncode != 0 or Path(path) == CLONE / "agent" / "__init__.py" else path
