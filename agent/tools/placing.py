"""When a settlement record is of. Pure.

Most say it themselves. What a clock says that nobody could trust counts where it lies between the trusted times before
and after it in the chain; else it is put where the `clock` record of its era says; else, where both neighbours are of
one month, into that month. What is left has no place, and is told as that.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_OF = {
    "interval": "t0_ms",
    "gap": "t0_ms",
    "performance": "ended_ms",
    "session": "ended_ms",
    "frequency": "trigger_ms",
    "availability": "at_ms",
    "consent": "at_ms",
    "clock": "to_ms",
    "lost": "from_ms",
}
_DOUBTED = "untrusted"
_DAY = re.compile("([0-9]{4,6})-([0-9]{2})-([0-9]{2})")
_DAY_MS = 86_400_000
_CYCLE_DAYS = 146_097  # 400 years, after which the calendar begins again: Python's ends with 9999, ours does not
END_MS = 253_402_300_800_000  # of the year 9999: a month beyond is nobody's, whatever a clock said
SLACK_MS = 5_000  # a record is committed a little after the time that it tells
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """`ms`: UTC; None: not known, after `earliest` and before `latest` (None: not known either)."""

    body: Body
    ms: int | None
    earliest: int | None = None
    latest: int | None = None

    def is_in(self, begin_ms: int, end_ms: int) -> bool:
        """Within that time."""
        return self.ms is not None and begin_ms <= self.ms < end_ms

    def may_be_in(self, begin_ms: int, end_ms: int) -> bool:
        """Without a place, and it could be there."""
        late = self.earliest is not None and self.earliest >= end_ms
        return self.ms is None and not late and not (self.latest is not None and self.latest < begin_ms)


def place(records: Sequence[Body]) -> list[Placed]:
    """Each of them, which come in the order of their numbers."""
    before: list[int | None] = []
    last: int | None = None
    sooner: int | None = None  # what was written in one commit is told of one moment: it bounds nothing of its own
    for r in records:
        now = _anchor(r)
        if now is not None and now != last:
            last, sooner = now, last
        before.append(last if now is None else sooner)
    after: list[int | None] = []
    following: int | None = None
    for r in reversed(records):
        following = _anchor(r) or following
        after.append(following)
    shifts = _shifts(records)
    return [_placed(r, shifts.get(i), before[i], after[-1 - i]) for i, r in enumerate(records)]


def _placed(r: Body, shift_ms: int | None, earliest: int | None, latest: int | None) -> Placed:
    own = _own(r)
    if own is None or not _doubted(r):
        return Placed(r, own)
    if shift_ms is not None:
        return Placed(r, own + shift_ms)
    if earliest is not None and latest is not None:
        if earliest - SLACK_MS <= own <= latest + SLACK_MS:
            return Placed(r, own)
        if _month(earliest) == _month(latest):
            return Placed(r, earliest)
    return Placed(r, None, earliest, latest)


def _own(r: Body) -> int | None:
    """What the record says, trusted or not."""
    kind = r.get("record")
    if kind in ("reserve", "checkpoint"):
        return _day(str(r["day"])) * _DAY_MS
    found = r.get(_OF.get(str(kind), "iat"), r.get("iat"))
    return found if isinstance(found, int) else None


def _doubted(r: Body) -> bool:
    kind = r.get("record")
    if kind in ("reserve", "checkpoint"):
        return False  # by a trusted clock alone
    if kind == "interval":
        return bool(r["time"] == _DOUBTED)
    if kind == "gap":
        return r["t1_ms"] is None
    return r.get("clock") == _DOUBTED


def _anchor(r: Body) -> int | None:
    """A trusted time at which the record was written, or up to which it tells."""
    if r.get("clock", _DOUBTED) != _DOUBTED:
        return _number(r.get("iat"))
    if "clock" in r:
        return None
    if r.get("record") == "clock":
        return None if r["why"] == _DOUBTED else _number(r["to_ms"])
    return _number(r.get("t1_ms")) if not _doubted(r) else None


def _number(found: object) -> int | None:
    return found if isinstance(found, int) else None


def _shifts(records: Sequence[Body]) -> dict[int, int]:
    """By index: how far off the clock was, as the step to a trusted one showed."""
    found: dict[int, int] = {}
    waiting: dict[int, int] = {}
    for i, r in enumerate(records):
        kind = r.get("record")
        if kind == "gap" and r["t1_ms"] is None and r["reason"] == "not_running":
            waiting = {}  # another start, another clock
        elif kind == "clock" and r["why"] in ("step", "trusted"):
            by_ms = r["to_ms"] - r["from_ms"]
            waiting = {each: sofar + by_ms for each, sofar in waiting.items()}
            if r["why"] == "trusted":
                found |= waiting
                waiting = {}
        elif _doubted(r):
            waiting[i] = 0
    return found


def _month(ms: int) -> tuple[int, int]:
    cycles, rest = divmod(ms, _CYCLE_DAYS * _DAY_MS)
    at = dt.datetime.fromtimestamp(rest / 1000, dt.UTC)
    return at.year + 400 * cycles, at.month


def _day(words: str) -> int:
    """Days since 1970 of YYYY-MM-DD, whatever the year. ValueError: none."""
    if (found := _DAY.fullmatch(words)) is None:
        raise ValueError(f"{words!r} is no day")
    cycles, year = divmod(int(found[1]), 400)
    in_cycle = dt.date(2000 + year, int(found[2]), int(found[3])) - dt.date(1970, 1, 1)
    return in_cycle.days + (cycles - 5) * _CYCLE_DAYS
