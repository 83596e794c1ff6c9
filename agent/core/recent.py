"""The worst of the last samples: the packs' voltage, and what each leg or phase of the grid connection carries."""

from __future__ import annotations

from itertools import zip_longest
from math import isqrt
from typing import NamedTuple

from agent.core.packs import Pack
from drivers.readings import MeterReading

WORST_OF = 3
LEAST_MV = (207_000, 108_000, 207_000)  # nine tenths of nominal, for a leg whose voltage is not read; by `legs`


class Legs(NamedTuple):
    """Legs or phases, as if the battery stood still: what the fullest carries times the number that share the
    battery's power, in W of apparent power, + = import; what the emptiest does; the least voltage of one."""

    hi_w: int
    lo_w: int
    mv: int
    seen: int  # of legs that the meter sees


class Recent(NamedTuple):
    """Last samples, each once."""

    pack_at_ns: int | None = None
    pack_mv: tuple[int, ...] = ()
    meter_at_ns: int | None = None
    legs: tuple[Legs, ...] = ()

    def voltage(self, pack: Pack) -> tuple[Pack, Recent]:
        """The pack at the least of its last voltages, so that amperes allow no more watts than they surely are."""
        if pack.at_ns == self.pack_at_ns:
            return _at(pack, min(*self.pack_mv, pack.mv)), self  # another pack of several may have sunk
        last = (*self.pack_mv[1 - WORST_OF :], pack.mv)
        return _at(pack, min(last)), Recent(pack.at_ns, last, self.meter_at_ns, self.legs)

    def carried(self, meter: MeterReading | None, battery_w: int | None, legs: int) -> Recent:
        """`meter` is fresh or None; what is not known forgets what was. A sample that was seen adds nothing."""
        one = of(meter, battery_w, legs) if meter is not None and battery_w is not None else None
        if meter is None or one is None:
            return self._replace(meter_at_ns=None, legs=()) if self.legs else self
        at_ns = meter.newest_ns or meter.at_ns
        if at_ns == self.meter_at_ns:
            return self
        return self._replace(meter_at_ns=at_ns, legs=(*self.legs[1 - WORST_OF :], one))

    def worst(self) -> Legs | None:
        """None = not known."""
        if not self.legs:
            return None
        hi_w, lo_w = max(x.hi_w for x in self.legs), min(x.lo_w for x in self.legs)
        return Legs(hi_w, lo_w, min(x.mv for x in self.legs), max(x.seen for x in self.legs))


def _at(pack: Pack, mv: int) -> Pack:
    return pack if pack.mv == mv else pack._replace(mv=mv)


def of(meter: MeterReading, battery_w: int, legs: int) -> Legs | None:
    """One sample. None = a leg does not tell, or there are fewer than share the battery's power."""
    spans: list[tuple[int, int]] = []
    volts: list[int] = []
    for w, ma, mv in zip_longest(meter.phase_w, meter.phase_ma, meter.phase_mv):
        if w is None and ma is None:
            if mv is None:
                continue  # the meter is not wired to it
            return None
        volts.append(mv if mv is not None and mv > 0 else LEAST_MV[legs - 1])
        spans.append(span(w, None if ma is None else abs(ma) * volts[-1] // 1_000_000))
    if len(spans) < legs or not spans:
        return None
    most, least = max(hi for hi, _ in spans), min(lo for _, lo in spans)
    return Legs(legs * most + battery_w, legs * least + battery_w, min(volts), len(spans))


def span(w: int | None, va: int | None) -> tuple[int, int]:
    """(most, least) W that a leg counts for, by its real power (+ = import) and the size of its apparent power. A fuse
    feels both: what more real power adds to a current that is partly reactive is never more than this."""
    if w is None:
        return va or 0, -(va or 0)
    size = max(abs(w), va or 0)
    reactive = isqrt(size * size - w * w)
    return (size, w - reactive) if w >= 0 else (w + reactive, -size)
