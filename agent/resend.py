"""The answer to a `resend`: which of its rows are still kept, and a record of each stretch that is not. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from agent.core.decision import Record

STRETCHES = 16  # told in one answer; whoever asks for more shreds than that asks again from where it ended


def ack(command: str, state: str, reason: str | None, wall_ms: int, sentence: str) -> Record:
    """A step in the life of a command that the link answers alone."""
    body: dict[str, object] = {"command_id": command, "state": state, "reason": reason}
    body |= dict.fromkeys(("asked_w", "given_w", "limit_w"))
    return Record("ack", body | {"energy_wh": 0, "effective_start": wall_ms, "sentence": sentence})


def gaps(first: int, last: int, kept: Sequence[tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], int]:
    """What is missing between `first` and `last`, where `kept` has at most `STRETCHES` + 1 stretches in order; and the
    row up to which that answers."""
    if len(kept) > STRETCHES:
        last = kept[STRETCHES][0] - 1
        kept = kept[:STRETCHES]
    edges = [(first - 1, first - 1), *kept, (last + 1, last + 1)]
    found = ((a[1] + 1, b[0] - 1) for a, b in itertools.pairwise(edges))
    return tuple((a, b) for a, b in found if a <= b), last


def gap(first: int, last: int) -> Mapping[str, object]:
    """Rows `first` to `last` are not kept: receipted and forgotten, dropped, or never there."""
    return {"event": "gap", "reason": "not_kept", "first": first, "last": last}


def answer(
    command: str, first: int, last: int, highest: int, kept: Sequence[tuple[int, int]], wall_ms: int
) -> tuple[tuple[Record, ...], int, int]:
    """The rows that answer a resend of `first` to `last`; how many rows will come, and up to which it is answered."""
    if first > highest:
        text = f"row {first} was not written yet, the last one is {highest}"
        return (ack(command, "rejected_not_applicable", "no_such_row", wall_ms, text),), 0, highest
    missing, upto = gaps(first, min(last, highest), kept)
    gone = sum(b - a + 1 for a, b in missing)
    coming = upto - first + 1 - gone
    more = "" if upto >= min(last, highest) else f"; ask again from {upto + 1}"
    text = f"rows {first} to {upto}: {coming} are kept and come again, {gone} are not{more}"
    state = "received" if coming else "completed"
    return (*(Record("event", gap(a, b)) for a, b in missing), ack(command, state, None, wall_ms, text)), coming, upto
