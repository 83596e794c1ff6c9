"""The stretch of the chain that proves a month: its records, and what the checkpoint and the receipt over them need.

Pure. A day's checkpoint counts the records since the one before it, so the stretch begins behind a checkpoint; it ends
with the first one over the month that the aggregator has countersigned, else with the first one, else with the month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.tools.placing import Body, Placed


@dataclass(frozen=True, slots=True)
class Read:
    """What the files hold: records by number, each number once, and the first receipt over each number, as lines."""

    bodies: Mapping[int, Body]
    lines: Mapping[int, bytes]
    receipts: Mapping[int, bytes]


def covering(read: Read, placed: Sequence[Placed], begin_ms: int, end_ms: int) -> list[bytes]:
    """The lines that prove what is `begin_ms` <= t < `end_ms`; none where nothing is."""
    wanted = [p.body["n"] for p in placed if p.is_in(begin_ms, end_ms) or p.may_be_in(begin_ms, end_ms)]
    if not wanted:
        return []
    checkpoints = [n for n, body in read.bodies.items() if body.get("record") == "checkpoint"]
    first = max((n + 1 for n in checkpoints if n < min(wanted)), default=0)
    last = max(wanted)
    for proofs in (read.receipts, checkpoints):
        over = [n for n in proofs if n >= last]
        if over:
            last = min(over)
            break
    found: list[bytes] = []
    for n in sorted(read.lines):
        if first <= n <= last:
            found += [read.lines[n], *([read.receipts[n]] if n in read.receipts else [])]
    return found
