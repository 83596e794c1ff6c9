"""The daemon as it is, with faults that only its own process can show: `python -m hil.faults.inside FILE --config ...`.

There is no such hook in the product: before `main` runs, its clock and the methods of its parts are given others here.
FILE is JSON that the bench replaces whole: {"clock_ms": 0, "synced": null, "stall": [who, since], "leak": [mb_per_s,
since]}; `since` is monotonic ns. What began before this process did is not for it: a restart ends a stall or a leak.
What came of it stands beside FILE: {"clock_ms": how far the daemon's clock was ahead when it last looked, "synced":
false once it was told so, "stall": `since` of the order that holds a thread, "leak": of the one that takes memory}.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from agent import daemon
from agent.control import Control
from agent.runtime import real
from agent.store.store import Store
from drivers.line import SerialLine
from hil.faults.shown import ACTED

WHO: dict[str, tuple[type, str]] = {
    "control": (Control, "handle"),
    "store": (Store, "handle"),
    "line": (SerialLine, "write"),
}
LOOK_S = 0.05
MB = 1 << 20


class Orders:
    """What the file says now, looked at by a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began_ns = time.monotonic_ns()
        self._never = threading.Event()
        self._kept: list[bytearray] = []
        self.told: dict[str, Any] = {}
        self.acted: dict[str, Any] = {}  # what came of them
        self._told_of: dict[str, Any] = {}
        self.look()

    def look(self) -> None:
        """Read the file; half a file is read again."""
        try:
            self.told = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return

    def mine(self, name: str) -> Any:
        """The value of an order that began while this process lives, else None."""
        value = self.told.get(name)
        return value[0] if value and value[1] > self._began_ns else None

    def hold(self, who: str) -> None:
        """Does not come back while `who` is to hang."""
        while self.mine("stall") == who:
            self.acted["stall"] = self.told["stall"][1]
            self._never.wait(LOOK_S)

    def tell(self) -> None:
        """Write down what came of the orders since the last time."""
        acted = dict(self.acted)
        if acted != self._told_of:
            fresh = self._path.with_suffix(".fresh")
            fresh.write_text(json.dumps(acted), encoding="utf-8")
            fresh.replace(self._path.with_suffix(ACTED))
            self._told_of = acted

    def run(self) -> None:
        """Look for ever; take memory when told to."""
        while not self._never.wait(LOOK_S):
            self.look()
            rate = self.mine("leak")
            if rate:
                self._kept.append(bytearray(b"\1" * int(rate * MB * LOOK_S)))
                self.acted["leak"] = self.told["leak"][1]
            self.tell()


def main(argv: list[str]) -> int:
    """The daemon's own main, and its exit code."""
    orders = Orders(Path(argv[0]))
    wall_ns, ntp = time.time_ns, real.ntp_synced

    def shifted() -> int:
        ahead_ms = orders.acted["clock_ms"] = int(orders.told.get("clock_ms", 0))
        return wall_ns() + ahead_ms * 1_000_000

    def synced() -> bool:
        told = orders.acted["synced"] = orders.told.get("synced")
        return ntp() if told is None else bool(told)

    time.time_ns = shifted

    real.ntp_synced = vars(daemon)["ntp_synced"] = synced
    for who, (kind, method) in WHO.items():
        _hang(orders, who, kind, method)
    threading.Thread(target=orders.run, name="orders", daemon=True).start()
    return daemon.main(argv[1:])


def _hang(orders: Orders, who: str, kind: type, method: str) -> None:
    original = getattr(kind, method)

    def held(self: object, *args: Any) -> Any:
        orders.hold(who)
        return original(self, *args)

    setattr(kind, method, held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
