"""What must be read back of an inverter before the first setpoint: the timer that ends it, and the floor that keeps the
reserve while we do not act.

Each where the device has such a register. What does not come within `TEST_NS` is told and no longer waited for: every
setpoint is held to its timer again when it is written, and the permit keeps the reserve by itself.
"""

from __future__ import annotations

from agent.core import mirror
from agent.core.inputs import Device
from agent.core.params import S
from agent.core.sentences import tenths
from agent.core.snapshot import Snapshot
from drivers.readings import InverterReading

TEST_NS = 30 * S
TIMED = ("device_s", "device_min")  # kinds of reversion that have a register


def missing(s: Snapshot) -> str | None:
    """What is not as it must be yet, for people; None = nothing is. One that is not read at all has a fault for it."""
    if s.units:
        found = [_of(u.device, u.fresh, s.reserve_permille) for u in s.units if not u.out]
        return "; ".join(told for told in found if told is not None) or None
    fresh = s.inverter if s.inverter_age_ns <= s.inverter_stale_ns else None
    return _of(s.inverter_device, fresh, s.reserve_permille)


def timed(s: Snapshot) -> bool:
    """The time after which each inverter ends a setpoint by itself is read, where it has a register for it."""
    if s.units:
        return all(_timed(unit.device, unit.fresh) for unit in s.units if not unit.out)
    return _timed(s.inverter_device, s.inverter if s.inverter_age_ns <= s.inverter_stale_ns else None)


def zero(s: Snapshot) -> bool:
    """The inverter says that it is told to rest: the zero of before a restart rules still."""
    inverter = s.inverter
    return s.inverter_age_ns <= s.inverter_stale_ns and inverter is not None and inverter.remote_w == 0


def _timed(device: Device | None, fresh: InverterReading | None) -> bool:
    can = device.capability if device is not None else None
    return can is not None and fresh is not None and (can.reversion not in TIMED or fresh.reversion_s is not None)


def _of(device: Device | None, fresh: InverterReading | None, reserve_permille: int) -> str | None:
    can = device.capability if device is not None else None
    if can is None or fresh is None or not can.control:
        return None
    if can.reversion in TIMED and fresh.reversion_s is None:
        return f"the reversion time of {can.device} is not read"
    if not can.floor:
        return None
    if fresh.floor_permille is None:
        return f"the floor of {can.device} is not read"
    if mirror.kept(fresh.floor_permille, reserve_permille):
        return None
    asked = tenths(reserve_permille, "%")
    return f"the floor of {can.device} reads {tenths(fresh.floor_permille, '%')}, {asked} were asked for"
