"""What of the accounts survives a restart, and its text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from agent.core.flows import NAMES, NJ_PER_WH, Integrals, Jump, Registers, Stand, Unread
from agent.core.guarantee import Day
from agent.core.interval import Open, Spread
from agent.core.performance import Event, Part


class Kept(NamedTuple):
    """What survives a restart."""

    now_ms: int = 0  # wall, of the last second in it
    trusted: bool = False
    era: int = 0  # +1 each time the wall clock was put elsewhere
    stand: Stand = Stand()
    open: Open | None = None
    events: tuple[Event, ...] = ()
    day: Day = Day()
    away: str | None = None  # as last told
    unread: Unread = Unread()
    at_ns: int = 0  # monotonic, of the last second in it; valid while `kernel_boot` is the same
    kernel_boot: str = ""

    def text(self) -> str:
        """What `kept_of` reads."""
        return json.dumps(self, separators=(",", ":")) if self != Kept() else ""


def kept_of(text: str) -> Kept:
    """From what `Kept.text` wrote; anything else is none: accounts then begin anew."""
    if not text:
        return Kept()
    try:
        now_ms, trusted, era, stand, opened, events, day, away, *later = _tuples(json.loads(text))
        raw = Kept(now_ms, trusted, era, stand, opened, events, day, away, *later)  # of before: what came later is new
        return raw._replace(
            stand=_stand(raw.stand),
            open=None if raw.open is None else _open(raw.open),
            events=tuple([_event(e) for e in raw.events]),
            day=Day(*raw.day),
            unread=_unread(raw.unread),
        )
    except (TypeError, ValueError, IndexError, AttributeError, RecursionError):
        return Kept()


def kept_after(record: Mapping[str, Any]) -> Kept:
    """Where the text is lost: what the accounts were at the end of an interval or gap, by its record; its registers
    and sums, and nothing open but what begins there. None of any other record, and of a form that is not ours."""
    try:
        if record["record"] not in ("interval", "gap"):
            return Kept()
        end, estimated = record["end"], record["estimated"]
        registers = Registers(*[None if name in estimated else int(end[name]) for name in NAMES])
        integrals = Integrals(*[int(end[name]) * NJ_PER_WH if name in estimated else 0 for name in NAMES])
        stand = Stand(registers, integrals)
        trusted = record["t1_ms"] is not None and record.get("time") != "untrusted"
        t1_ms = int(record["t0_ms"] if record["t1_ms"] is None else record["t1_ms"])
        unread = Unread(integrals=integrals)
        return Kept(t1_ms, trusted, int(record["era"]), stand, Open(t1_ms, stand), unread=unread)
    except (TypeError, ValueError, KeyError):
        return Kept()


def _event(raw: Iterable[Any]) -> Event:
    event = Event(*raw)
    taken_nj = max(event.requested_charge_nj, -event.requested_nj)  # of before it was counted apart
    return event._replace(parts=tuple([Part(*part) for part in event.parts]), requested_charge_nj=taken_nj)


def _stand(raw: Iterable[Any]) -> Stand:
    registers, integrals = raw
    return Stand(Registers(*registers), Integrals(*integrals))


def _unread(raw: Iterable[Any]) -> Unread:
    ns, integrals = raw
    return Unread(ns, Integrals(*integrals))


def _open(raw: Iterable[Any]) -> Open:
    o = Open(*raw)
    return o._replace(
        start=_stand(o.start),
        battery=Spread(*o.battery),
        grid=Spread(*o.grid),
        mhz=Spread(*o.mhz),
        jumps=tuple([Jump(*j) for j in o.jumps]),
    )


def _tuples(raw: object) -> tuple[Any, ...]:
    """JSON's lists as tuples, however deep."""
    if not isinstance(raw, list):
        raise TypeError("a list was expected")
    return tuple(_tuples(x) if isinstance(x, list) else x for x in raw)
