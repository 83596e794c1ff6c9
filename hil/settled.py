"""Is what is paid for what flowed? Settlement records as the aggregator heard them, against the plant's own energies.

Each record is held against the plant over its own time, each way of each quantity for itself: what went in and what
came out are not netted. Judged is what the record itself vouches for (quality ok), unless it began before the plant was
looked at, or a clock was put back over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hil.aggregator.book import Message
from hil.expr import Value
from hil.remembered import Remembered

EDGE_MS = 1_000  # a record that began so shortly before the first look is judged from that look on
FLOWS = {
    "charge": "truth.charged_wh",
    "discharge": "truth.discharged_wh",
    "import": "truth.imported_wh",
    "export": "truth.exported_wh",
}


class Settled:
    """`hear` gives the `settled.*` names of `hil.signals`."""

    def __init__(self, plant: Remembered) -> None:
        self._plant = plant
        self._heard = 0
        self._judged = {"interval": 0, "performance": 0}
        self._off: dict[str, float] = {}

    def hear(self, settlements: Sequence[Message]) -> dict[str, Value]:
        """All records that were heard so far, in the order in which they came."""
        while self._heard < len(settlements) and self._enter(settlements[self._heard].claims):
            self._heard += 1
        return {
            "settled.intervals": self._judged["interval"],
            "settled.events": self._judged["performance"],
            **{f"settled.{flow}_off_wh": self._off.get(flow) for flow in FLOWS},
            **{f"settled.event_{flow}_off_wh": self._off.get(f"event_{flow}") for flow in ("charge", "discharge")},
        }

    def _enter(self, claims: Mapping[str, Any]) -> bool:
        """False: the plant will be looked at up to its end next."""
        record = claims["record"]
        if claims.get("quality") != "ok":
            return True
        if record == "interval":
            return self._hold("interval", claims["t0_ms"], claims["t1_ms"], interval_wh(claims))
        if record == "performance" and claims["started_ms"] is not None:
            told = {f"event_{flow}": claims[f"delivered_{flow}_wh"] for flow in ("charge", "discharge")}
            return self._hold("performance", claims["started_ms"], claims["ended_ms"], told)
        return True

    def _hold(self, record: str, begin_ms: int, end_ms: int, told: Mapping[str, int]) -> bool:
        span = self._plant.span_ms
        if span is None or span[1] < end_ms <= span[1] + EDGE_MS:
            return False
        if not span[0] - EDGE_MS <= begin_ms <= end_ms <= span[1] or end_ms <= span[0]:
            return True  # before the first look, or by a clock that was put back since
        self._judged[record] += 1
        before, after = self._plant.at(begin_ms), self._plant.at(end_ms)
        for name, wh in told.items():
            flow = FLOWS[name.removeprefix("event_")]
            self._off[name] = max(self._off.get(name, 0.0), wh - (after[flow] - before[flow]), key=abs)
        return True


def interval_wh(claims: Mapping[str, Any]) -> dict[str, int]:
    """What an interval says that flowed, as docs/protocol.md tells to read it. A register that it lacks counts as 0."""
    out = {flow: (claims["end"][f"{flow}_wh"] or 0) - (claims["start"][f"{flow}_wh"] or 0) for flow in FLOWS}
    for jump in claims["jumps"]:
        flow = jump["name"].removesuffix("_wh")
        if flow in out:
            out[flow] += jump["estimated_wh"] - (jump["after_wh"] - jump["before_wh"])
    return out
