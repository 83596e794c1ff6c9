"""What one device must remember over a crash, and whether that is on the disk yet. Sans-IO.

The bus sends out what `outgoing` gives, whoever has a disk answers with its number, and an order that depends on it
waits for that.
"""

from __future__ import annotations

from drivers.events import Remember
from drivers.memory import Kept, Memory
from drivers.wear import FLOOR_BUDGET, Wear, reserve


class Keeper:
    """`memory`: of the last run; None = nobody stores (a tool, a bench), and nothing is waited for."""

    def __init__(self, device: str, memory: Memory | None) -> None:
        self._device = device
        self._keeps = memory is not None
        self.wear = Wear(memory)
        self.owner: tuple[Kept, ...] = () if memory is None else memory.owner
        self._block = 0
        self._number = 0
        self._stored = 0
        self._out: Remember | None = None
        self._last: tuple[tuple[tuple[int, int], ...], int] = (
            ((), 0) if memory is None else (memory.spent, memory.ahead)
        )

    @property
    def settled(self) -> bool:
        """All that was sent out is on the disk."""
        return self._stored == self._number

    def keep(self, owner: tuple[Kept, ...]) -> None:
        """The registers as the owner has them: before anything of ours is written. Empty: they are written back."""
        if owner != self.owner:
            self.owner = owner
            self._send()

    def ask_block(self, now_ns: int, budget: int, need: int) -> None:
        """Put a new block of wearing writes on the disk."""
        spent, self._block = self.wear.store(now_ns, budget or FLOOR_BUDGET, need)
        self._last = (spent, self._block)
        self._send()

    def outgoing(self) -> Remember | None:
        """What the disk should hold from now on, once."""
        out, self._out = self._out, None
        return out

    def stored(self, number: int) -> None:
        """The `Remember` of that number is on the disk; an older one does not matter any more."""
        if number == self._number:
            self._stored = number
            self.wear.stored(self._block)

    def _send(self) -> None:
        if not self._keeps:
            return
        self._number += 1
        self._out = Remember(self._device, self._number, Memory(*self._last, self.owner))


__all__ = ["Keeper", "reserve"]
