"""What the house takes without its battery, from a meter and inverters that were read at different times.

While the battery moves, two readings of different times do not add up: a step of 10 kW between them looks like a house
that changed by 10 kW. So a sample of the meter counts together with all that the battery was from the sample before it
to the one after it, and of all house loads that explain the two it is the one nearest to the last. The error is never
more than the battery moved within one of its own samples, and nothing is left of it when it rests.
"""

from __future__ import annotations

from agent.core.params import S
from drivers.readings import InverterReading, MeterReading

WAIT_NS = 1 * S  # so long a sample of the meter waits for one of the battery after it; a slower one is not waited for

Sample = tuple[int, int]  # (at_ns, W)


def net(meter: MeterReading, inverters: list[InverterReading], last_w: int | None) -> Sample | None:
    """(time, W) of the newest sample of the meter that has one of every inverter after it. None = there is none within
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
    return at_ns, now_w if last_w is None else min(max(lo_w, last_w), hi_w)
