"""H: what memory may do to a limit. `narrow` is run for one row at a time, any row: rows do not look at each other."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.proof.free import loosen
from tests.proof.homes import NEVER, S, facts, params
from tests.proof.sources import Modules
from tests.proof.symbols import SYMBOLS, Paths
from tests.proof.theorem import theorem

HOLD = "agent.core.hold"
WATTS = 30_000
OTHER_W = 7  # what the other rows leave


class Held(NamedTuple):
    """One row before a cycle. `hold` None = it had not narrowed."""

    at: int  # of LIMITS
    row: Any
    hold: Any
    f: Any
    p: Any
    now: Any
    dt: Any
    full: int


def held(m: Modules, o: Paths) -> Held:
    remembering = [i for i, row in enumerate(m.limits.LIMITS) if row.lift is not m.limits.Lift.LIVE]
    index = remembering[o.pick("row", range(len(remembering)))]
    loosen(m.hold)  # in this copy of the module: this row only, and a margin evaluated over symbols
    m.hold.__dict__.update(REMEMBERING=(index,), PLAIN=SYMBOLS)
    hold = None
    if o.flag("narrowed before"):
        lifting = o.number("lifting_ns", 0, NEVER) if o.flag("was lifting") else None
        hold = m.hold.Hold(index, o.number("held_w", 0, WATTS), lifting)
    now, dt = o.number("now_ns", 0, NEVER), o.number("dt_ns", 0, 3600 * S)
    row, p = m.limits.LIMITS[index], params(m)
    return Held(index, row, hold, facts(m, o), p, now, dt, m.caps.full(p, row.side))


def narrow(m: Modules, h: Held, cap: Any) -> tuple[Any, Any]:
    """(what is left of that row, what is remembered of it)."""
    caps: list[Any] = [OTHER_W] * len(m.limits.LIMITS)
    caps[h.at] = cap
    left, kept = m.hold.narrow(caps, () if h.hold is None else (h.hold,), h.f, h.p, h.now, h.dt)
    assert [w for i, w in enumerate(left) if i != h.at] == [OTHER_W] * (len(caps) - 1)
    assert all(k.index == h.at for k in kept)
    return left[h.at], kept[0] if kept else None


def grown(h: Held) -> Any:
    return h.hold.cap_w + SYMBOLS.greatest(1, h.p.recover_w_per_s * h.dt // S)


@theorem(
    "H1",
    "memory never widens a limit, leaves nothing negative, and what it keeps is what it left",
    (HOLD, "out[i] = min(cap, new.cap_w)", "out[i] = max(cap, new.cap_w)"),
)
def narrows(m: Modules, o: Paths) -> None:
    h = held(m, o)
    cap = o.number("cap_w", 0, WATTS)
    left, kept = narrow(m, h, cap)
    assert left >= 0
    assert left <= cap
    if kept is not None:
        assert kept.cap_w >= 0
        assert left == kept.cap_w
    elif h.hold is None:
        assert cap >= h.full


@theorem(
    "H2",
    "a limit that leaves less than it is held to is there at once, and that is what is remembered (R, in memory)",
    (HOLD, "Hold(i, cap)\n", "Hold(i, hold.cap_w)\n"),
)
def tightens(m: Modules, o: Paths) -> None:
    h = held(m, o)
    cap = o.number("cap_w", 0, WATTS)
    left, kept = narrow(m, h, cap)
    if h.hold is None or cap <= h.hold.cap_w:
        assert left == cap
        if cap < h.full:
            assert kept is not None
            assert kept.cap_w == cap
            assert kept.lifting_ns is None


@theorem(
    "H3",
    "what narrowed returns only after its hold, and by no more than its slew a cycle",
    (HOLD, "if now - hold.lifting_ns < p.timers.hold_ns:", "if now - hold.lifting_ns > p.timers.hold_ns:"),
)
def recovers(m: Modules, o: Paths) -> None:
    h = held(m, o)
    cap = o.number("cap_w", 0, WATTS)
    left, _ = narrow(m, h, cap)
    if h.hold is not None and left > h.hold.cap_w:
        assert h.hold.lifting_ns is not None
        assert h.now - h.hold.lifting_ns >= h.p.timers.hold_ns
        assert (left <= grown(h)) | (grown(h) >= h.full)


@theorem(
    "H4",
    "a latched limit stays until it would limit nothing; from zero, one with a margin stays until the margin is met",
    (HOLD, "row.cap(PLAIN, margin(facts, p), p) <= 0", "row.cap(PLAIN, facts, p) <= 0"),
)
def latches(m: Modules, o: Paths) -> None:
    h = held(m, o)
    if h.hold is None:
        return
    lift = h.row.lift.name
    if lift == "LATCH":
        cap = o.number("cap_w", 0, WATTS)
        left, kept = narrow(m, h, cap)
        if cap < h.full:
            assert left <= h.hold.cap_w
            assert kept is not None
    elif lift == "HYSTERESIS":
        o.assume(h.hold.cap_w == 0)
        cap = h.row.cap(SYMBOLS, h.f, h.p)
        left, _ = narrow(m, h, cap)
        energy = 20 * h.p.site.capacity_wh  # 2 % of SoC, 30 mV, 2 degC
        worse = h.f._replace(
            soc_lo_mwh=h.f.soc_lo_mwh - energy,
            soc_hi_mwh=h.f.soc_hi_mwh + energy,
            cell_max_mv=h.f.cell_max_mv + 30,
            cell_min_mv=h.f.cell_min_mv - 30,
            temp_max_dc=h.f.temp_max_dc + 20,
            temp_min_dc=h.f.temp_min_dc - 20,
        )
        if h.row.cap(SYMBOLS, worse, h.p) <= 0:
            assert left == 0


@theorem(
    "H5",
    "M, with memory: of two equal memories, the one whose limit leaves less now is left no more",
    (HOLD, "if row.lift is Lift.LATCH and cap < full(p, row.side):", "if cap > full(p, row.side) // 2:"),
)
def monotone(m: Modules, o: Paths) -> None:
    h = held(m, o)
    wide, tight = o.number("cap_w", 0, WATTS), o.number("tighter cap_w", 0, WATTS)
    o.assume(tight <= wide)
    left, _ = narrow(m, h, wide)
    less, _ = narrow(m, h, tight)
    if h.hold is None or less > h.hold.cap_w or h.row.lift.name != "HYSTERESIS":
        assert less <= left
