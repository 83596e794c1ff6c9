"""One settlement interval while it is open: a quarter of an hour of UTC, or a marked part of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.core.flows import BATTERY, DT, GRID, LOAD, MHZ, SOC, Jump, Second, Stand, residual, span

QUARTER_MS = 900_000
S = 1_000_000_000
MOST_COMMANDS = 64  # of an interval by name; the rest is counted, and each has a record of its own
MOST_REASONS = 24  # of a list by name; the rest is OTHER. A record has to fit into a message
OTHER = "other"
OPT_OUT = "opt_out"  # why less was given than asked: the home takes no part

Reasons = tuple[tuple[str, int], ...]  # (reason, ns), in the order in which they came


class Key(NamedTuple):
    """What was the same over the seconds that are folded together."""

    command_id: str | None  # the command that was due; where `limited` is OPT_OUT: that nobody followed
    asked_w: int
    limited: str | None
    islanded: bool
    opted_out: bool
    away: str | None  # why no dispatch is possible
    below: str | None  # why the battery is below the homeowner's reserve
    reserve: int | None
    trust: str


class Spread(NamedTuple):
    """Of one quantity: sum of value x ns, ns, least, most."""

    total: int = 0
    ns: int = 0
    low: int = 0
    high: int = 0

    def plus(self, held: Sequence[Second], column: int) -> Spread:
        """With those seconds."""
        known = [(value, x[DT]) for x in held if (value := x[column]) is not None]
        if not known:
            return self
        total, ns = sum([value * dt for value, dt in known]), sum([dt for _, dt in known])
        low, high = min(known)[0], max(known)[0]
        if self.ns:
            low, high = min(low, self.low), max(high, self.high)
        return Spread(self.total + total, self.ns + ns, low, high)

    def body(self) -> dict[str, int] | None:
        """None = it was never known."""
        return {"avg": toward_zero(self.total, self.ns), "min": self.low, "max": self.high} if self.ns else None


class Open(NamedTuple):
    """An interval that has begun. Times of the wall are UTC ms by the clock of then."""

    t0_ms: int
    start: Stand
    ns: int = 0  # of this machine's own time
    missing_ns: int = 0  # in which not all of battery, grid and load were known
    samples: int = 0
    soc_start: int | None = None
    soc_end: int | None = None
    soc_min: int | None = None
    battery: Spread = Spread()
    grid: Spread = Spread()
    mhz: Spread = Spread()
    dispatched_ns: int = 0
    islanded_ns: int = 0
    opted_out_ns: int = 0
    away: Reasons = ()
    limited: Reasons = ()
    command_ids: tuple[str, ...] = ()
    jumps: tuple[Jump, ...] = ()
    trust: str = "synced"  # the worst that was
    more_commands: int = 0  # how often one took over that `command_ids` has no room for
    last_command: str | None = None
    late: bool = False  # a register of its begin was read long before: it may tell what flowed earlier

    def plus(self, held: Sequence[Second], key: Key) -> Open:
        """With those seconds, over which `key` held."""
        ns = sum([x[DT] for x in held])
        known = [x[SOC] for x in held if x[SOC] is not None]
        least = min(known, default=self.soc_min)
        if least is not None and self.soc_min is not None:
            least = min(least, self.soc_min)
        lost = [x[DT] for x in held if x[BATTERY] is None or x[GRID] is None or x[LOAD] is None]
        due = key.command_id if key.limited != OPT_OUT else None
        listed = due is None or due in self.command_ids
        room = len(self.command_ids) < MOST_COMMANDS
        return Open(
            self.t0_ms,
            self.start,
            self.ns + ns,
            self.missing_ns + sum(lost),
            self.samples + len(held),
            self.soc_start if self.soc_start is not None or not known else known[0],
            known[-1] if known else self.soc_end,
            least,
            self.battery.plus(held, BATTERY),
            self.grid.plus(held, GRID),
            self.mhz.plus(held, MHZ),
            self.dispatched_ns + (ns if due is not None else 0),
            self.islanded_ns + (ns if key.islanded else 0),
            self.opted_out_ns + (ns if key.opted_out else 0),
            more(self.away, key.away, ns),
            more(self.limited, key.limited if key.command_id is not None else None, ns),
            (*self.command_ids, due) if not listed and room and due is not None else self.command_ids,
            self.jumps,
            worse(self.trust, key.trust),
            self.more_commands + (not listed and not room and due != self.last_command),
            due if due is not None else self.last_command,
            self.late,
        )


def more(reasons: Reasons, reason: str | None, ns: int) -> Reasons:
    """That much longer for that reason."""
    if reason is None:
        return reasons
    for i, (name, sofar) in enumerate(reasons):
        if name == reason:
            return (*reasons[:i], (name, sofar + ns), *reasons[i + 1 :])
    if len(reasons) >= MOST_REASONS and reason != OTHER:
        return more(reasons, OTHER, ns)
    return (*reasons, (reason, ns))


_TRUST = ("synced", "holdover", "placed", "untrusted")


def worse(one: str, two: str) -> str:
    """The less trusted of two states of the clock."""
    return max(one, two, key=_TRUST.index)


def body(
    o: Open, t1_ms: int, end: Stand, era: int, source: str, returns_ms: int | None, room: dict[str, int | None]
) -> dict[str, object]:
    """The record. A whole quarter begins on one, ends on the next, and lasted as long; all else is `partial`."""
    first, last, estimated = span(o.start, end)
    lasted_s, missing_s = round_s(o.ns), round_s(o.missing_ns)
    whole = o.t0_ms % QUARTER_MS == 0 and t1_ms - o.t0_ms == QUARTER_MS and abs(o.ns - QUARTER_MS * 1_000_000) <= 2 * S
    quality = "ok"
    if o.jumps or not o.samples:
        quality = "bad"
    elif missing_s or o.late or o.trust == "untrusted" or "import_wh" in estimated:
        quality = "est"
    return {
        "record": "interval",
        "t0_ms": o.t0_ms,
        "t1_ms": t1_ms,
        "era": era,
        "time": o.trust,
        "partial": not (whole and o.trust != "untrusted"),
        "lasted_s": lasted_s,
        "start": first,
        "end": last,
        "estimated": estimated,
        "jumps": [jump._asdict() for jump in o.jumps],
        "source": source,
        "residual_wh": residual(o.start, end, o.jumps) if o.ns > o.missing_ns else None,
        "soc_start_permille": o.soc_start,
        "soc_end_permille": o.soc_end,
        "soc_min_permille": o.soc_min,
        "battery_w": o.battery.body(),
        "grid_w": o.grid.body(),
        "frequency_mhz": o.mhz.body(),
        "dispatched_s": round_s(o.dispatched_ns),
        "islanded_s": round_s(o.islanded_ns),
        "opted_out_s": round_s(o.opted_out_ns),
        "unavailable": listed(o.away),
        "expected_return_ms": returns_ms,
        "limited": listed(o.limited),
        "frequency_active_s": 0,
        **room,
        "samples": o.samples,
        "missing_s": missing_s,
        "quality": quality,
        "command_ids": list(o.command_ids),
        "more_commands": o.more_commands,
    }


def listed(reasons: Reasons) -> list[dict[str, object]]:
    """As a record has them."""
    return [{"reason": reason, "lasted_s": round_s(ns)} for reason, ns in reasons]


def round_s(ns: int) -> int:
    """Whole seconds, to the nearest."""
    return (ns + S // 2) // S


def toward_zero(total: int, by: int) -> int:
    """total / by without its fraction."""
    return abs(total) // by * (1 if total >= 0 else -1)
