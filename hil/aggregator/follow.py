"""When to stop following a command, and with which exit code."""

from __future__ import annotations

from hil.aggregator.claims import TERMINAL

OK, REJECTED, ENDED, TIMED_OUT = 0, 4, 5, 6
REJECTIONS = frozenset({"rejected_invalid", "rejected_late", "rejected_not_applicable", "failed"})
# A state that cannot be there without the other: acks may come out of order, and some kinds have no `received`.
_ON_ITS_WAY = frozenset({"scheduled", "started", "limited", "completed", "opted_in", "partial_opt_in", "user_ack"})
_RAN = frozenset({"dispatch", "session"})


def code(until: str, state: str, kind: str) -> int | None:
    """Of one ack to a command of that kind, while `until` is waited for; None: it may still come."""
    if state == until or (until == "received" and state in _ON_ITS_WAY):
        return OK
    if until == "started" and state == "completed" and kind in _RAN:
        return OK
    if state in REJECTIONS:
        return REJECTED
    return ENDED if state in TERMINAL else None
