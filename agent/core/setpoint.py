"""From a wish to a setpoint: clamp into the permit, ramp what relaxes, round toward zero."""

from __future__ import annotations

from typing import NamedTuple

from agent.core.command import RampClass
from agent.core.params import Params, S


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
) -> Setpoint:
    """`before_w`: the last setpoint before rounding; None = released: the ramp starts from what the battery does.
    `ramp_ns`: time that it may grow for; 0 = it may only shrink."""
    target = max(lo_w, min(hi_w, asked_w))
    start = before_w if before_w is not None else (measured_w or 0)
    ramped = relax(start, target, _rate(ramp, params) * ramp_ns // (1000 * S))
    given = abs(ramped) // max(1, resolution_w) * max(1, resolution_w)
    return Setpoint(given if ramped >= 0 else -given, ramped, target != asked_w, ramped != target)


def relax(start_w: int, target_w: int, step_w: int) -> int:
    """Toward zero at once; away from zero by at most `step_w`, from zero if the side changes."""
    if target_w >= 0:
        return min(target_w, max(0, start_w) + step_w)
    return max(target_w, min(0, start_w) - step_w)


def _rate(ramp: RampClass, p: Params) -> int:
    """Permille of nameplate a second, in milliwatts a second: W x permille."""
    permille = {
        RampClass.DIRECT: p.ramp_direct_permille_per_s,
        RampClass.SCHEDULED: p.ramp_scheduled_permille_per_s,
        RampClass.URGENT: p.ramp_urgent_permille_per_s,
        RampClass.REGULATION: p.ramp_regulation_permille_per_s,
    }[ramp]
    return permille * max(p.site.nameplate_charge_w, p.site.nameplate_discharge_w)
