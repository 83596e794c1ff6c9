"""The daemon with one thread that blocks while a file is there: `python -m tests.agent.stuck WHO FILE --config ...`.

There is no such hook in the product: a class of it is given another method before `main` runs.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from agent import daemon
from agent.control import Control
from agent.local.server import Server
from agent.store.store import Store
from drivers.line import SerialLine

WHO: dict[str, tuple[type, str]] = {
    "control": (Control, "handle"),
    "store": (Store, "handle"),
    "bus:rs485": (SerialLine, "write"),
    "local": (Server, "handle"),
}


def main(argv: list[str]) -> int:
    who, flag, *rest = argv
    kind, method = WHO[who]
    original = getattr(kind, method)

    def blocked(self: object, *args: Any) -> Any:
        held_by_the_test(Path(flag))
        return original(self, *args)

    setattr(kind, method, blocked)
    return daemon.main(rest)


def held_by_the_test(flag: Path) -> None:
    never = threading.Event()
    while flag.exists():
        never.wait(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
