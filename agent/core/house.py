"""What the house takes without its battery, from a meter and inverters that were read at different times.

While the battery moves, two readings of different times do not add up: a step of 10 kW between them looks like a house
that changed by 10 kW. So a sample of the meter counts together with all that the battery was from the sample before it
to the one after it, and of all house loads that explain the two it is the one nearest to the last. The error is never
more than the batteries moved within one of their own samples each, as long as they do not go and come back within it,
and nothing is left of it when they rest. A battery that does not come to rest could hide a change of the house for as
long as it moves: after `VAGUE_NS` all house loads that explain the samples count, for the worse.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.params import S
from drivers.readings import InverterReading, MeterReading

WAIT_NS = 1 * S  # so long a sample of the meter waits for one of the battery after it; a slower one is not waited for

SHARP_W = 300  # what two samples leave open counts for nothing up to here
VAGUE_NS = 5 * S  # so long a battery in motion may leave open what the house takes


class Net(NamedTuple):
    """What the house takes without its battery, W: as it is taken to be, and between what it is."""

    at_ns: int
    w: int
    lo_w: int
    hi_w: int


class Vague(NamedTuple):
    """Since when the samples leave open more than `SHARP_W`, None = the last does not; and what the last ones do."""

    since_ns: int | None = None
    spans: tuple[tuple[int, int], ...] = ()

    def after(self, net: Net, worst_of: int) -> Vague:
        """With one more sample; the last `worst_of` are kept."""
        since_ns = net.at_ns if self.since_ns is None else self.since_ns
        spans = (*self.spans[1 - worst_of :], (net.lo_w, net.hi_w))
        return Vague(since_ns if net.hi_w - net.lo_w > SHARP_W else None, spans)

    def bounds(self, nets: tuple[int, ...], at_ns: int | None) -> tuple[int | None, int | None]:
        """(least, most) W that the house may take, of the last samples."""
        if not nets or at_ns is None:
            return None, None
        if self.since_ns is None or at_ns - self.since_ns < VAGUE_NS:
            return min(nets), max(nets)
        return min([lo for lo, _ in self.spans]), max([hi for _, hi in self.spans])


SHARP = Vague()


def late(meter: MeterReading, battery_w: int, inverters: list[InverterReading]) -> Net:
    """The newest sample of the meter with the last power of the battery, where none comes after it in time: as far away
    as the batteries moved last."""
    lo_w = hi_w = now_w = (meter.grid_w or 0) + battery_w
    for reading in inverters:
        if reading.battery_w is not None and reading.battery_was:
            moved_w = reading.battery_w - reading.battery_was[-1][1]
            lo_w, hi_w = lo_w - abs(moved_w), hi_w + abs(moved_w)
    return Net(meter.newest_ns or meter.at_ns, now_w, lo_w, hi_w)


def net(meter: MeterReading, inverters: list[InverterReading], last_w: int | None) -> Net | None:
    """Of the newest sample of the meter that has one of every inverter after it. None = there is none within
    `WAIT_NS`, or a power is not known. `last_w`: what it was before, None = not known."""
    if meter.grid_w is None or not inverters:
        return None
    known_ns = min([reading.battery_at_ns for reading in inverters])
    at_ns, grid_w = meter.at_ns, meter.grid_w
    if at_ns > known_ns:
        earlier = [sample for sample in meter.grid_was if sample[0] <= known_ns and at_ns - sample[0] <= WAIT_NS]
        if not earlier:
            return None
        at_ns, grid_w = earlier[-1]
    lo_w = hi_w = now_w = grid_w
    for reading in inverters:
        after_w = reading.battery_w
        if after_w is None:
            return None
        before_w, after_ns = after_w, reading.battery_at_ns
        for sample_ns, sample_w in reversed(reading.battery_was):
            if after_ns == at_ns:
                break
            before_w = sample_w
            if sample_ns < at_ns:
                break
            after_ns, after_w = sample_ns, sample_w
        now_w += after_w
        lo_w += min(before_w, after_w)
        hi_w += max(before_w, after_w)
    return Net(at_ns, now_w if last_w is None else min(max(lo_w, last_w), hi_w), lo_w, hi_w)
