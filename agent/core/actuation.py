"""Does the battery do what it was told? Time out of band adds up, time in band takes it away again."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.params import Params, S

SETTLE_NS = 3 * S  # dead time, lag and the reading's own age after a setpoint was read back
BAND_PERMILLE = 50  # of nameplate, plus a tenth of the setpoint
REARM_WINDOW_NS = 3600 * S


@dataclass(frozen=True, slots=True)
class Actuation:
    """What is known of the inverter's obedience."""

    off_ns: int = 0  # how long measured power has been away from the setpoint
    reversed_ns: int = 0  # how long it has mirrored the setpoint
    off_by_w: int = 0  # last difference out of band, measured - commanded
    rearms: tuple[int, ...] = ()  # when a setpoint was found lost, last hour


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
    """One cycle. `commanded_w` None = released or not read back: nothing to compare, and nothing is held against it.
    `rated_w`: the inverter's own, where it is one of several."""
    if commanded_w is None:
        return Actuation(rearms=actuation.rearms) if actuation.off_ns else actuation
    if measured_w is None or measured_at_ns < confirmed_ns or now_ns - confirmed_ns < SETTLE_NS:
        return actuation
    nameplate = rated_w or max(params.site.nameplate_charge_w, params.site.nameplate_discharge_w)
    band = nameplate * BAND_PERMILLE // 1000 + abs(commanded_w) // 10
    difference = measured_w - commanded_w
    mirrored = abs(commanded_w) > band and abs(measured_w + commanded_w) <= band
    reversed_ns = actuation.reversed_ns + dt_ns if mirrored else 0
    if abs(difference) > band:
        return Actuation(actuation.off_ns + dt_ns, reversed_ns, difference, actuation.rearms)
    if not actuation.off_ns:
        return actuation
    return Actuation(max(0, actuation.off_ns - dt_ns), reversed_ns, actuation.off_by_w, actuation.rearms)


def unheeded(before: Actuation, now: Actuation, params: Params) -> bool:
    """Another quarter of the patience has passed: the setpoint is worth saying again."""
    quarter = max(1, params.timers.actuation_ns // 4)
    return now.off_ns // quarter > before.off_ns // quarter


def rearm(actuation: Actuation, now_ns: int) -> Actuation:
    """A setpoint was found lost (reboot, early reversion, another hand) and is written again."""
    recent = tuple(t for t in actuation.rearms if now_ns - t <= REARM_WINDOW_NS)[-15:]
    return Actuation(actuation.off_ns, actuation.reversed_ns, actuation.off_by_w, (*recent, now_ns))
