"""Replay window of one stream: strictly increasing sequence numbers with 64 places of grace for reordering. Pure."""

from __future__ import annotations

from agent.core.durable import Window

WIDTH = 64
SEQ_MAX = (1 << 63) - 1
JUMP_MAX = 1 << 32  # the fast-forward attack of TUF: one stolen signature must not burn the whole number space
_MASK = (1 << WIDTH) - 1


def admit(window: Window | None, seq: int, far: bool = False) -> Window | None:
    """The window that includes `seq`, or None if it was seen, is too old, or jumps too `far` ahead.

    A new stream (None) starts anywhere. `far`: a jump beyond 2^32 is allowed (operations keys only).
    """
    if not 0 <= seq <= SEQ_MAX:
        return None
    if window is None:
        return Window(seq, 1)
    ahead = seq - window.high
    if ahead > 0:
        if ahead > JUMP_MAX and not far:
            return None
        kept = (window.bitmap << ahead) & _MASK if ahead < WIDTH else 0
        return Window(seq, kept | 1)
    bit = 1 << -ahead if -ahead < WIDTH else 0
    if not bit or window.bitmap & bit:
        return None
    return Window(window.high, window.bitmap | bit)
