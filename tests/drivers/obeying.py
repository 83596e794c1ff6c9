"""A device that does what its profile's file says that it does: from the raw TOML, by no code of `drivers`.

It keeps what is written, shows an applied setpoint where the file says so, and takes itself back when its timer has run
out. `deaf`: it acknowledges every write and applies none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.drivers.wire import S, Slave

PROFILES = Path(__file__).parents[2] / "drivers" / "profiles"
WORDS = {"u16": 1, "i16": 1, "enum16": 1, "bits16": 1, "u32": 2, "i32": 2, "f32": 2}
TIMED = ("device_s", "device_min", "implicit")


class Obeying:
    """`slaves`: the device's units, its own first. `clock`: ns."""

    def __init__(self, profile: str, control: str, slaves: dict[str, Slave], clock: Callable[[], int]) -> None:
        self.raw = tomllib.loads((PROFILES / f"{profile}.toml").read_text("utf-8"))
        self.control = next(c for c in self.raw["control"] if c["id"] == control)
        self.slaves, self.clock = slaves, clock
        self.deaf = False
        self.until_ns: int | None = None
        for slave in slaves.values():
            slave.before = self._before

    # --- where things are ---------------------------------------------------------------------------------------------
    def place(self, group: dict[str, Any], write: dict[str, Any]) -> tuple[str, int]:
        """Unit and register of one value."""
        unit = group.get("unit", write.get("unit", ""))
        at = write["at"]
        if isinstance(at, int):
            return unit, at
        model = int(write.get("model") or group["model"])
        table = tomllib.loads((PROFILES / "sunspec" / f"model_{model}.toml").read_text("utf-8"))
        rows = (row.split() for row in table["points"].strip().splitlines())
        offset = next(int(row[0]) for row in rows if row[1] == at)
        return unit, self._chain()[model] + offset

    def _chain(self) -> dict[int, int]:
        slave, at, found = self.slaves[""], self.raw["identify"]["bases"][0] + 2, {}
        while (model := slave.regs[3, at]) != 0xFFFF:
            found[model] = at
            at += 2 + slave.regs[3, at + 1]
        return found

    def writes(self, name: str) -> Iterator[tuple[str, int, dict[str, Any], dict[str, Any]]]:
        """(unit, register, write, its group) of one sequence of the file."""
        for group in self.control.get(name, []):
            for write in group["write"]:
                yield (*self.place(group, write), write, group)

    def mode(self) -> tuple[Slave, int, int] | None:
        """Slave, register and mask of what says whether remote control is on."""
        part = self.control.get("state", {}).get("remote_mode")
        if part is None:
            return None
        unit, at = self.place({}, part)
        return self.slaves[unit], at, part.get("mask", 0xFFFF)

    # --- what it does -------------------------------------------------------------------------------------------------
    @property
    def active(self) -> bool:
        """Remote control is on, by its own register."""
        place = self.mode()
        assert place is not None
        modes = self.control["active_mode"]
        slave, at, mask = place
        return slave.regs[3, at] & mask in (modes if isinstance(modes, list) else [modes])

    def _before(self, slave: Slave, address: int, words: tuple[int, ...]) -> bool:
        """A request comes; `words` are what it writes, if it writes. False: acknowledged and not applied."""
        now = self.clock()
        if self.until_ns is not None and now >= self.until_ns:
            self._take_back()
        if words and self.deaf:
            return False
        if words and any(self.slaves[unit] is slave and at == address for unit, at, _, _ in self.writes("power")):
            self.until_ns = self._ends(now, address, words)
            self._show(slave, address, words)
        return True

    def _ends(self, now: int, address: int, words: tuple[int, ...]) -> int | None:
        rev = self.control["reversion"]
        if rev["kind"] not in TIMED:
            return None
        if rev["kind"] == "implicit":
            return now + int(rev["default_s"]) * S
        for unit, at, write, _ in self.writes("power"):
            if write["value"] == "reversion":
                size = WORDS.get(write.get("type", "u16"), 1)
                seen = list(words) if at == address else [self.slaves[unit].regs[3, at + n] for n in range(size)]
                low_first = write.get("order", self.raw["line"].get("word_order", "big")) != "big"
                raw = sum(word << 16 * n for n, word in enumerate(seen[:size] if low_first else seen[:size][::-1]))
                return now + raw * int(write.get("scale", "1")) * S
        raise AssertionError("a timer that nothing writes")

    def _show(self, slave: Slave, address: int, words: tuple[int, ...]) -> None:
        """What it has applied, where the file says that it shows it."""
        for proof in self.control.get("proof", []):
            for unit, at, write, _ in self.writes("power"):
                if self.slaves[unit] is slave and at == address and write["value"] == proof["value"]:
                    self.slaves[""].put(proof.get("function", 3), proof["at"], *words)

    def _take_back(self) -> None:
        self.until_ns = None
        place = self.mode()
        if place is not None:
            slave, at, mask = place
            released = self.control.get("released", [0])[0]
            slave.put(3, at, slave.regs[3, at] & ~mask | released)
