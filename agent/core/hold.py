"""Memory of limits: tighten at once, relax slowly. Can only narrow what the permit left.

A limit of kind LIVE has no memory. The others, once they narrowed, keep what they left until their lift condition is
met (HYSTERESIS: from zero, only when the limit would leave something with a margin to spare; LATCH: only when it would
limit nothing), then for `hold_ns`, then they grow by `recover_w_per_s`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.caps import PLAIN, Facts, full
from agent.core.limits import LIMITS, Lift
from agent.core.params import Params, S


@dataclass(frozen=True, slots=True)
class Hold:
    """What a limit that once narrowed leaves now. `lifting_ns`: since when its lift condition is met; None = not."""

    index: int  # of LIMITS
    cap_w: int
    lifting_ns: int | None = None


REMEMBERING = tuple(i for i, row in enumerate(LIMITS) if row.lift is not Lift.LIVE)


def narrow(
    caps: Sequence[int], holds: tuple[Hold, ...], facts: Facts, params: Params, now_ns: int, dt_ns: int
) -> tuple[list[int], tuple[Hold, ...]]:
    """Caps after memory, each <= its pure cap, and the new memory."""
    out = list(caps)
    kept: list[Hold] = []
    known = {h.index: h for h in holds}
    for i in REMEMBERING:
        cap = caps[i]
        hold = known.get(i)
        if hold is None:
            if cap < full(params, LIMITS[i].side):
                kept.append(Hold(i, cap))
            continue
        if cap <= hold.cap_w:
            new: Hold | None = hold if cap == hold.cap_w and hold.lifting_ns is None else Hold(i, cap)
        else:
            new = _lift(i, cap, hold, facts, params, now_ns, dt_ns)
        if new is not None:
            out[i] = min(cap, new.cap_w)
            kept.append(new)
    return out, tuple(kept)


def _lift(i: int, cap: int, hold: Hold, facts: Facts, p: Params, now: int, dt: int) -> Hold | None:
    """The limit leaves more than it did: may it? None = its memory is over."""
    row = LIMITS[i]
    if row.lift is Lift.LATCH and cap < full(p, row.side):
        return hold if hold.lifting_ns is None else Hold(i, hold.cap_w)
    if row.lift is Lift.HYSTERESIS and hold.cap_w == 0 and row.cap(PLAIN, margin(facts, p), p) <= 0:
        return hold if hold.lifting_ns is None else Hold(i, 0)
    if hold.lifting_ns is None:
        return Hold(i, hold.cap_w, now)
    if now - hold.lifting_ns < p.timers.hold_ns:
        return hold
    grown = hold.cap_w + max(1, p.recover_w_per_s * dt // S)
    if grown >= full(p, row.side):
        return None
    return Hold(i, min(cap, grown), hold.lifting_ns)


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
    )
