"""Power in a direction that it must not have: when that is a fault, and when it is held at zero.

Two kinds, each on grid only, and only for more than a cure would use (0.05 C), seen by inverter and pack alike:
a cell that is harmed by it (the pack's own BMS forbids that direction, charging at or below freezing, either way when
hot, a cell beyond the voltage at which its cure begins), in whatever mode of the inverter; and a discharge below the
reserve against a setpoint or a release of ours. What an inverter does by itself after it was released is its own affair
else: it covers the house from above its floor, and is late by a percent or a minute. A frozen battery that only
discharges is not accused either: a BMS knows better.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.alarms import blocked
from agent.core.caps import CURE_HOURS
from agent.core.oblige import HIGH_START_MV, LOW_START_MV
from agent.core.packs import Pack
from agent.core.params import Params, S
from agent.core.sentences import tenths
from agent.core.snapshot import Snapshot
from agent.core.writes import Hand
from drivers.readings import BatteryReading, GridState

LEAST_W = 500  # a heater of a pack, or a sensor's offset, is less
FAULT_NS = 15 * S  # BMS and inverter have settled it between them by then
STOP_NS = 30 * S  # the release had its time


class Astray(NamedTuple):
    """`flow_w`: + = discharge. `device`: the pack that is harmed, "" = none. `why` it must not be, for people."""

    since_ns: int
    flow_w: int
    device: str
    why: str

    def sentence(self) -> str:
        way = "discharged" if self.flow_w > 0 else "charged"
        return f"the battery is {way} with {abs(self.flow_w)} W although {self.why}"


def follow(before: Astray | None, s: Snapshot, p: Params, hand: Hand) -> Astray | None:
    """One cycle; None = all that flows may flow. What was held at zero stays so until what forbade it is gone: a BMS
    that falls silent, or does not know its SoC, does not say that it is. What was against the reserve ends with the
    flow otherwise: held on, no sun could fill what is missing."""
    if s.grid is not GridState.CONNECTED:
        return None
    held = before if halts(before, s.now_ns) else None
    if s.pack is None or s.battery_age_ns > s.battery_stale_ns:
        return held
    flow_w = _flow(s, s.pack, p)
    found: tuple[str, str] | None = None
    if flow_w:
        found = _harm(s, s.pack, p, flow_w) or _against(s, p, hand, flow_w)
    elif held is not None:
        flow_w, found = held.flow_w, _harm(s, s.pack, p, held.flow_w, held.device)
    if found is None:
        return held if held is not None and not held.device and s.soc_hi_mwh is None else None
    same = before is not None and (before.flow_w > 0) is (flow_w > 0)
    return Astray(before.since_ns if before is not None and same else s.now_ns, flow_w, *found)


def faulty(astray: Astray | None, now_ns: int) -> bool:
    """It went on for too long."""
    return astray is not None and now_ns - astray.since_ns >= FAULT_NS


def halts(astray: Astray | None, now_ns: int) -> bool:
    """The release did not end it either: zero is held."""
    return astray is not None and now_ns - astray.since_ns >= STOP_NS


def _flow(s: Snapshot, pack: Pack, p: Params) -> int:
    """What flows by both who measure it; 0 = no more than a cure would use."""
    flow_w = s.battery_w or 0
    if pack.power_w is not None:
        same = (pack.power_w > 0) is (flow_w > 0)
        flow_w = min(flow_w, pack.power_w, key=abs) if same else 0
    return flow_w if abs(flow_w) > max(LEAST_W, p.site.capacity_wh // CURE_HOURS) else 0


def _harm(s: Snapshot, pack: Pack, p: Params, flow_w: int, device: str | None = None) -> tuple[str, str] | None:
    """The pack that must not have this direction, and why. `device`: that one only, whether or not it has any now."""
    if _well(pack, p):
        return None
    for name, watch in s.sanity.watches:
        own = watch.good
        if own is None or (device is not None and name != device) or (device is None and not _carries(own, flow_w)):
            continue
        why = _charging(own, p) if flow_w < 0 else _discharging(own, p)
        if why is not None:
            return name, why
    return None


def _carries(own: BatteryReading, flow_w: int) -> bool:
    """This pack has a part of it, as far as it says: of several, a full one may rest while the others are charged."""
    if own.pack_ma is None or own.pack_mv is None:
        return True
    own_w = own.pack_ma * own.pack_mv // 1_000_000
    return abs(own_w) > LEAST_W and (own_w > 0) is (flow_w > 0)


def _well(pack: Pack, p: Params) -> bool:
    """Nothing is the matter with any pack: the usual case, at once."""
    low, high = pack.temp_min_dc, pack.temp_max_dc
    cold, hot = p.charge_t_dc[0][0], p.charge_t_dc[-1][0]
    return (
        pack.charge_on
        and pack.discharge_on
        and pack.ccl_ma > 0
        and pack.dcl_ma > 0
        and not pack.alarms
        and (low is None or low > cold)
        and (high is None or high < hot)
        and (pack.cell_max_mv is None or pack.cell_max_mv <= HIGH_START_MV)
        and (pack.cell_min_mv is None or pack.cell_min_mv >= LOW_START_MV)
    )


def _charging(own: BatteryReading, p: Params) -> str | None:
    if own.charge_enabled is False or own.ccl_ma == 0 or blocked(own.alarms)[0]:
        return f"{own.device} forbids charging"
    if own.temp_min_dc is not None and own.temp_min_dc <= p.charge_t_dc[0][0]:
        return f"a cell of {own.device} is at {tenths(own.temp_min_dc, '°C')}"
    if own.cell_max_mv is not None and own.cell_max_mv > HIGH_START_MV:
        return f"a cell of {own.device} is at {own.cell_max_mv} mV"
    return _hot(own, p.charge_t_dc[-1][0])


def _discharging(own: BatteryReading, p: Params) -> str | None:
    if own.discharge_enabled is False or own.dcl_ma == 0 or blocked(own.alarms)[1]:
        return f"{own.device} forbids discharging"
    if own.cell_min_mv is not None and own.cell_min_mv < LOW_START_MV:
        return f"a cell of {own.device} is at {own.cell_min_mv} mV"
    return _hot(own, p.discharge_t_dc[-1][0])


def _hot(own: BatteryReading, most_dc: int) -> str | None:
    if own.temp_max_dc is None or own.temp_max_dc < most_dc:
        return None
    return f"a cell of {own.device} is at {tenths(own.temp_max_dc, '°C')}"


def _against(s: Snapshot, p: Params, hand: Hand, flow_w: int) -> tuple[str, str] | None:
    """Below the reserve by the most that may be in it, and not what we asked for last."""
    if flow_w < 0 or s.soc_hi_mwh is None or s.soc_hi_mwh >= s.reserve_permille * p.site.capacity_wh:
        return None
    if hand.setpoint_w is not None:
        asked = f"the reserve is reached and {hand.setpoint_w} W are asked for"
        return ("", asked) if hand.setpoint_w <= 0 else None
    released = hand.maybe_active and (hand.clear_ns is not None or hand.stopped)
    return ("", "the reserve is reached and our release is not confirmed") if released else None
