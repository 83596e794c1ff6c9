"""Memory of limits: tighten at once, relax slowly. Can only narrow what the permit left.

A limit of kind LIVE has no memory. The others, once they narrowed, keep what they left until their lift condition is
met (HYSTERESIS: from zero, only when the limit would leave something with a margin to spare; LATCH: only when it would
limit nothing; SETTLED: nothing with a margin), then for a hold, then they grow by `recover_w_per_s`.

A limit that comes back time and again is held longer: a third return within an hour doubles its hold, each further one
again, up to 15 minutes. Returns are forgotten at a quarter of that rate.

Memory does not outlive the process. So a LATCH that narrows at all when a start first looks leaves nothing until its
lift condition is met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.core.caps import PLAIN, Facts, full
from agent.core.decision import Side
from agent.core.limits import LIMITS, Lift, Limit
from agent.core.params import Params, S

REST_W = 1_000_000_000  # more than any limit leaves: it narrows nothing, and is remembered for its falls only
DEEP = 10  # a fall of a tenth of the nameplate counts; a reading that trembles does not
FREE_FALLS = 3  # the first, and two returns
MOST_FALLS = 10
LONGEST_NS = 900 * S
FORGET_NS = 4 * 3600 * S // 3  # three an hour are too many; a quarter of that rate is forgotten


@dataclass(frozen=True, slots=True)
class Hold:
    """What a limit that once narrowed leaves now. `lifting_ns`: since when its lift condition is met; None = not."""

    index: int  # of LIMITS
    cap_w: int
    lifting_ns: int | None = None
    falls: int = 0  # how often it took much at once, lately
    counted_ns: int = 0  # when `falls` last changed


REMEMBERING = tuple(i for i, row in enumerate(LIMITS) if row.lift is not Lift.LIVE)


def narrow(
    caps: Sequence[int],
    holds: tuple[Hold, ...],
    facts: Facts,
    params: Params,
    now_ns: int,
    dt_ns: int,
    first: bool = False,
) -> tuple[list[int], tuple[Hold, ...]]:
    """Caps after memory, each <= its pure cap, and the new memory. `first`: nothing was remembered in this start."""
    out = list(caps)
    kept: list[Hold] = []
    known = {h.index: h for h in holds}
    wholes = {side: full(params, side) for side in Side}
    for i in REMEMBERING:
        cap = caps[i]
        hold = known.get(i)
        if hold is None:
            whole = wholes[LIMITS[i].side]
            if cap < whole:
                if first and LIMITS[i].lift is Lift.LATCH:
                    cap = out[i] = 0  # it may have been latched at nothing before the start, and nobody knows
                kept.append(_fall(Hold(i, REST_W), cap, whole, now_ns))
            continue
        if LIMITS[i].lift is Lift.SETTLED and facts.cell_cure != 0:
            kept.append(hold)  # apart as they are: nothing may keep a cell from its cure
            continue
        new = _next(i, cap, hold, facts, params, now_ns, dt_ns)
        if new is not None:
            out[i] = min(cap, new.cap_w)
            kept.append(new)
    return out, tuple(kept)


def hold_ns(row: Limit, hold: Hold, p: Params) -> int:
    """How long its lift condition must be met before it gives anything back; never less than its own hold."""
    own = p.timers.spread_hold_ns if row.lift is Lift.SETTLED else p.timers.hold_ns
    return max(own, min(LONGEST_NS, own << max(0, hold.falls - FREE_FALLS)))


def _next(i: int, cap: int, hold: Hold, facts: Facts, p: Params, now: int, dt: int) -> Hold | None:
    """One cycle of a limit with memory. None = it is over."""
    if hold.falls > 0 and now - hold.counted_ns >= FORGET_NS:
        hold = replace(hold, falls=hold.falls - 1, counted_ns=hold.counted_ns + FORGET_NS)
    whole = full(p, LIMITS[i].side)
    if hold.cap_w == REST_W and cap >= whole:
        return hold if hold.falls > 0 else None
    if cap <= hold.cap_w:
        return hold if cap == hold.cap_w and hold.lifting_ns is None else _fall(hold, cap, whole, now)
    return _lift(i, cap, hold, facts, p, now, dt)


def _fall(hold: Hold, cap: int, whole: int, now: int) -> Hold:
    """It leaves less than before: at once."""
    if min(hold.cap_w, whole) - cap < max(1, whole // DEEP):
        return Hold(hold.index, cap, None, hold.falls, hold.counted_ns)
    return Hold(hold.index, cap, None, min(MOST_FALLS, hold.falls + 1), now)


def _lift(i: int, cap: int, hold: Hold, facts: Facts, p: Params, now: int, dt: int) -> Hold | None:
    """The limit leaves more than it did: may it? None = its memory is over."""
    whole = full(p, LIMITS[i].side)
    if not ready(LIMITS[i], cap, hold, facts, p):
        return hold if hold.lifting_ns is None else replace(hold, lifting_ns=None)
    if hold.lifting_ns is None:
        return replace(hold, lifting_ns=now)
    if now - hold.lifting_ns < hold_ns(LIMITS[i], hold, p):
        return hold
    grown = hold.cap_w + max(1, p.recover_w_per_s * dt // S)
    if grown >= whole:
        return Hold(i, REST_W, None, hold.falls, hold.counted_ns) if hold.falls > 0 else None
    return replace(hold, cap_w=min(cap, grown))


def ready(row: Limit, cap: int, hold: Hold, facts: Facts, p: Params) -> bool:
    """Its lift condition is met; `cap` is what it leaves by itself."""
    if row.lift is Lift.LATCH:
        return cap >= full(p, row.side)
    if row.lift is Lift.SETTLED:
        return row.cap(PLAIN, margin(facts, p), p) >= full(p, row.side)
    return row.lift is not Lift.HYSTERESIS or hold.cap_w > 0 or row.cap(PLAIN, margin(facts, p), p) > 0


def margin(f: Facts, p: Params) -> Facts:
    """The same facts, worse by the hysteresis of each quantity."""
    energy = p.hysteresis_permille * p.site.capacity_wh
    return f._replace(
        cell_max_mv=f.cell_max_mv + p.hysteresis_mv,
        cell_min_mv=f.cell_min_mv - p.hysteresis_mv,
        temp_max_dc=f.temp_max_dc + p.hysteresis_dc,
        temp_min_dc=f.temp_min_dc - p.hysteresis_dc,
        soc_lo_mwh=f.soc_lo_mwh - energy,
        soc_hi_mwh=f.soc_hi_mwh + energy,
        spread_mv=f.spread_mv + p.hysteresis_spread_mv,
    )
