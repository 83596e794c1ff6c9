"""The blocks of numbers that regulation sessions have to themselves. In memory alone, and never more than a few.

At acceptance of a session its whole block counts as used in the stream's own window, which goes to the disk with it.
Its setpoints are judged by a window of the block's own. After a restart there is no block, and nothing in it is
taken again: a replayed setpoint is a used number, whoever repeats it and however soon.
"""

from __future__ import annotations

from collections import OrderedDict

from agent.core.durable import Window
from agent.link import replay
from agent.link.messages import AnyCommand, Dispatch, Session

BLOCKS = 16
_FULL = (1 << replay.WIDTH) - 1


class Blocks:
    """Of one start of the daemon."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str], tuple[int, int, Window | None]] = OrderedDict()

    def fits(self, body: AnyCommand, window: Window | None) -> bool:
        """Whether a session's block is all new to its stream, and no further ahead than a number may be."""
        if not isinstance(body, Session):
            return True
        high = max(body.seq, -1 if window is None else window.high)
        return body.seq_from > high and body.seq_to - high <= replay.JUMP_MAX

    def opened(self, body: AnyCommand, stream: str, window: Window) -> Window:
        """The stream's window with all that the message uses up: a session's whole block."""
        if not isinstance(body, Session):
            return window
        self._open[stream, body.id] = (body.seq_from, body.seq_to, None)
        while len(self._open) > BLOCKS:
            self._open.popitem(last=False)
        return Window(body.seq_to, _FULL)

    def holds(self, body: AnyCommand) -> bool:
        """It is a setpoint of some session, and has a number of its block."""
        return isinstance(body, Dispatch) and body.session is not None

    def admit(self, body: AnyCommand, stream: str) -> bool:
        """Whether this setpoint's number is of its session's block, and new."""
        assert isinstance(body, Dispatch)
        key = (stream, body.session or "")
        found = self._open.get(key)
        if found is None or not found[0] <= body.seq <= found[1]:
            return False
        window = replay.admit(found[2], body.seq, far=True)
        if window is None:
            return False
        self._open[key] = (found[0], found[1], window)
        return True
