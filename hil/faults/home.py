"""Faults of the simulated home that need nothing of the plant: what devices say, and who sits where on the line.
Every operation is one of `hil.devices.world.World.do`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hil.devices.slave import Slaves
from hil.faults.registers import FIELDS, Spoil

Value = bool | int | float | str | None


class Line(Protocol):
    """What the wire of a run can be told beside cuts and noise."""

    def set_echo(self, on: bool) -> None:
        """The adapter hears its own words."""
        ...

    def set_late(self, unit: int, ms: float) -> None:
        """That unit answers so much later."""
        ...

    def set_stranger(self, every_ms: float) -> None:
        """Another master asks on this line every so often; 0 = it is gone."""
        ...


class HomeFaults:
    """`ops` by name."""

    def __init__(self, slaves: Slaves, units: Mapping[str, int], wire: Callable[[], Line]) -> None:
        self._slaves, self._units, self._wire = slaves, dict(units), wire
        self._spoils: dict[str, Spoil] = {}
        self.ops: Mapping[str, Callable[..., None]] = {
            "report": self._report,
            "zeros": self._zeros,
            "swap": self._swap,
            "echo": self._echo,
            "late": self._late,
            "stranger": self._stranger,
        }

    def _report(
        self, device: str, field: str, way: str = "set", value: int = 0, offset: int = 0, on: bool = True
    ) -> None:
        spoil = self.spoil(device)
        if on:
            spoil.say(field, way, value, offset)
        else:
            spoil.unsay(field, offset)

    def _zeros(self, device: str, count: int = 1, on: bool = True) -> None:
        self.spoil(device).zeros = count if on else 0

    def _swap(self, device: str, other: str, on: bool = True) -> None:
        """Two units sit at each other's address."""
        del on  # doing it again undoes it
        by_unit, (a, b) = self._slaves.by_unit, (self._unit(device), self._unit(other))
        by_unit[a], by_unit[b] = by_unit[b], by_unit[a]

    def _echo(self, on: bool = True) -> None:
        self._wire().set_echo(on)

    def _late(self, device: str, ms: float = 0, on: bool = True) -> None:
        self._wire().set_late(self._unit(device), ms if on else 0)

    def _stranger(self, every_ms: float = 700, on: bool = True) -> None:
        self._wire().set_stranger(every_ms if on else 0)

    def spoil(self, device: str) -> Spoil:
        """What changes the words of that device."""
        spoil = self._spoils.get(device)
        if spoil is None:
            slave = self._slaves.by_unit[self._unit(device)]
            spoil = self._spoils[device] = slave.spoil = Spoil(FIELDS[device.rstrip("0123456789")])
        return spoil

    def _unit(self, device: str) -> int:
        unit = self._units.get(device)
        if unit is None:
            raise ValueError(f"there is no device {device!r}; there are {', '.join(self._units)}")
        return unit
