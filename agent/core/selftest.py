"""What the self-test found, in words: the shell gathers the facts, here is the verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Looked:
    """The last look at everything. Sentences say what was seen; "" = as it should be, None = not looked at."""

    at_ns: int = 0  # of the last look at the files; 0 = none yet
    memory: str | None = None  # the safety parameters against their second copy
    clock: str | None = None  # monotonic time against another clock
    changed: tuple[str, ...] = ()  # what on the disk is not what runs
    skipped: tuple[str, ...] = ()  # what cannot be tested here, and why


def failed(looked: Looked) -> str | None:
    """What makes everything else doubtful: nothing may be decided by such parameters."""
    return looked.memory or None


def apart(looked: Looked) -> str | None:
    """Two clocks that run apart. Told and no more: who answers network time may make it so, and must not end anything."""
    return looked.clock or None


def changed(looked: Looked) -> str | None:
    """What would run after a restart, and does not run now."""
    return "; ".join(looked.changed) or None


def verdict(looked: Looked) -> str:
    """For status, log and event: "ok", "ok; ..." with what to know, "failed: ..."."""
    wrong = failed(looked)
    if wrong is not None:
        return f"failed: {wrong}"
    if not looked.at_ns:
        return "not done yet"
    known = [*filter(None, [looked.clock]), *looked.changed, *(f"not tested: {sentence}" for sentence in looked.skipped)]
    return "ok" + ("; " if known else "") + "; ".join(known)
