"""What the aggregator heard of a home, held against the plant: telemetry second by second, settlement by record."""

from __future__ import annotations

from collections.abc import Mapping

from hil.aggregator.book import DeviceBook
from hil.expr import Value
from hil.remembered import Remembered
from hil.settled import FLOWS, Settled
from hil.telemetered import SAYS, Telemetered


class Heard:
    """`look` at every sample; it gives the `told.*` and `settled.*` signals."""

    def __init__(self) -> None:
        self._plant = Remembered((*FLOWS.values(), *SAYS.values()))
        self._telemetered = Telemetered(self._plant)
        self._settled = Settled(self._plant)

    def look(self, wall_ms: int, truth: Mapping[str, Value], book: DeviceBook) -> dict[str, Value]:
        """The plant at that time by the home's own clock, and all that was heard until then."""
        self._plant.see(wall_ms, truth)
        return {**self._telemetered.hear(book), **self._settled.hear(book.settlements)}
