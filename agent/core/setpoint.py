"""From a wish to a setpoint: clamp into the permit, ramp what relaxes, round toward zero."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.core.arbiter import Proposal
from agent.core.bounds import Evaluated, shut
from agent.core.command import RampClass
from agent.core.decision import LimitValue, Mode, Side
from agent.core.modes import ACTING, ZEROING
from agent.core.params import Params, S
from agent.core.permit import binding as binds
from agent.core.snapshot import Snapshot
from agent.core.writes import Hand, may_relax

MAX_RAMP_CYCLES = 2  # a longer gap does not make a longer step


class Setpoint(NamedTuple):
    """`ramped_w`: before rounding, what the next ramp starts from. `clamped`, `ramping`: what made it differ."""

    given_w: int
    ramped_w: int
    clamped: bool
    ramping: bool


def shape(
    asked_w: int,
    lo_w: int,
    hi_w: int,
    before_w: int | None,
    measured_w: int | None,
    ramp: RampClass,
    ramp_ns: int,
    resolution_w: int,
    params: Params,
    rate_permille: int | None = None,
) -> Setpoint:
    """`before_w`: the last setpoint before rounding; None = released: the ramp starts from what the battery does.
    `ramp_ns`: time that it may grow for; 0 = it may only shrink. `rate_permille`: in place of the ramp's own."""
    target = max(lo_w, min(hi_w, asked_w))
    start = before_w if before_w is not None else (measured_w or 0)
    ramped = relax(start, target, _rate(ramp, params, rate_permille) * ramp_ns // (1000 * S))
    given = abs(ramped) // max(1, resolution_w) * max(1, resolution_w)
    return Setpoint(given if ramped >= 0 else -given, ramped, target != asked_w, ramped != target)


def relax(start_w: int, target_w: int, step_w: int) -> int:
    """Toward zero at once; away from zero by at most `step_w`, from zero if the side changes."""
    if target_w >= 0:
        return min(target_w, max(0, start_w) + step_w)
    return max(target_w, min(0, start_w) - step_w)


def _rate(ramp: RampClass, p: Params, asked: int | None) -> int:
    """Permille of nameplate a second, in milliwatts a second: W x permille."""
    permille = {
        RampClass.DIRECT: p.ramp_direct_permille_per_s,
        RampClass.SCHEDULED: p.ramp_scheduled_permille_per_s,
        RampClass.URGENT: p.ramp_urgent_permille_per_s,
        RampClass.REGULATION: p.ramp_regulation_permille_per_s,
    }[ramp]
    if asked is not None:
        permille = min(permille, asked)
    return permille * max(p.site.nameplate_charge_w, p.site.nameplate_discharge_w)


class Answer(NamedTuple):
    """What a wish gets. `limited`: a limit, not the ramp alone, made it differ. `given_w` None = released."""

    given_w: int | None
    ramped_w: int | None
    limited: bool
    binding: LimitValue | None


def answer(
    wish: Proposal,
    bounds: Evaluated,
    ramped_w: int | None,
    hand: Hand,
    s: Snapshot,
    params: Params,
) -> Answer:
    """The wish inside the bounds. `ramped_w`: the last setpoint before rounding, None = released."""
    if wish.power_w is None:
        return Answer(None, None, False, None)
    resolution_w = s.capability.resolution_w if s.capability is not None else 1
    since = s.now_ns - hand.asked_ns if ramped_w is not None else params.timers.cycle_ns
    ramp_ns = min(since, MAX_RAMP_CYCLES * params.timers.cycle_ns) if may_relax(hand, s.now_ns, params) else 0
    lo_w, hi_w = bounds.lo_w, bounds.hi_w
    if wish.within_w is not None:
        lo_w, hi_w = max(lo_w, -wish.within_w), min(hi_w, wish.within_w)
    rate = wish.rate_permille
    made = shape(wish.power_w, lo_w, hi_w, ramped_w, s.battery_w, wish.ramp, ramp_ns, resolution_w, params, rate)
    side = Side.CHARGE if wish.power_w < 0 else Side.DISCHARGE
    binding: LimitValue | None = None
    limited = made.clamped or shut(bounds)
    if limited:
        binding = bounds.values[binds(bounds.caps, params, side is Side.CHARGE)]
    elif wish.cut is not None:
        limited, binding = True, wish.cut
    elif made.ramping:
        sentence = f"on its way to {wish.power_w} W, by the {wish.ramp.value} ramp"
        binding = LimitValue("ramp", side, abs(made.ramped_w), sentence, "agent")
    return Answer(made.given_w, made.ramped_w, limited, binding)


def fit(
    given_w: int | None, mode: Mode, hand: Hand, now_ns: int, params: Params, keep: bool = False
) -> tuple[int | None, Hand]:
    """What the mode leaves of a setpoint: all of it; zero for a while, then release; or release at once. `keep`: once
    released the inverter could go below the reserve, so zero stays, and is begun, for as long as that is so."""
    if mode in ACTING:
        return given_w, (hand if hand.zero_ns is None else replace(hand, zero_ns=None))
    if not keep and (mode not in ZEROING or hand.setpoint_w is None):
        return None, hand
    if hand.zero_ns is None:
        return 0, replace(hand, zero_ns=now_ns)
    return (0 if keep or now_ns - hand.zero_ns < params.timers.release_delay_ns else None), hand
