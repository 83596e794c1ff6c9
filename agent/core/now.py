"""What one cycle gives the accounts: who is due, whether the home can be dispatched and why not. Pure."""

from __future__ import annotations

from typing import NamedTuple

from agent.core.book import Book, Cycle
from agent.core.decision import Mode
from agent.core.durable import CommandRecord
from agent.core.fault import Severity
from agent.core.faults import BY_ID
from agent.core.inputs import ClockTrust, Inputs
from agent.core.interval import OPT_OUT, Key
from agent.core.modes import ACTING
from agent.core.snapshot import Snapshot
from agent.core.standing import Memory, hold_of, severity
from drivers.readings import GridState, MeterReading

DRAW_W = 100  # of a battery that gives


class Now(NamedTuple):
    """What one cycle gives the accounts."""

    i: Inputs
    s: Snapshot
    book: Book
    due: CommandRecord | None
    mode: Mode
    memory: tuple[Memory, ...]
    room: tuple[int, int]  # lo_w <= 0 <= hi_w
    say: Cycle
    asked_w: int = 0  # what `due` wants now, also of a home that has opted out

    @property
    def trusted(self) -> bool:
        """By its clock the quarters of an hour may be told."""
        return self.i.clock.trust is not ClockTrust.UNTRUSTED

    @property
    def meter(self) -> MeterReading | None:
        """What it says, if that is of now."""
        s = self.s
        return s.meter if s.meter is not None and s.meter_age_ns <= s.meter_stale_ns else None

    def key(self, before: Key | None) -> Key:
        """What holds over the seconds that are folded together; `before`: what held over the last."""
        return _key(before, self)

    def returns_ms(self) -> int | None:
        """When what keeps the home from dispatch is expected to be over: known while nothing but a hold is left."""
        return _returns_ms(self)

    def offer(self) -> dict[str, int | None]:
        """What could be asked at the interval's end."""
        return _offer(self)


def _key(before: Key | None, now: Now) -> Key:
    s, due, durable = now.s, now.due, now.book.durable
    islanded = s.grid is GridState.ISLANDED
    reserve = now.i.reserve.permille if s.reserve_told else None
    below = None
    out = durable.stopped_by is not None or durable.opted_out is not None
    followed = due is not None and durable.opted_out is None
    unheard = not followed and not now.say.fresh  # what was accepted goes on, a new command is ignored
    pack = s.pack
    if reserve is not None and pack is not None and pack.soc_max is not None and pack.soc_max < reserve:
        below = _below(before, now, reserve, islanded, followed)
    return Key(
        due.command.id if due is not None else None,
        now.asked_w if due is not None else 0,
        _limited(due, now.book) if due is not None else None,
        islanded,
        out,
        _away(now) if out or now.mode not in ACTING or not now.i.disk_ok or unheard else None,
        below,
        reserve,
        now.i.clock.trust,
    )


def _limited(due: CommandRecord, book: Book) -> str | None:
    """The reason that was last told for it; the opt-out's is told later where others were just now."""
    if book.durable.opted_out is not None:
        return OPT_OUT
    for live in book.live:
        if live.id == due.command.id:
            return live.acked_reason
    return None


def _below(before: Key | None, now: Now, reserve: int, islanded: bool, followed: bool) -> str:
    """Who is to blame stays so until the battery is back; a dispatch that drains it now is always."""
    if islanded:
        return "outage"
    if followed and now.asked_w > 0 and (now.s.battery_w or 0) > DRAW_W:
        return "dispatch"
    if before is not None and before.below is not None:
        return before.below
    return "raised" if before is None or before.reserve is None or reserve > before.reserve else "self_use"


def _away(now: Now) -> str:
    """Why no dispatch is possible: a word, or the id of the gravest fault."""
    durable = now.book.durable
    if durable.lockout is not None:
        return "lockout"
    if durable.stopped_by is not None:
        return "stopped"
    if durable.opted_out is not None:
        return "opt_out"
    if now.mode in ACTING:
        return "not_fresh" if now.i.disk_ok else "disk"
    gravest = _gravest(now.memory)
    return gravest.id if gravest is not None else now.mode.value


def _gravest(memory: tuple[Memory, ...]) -> Memory | None:
    return max((m for m in memory if m.active and severity(m) >= Severity.DEGRADED), key=severity, default=None)


def _returns_ms(now: Now) -> int | None:
    gravest, durable = _gravest(now.memory), now.book.durable
    out = durable.opted_out
    if out is not None:
        return out.until_ms or None
    if gravest is None or gravest.gone_ns is None or durable.lockout is not None or durable.stopped_by is not None:
        return None
    if gravest.id in durable.latches:
        return None
    wait_ns = hold_of(BY_ID[gravest.id], gravest, now.s.params) - (now.s.now_ns - gravest.gone_ns)
    return now.i.clock.wall_ms + max(0, wait_ns) // 1_000_000


def _offer(now: Now) -> dict[str, int | None]:
    s, capacity = now.s, now.s.params.site.capacity_wh
    up = None if s.soc_lo_mwh is None else max(0, s.soc_lo_mwh - s.reserve_permille * capacity) // 1000
    down = None if s.soc_hi_mwh is None else max(0, s.params.soc_ceiling_permille * capacity - s.soc_hi_mwh) // 1000
    return {
        "available_charge_w": -now.room[0],
        "available_discharge_w": now.room[1],
        "available_charge_wh": down,
        "available_discharge_wh": up,
    }
