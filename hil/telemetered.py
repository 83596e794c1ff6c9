"""Is what telemetry says what is? Live records and the seconds of batches, as the aggregator heard them, against the
plant: a value is right when the plant had it within the seconds that a reading takes to become a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hil.aggregator.book import DeviceBook
from hil.expr import Value
from hil.remembered import Remembered

BEFORE_MS, AFTER_MS = 3_000, 500  # a slow block is read once a second, and told in the second after
SAYS = {
    "battery_w": "truth.battery_w",
    "grid_w": "truth.grid_w",
    "pv_w": "truth.pv_w",
    "load_w": "truth.load_w",
    "soc_permille": "truth.soc_permille",
}


class Telemetered:
    """`hear` gives the `told.*` names of `hil.signals`."""

    def __init__(self, plant: Remembered) -> None:
        self._plant = plant
        self._batches = 0
        self._live_ms = 0
        self._rows = 0
        self._off: dict[str, float] = {}

    def hear(self, book: DeviceBook) -> dict[str, Value]:
        """All that was heard of this device so far."""
        span = self._plant.span_ms
        if span is not None:
            self._take(book, span)
        return {"told.rows": self._rows, **{f"told.{_off(name)}": self._off.get(name) for name in SAYS}}

    def _take(self, book: DeviceBook, span: tuple[int, int]) -> None:
        while self._batches < len(book.batches):
            body = book.batches[self._batches].claims
            self._batches += 1
            for values in body.get("rows", ()):
                row = dict(zip(body["cols"], values, strict=True))
                self._hold(body["t0_ms"] + row["dt_ms"], row, span)
        if book.lives and book.lives[-1].claims["iat"] > self._live_ms:
            live = book.lives[-1].claims
            self._live_ms = live["iat"]
            self._hold(self._live_ms, live, span)

    def _hold(self, wall_ms: int, row: Mapping[str, Any], span: tuple[int, int]) -> None:
        """What came before the plant was looked at is not judged."""
        if not span[0] + BEFORE_MS <= wall_ms <= span[1]:
            return
        looks = self._plant.over(wall_ms - BEFORE_MS, wall_ms + AFTER_MS)
        if not looks:
            return  # a clock that jumped ahead: nobody looked at that time
        self._rows += 1
        for name, truth in SAYS.items():
            if isinstance(value := row.get(name), int):
                had = [look[truth] for look in looks]
                off = value - min(max(value, min(had)), max(had))
                self._off[name] = max(self._off.get(name, 0.0), off, key=abs)


def _off(name: str) -> str:
    quantity, unit = name.split("_")
    return f"{quantity}_off_{unit}"
