"""Cancels of commands that have not come: remembered for as long as such a command could be accepted. Pure.

There is room for so many, and nobody pushes out what another has called off: where it is used up, the key that fills
most of it gives way, with what may be forgotten first. So with k keys each keeps a k-th of the room at least.
"""

from __future__ import annotations

from collections import Counter

MOST = 256
LIFE_MS = 7 * 86_400_000 + 3_600_000  # from its signature on: what it names was signed before, and no `exp` is longer

Unseen = tuple[str, int, str]  # id, until when it is remembered (wall ms), key that called it off ("" = not known)


def plus(kept: tuple[Unseen, ...], new: Unseen) -> tuple[Unseen, ...]:
    """With one more. It is remembered itself, unless its own key fills most and has called off what lasts longer."""
    kept = (*kept, new)
    if len(kept) <= MOST:
        return kept
    counts = Counter(by for _, _, by in kept)
    most = max(counts, key=lambda by: (counts[by], by == new[2]))
    gone = min([each for each in kept if each[2] == most], key=lambda each: each[1])
    return tuple([each for each in kept if each is not gone])
