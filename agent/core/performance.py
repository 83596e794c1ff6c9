"""What each command asked and what it got, by quarter of an hour: the record at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.core.command import CommandKind
from agent.core.decision import Record
from agent.core.durable import CommandRecord
from agent.core.flows import BATTERY, DT, GRID, Second
from agent.core.interval import OPT_OUT, Key, Reasons, listed, more, round_s, toward_zero
from agent.core.settlement import charged_mwh
from agent.core.soc import NJ_PER_MWH

BASE_NS = 300 * 1_000_000_000  # before the event
NS_PER_S = 1_000_000_000
MOST_PARTS = 48  # quarters in one record; those of a longer command go out in records of their own


class Part(NamedTuple):
    """One clock quarter of an event: its begin by the wall, and both energies up to its end, mWh, + discharge; and what
    of each was charged, >= 0."""

    t0_ms: int
    requested_mwh: int = 0
    delivered_mwh: int = 0
    requested_charge_mwh: int = 0
    delivered_charge_mwh: int = 0

    def wh(self) -> tuple[int, ...]:
        """Whole Wh, as `_WH` names them."""
        out: list[int] = []
        sides = (self.requested_mwh, self.requested_charge_mwh), (self.delivered_mwh, self.delivered_charge_mwh)
        for net, taken in sides:
            taken = max(taken, -net)  # one of before it was counted apart
            out += [toward_zero(net, 1000), (net + taken) // 1000, taken // 1000]
        return tuple(out)


_WH = (
    "requested_wh", "requested_discharge_wh", "requested_charge_wh",
    "delivered_wh", "delivered_discharge_wh", "delivered_charge_wh",
)  # fmt: skip


class Event(NamedTuple):
    """One command while it is not over. Energies are sums since its begin, so parts of it add up."""

    id: str
    started_ms: int | None = None  # wall, when it was first due
    requested_nj: int = 0
    delivered_mwh: int = 0
    part_ms: int = 0  # begin of the quarter that runs
    parts: tuple[Part, ...] = ()
    ns: int = 0  # for which it was due
    missing_ns: int = 0
    error2: int = 0  # W^2 x ms
    to_90_ns: int | None = None
    before: tuple[int, int] | None = None  # battery and grid, W, over the five minutes before
    limited: Reasons = ()
    told: int = 0  # parts that have gone out, and the sums up to their end
    told_requested_mwh: int = 0
    told_delivered_mwh: int = 0
    requested_charge_nj: int = 0  # of `requested_nj` and the rest, what was or is to be charged, >= 0
    delivered_charge_mwh: int = 0
    told_requested_charge_mwh: int = 0
    told_delivered_charge_mwh: int = 0

    def plus(self, held: Sequence[Second], key: Key, began_ms: int, before: tuple[int, int] | None) -> Event:
        """With seconds over which it was due; the first of them began at `began_ms`."""
        asked, ns, to_90 = key.asked_w, self.ns, self.to_90_ns
        error2 = missing = 0
        for second in held:
            dt, power_w = second[DT], second[BATTERY]
            ns += dt
            if power_w is None:
                missing += dt
                continue
            error2 += (power_w - asked) ** 2 * (dt // 1_000_000)
            if (
                to_90 is None
                and asked
                and key.limited != OPT_OUT
                and abs(power_w) * 10 >= abs(asked) * 9
                and (power_w > 0) is (asked > 0)
            ):
                to_90 = ns
        begun = self.started_ms is not None
        return self._replace(
            started_ms=self.started_ms if begun else began_ms,
            part_ms=self.part_ms if begun else began_ms,
            before=self.before if begun else before,
            requested_nj=self.requested_nj + asked * (ns - self.ns),
            requested_charge_nj=self.requested_charge_nj + max(0, -asked) * (ns - self.ns),
            ns=ns,
            missing_ns=self.missing_ns + missing,
            error2=self.error2 + error2,
            to_90_ns=to_90,
            limited=more(self.limited, key.limited, ns - self.ns),
        )

    def unseen(self, asked_w: int, ns: int, began_ms: int, limited: str | None = None) -> Event:
        """With time in which it was asked for and nobody looked."""
        begun = self.started_ms is not None
        return self._replace(
            started_ms=self.started_ms if begun else began_ms,
            part_ms=self.part_ms if begun else began_ms,
            requested_nj=self.requested_nj + asked_w * ns,
            requested_charge_nj=self.requested_charge_nj + max(0, -asked_w) * ns,
            ns=self.ns + ns,
            missing_ns=self.missing_ns + ns,
            limited=more(self.limited, limited, ns),
        )

    def delivered(self, command: CommandRecord) -> Event:
        """With what it got so far."""
        return self._replace(delivered_mwh=command.delivered_mwh, delivered_charge_mwh=charged_mwh(command))

    def part(self) -> Part:
        """The quarter that runs, with the sums of now."""
        taken = self.requested_charge_nj // NJ_PER_MWH
        given = (self.requested_nj + self.requested_charge_nj) // NJ_PER_MWH
        return Part(self.part_ms, given - taken, self.delivered_mwh, taken, self.delivered_charge_mwh)

    def cut(self, t1_ms: int) -> Event:
        """A quarter of an hour ends at `t1_ms`."""
        if self.started_ms is None or t1_ms == self.part_ms:
            return self
        return self._replace(part_ms=t1_ms, parts=(*self.parts, self.part()))

    def without_parts(self) -> Event:
        """Its parts, at least one, have gone out."""
        last = self.parts[-1]
        return self._replace(
            parts=(),
            told=self.told + len(self.parts),
            told_requested_mwh=last.requested_mwh,
            told_delivered_mwh=last.delivered_mwh,
            told_requested_charge_mwh=last.requested_charge_mwh,
            told_delivered_charge_mwh=last.delivered_charge_mwh,
        )


def quartered(event: Event, t1_ms: int, records: list[Record]) -> Event:
    """With its quarter cut at `t1_ms`; those that are too many for one record go to `records`."""
    event = event.cut(t1_ms)
    if len(event.parts) < MOST_PARTS:
        return event
    records.append(parts(event))
    return event.without_parts()


def quarters(event: Event) -> list[dict[str, int]]:
    """Each for itself, whole Wh of cumulative values: they add up to the event's."""
    out: list[dict[str, int]] = []
    mwh = event.told_requested_mwh, event.told_delivered_mwh
    before = Part(0, *mwh, event.told_requested_charge_mwh, event.told_delivered_charge_mwh).wh()
    for part in event.parts:
        sums = part.wh()
        own = {name: wh - then for name, wh, then in zip(_WH, sums, before, strict=True)}
        out.append({"t0_ms": part.t0_ms, **own})
        before = sums
    return out


def parts(event: Event) -> Record:
    """The quarters of a command that goes on, before they are too many for one record."""
    body = {"record": "quarters", "command_id": event.id, "first": event.told, "quarters": quarters(event)}
    return Record("settlement", body)


def record(event: Event, closed: CommandRecord, ended_ms: int) -> Record:
    """At the end of a command: "performance", of a regulation session "session"."""
    last = event.delivered(closed)
    last = last._replace(parts=(*last.parts, last.part()) if last.started_ms is not None else ())
    is_session = closed.command.kind is CommandKind.SESSION
    body = {
        "record": "session" if is_session else "performance",
        "command_id": closed.command.id,
        "digest": closed.command.digest,
        "received_ms": closed.accepted_ms,
        "started_ms": last.started_ms,
        "ended_ms": ended_ms,
        "state": closed.state.value,
        "reason": closed.reason,
        **dict(zip(_WH, last.part().wh(), strict=True)),
        "requested_w": toward_zero(last.requested_nj, last.ns) if last.ns else 0,
        "delivered_w": toward_zero(closed.delivered_mwh * NJ_PER_MWH, last.ns) if last.ns else 0,
        "quarters_told": last.told,
        "quarters": quarters(last),
        "before_w": last.before[0] if last.before is not None else None,
        "before_grid_w": last.before[1] if last.before is not None else None,
        "lasted_s": round_s(last.ns),
        "missing_s": round_s(last.missing_ns),
        "to_90_pct_s": round_s(last.to_90_ns) if last.to_90_ns is not None else None,
        "error_rms_w": _rms(last),
        "limited": listed(last.limited),
        "quality": "est" if last.missing_ns else "ok",
    }
    return Record("settlement", body)


def _rms(event: Event) -> int | None:
    known_ms = (event.ns - event.missing_ns) // 1_000_000
    if known_ms <= 0:
        return None
    return _root(event.error2 // known_ms)


def _root(square: int) -> int:
    """The whole part of the square root."""
    guess = square
    while guess * guess > square:
        guess = (guess + square // guess) // 2
    return guess


class Base(NamedTuple):
    """Up to five minutes of battery and grid, in pieces (ns, battery nJ, grid nJ), the oldest first."""

    pieces: tuple[tuple[int, int, int], ...] = ()

    def plus(self, held: Sequence[Second]) -> Base:
        """With those seconds; only what is known of both counts."""
        known = [(x[DT], x[BATTERY], x[GRID]) for x in held if x[BATTERY] is not None and x[GRID] is not None]
        if not known:
            return self
        ns = sum([dt for dt, _, _ in known])
        battery = sum([dt * b for dt, b, _ in known])
        grid = sum([dt * g for dt, _, g in known])
        pieces = (*self.pieces, (ns, battery, grid))
        while sum([piece[0] for piece in pieces[1:]]) >= BASE_NS:
            pieces = pieces[1:]
        return Base(pieces)

    def mean(self) -> tuple[int, int] | None:
        """W of battery and grid; None = nothing is known."""
        ns = sum([piece[0] for piece in self.pieces])
        if not ns:
            return None
        return tuple(toward_zero(sum([piece[i] for piece in self.pieces]), ns) for i in (1, 2))  # type: ignore[return-value]  # two of them
