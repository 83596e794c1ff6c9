"""The fold over LIMITS: what the battery may do now. Never sees a request, always contains 0."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.alarms import blocked
from agent.core.caps import Facts, Operators, full
from agent.core.decision import Side
from agent.core.inverters import NO_RETURN
from agent.core.limits import LIMITS
from agent.core.params import Params
from agent.core.snapshot import Snapshot
from drivers.readings import GridState

GRID_CODE = {GridState.UNKNOWN: 0, GridState.CONNECTED: 1, GridState.ISLANDED: 2}
CHARGING = tuple(i for i, row in enumerate(LIMITS) if row.side is not Side.DISCHARGE)
DISCHARGING = tuple(i for i, row in enumerate(LIMITS) if row.side is not Side.CHARGE)
BOTH = tuple(i for i, row in enumerate(LIMITS) if row.side is Side.BOTH)
NAMEPLATE = {
    charge: [row.id for row in LIMITS].index("nameplate_charge" if charge else "nameplate_discharge")
    for charge in (True, False)
}


def caps(o: Operators, facts: Facts, params: Params) -> list[int]:
    """What every limit leaves on its side, W >= 0, in the order of LIMITS."""
    return [row.cap(o, facts, params) for row in LIMITS]


def fold(o: Operators, left: Sequence[int]) -> tuple[int, int]:
    """(lo_w, hi_w) with lo <= 0 <= hi: the tightest cap of each side. An empty side is 0."""
    lo = -o.greatest(0, o.least(*[left[i] for i in CHARGING]))
    hi = o.greatest(0, o.least(*[left[i] for i in DISCHARGING]))
    return lo, hi


def permit(o: Operators, facts: Facts, params: Params) -> tuple[int, int]:
    """The whole of it, as it is proved: caps, then fold."""
    return fold(o, caps(o, facts, params))


def binding(left: Sequence[int], params: Params, charge: bool) -> int:
    """Index of the limit that binds on that side: the tightest; among equals the first of the table. What leaves the
    whole nameplate limits nothing: then it is the nameplate that binds."""
    tightest = min(CHARGING if charge else DISCHARGING, key=left.__getitem__)
    if left[tightest] >= full(params, Side.CHARGE if charge else Side.DISCHARGE):
        return NAMEPLATE[charge]
    return tightest


def gather(s: Snapshot, acting: bool, returning: bool, spent_mwh: int, cell_cure: int) -> Facts:
    """The snapshot in the numbers that caps are written in. What is not known is flagged, and 0."""
    pack = s.pack
    legs = s.legs
    site = s.params.site
    capability = s.capability
    charge_alarm, discharge_alarm = blocked(pack.alarms) if pack is not None and pack.alarms else (False, False)
    high, low = (pack.cell_max_mv, pack.cell_min_mv) if pack is not None else (None, None)
    hot, cold = (pack.temp_max_dc, pack.temp_min_dc) if pack is not None else (None, None)
    controllable = capability is not None and capability.signed_setpoint and capability.reversion not in NO_RETURN
    return Facts(
        GRID_CODE[s.grid],
        int(returning),
        int(acting),
        s.battery_age_ns,
        s.inverter_age_ns,
        s.meter_age_ns,
        s.battery_stale_ns,
        s.inverter_stale_ns,
        s.meter_stale_ns,
        int(s.devices_ok),
        int(controllable),
        int(charge_alarm),
        int(discharge_alarm),
        int(pack is not None and pack.charge_on),
        int(pack is not None and pack.discharge_on),
        pack.mv if pack is not None else 0,
        pack.ccl_ma if pack is not None else 0,
        pack.dcl_ma if pack is not None else 0,
        int(high is not None and low is not None),
        high or 0,
        low or 0,
        int(hot is not None and cold is not None),
        hot or 0,
        cold or 0,
        int(s.soc_lo_mwh is not None),
        s.soc_lo_mwh or 0,
        s.soc_hi_mwh or 0,
        s.reserve_permille,
        max(1, s.horizon_ns // 1_000_000),
        int(s.net_hi_w is not None),
        s.net_hi_w or 0,
        s.net_lo_w or 0,
        capability.rated_charge_w if capability is not None else 0,
        capability.rated_discharge_w if capability is not None else 0,
        (pack.spread_mv or 0) if pack is not None else 0,
        int(legs is not None),
        legs.hi_w if legs is not None else 0,
        legs.lo_w if legs is not None else 0,
        legs.mv if legs is not None else 0,
        site.utility_charge_w,
        site.utility_discharge_w,
        spent_mwh,
        cell_cure,
    )
