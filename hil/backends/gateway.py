"""What befalls the gateway of a process run: orders to the daemon's inside, its disk, its files, its memory limit."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hil.backends import state
from hil.backends.disk import Disk
from hil.expr import Value
from hil.faults.shown import ACTED, Probe, Shown, became
from hil.scenario import Scenario
from hil.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "batteryd.service"
_INSIDE = ("proc.stall", "proc.leak", "clock.step", "clock.untrusted")
_DISK = ("disk.full", "disk.readonly")
CONNECT_S = 5.0
_HANGS = ("proc.stall", "proc.freeze")


def of_unit(key: str) -> int:
    """A number of the unit's own, such as WatchdogSec=10s or MemoryMax=160M, without its letter."""
    found = re.search(rf"^{key}=(\d+)", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{UNIT} has {key}"
    return int(found[1])


def answers(address: tuple[str, int]) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(address, CONNECT_S).close()
    except OSError:
        return False
    return True


class Gateway:
    """Only what the scenario's verbs need is changed: without them the daemon runs as installed, on the plain disk."""

    def __init__(self, directory: Path, scenario: Scenario, seed: int) -> None:
        verbs = {event.verb for event in scenario.events}
        self._orders = directory / "orders.json" if verbs.intersection(_INSIDE) else None
        self._told: dict[str, Any] = {}
        self.disk = Disk(directory / "state") if verbs.intersection(_DISK) else None
        self.state = directory / "state" if self.disk is None else self.disk.path
        self.watchdog_s = float(of_unit("WatchdogSec")) if verbs.intersection(_HANGS) else None
        self._memory_kib = of_unit("MemoryMax") * 1024 if "proc.leak" in verbs else None
        self._cuts = "disk.cut" in verbs
        self._image = directory / "image"
        self._needed: dict[str, tuple[bytes, int]] = {}
        self._rng = random.Random(f"{seed}/gateway")
        self.shown = Shown()
        self._link = directory / "bus"
        self.supervisor: Supervisor | None = None
        self.unplug: Callable[[bool], None] = lambda on: None
        self.reconfigure: Callable[[Mapping[str, Value]], None] = lambda keys: None

    def command(self, installed: Sequence[str], rest: Sequence[str]) -> list[str]:
        """The command line that starts the daemon."""
        program = list(installed)
        if self._orders is not None:
            self._order()
            program = [sys.executable, "-m", "hil.faults.inside", str(self._orders)]
        return [*(self.disk.enter if self.disk is not None else ()), *program, *rest]

    def heard(self) -> None:
        """The device told something: what it needed for that is on the disk."""
        if self._cuts:
            self._needed = state.log_size(self.state)

    def watch(self) -> None:
        """MemoryMax of the unit, as the kernel keeps it: who takes more is killed."""
        supervisor = self.supervisor
        if self._memory_kib is not None and supervisor is not None and (supervisor.rss_kib() or 0) > self._memory_kib:
            supervisor.signal(9)

    def do(self, op: str, args: Mapping[str, Value]) -> None:
        """One verb. ValueError for one that nobody knows."""
        on = bool(args.get("on", True))
        self._took = False
        probe = self._probe(op, args)
        if op == "clock_step":
            self._told["clock_ms"] = self._told.get("clock_ms", 0) + 1000 * int(args["s"] or 0)
        elif op == "untrusted":
            self._told["synced"] = False if on else None
        elif op in ("stall", "leak"):
            value = args.get("who") if op == "stall" else args.get("mb_per_s")
            self._told[op] = [value, time.monotonic_ns()] if on else None
        elif op == "unplug":
            self.unplug(on)
        elif op == "config":
            keys = {str(args["key"]): args["value"]} if on else {}
            self._while_dead(lambda: self._changes(self._link.parent, lambda: self.reconfigure(keys), "*.toml"))
        elif op == "disk_full":
            self._disk.fill(on)
        elif op == "readonly" and on:
            self._while_dead(lambda: self._disk.read_only(True))
        elif op == "readonly":
            self._disk.read_only(False)
        else:
            self._state(op)
        if self._orders is not None:
            self._order()
        if on:
            self.shown.ask(op, probe)
        else:
            self.shown.end(op)

    def close(self) -> None:
        """The file system of its own is gone."""
        if self.disk is not None:
            self.disk.close()

    def _state(self, op: str) -> None:
        if op == "keep":
            self._changes(self._image, lambda: state.keep(self.state, self._image))
            return
        acts: Mapping[str, Callable[[], object]] = {
            "restore": lambda: state.restore(self.state, self._image),
            "corrupt": lambda: state.corrupt(self.state, self._rng),
            "cut": lambda: state.tear(self.state, self._needed, self._rng),
        }
        if op not in acts:
            raise ValueError(f"a process cannot {op!r}")
        self._while_dead(lambda: self._changes(self.state, acts[op]))

    def _changes(self, directory: Path, act: Callable[[], object], files: str = "*") -> None:
        """Keep whether it left other bytes than there were: nobody else writes there meanwhile."""
        self._took = state.changes(directory, act, files)

    def _probe(self, op: str, args: Mapping[str, Value]) -> Probe:
        """How it shows: by what the daemon's process tells of its orders, by the kernel and by the files."""
        if op == "clock_step":
            there = self._told.get("clock_ms", 0) + 1000 * int(args["s"] or 0)
            return became(lambda: self._acted().get("clock_ms", 0) == there)
        if op == "untrusted":
            return became(lambda: self._acted().get("synced") is False)
        if op in ("stall", "leak"):
            return lambda: self._acted().get(op) == (self._told.get(op) or (None, 0))[1]
        if op == "unplug":
            return became(lambda: not os.path.lexists(self._link))
        if op == "disk_full":
            return became(lambda: os.statvfs(self._disk.path).f_bfree == 0)
        if op == "readonly":
            return became(lambda: bool(os.statvfs(self._disk.path).f_flag & os.ST_RDONLY))
        return lambda: self._took

    def _acted(self) -> dict[str, Any]:
        """What came of the orders, as the daemon's process tells."""
        if self._orders is None:
            return {}
        try:
            acted: dict[str, Any] = json.loads(self._orders.with_suffix(ACTED).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return acted

    def _while_dead(self, act: Callable[[], object]) -> None:
        """Killed with nobody to clean up; what is to happen; started again by the service manager."""
        supervisor = self.supervisor
        assert supervisor is not None
        supervisor.withhold(True)
        try:
            supervisor.kill()
            act()
        finally:
            supervisor.withhold(False)

    @property
    def _disk(self) -> Disk:
        assert self.disk is not None, "the scenario's verbs asked for it"
        return self.disk

    def _order(self) -> None:
        assert self._orders is not None
        fresh = self._orders.with_suffix(".new")
        fresh.write_text(json.dumps(self._told), encoding="utf-8")
        fresh.replace(self._orders)
