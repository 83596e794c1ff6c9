"""Does the battery do what it was told? What it differs by, beyond a band, adds up in W x s until it is too much.
A setpoint that was lost is counted by what took it: a restart or a timer of the inverter's, or another hand.

The integral of max(0, |measured - setpoint| - band): at 11.4 kW rated, each 5 kWs of it says the setpoint again, the
fourth is the fault; other ratings in proportion. A large miss is found within seconds, a small one in a minute, one
within the band never.

Less than was asked, the right way round, is no disobedience where the inverter gives a good part of it or has a reason
(`excused`): its rating is used by PV, the battery is nearly full or empty, or it restarted and waits as its grid code
has it. That is counted apart and only told.

Nor is being on its way: some inverters change their power by a grid code's gradient. While each reading is nearer to
one setpoint than all before it, by 2 % of the rating a second at least, nothing is added. It can come nearer for 50 s
from the rating to zero and 100 s from end to end, and no longer; one that does not move is counted at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from agent.core.params import Params, S
from agent.core.snapshot import Snapshot
from drivers.readings import InverterReading

SETTLE_NS = 3 * S  # dead time, lag and the reading's own age after a setpoint was read back
BAND_PERMILLE = 50  # of the rating, plus a tenth of the setpoint
PATIENCE_PERMILLE = 175  # of rating x `timers.actuation_ns`: 4 x 5 kWs at 11.4 kW and 10 s
NEARING_PERMILLE = 20  # of the rating, a second: gradients that inverters are set to begin at 5 %
REARM_WINDOW_NS = 3600 * S
REARMS = 5  # an hour: restarts and early ends that are put up with
LOST_REST_NS = 600 * S  # without another loss
OVERRIDES = 3  # an hour: times that a setpoint is written again over another hand's
OVERRIDE_REST_NS = 60 * S
GOOD_PART = 5  # a fifth of the setpoint: an inverter that gives as much has heard it
RATING_PERMILLE = 900  # of its rating at the AC terminals: it has no more to give
BOOTING = frozenset({"off", "sleeping", "starting", "restarting", "updating"})  # states of an inverter that began anew
RESTART_NS = 300 * S  # a grid code's delay before an inverter that restarted may give power again
FULL_PERMILLE, EMPTY_PERMILLE = 900, 150  # beyond these a battery takes and gives what its voltage allows


class Loss(StrEnum):
    """What took a setpoint that had been read back."""

    REBOOTED = "rebooted"  # the inverter starts, or its timer reads 0 as after a start
    REVERTED = "reverted"  # it ended the setpoint by itself
    OVERRIDDEN = "overridden"  # it has another one, or none although its own timer has not run out: another hand


Told = tuple[tuple[int, int], ...]  # (since when, W): setpoints that were read back, oldest first


@dataclass(frozen=True, slots=True)
class Actuation:
    """What is known of the inverter's obedience."""

    off_nj: int = 0  # what it differed by, added up: W x ns
    short_nj: int = 0  # what it gave less than was asked, the right way round, added up likewise
    reversed_ns: int = 0  # how long it has mirrored the setpoint
    off_by_w: int = 0  # last difference out of band, measured - commanded
    rearms: tuple[int, ...] = ()  # when a setpoint was found lost by a restart or a timer, last hour
    overrides: tuple[int, ...] = ()  # when another hand was found to have taken it, last hour
    told: Told = ()  # the setpoints that the power may still be following
    foreign: tuple[str, ...] = ()  # points that another hand had changed when it was last lost
    patience_nj: int = 1  # at which it is a fault
    nearest_w: int = -1  # the least that it has been away from the setpoint of now, -1 = not looked at yet
    neared_ns: int = 0  # the reading that was looked at last
    nearing: bool = False  # it was nearer than all before it


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
    excused: bool = False,
) -> Actuation:
    """One cycle. `commanded_w`: as it was read back; None = released: nothing to compare, and nothing is held against
    it. `rated_w`: the inverter's own, where it is one of several. While setpoints follow each other, all those of the
    last SETTLE_NS are obeyed by whatever lies between them."""
    if commanded_w is None:
        if not actuation.told:
            return actuation
        return Actuation(rearms=actuation.rearms, overrides=actuation.overrides, foreign=actuation.foreign)
    told = _told(actuation.told, commanded_w, confirmed_ns, now_ns)
    if told is not actuation.told:
        anew = not actuation.told or told[-1] != actuation.told[-1]
        actuation = replace(actuation, told=told, nearest_w=-1 if anew else actuation.nearest_w)
    if measured_w is None or measured_at_ns < confirmed_ns:
        return actuation
    rated = rated_w or max(params.site.nameplate_charge_w, params.site.nameplate_discharge_w)
    band = rated * BAND_PERMILLE // 1000 + abs(commanded_w) // 10
    away = abs(measured_w - commanded_w)
    if away > band and measured_at_ns > actuation.neared_ns:
        actuation = _nearer(actuation, away, measured_at_ns, rated)
    if now_ns - told[0][0] < SETTLE_NS:
        return actuation
    values = [w for _, w in told]
    difference = measured_w - max(min(values), min(max(values), measured_w))
    mirrored = abs(commanded_w) > band and abs(measured_w + commanded_w) <= band
    reversed_ns = actuation.reversed_ns + dt_ns if mirrored and difference else 0
    excess = abs(difference) - band
    if excess <= 0 and not actuation.off_nj and not actuation.short_nj and not actuation.reversed_ns:
        return actuation
    less = commanded_w * difference < 0 and commanded_w * measured_w >= 0
    short = less and (excused or abs(measured_w) * GOOD_PART >= abs(commanded_w))
    if excess > 0 and actuation.nearing and not mirrored:
        return replace(actuation, reversed_ns=0)
    patience = max(1, rated * PATIENCE_PERMILLE // 1000 * params.timers.actuation_ns)
    return Actuation(
        max(0, actuation.off_nj + (excess if excess > 0 and not short else -band) * dt_ns),
        max(0, min(patience, actuation.short_nj + (excess if excess > 0 and short else -band) * dt_ns)),
        reversed_ns,
        difference if excess > 0 else actuation.off_by_w,
        actuation.rearms,
        actuation.overrides,
        told,
        actuation.foreign,
        patience,
        actuation.nearest_w,
        actuation.neared_ns,
        actuation.nearing,
    )


def _nearer(actuation: Actuation, away_w: int, at_ns: int, rated_w: int) -> Actuation:
    """One reading that is `away_w` from the setpoint."""
    least_w = actuation.nearest_w
    if least_w < 0:
        return replace(actuation, nearest_w=away_w, neared_ns=at_ns, nearing=False)
    step_w = rated_w * NEARING_PERMILLE * (at_ns - actuation.neared_ns) // (1000 * S)
    return replace(actuation, nearest_w=min(least_w, away_w), neared_ns=at_ns, nearing=away_w <= least_w - step_w)


def paused(actuation: Actuation, commanded_w: int, now_ns: int) -> Actuation:
    """One cycle in which the inverter follows another hand: what it does says nothing of its obedience, and once the
    setpoint is ours again it has time to settle. What it owed, it owes."""
    return replace(actuation, reversed_ns=0, told=((now_ns, commanded_w),), nearest_w=-1)


def excuse(commanded_w: int | None, ac_w: int | None, rated_w: int, s: Snapshot, params: Params) -> bool:
    """Whether it may give less for a reason. `ac_w`: at its AC terminals, None = not known."""
    if commanded_w is None:
        return False
    permille = params.site.capacity_wh
    if commanded_w < 0:
        return s.soc_hi_mwh is not None and s.soc_hi_mwh >= FULL_PERMILLE * permille
    worked = ac_w is not None and rated_w > 0 and ac_w * 1000 >= rated_w * RATING_PERMILLE
    return worked or (s.soc_lo_mwh is not None and s.soc_lo_mwh <= EMPTY_PERMILLE * permille)


def booting(inverter: InverterReading | None) -> bool:
    """By its own word it is not at work yet."""
    return inverter is not None and inverter.status in BOOTING


def restarting(actuation: Actuation, inverter: InverterReading | None, now_ns: int) -> bool:
    """It lost a setpoint lately, or is not at work yet: that it gives nothing is what its grid code asks of it."""
    return booting(inverter) or (bool(actuation.rearms) and now_ns - actuation.rearms[-1] < RESTART_NS)


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
    said, owed = before.off_nj + before.short_nj, now.off_nj + now.short_nj
    return owed // quarter > said // quarter


def deaf(actuation: Actuation) -> bool:
    """The patience is over."""
    return actuation.off_nj >= actuation.patience_nj


def short(actuation: Actuation) -> bool:
    """It gives less than was asked, and has for long enough to say so."""
    return actuation.short_nj >= actuation.patience_nj


def rearm(actuation: Actuation, now_ns: int, loss: Loss, foreign: tuple[str, ...] = ()) -> Actuation:
    """A setpoint was found lost. `foreign`: the points that read otherwise than when it was read back."""
    foreign = foreign or actuation.foreign
    if loss is Loss.OVERRIDDEN:
        return replace(actuation, overrides=_counted(actuation.overrides, now_ns), foreign=foreign)
    return replace(actuation, rearms=_counted(actuation.rearms, now_ns), foreign=foreign)


def _counted(times: tuple[int, ...], now_ns: int) -> tuple[int, ...]:
    return (*_recent(times, now_ns)[-15:], now_ns)


def _recent(times: tuple[int, ...], now_ns: int) -> tuple[int, ...]:
    return tuple([t for t in times if now_ns - t <= REARM_WINDOW_NS])


def contested(actuation: Actuation, now_ns: int) -> bool:
    """Another hand has taken it so often that it is not written again."""
    return len(actuation.overrides) >= OVERRIDES and len(_recent(actuation.overrides, now_ns)) >= OVERRIDES


def overridden(actuation: Actuation, now_ns: int) -> int:
    """How often within the hour, once that is too often and while the last time is not long ago; else 0."""
    return _too_many(actuation.overrides, OVERRIDES, OVERRIDE_REST_NS, now_ns)


def lost(actuation: Actuation, now_ns: int) -> int:
    """The same for what the inverter lost by itself."""
    return _too_many(actuation.rearms, REARMS, LOST_REST_NS, now_ns)


def _too_many(times: tuple[int, ...], allowed: int, rest_ns: int, now_ns: int) -> int:
    if len(times) <= allowed or now_ns - times[-1] >= rest_ns:
        return 0
    recent = len(_recent(times, now_ns))
    return recent if recent > allowed else 0
