"""Self-consumption: the inverter's own mode, in which its own floor keeps the reserve. Where no floor does, ours.

Without a floor of its own at or above the reserve the inverter would empty the battery for the house. Far above the
reserve it may: it is faster than we, and what is not written wears nothing. Within the energy that it could draw at its
full power before a setpoint ends by itself (the horizon of the permit), and while the state of charge is not known, it
is driven: the battery follows what the house takes beyond its PV, inside the permit, which leaves nothing at the
reserve. Without a meter, or under a silent BMS, what is driven is zero.
"""

from __future__ import annotations

from agent.core.arbiter import Proposal, Rank
from agent.core.command import RampClass
from agent.core.crew import Crew
from agent.core.inverters import NO_RETURN
from agent.core.params import Params
from agent.core.snapshot import Snapshot
from agent.core.writes import Hand
from drivers.readings import Capability, InverterReading

SOURCE = "self_consumption"
RELEASED = Proposal(Rank.SELF_CONSUMPTION, SOURCE, None)


def unguarded(s: Snapshot, hand: Hand, crew: Crew, ignored: bool = False) -> bool:
    """An inverter has no floor of its own at or above the reserve in force: in its own mode it would go below.
    `ignored`: whatever its floor reads, it was seen not to hold."""
    if ignored:
        return s.inverter is not None
    if not s.units:
        return _open(s.capability, s.inverter, hand, s)
    hands = {member.name: member.hand for member in crew}
    return any(
        _open(unit.device.capability, unit.reading, hands.get(unit.device.name, hand), s)
        for unit in s.units
        if not unit.out
    )


def _open(can: Capability | None, inverter: InverterReading | None, hand: Hand, s: Snapshot) -> bool:
    if can is None or inverter is None:
        return False  # not there yet: other faults say so
    if not can.floor or inverter.floor_permille is None:
        return True
    if inverter.floor_permille >= s.reserve_permille:
        return False
    if hand.floor_failures > 0 or hand.setpoint_w is not None:
        return True  # what is driven is let go when the floor is read, not before
    if hand.floor_permille != s.reserve_permille or hand.floor_pending:
        return False  # it is being written
    return hand.floor_confirmed_ns is None or inverter.at_ns > hand.floor_confirmed_ns


def drivable(s: Snapshot) -> bool:
    """It takes a signed setpoint that it would end by itself, and what that setpoint depends on is known."""
    can = s.capability
    if can is None or not can.signed_setpoint or can.reversion in NO_RETURN:
        return False
    return can.control_point != "grid" or s.load_w is not None


def at_risk(s: Snapshot, params: Params, hand: Hand, crew: Crew, blind: bool, ignored: bool = False) -> bool:
    """By itself the inverter could cross the reserve before our word reaches it, and our word does. Once a setpoint
    rules, for a margin more, and while the day's wearing writes are too few for giving it again. `blind`: what the BMS
    says is not to be relied on; `ignored`: nor is the floor."""
    if not unguarded(s, hand, crew, ignored) or not drivable(s):
        return False
    if blind or s.soc_lo_mwh is None or (hand.setpoint_w is not None and s.now_ns < hand.short_until_ns):
        return True
    rated = s.capability.rated_discharge_w if s.capability is not None else 0
    most_w = max(params.site.nameplate_discharge_w, rated)
    margin = params.hysteresis_permille if hand.setpoint_w is not None else 0
    left_mwh = s.soc_lo_mwh - (s.reserve_permille + margin) * params.site.capacity_wh
    return left_mwh * 3_600_000_000 < most_w * s.horizon_ns  # 1 mWh = 3.6 GW·ns


def propose(s: Snapshot, params: Params, hand: Hand, lo_w: int, hi_w: int, risk: bool) -> Proposal:
    """Released, unless there is a `risk`. `lo_w`, `hi_w`: the permit, W."""
    if not risk:
        return RELEASED
    asked_w = follow(s, params.dead_band_w, hand.setpoint_w)
    cap_w = hi_w if asked_w >= 0 else -lo_w
    before_w = hand.setpoint_w or 0
    held_w = max(0, before_w if asked_w >= 0 else -before_w)
    within_w = stepped(abs(asked_w), cap_w, held_w, params.dead_band_w)
    rate = params.default.ramp_permille_per_s
    return Proposal(Rank.SELF_CONSUMPTION, SOURCE, asked_w, RampClass.REGULATION, None, within_w, rate)


def follow(s: Snapshot, dead_band_w: int, before_w: int | None) -> int:
    """What the house takes beyond its PV, W, + = discharge. Meter and inverter are not read at the same moment, so it
    moves only when each of the last samples says so, to the nearest of them, and not for less than the dead band."""
    if s.net_lo_w is None or s.net_hi_w is None:
        return 0
    start_w = before_w if before_w is not None else (s.battery_w or 0)
    target_w = max(s.net_lo_w, min(s.net_hi_w, start_w))
    return start_w if before_w is not None and abs(target_w - start_w) <= dead_band_w else target_w


def stepped(asked_w: int, cap_w: int, held_w: int, dead_band_w: int) -> int:
    """What of a shrinking cap is used, W >= 0, <= `cap_w`: near the reserve it sinks a little with each second, and a
    write for each would be one too many. `held_w`: what rules now."""
    if cap_w < (dead_band_w if held_w else 2 * dead_band_w):
        return 0
    if asked_w <= cap_w - cap_w // 8:
        return asked_w
    return held_w if cap_w - cap_w // 4 <= held_w <= cap_w else cap_w - cap_w // 8
