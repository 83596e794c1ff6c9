"""Hand-worked vectors of a device family (vectors/*.toml), and a device on a wire made from them.

A vector file is found by its presence. Keys of `registers` are "function:first" or "function@unit:first", values the
words; what is not listed reads 0. `fill` = {"function:first" = [count, word]} comes before. `writes` and `reads` of an
order are lines of "function register words...", after an "@unit" if it is not the device's own.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.binding import Binding, DeviceSpec
from drivers.bus import Bus, BusSpec
from drivers.convert import Live
from drivers.profile import load
from tests.drivers.wire import S, Slave, Wire

VECTORS = Path(__file__).parent / "vectors"


class Everywhere(dict[tuple[int, int], int]):
    """Registers that are all there, the same word unless put."""

    def __init__(self, word: int) -> None:
        super().__init__()
        self.word = word

    def __missing__(self, key: tuple[int, int]) -> int:
        return self.word

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: tuple[int, int], default: Any = 0) -> Any:
        return self[key]


class Zeros(Everywhere):
    """0 unless put."""

    def __init__(self) -> None:
        super().__init__(0)


@dataclass(frozen=True)
class Vector:
    """One file."""

    name: str
    data: dict[str, Any]

    @property
    def spec(self) -> DeviceSpec:
        data, profile = self.data, load(self.data["profile"])
        return DeviceSpec(
            "device",
            profile.role,
            data["unit"],
            profile,
            nameplate_w=tuple(data["nameplate_w"]) if "nameplate_w" in data else None,
            confirmed=frozenset(data.get("confirmed", [])),
            reversion_s=data.get("reversion_s"),
        )

    def slaves(self, more: dict[str, list[int]] | None = None, holes: bool = False) -> list[Slave]:
        """`holes`: a register that is not listed is refused."""
        units = {self.data["unit"], *dict(self.spec.profile.units).values()}
        slaves = {unit: Slave(unit, {} if holes else Zeros()) for unit in sorted(units)}
        for place, (count, word) in self.data.get("fill", {}).items():
            self._put(slaves, place, [word] * count)
        for place, words in {**self.data["registers"], **(more or {})}.items():
            self._put(slaves, place, words)
        return [*slaves.values()]

    def _put(self, slaves: dict[int, Slave], place: str, words: list[int] | str) -> None:
        where, first = place.split(":")
        function, _, unit = where.partition("@")
        if isinstance(words, str):
            raw = words.encode().ljust(len(words) + len(words) % 2, b"\0")
            words = [int.from_bytes(raw[n : n + 2], "big") for n in range(0, len(raw), 2)]
        slaves[int(unit or self.data["unit"])].put(int(function), int(first, 0), *words)

    def wire(self, slaves: list[Slave] | None = None, spec: DeviceSpec | None = None, baud: int = 115200) -> Wire:
        """The device on a line, identified and read."""
        bus = Bus(BusSpec("bus", baud=baud), [spec or self.spec])
        wire = Wire(bus, slaves or self.slaves(), baud=baud)
        wire.open()
        wire.run(12 * S)
        return wire


def binding_of(wire: Wire) -> Binding:
    """Of the device that was identified."""
    status = wire.statuses("device")[-1]
    assert isinstance(status.binding, Binding), status.detail
    return status.binding


def live_of(table: dict[str, Any]) -> Live:
    """Not under remote control unless the table says otherwise."""
    return Live(**{"remote_active": False, **table})


def vectors() -> list[Vector]:
    """Every file that is there."""
    return [Vector(path.stem, tomllib.loads(path.read_text("utf-8"))) for path in sorted(VECTORS.glob("*.toml"))]
