"""How old a reading is."""

from __future__ import annotations

from agent.core.caps import NEVER_NS
from agent.core.params import S

EARLY_NS = 1 * S  # a reading stamped later than this cycle by more than this is not believed


def age_ns(now_ns: int, at_ns: int | None) -> int:
    """Nanoseconds >= 0; NEVER_NS where there is no reading, or one from the future."""
    if at_ns is None or at_ns - now_ns > EARLY_NS:
        return NEVER_NS
    return max(0, now_ns - at_ns)
