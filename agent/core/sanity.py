"""What the readings say of each other, cycle by cycle: the one place that asks the witnesses and keeps their memory.

Blocks that cannot be true are not used (quarantine), a meter that stands still is as good as lost (stuck), SoC is
widened by what contradicts it (doubt), signs are tested by every step that we command (steptest), and the inverter's
battery power must be the pack's volts times amperes.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core import doubt, quarantine, steptest, stuck
from agent.core.doubt import Doubt, Sight
from agent.core.packs import Pack
from agent.core.params import Params, S
from agent.core.quarantine import Watch
from agent.core.steptest import Seen, StepTest
from agent.core.stuck import Stuck
from drivers.readings import BatteryReading, InverterReading, MeterReading

APART_NS = 9 * S  # and a sample, a cycle and a write: within 12 s
APART_PERMILLE, APART_W = 150, 100  # of the greater of the two, plus this, plus a fiftieth of the nameplate
STEP_SHARE, LEAST_STEP_W = 10, 1000  # a step worth judging in a living house: this part of the nameplate, at least


class Sanity(NamedTuple):
    """Memory of every witness."""

    watches: tuple[tuple[str, Watch], ...] = ()
    stuck: Stuck | None = None
    doubt: Doubt = Doubt()
    meter_test: StepTest = StepTest(-1)
    pack_test: StepTest = StepTest(1)
    meter_at_ns: int = 0  # the last meter block that a step was looked for in
    pack_at_ns: int = 0
    apart_ns: int = 0  # for how long P is not V x I
    pair: Seen | None = None  # inverter's and pack's power, last cycle

    @property
    def quarantined(self) -> str | None:
        """The sentence when blocks are refused again and again."""
        return next((watch.fault for _, watch in self.watches if watch.fault is not None), None)

    def following(self) -> Sanity:
        """While the battery follows the meter, the meter stands still by our own doing: no step of it is a test, and
        exactly no power is what was aimed at."""
        test, seen = self.meter_test, self.stuck
        aimed = seen is not None and seen.sees_nothing
        if test.base is None and not aimed:
            return self
        return self._replace(meter_test=test._replace(base=None, last=None), stuck=None if aimed else seen)

    def forgiven(self) -> Sanity:
        """After a technician's resume: signs are judged and cells are counted anew."""
        watches = tuple([(name, watch._replace(cells=None, agreed=0)) for name, watch in self.watches])
        return self._replace(watches=watches, meter_test=StepTest(-1), pack_test=StepTest(1), apart_ns=0)


def believed(before: Sanity, blocks: list[BatteryReading], now_ns: int) -> tuple[list[BatteryReading], Sanity]:
    """The blocks to use: each the newest of its pack that can be true. A pack of which none was is left out."""
    known = dict(before.watches)
    watches = tuple([(b.device, quarantine.follow(known.get(b.device), b, now_ns)) for b in blocks])
    return [watch.good for _, watch in watches if watch.good is not None], before._replace(watches=watches)


def metered(
    before: Sanity, meter: MeterReading | None, battery_w: int | None, now_ns: int, ruled: bool = False, legs: int = 1
) -> tuple[bool, Sanity]:
    """Whether the meter stands still. `meter` is fresh or None, None too while it sees a dead grid. `ruled`: a setpoint
    is in force; `legs` share the battery's power. Found to see nothing, it is so until it sees something."""
    old = before.stuck
    nothing = meter is not None and stuck.blind(meter, legs)
    if nothing and not ruled:
        nothing = old is not None and old.sees_nothing and old.is_stuck(now_ns)
    new = stuck.follow(old, meter, battery_w, now_ns, nothing)
    is_stuck = new is not None and new.is_stuck(now_ns)
    return is_stuck, before if new is before.stuck else before._replace(stuck=new)


def compared(
    before: Sanity,
    p: Params,
    dt_ns: int,
    pack: Pack | None,
    inverter: InverterReading | None,
    meter: MeterReading | None,
) -> Sanity:
    """Signs and sizes. All readings are fresh or None."""
    least_w = max(LEAST_STEP_W, max(p.site.nameplate_charge_w, p.site.nameplate_discharge_w) // STEP_SHARE)
    power_w = inverter.battery_w if inverter is not None else None
    pack_test, pack_at_ns, pair, apart_ns = before.pack_test, before.pack_at_ns, None, 0
    if power_w is None or pack is None or pack.power_w is None:
        pack_test = steptest.follow(pack_test, None, least_w)
    else:
        pair = Seen(power_w, pack.power_w)
        if pack.at_ns != pack_at_ns:
            pack_test, pack_at_ns = steptest.follow(pack_test, pair, least_w), pack.at_ns
        apart_ns = _apart(before, pair, p, dt_ns)
    meter_test, meter_at_ns = before.meter_test, before.meter_at_ns
    if power_w is None or meter is None or meter.grid_w is None or inverter is None or not inverter.remote_active:
        meter_test = steptest.follow(meter_test, None, least_w)
    elif meter.at_ns != meter_at_ns:
        meter_test, meter_at_ns = steptest.follow(meter_test, Seen(power_w, meter.grid_w), least_w), meter.at_ns
    return Sanity(
        before.watches,
        before.stuck,
        before.doubt,
        meter_test,
        pack_test,
        meter_at_ns,
        pack_at_ns,
        apart_ns,
        pair,
    )


def _apart(before: Sanity, pair: Seen, p: Params, dt_ns: int) -> int:
    """For how long P is not V x I, where both are at rest: a ramp reaches the two of them at different times."""
    last = before.pair
    if last is None or abs(pair[0] - last[0]) > steptest.SETTLED_W or abs(pair[1] - last[1]) > steptest.SETTLED_W:
        return before.apart_ns
    nameplate = max(p.site.nameplate_charge_w, p.site.nameplate_discharge_w)
    slack = max(abs(pair[0]), abs(pair[1])) * APART_PERMILLE // 1000 + APART_W + nameplate // 50
    apart = abs(pair[0] - pair[1]) > slack
    return before.apart_ns + dt_ns if apart else 0


def sight(now_ns: int, dt_ns: int, p: Params, pack: Pack | None, inverter: InverterReading | None) -> Sight | None:
    """What the doubts about SoC look at. Both are fresh or None; None = nothing is known now."""
    if pack is None or pack.soc_min is None or pack.soc_max is None:
        return None
    powers = [w for w in (pack.power_w, inverter.battery_w if inverter is not None else None) if w is not None]
    if not powers:
        return None
    return Sight(
        now_ns,
        dt_ns,
        p.site.capacity_wh,
        (pack.soc_min + pack.soc_max) // 2,
        max(powers),
        min(powers),
        pack.cell_max_mv,
        pack.cell_min_mv,
        pack.at_ns,
    )


def doubted(before: Sanity, seen: Sight | None) -> Sanity:
    """One cycle of the doubts about SoC."""
    new = doubt.follow(before.doubt, seen)
    return before if new is before.doubt else before._replace(doubt=new)
