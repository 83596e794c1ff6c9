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
ONE_OF_A_KIND = ("dcl", "cell_high", "temperature_charge", "imbalance_charge")  # falls are counted alike for all rows
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
        fell = counted(m, o) if m.limits.LIMITS[index].id in ONE_OF_A_KIND else (0, 0)
        hold = m.hold.Hold(index, o.number("held_w", 0, WATTS), lifting, *fell)
        if lifting is None and hold.falls and o.flag("and is at rest"):
            hold = m.hold.Hold(index, m.hold.REST_W, None, hold.falls, hold.counted_ns)
    now, dt = o.number("now_ns", 0, NEVER), o.number("dt_ns", 0, 3600 * S)
    row, p = m.limits.LIMITS[index], params(m)
    return Held(index, row, hold, facts(m, o), p, now, dt, m.caps.full(p, row.side))


def counted(m: Modules, o: Paths) -> tuple[int, Any]:
    """(falls, when they were counted): none, or enough of them for a longer hold."""
    return (m.hold.FREE_FALLS + 2, o.number("counted_ns", 0, NEVER)) if o.flag("fell often") else (0, 0)


def narrow(m: Modules, h: Held, cap: Any) -> tuple[Any, Any]:
    """(what is left of that row, what is remembered of it)."""
    caps: list[Any] = [OTHER_W] * len(m.limits.LIMITS)
    caps[h.at] = cap
    left, kept = m.hold.narrow(caps, () if h.hold is None else (h.hold,), h.f, h.p, h.now, h.dt)
    assert [w for i, w in enumerate(left) if i != h.at] == [OTHER_W] * (len(caps) - 1)
    assert all(k.index == h.at for k in kept)
    return left[h.at], kept[0] if kept else None


def curing(h: Held) -> bool:
    """Cells that are apart, and one of them must be cured: the memory of that limit rests."""
    return h.hold is not None and h.row.lift.name == "SETTLED" and bool(h.f.cell_cure != 0)


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
    if curing(h):
        assert left == cap
        assert kept is h.hold
    elif kept is not None:
        assert kept.cap_w >= 0
        assert left == (cap if kept.cap_w == m.hold.REST_W else kept.cap_w)
    elif h.hold is None:
        assert cap >= h.full


@theorem(
    "H2",
    "a limit that leaves less than it is held to is there at once, and that is what is remembered (R, in memory)",
    (HOLD, "min(MOST_FALLS, hold.falls + 1), now)", "hold.falls, now + 1) if cap else hold"),
)
def tightens(m: Modules, o: Paths) -> None:
    h = held(m, o)
    cap = o.number("cap_w", 0, WATTS)
    left, kept = narrow(m, h, cap)
    if h.hold is None or cap <= h.hold.cap_w:
        assert left == cap
        if cap < h.full and not curing(h):
            assert kept is not None
            assert kept.cap_w == cap
            assert kept.lifting_ns is None


@theorem(
    "H3",
    "what narrowed returns only after its hold, and by no more than its slew a cycle",
    (HOLD, "if now - hold.lifting_ns < hold_ns(", "if now - hold.lifting_ns > hold_ns("),
)
def recovers(m: Modules, o: Paths) -> None:
    h = held(m, o)
    cap = o.number("cap_w", 0, WATTS)
    left, _ = narrow(m, h, cap)
    if h.hold is not None and left > h.hold.cap_w and not curing(h):
        assert h.hold.lifting_ns is not None
        assert h.now - h.hold.lifting_ns >= h.p.timers.hold_ns
        if h.row.lift.name == "SETTLED":
            assert h.now - h.hold.lifting_ns >= 600 * S
        assert (left <= grown(h)) | (grown(h) >= h.full)


@theorem(
    "H4",
    "a latched limit stays until it would limit nothing; from zero, one with a margin stays until the margin is met",
    (HOLD, "row.cap(PLAIN, margin(facts, p), p) > 0", "row.cap(PLAIN, facts, p) > 0"),
)
def latches(m: Modules, o: Paths) -> None:
    h = held(m, o)
    if h.hold is None or h.hold.cap_w is m.hold.REST_W:
        return
    lift = h.row.lift.name
    if lift == "LATCH":
        cap = o.number("cap_w", 0, WATTS)
        left, kept = narrow(m, h, cap)
        if cap < h.full:
            assert left <= h.hold.cap_w
            assert kept is not None
    elif lift == "SETTLED" and not curing(h):
        o.assume(h.hold.cap_w <= h.full)
        cap = h.row.cap(SYMBOLS, h.f, h.p)
        left, _ = narrow(m, h, cap)
        if h.f.spread_mv >= 250:
            assert left <= h.hold.cap_w
        if h.row.side is m.decision.Side.CHARGE and h.f.spread_mv >= 100:
            assert left <= h.hold.cap_w
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
    (HOLD, "        return cap >= full(p, row.side)\n", "        return cap < full(p, row.side) // 2\n"),
)
def monotone(m: Modules, o: Paths) -> None:
    h = held(m, o)
    wide, tight = o.number("cap_w", 0, WATTS), o.number("tighter cap_w", 0, WATTS)
    o.assume(tight <= wide)
    left, _ = narrow(m, h, wide)
    less, _ = narrow(m, h, tight)
    if h.hold is None or less > h.hold.cap_w or h.row.lift.name not in ("HYSTERESIS", "SETTLED"):
        assert less <= left


@theorem(
    "H6",
    "what falls time and again is held longer, never shorter: its hold grows with its falls, up to 15 minutes",
    (HOLD, "own << max(0, hold.falls - FREE_FALLS)", "own >> max(0, hold.falls - FREE_FALLS)"),
)
def longer(m: Modules, o: Paths) -> None:
    p = params(m)
    row = m.limits.LIMITS[o.pick("row", range(len(m.limits.LIMITS)))]
    few, more = (m.hold.Hold(0, 0, None, falls) for falls in o.pick("falls", [(n, n + 1) for n in range(11)]))
    short, long = m.hold.hold_ns(row, few, p), m.hold.hold_ns(row, more, p)
    assert p.timers.hold_ns <= short <= long <= 900 * S
    assert long == (2 * short if few.falls >= 3 and 2 * short < 900 * S else long)
    if few.falls == 3 and row.lift.name != "SETTLED":
        assert long == 2 * short
