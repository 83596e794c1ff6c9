"""When the BMS' SoC contradicts what is measured: what else may be true, as an interval that contains it.

Four witnesses. A cell at rest that is nearly empty or nearly full says so whatever the percentage is (LFP: 3.05 V is
below 5 %, 3.45 V above 95 %). Energy that was measured to leave or enter must show. SoC does not jump. Whoever speaks
against the BMS stays a bound of its own, moved by the energy that passes, until the BMS comes to agree or shows itself
calibrated by a full charge. Nothing here makes the interval narrower, and nothing corrects the BMS.

Over a silence nothing was counted. A count that was not contradicted begins anew where what may have flowed meanwhile
explains the difference; where it does not, it goes on, wider by that. The trade: a BMS that lies and falls silent again
and again is found later by as much as could flow in its silences; a short one does not wash away what was gathered, and
none ends a doubt. Likewise a stuck BMS whose pack swings around what it says: each swing that ends within REBASE_WITHIN
of it may hide as much again.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.params import S
from agent.core.soc import NJ_PER_MWH

EMPTY_MV, EMPTY_ABOVE = 3050, 200  # such a cell, at rest, and a SoC above this permille: a contradiction
FULL_MV, FULL_BELOW = 3450, 900
CELL_NS = 10 * S  # from the first such sample in a row to the last: one alone may be a slip of the sensor or the line
GENTLE_PERMILLE_OF_C = 200  # "at rest": below 0.2 C a cell's voltage still tells
AGREED = 50  # permille within which a bound and the BMS agree again
CALIBRATED = 990  # permille; with a cell at FULL_MV the BMS has just seen the top

COUNT_OFF = 80  # permille by which SoC may differ from our own count ...
COUNT_SHARE = 8  # ... plus this part of the energy moved since both agreed: capacity and sensors are not exact
REBASE_AFTER, REBASE_WITHIN = 100, 20  # permille moved, permille of difference: then both agree anew
IDLE_PERMILLE_OF_C = 20  # below 0.02 C a sensor's offset is most of the count: while near the BMS, it leaks towards it
LEAK_PERMILLE_PER_H = 5

SILENCE_NS = 15 * S  # longer without a sight: nothing was counted meanwhile
SILENCE_PERMILLE_OF_C = 1000  # as much may have flowed then

JUMP, JUMP_WINDOW_NS, JUMP_REST_NS = 50, 10 * S, 600 * S


class Sight(NamedTuple):
    """One cycle's facts. Powers in W, + = discharge: the greater and the lesser of what BMS and inverter measure."""

    now_ns: int
    dt_ns: int
    capacity_wh: int
    soc: int  # permille, as the BMS reports it
    most_w: int
    least_w: int
    cell_max_mv: int | None
    cell_min_mv: int | None
    at_ns: int = 0  # when the cells were sampled; 0 = now


class Bound(NamedTuple):
    """What may be in the battery, nJ, from `lo` to `hi`; both move with the energy that passes."""

    lo: int
    hi: int


class Doubt(NamedTuple):
    """What is remembered between cycles. None = no such witness."""

    capacity_wh: int = 0
    counted: Bound | None = None  # our own coulomb count since BMS and count last agreed
    moved: int = 0  # nJ that passed since then, both ways added
    off: bool = False  # count and BMS contradict each other
    empty: Bound | None = None
    full: Bound | None = None
    jumped: Bound | None = None
    jumped_ns: int = 0
    mark: int = 0  # SoC at the start of the window in which a jump is looked for
    mark_ns: int = 0
    seen_ns: int = 0  # the last sight
    low_ns: int | None = None  # the first sample in a row of a cell that speaks against the BMS
    high_ns: int | None = None

    def widen(self, lo_mwh: int, hi_mwh: int) -> tuple[int, int]:
        """The interval that also contains what the witnesses say; never narrower than it was."""
        bounds = [b for b in (self.empty, self.full, self.jumped, self.counted if self.off else None) if b is not None]
        lo = min([lo_mwh, *(b.lo // NJ_PER_MWH for b in bounds)])
        hi = max([hi_mwh, *(-(-b.hi // NJ_PER_MWH) for b in bounds)])
        return max(0, lo), min(1000 * self.capacity_wh, hi) if self.capacity_wh else hi

    def sentence(self) -> str | None:
        """Why SoC is doubted, for a person; None = it is not."""
        if self.empty is not None:
            return "a cell at rest is nearly empty while the BMS reports charge: SoC counts as what is surely there"
        if self.full is not None:
            return "a cell at rest is nearly full while the BMS reports room: it is not charged on the BMS' word"
        if self.off:
            return "the BMS' SoC does not follow the energy that was measured to pass"
        if self.jumped is not None:
            return "the BMS' SoC jumped without the energy for it: both values count for a while"
        return None


def follow(before: Doubt, sight: Sight | None) -> Doubt:
    """One cycle. `sight` None = no fresh reading: nothing is learned, nothing is let go."""
    if sight is None:
        return before
    if before.counted is None or before.capacity_wh <= 0:
        return _fresh(sight)
    if before.capacity_wh != sight.capacity_wh:
        before = _resized(before, sight)
    if sight.now_ns - before.seen_ns > SILENCE_NS:
        before = _unseen(before, sight)
    if sight.soc >= CALIBRATED and sight.cell_max_mv is not None and sight.cell_max_mv >= FULL_MV:
        return _fresh(sight)
    moved = before.moved + max(abs(sight.most_w), abs(sight.least_w)) * sight.dt_ns
    doubt = Doubt(
        before.capacity_wh,
        _pass(before.counted, sight),
        moved,
        before.off,
        _pass(before.empty, sight),
        _pass(before.full, sight),
        _pass(before.jumped, sight),
        before.jumped_ns,
        before.mark,
        before.mark_ns,
        sight.now_ns,
        before.low_ns,
        before.high_ns,
    )
    return _jump(_count(_cells(doubt, sight), sight), sight)


def _nj(permille: int, capacity_wh: int) -> int:
    return permille * capacity_wh * NJ_PER_MWH


def _fresh(s: Sight) -> Doubt:
    here = _nj(s.soc, s.capacity_wh)
    return Doubt(s.capacity_wh, Bound(here, here), mark=s.soc, mark_ns=s.now_ns, seen_ns=s.now_ns)


def _unseen(doubt: Doubt, s: Sight) -> Doubt:
    """Nothing was counted since `seen_ns`: anything that may have flowed meanwhile is as good as counted."""
    doubt = doubt._replace(low_ns=None, high_ns=None)
    count = doubt.counted
    assert count is not None, "follow() began one"
    if doubt.off:
        return doubt
    here = _nj(s.soc, s.capacity_wh)
    most = s.capacity_wh * SILENCE_PERMILLE_OF_C // 1000 * (s.now_ns - doubt.seen_ns)
    wide = Bound(max(0, count.lo - most), min(_nj(1000, s.capacity_wh), count.hi + most))
    if wide.lo <= here <= wide.hi:
        return doubt._replace(counted=Bound(here, here), moved=0, mark=s.soc, mark_ns=s.now_ns)
    return doubt._replace(counted=wide)


def _resized(doubt: Doubt, s: Sight) -> Doubt:
    """A pack came or went: a witness against the BMS speaks of the rest in the same parts; where there was none, what
    the BMS says now is where we begin to count."""
    capacity_wh = s.capacity_wh

    def part(bound: Bound | None) -> Bound | None:
        if bound is None:
            return None
        return Bound(bound.lo * capacity_wh // doubt.capacity_wh, -(-bound.hi * capacity_wh // doubt.capacity_wh))

    return _fresh(s)._replace(
        counted=part(doubt.counted) if doubt.off else _fresh(s).counted,
        off=doubt.off,
        empty=part(doubt.empty),
        full=part(doubt.full),
        jumped=part(doubt.jumped),
        jumped_ns=doubt.jumped_ns,
    )


def _pass(bound: Bound | None, s: Sight) -> Bound | None:
    """The least that may be there falls with the greater power, the most with the lesser."""
    if bound is None:
        return None
    top = _nj(1000, s.capacity_wh)
    return Bound(
        min(top, max(0, bound.lo - s.most_w * s.dt_ns)),
        min(top, max(0, bound.hi - s.least_w * s.dt_ns)),
    )


def _cells(doubt: Doubt, s: Sight) -> Doubt:
    """What a cell at rest says of the whole."""
    gentle = max(abs(s.most_w), abs(s.least_w)) * 1000 <= s.capacity_wh * GENTLE_PERMILLE_OF_C
    here, agreed = _nj(s.soc, s.capacity_wh), _nj(AGREED, s.capacity_wh)
    empty, full = doubt.empty, doubt.full
    low = gentle and s.cell_min_mv is not None and s.cell_min_mv <= EMPTY_MV and s.soc > EMPTY_ABOVE
    high = gentle and s.cell_max_mv is not None and s.cell_max_mv >= FULL_MV and s.soc < FULL_BELOW
    at_ns = s.at_ns or s.now_ns
    low_ns = (at_ns if doubt.low_ns is None else doubt.low_ns) if low else None
    high_ns = (at_ns if doubt.high_ns is None else doubt.high_ns) if high else None
    if low_ns is not None and at_ns - low_ns >= CELL_NS:
        empty = Bound(0, here)
    elif empty is not None and empty.lo >= here - agreed:
        empty = None
    if high_ns is not None and at_ns - high_ns >= CELL_NS:
        full = Bound(here, _nj(1000, s.capacity_wh))
    elif full is not None and full.hi <= here + agreed:
        full = None
    if (empty, full, low_ns, high_ns) == (doubt.empty, doubt.full, doubt.low_ns, doubt.high_ns):
        return doubt
    return doubt._replace(empty=empty, full=full, low_ns=low_ns, high_ns=high_ns)


def _count(doubt: Doubt, s: Sight) -> Doubt:
    """SoC beside our own count of the energy that passed."""
    count = doubt.counted
    assert count is not None, "follow() began one"
    here, near = _nj(s.soc, s.capacity_wh), _nj(REBASE_WITHIN, s.capacity_wh)
    apart = max(count.lo - here, here - count.hi, 0)
    if apart <= near and (doubt.off or doubt.moved >= _nj(REBASE_AFTER, s.capacity_wh)):
        return doubt._replace(counted=Bound(here, here), moved=0, off=False)
    if doubt.off or apart > _nj(COUNT_OFF, s.capacity_wh) + doubt.moved // COUNT_SHARE:
        return doubt._replace(off=True)
    if apart <= near and max(abs(s.most_w), abs(s.least_w)) * 1000 <= s.capacity_wh * IDLE_PERMILLE_OF_C:
        leak = _nj(LEAK_PERMILLE_PER_H, s.capacity_wh) * s.dt_ns // (3600 * S)
        return doubt._replace(counted=Bound(_toward(count.lo, here, leak), _toward(count.hi, here, leak)))
    return doubt


def _toward(value: int, goal: int, step: int) -> int:
    return value + max(-step, min(step, goal - value))


def _jump(doubt: Doubt, s: Sight) -> Doubt:
    """More than 5 % within 10 s, which no power of the battery explains: the old value counts on for ten minutes."""
    jumped, jumped_ns = doubt.jumped, doubt.jumped_ns
    if abs(s.soc - doubt.mark) > JUMP:
        old = _nj(doubt.mark, s.capacity_wh)
        jumped = Bound(min(old, jumped.lo), max(old, jumped.hi)) if jumped is not None else Bound(old, old)
        return doubt._replace(jumped=jumped, jumped_ns=s.now_ns, mark=s.soc, mark_ns=s.now_ns)
    if jumped is not None and s.now_ns - jumped_ns >= JUMP_REST_NS:
        jumped = None
    if s.now_ns - doubt.mark_ns >= JUMP_WINDOW_NS:
        return doubt._replace(jumped=jumped, mark=s.soc, mark_ns=s.now_ns)
    return doubt if jumped is doubt.jumped else doubt._replace(jumped=jumped)
