"""Cancels of commands that have not come: remembered for as long as such a command could be accepted. Pure.

One is forgotten when this process has counted that time since it had it, and the gateway's own clock says that it is
over as well. Neither alone will do: a clock may be ahead for a while, or be lied to, and a count ends with the process.

There is room for so many, and nobody pushes out what another has called off: where it is used up, the key that fills
most of it gives way, with what may be forgotten first. So with k keys each keeps a k-th of the room at least.
"""

from __future__ import annotations

from collections import Counter

MOST = 256
LIFE_MS = 7 * 86_400_000 + 3_600_000  # from its signature on: what it names was signed before, and no `exp` is longer
LIFE_NS = LIFE_MS * 1_000_000

Unseen = tuple[str, int, str]  # id, until when it is remembered (wall ms), key that called it off ("" = not known)
Since = tuple[tuple[str, int], ...]  # id, monotonic ns since when this process has remembered it


def plus(kept: tuple[Unseen, ...], new: Unseen) -> tuple[Unseen, ...]:
    """With one more. It is remembered itself, unless its own key fills most and has called off what lasts longer."""
    kept = (*kept, new)
    if len(kept) <= MOST:
        return kept
    counts = Counter(by for _, _, by in kept)
    most = max(counts, key=lambda by: (counts[by], by == new[2]))
    gone = min([each for each in kept if each[2] == most], key=lambda each: each[1])
    return tuple([each for each in kept if each is not gone])


def since(known: Since, kept: tuple[Unseen, ...], now_ns: int) -> Since:
    """Of each that is kept, since when; the same object where nothing is new."""
    if len(known) == len(kept) and all(was[0] == each[0] for was, each in zip(known, kept, strict=True)):
        return known
    began = dict(known)
    return tuple([(name, began.get(name, now_ns)) for name, _, _ in kept])


def lasting(kept: tuple[Unseen, ...], known: Since, wall_ms: int, now_ns: int) -> tuple[Unseen, ...]:
    """Without those whose time is over by this gateway's own clock, and was counted through."""
    began = dict(known)
    return tuple([e for e in kept if e[1] > wall_ms or now_ns - began.get(e[0], now_ns) < LIFE_NS])
