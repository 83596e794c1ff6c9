"""Does the battery do what it was told? What it differs by, beyond a band, adds up in W x s until it is too much.

The integral of max(0, |measured - setpoint| - band): at 11.4 kW rated, each 5 kWs of it says the setpoint again, the
fourth is the fault; other ratings in proportion. A large miss is found within seconds, a small one in a minute, one
within the band never.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core.params import Params, S

SETTLE_NS = 3 * S  # dead time, lag and the reading's own age after a setpoint was read back
BAND_PERMILLE = 50  # of the rating, plus a tenth of the setpoint
PATIENCE_PERMILLE = 175  # of rating x `timers.actuation_ns`: 4 x 5 kWs at 11.4 kW and 10 s
REARM_WINDOW_NS = 3600 * S

Told = tuple[tuple[int, int], ...]  # (since when, W): setpoints that were read back, oldest first


@dataclass(frozen=True, slots=True)
class Actuation:
    """What is known of the inverter's obedience."""

    off_nj: int = 0  # what it differed by, added up: W x ns
    reversed_ns: int = 0  # how long it has mirrored the setpoint
    off_by_w: int = 0  # last difference out of band, measured - commanded
    rearms: tuple[int, ...] = ()  # when a setpoint was found lost, last hour
    told: Told = ()  # the setpoints that the power may still be following
    foreign: tuple[str, ...] = ()  # points that another hand had changed when it was last lost
    patience_nj: int = 1  # at which it is a fault


def watch(
    actuation: Actuation,
    params: Params,
    now_ns: int,
    dt_ns: int,
    commanded_w: int | None,
    confirmed_ns: int,
    measured_w: int | None,
    measured_at_ns: int,
    rated_w: int | None = None,
) -> Actuation:
    """One cycle. `commanded_w`: as it was read back; None = released: nothing to compare, and nothing is held against
    it. `rated_w`: the inverter's own, where it is one of several. While setpoints follow each other, all those of the
    last SETTLE_NS are obeyed by whatever lies between them."""
    if commanded_w is None:
        return Actuation(rearms=actuation.rearms, foreign=actuation.foreign) if actuation.told else actuation
    told = _told(actuation.told, commanded_w, confirmed_ns, now_ns)
    if told is not actuation.told:
        actuation = replace(actuation, told=told)
    if measured_w is None or measured_at_ns < confirmed_ns or now_ns - told[0][0] < SETTLE_NS:
        return actuation
    rated = rated_w or max(params.site.nameplate_charge_w, params.site.nameplate_discharge_w)
    band = rated * BAND_PERMILLE // 1000 + abs(commanded_w) // 10
    values = [w for _, w in told]
    difference = measured_w - max(min(values), min(max(values), measured_w))
    mirrored = abs(commanded_w) > band and abs(measured_w + commanded_w) <= band
    reversed_ns = actuation.reversed_ns + dt_ns if mirrored and difference else 0
    excess = abs(difference) - band
    if excess <= 0 and not actuation.off_nj and not actuation.reversed_ns:
        return actuation
    return Actuation(
        max(0, actuation.off_nj + (excess if excess > 0 else -band) * dt_ns),
        reversed_ns,
        difference if excess > 0 else actuation.off_by_w,
        actuation.rearms,
        told,
        actuation.foreign,
        max(1, rated * PATIENCE_PERMILLE // 1000 * params.timers.actuation_ns),
    )


def _told(told: Told, commanded_w: int, confirmed_ns: int, now_ns: int) -> Told:
    """With the setpoint of now, without those that ended before the power had time to follow."""
    if not told or told[-1][1] != commanded_w:
        told = (*told, (confirmed_ns, commanded_w))
    while len(told) > 1 and now_ns - told[1][0] >= SETTLE_NS:
        told = told[1:]
    return told


def unheeded(before: Actuation, now: Actuation, params: Params) -> bool:
    """Another quarter of the patience has passed: the setpoint is worth saying again."""
    quarter = max(1, now.patience_nj // 4)
    return now.off_nj // quarter > before.off_nj // quarter


def deaf(actuation: Actuation) -> bool:
    """The patience is over."""
    return actuation.off_nj >= actuation.patience_nj


def rearm(actuation: Actuation, now_ns: int, foreign: tuple[str, ...] = ()) -> Actuation:
    """A setpoint was found lost (reboot, early reversion, another hand) and is written again."""
    recent = tuple(t for t in actuation.rearms if now_ns - t <= REARM_WINDOW_NS)[-15:]
    return replace(actuation, rearms=(*recent, now_ns), foreign=foreign or actuation.foreign)
