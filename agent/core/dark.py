"""Time in which nobody looked: how long it was, and what commands asked for in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from agent.core import due, performance
from agent.core.accept import NS_PER_MS, POWER, lanes
from agent.core.command import TERMINAL, CommandKind
from agent.core.decision import Record
from agent.core.durable import CommandRecord
from agent.core.interval import QUARTER_MS
from agent.core.kept import Kept
from agent.core.now import Now
from agent.core.performance import Event

ASKING = frozenset({CommandKind.DISPATCH, CommandKind.SCHEDULE})  # a session asks for nothing without its setpoints


def lasted(kept: Kept, now: Now) -> int | None:
    """ns since the last second of `kept`; None: no clock tells."""
    if kept.kernel_boot == now.i.clock.kernel_boot and kept.at_ns <= now.s.now_ns:
        return now.s.now_ns - kept.at_ns
    ms = now.i.clock.wall_ms - kept.now_ms
    return ms * 1_000_000 if kept.trusted and now.trusted and ms >= 0 else None


def asked(
    kept: Kept, commands: Sequence[CommandRecord], dark_ns: int, records: list[Record], limited: str | None = None
) -> Kept:
    """With what they asked for in it: asked, and missing, by quarter of the clock of before. `commands` as they were
    then; `records` takes quarters that are too many for one record; `limited`: why none of it could be given."""
    from_ns = kept.at_ns
    to_ns = min(from_ns + dark_ns, max([r.end_ns for r in commands], default=0))
    first, end_ms = kept.now_ms // QUARTER_MS + 1, _wall_ms(kept, to_ns)
    quarters = range(first * QUARTER_MS, end_ms, QUARTER_MS) if kept.trusted else ()
    cuts = {from_ns + (ms - kept.now_ms) * NS_PER_MS for ms in quarters}
    events = {e.id: e for e in kept.events}
    for x in stretches(commands, kept.kernel_boot, from_ns, to_ns, cuts):
        began_ms, event = _wall_ms(kept, x.began_ns), events.get(x.command_id, Event(x.command_id))
        if x.began_ns in cuts:
            event = performance.quartered(event, began_ms, records)
        events[x.command_id] = event.unseen(x.asked_w, x.ns, began_ms, limited)
    return kept._replace(events=tuple(events.values()))


def _wall_ms(kept: Kept, at_ns: int) -> int:
    return kept.now_ms + (at_ns - kept.at_ns) // NS_PER_MS


class Stretch(NamedTuple):
    """One command was the one to follow, for `ns` from `began_ns` on; `asked_w` 0 where it only limits the grid."""

    command_id: str
    began_ns: int
    ns: int
    asked_w: int


def stretches(
    commands: Sequence[CommandRecord], kernel_boot: str, from_ns: int, to_ns: int, cuts: Iterable[int]
) -> list[Stretch]:
    """In order, cut at `cuts` too. Times are monotonic in `kernel_boot`; so are those of the commands that count."""
    live = [
        r
        for r in commands
        if r.state not in TERMINAL
        and r.command.kind in ASKING
        and r.kernel_boot == kernel_boot
        and r.start_ns < to_ns
        and r.end_ns > from_ns
    ]
    inside = {edge for r in live for edge in _edges(r)} | (set(cuts) if live else set())
    edges = sorted({from_ns, to_ns, *(edge for edge in inside if from_ns < edge < to_ns)})
    found: list[Stretch] = []
    for begin, end in pairwise(edges):
        asked = _asked([r for r in live if r.start_ns <= begin < r.end_ns], begin)
        if asked is not None:
            found.append(Stretch(asked[0], begin, end - begin, asked[1]))
    return found


def _edges(record: CommandRecord) -> list[int]:
    step = record.command.interval_s * 1000 * NS_PER_MS
    values = [record.start_ns + i * step for i in range(1, len(record.command.values))]
    return [record.start_ns, record.end_ns, *values]


def _asked(now: list[CommandRecord], at_ns: int) -> tuple[str, int] | None:
    """Who rules, and what it wants, as `due` has it: dispatch, then schedule, then limits."""
    now = sorted(now, key=due.order)
    for record in now:
        if POWER in lanes(record.command):
            return record.command.id, record.command.power_w or 0
    for record in now:
        if record.command.kind is CommandKind.SCHEDULE and (value := due.value_at(record, at_ns)) is not None:
            return record.command.id, value
    return next(((r.command.id, 0) for r in now if r.command.kind is CommandKind.DISPATCH), None)
