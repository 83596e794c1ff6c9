"""The budget of writes to registers that wear out: a hard cap over any 24 h, and of it to each whose writes they are.

Pure. What is stored is what was spent and a block ahead, so that a crash never loses a count: until the next store no
more than the block is written for setpoints, and after a restart the whole block counts as spent.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from drivers.memory import Memory

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000
FLOOR_BUDGET = 24  # a day, where the control states no budget
BLOCKS = 10  # so many stores a budget, at most


class Share(IntEnum):
    """Whose write it is. Each stops where the part of those after it begins, and may use what those before it left."""

    DISPATCH = 0  # a setpoint that somebody outside asked for: half of the budget, the release that follows included
    HOME = 1  # a setpoint or a floor of the home's own: what keeps the reserve
    RAISE = 2  # a floor that is raised
    RELEASE = 3


class Wear:
    """Of one device. `memory`: what was stored by the last run; None = nobody stores, and nothing is waited for.

    `budget`: writes in any 24 h. `release`: most of them that one release takes.
    """

    def __init__(self, memory: Memory | None) -> None:
        self._keeps = memory is not None
        self._spent: deque[tuple[int, int]] = deque(() if memory is None else memory.spent)
        self._unknown = 0 if memory is None else memory.ahead
        self._since = 0  # written since the last store was begun
        self._room = 0  # of them this many are covered by what is stored
        self._released_ns: int | None = None

    def wrote(self, now_ns: int, releasing: bool = False) -> None:
        """A wearing register was written."""
        self._forget(now_ns)
        last = self._spent[-1] if self._spent else (0, 0)
        if now_ns - last[0] < HOUR_NS // 60 and self._spent:
            self._spent[-1] = (now_ns, last[1] + 1)  # later than it was: counts longer, never shorter
        else:
            self._spent.append((now_ns, 1))
        self._since += 1
        if releasing:
            self._released_ns = now_ns

    def count(self, now_ns: int) -> int:
        """Written within the last 24 h, or perhaps written before a crash."""
        self._forget(now_ns)
        return sum(n for _, n in self._spent)

    def free_ns(self, now_ns: int, budget: int, release: int, need: int, share: Share) -> int:
        """When `need` more writes are within that share of the budget: `now_ns` if they are so now."""
        used = self.count(now_ns)
        kept = reserve(budget, release)
        limit = most(budget, release, share)
        if share is Share.DISPATCH:
            need += release  # what it begins it must also be able to end
        last = self._released_ns
        if share is Share.RELEASE and last is not None and used + need > budget - kept // 2:
            paced_ns = last + DAY_NS * need // max(1, kept // 2)  # the last half lasts for the day
            if paced_ns > now_ns:
                return paced_ns
        if used + need <= limit:
            return now_ns
        for at_ns, n in self._spent:
            used -= n
            if used + need <= limit:
                return at_ns + DAY_NS
        return now_ns + DAY_NS

    def covered(self, need: int) -> bool:
        """`need` more writes are in the block that is on the disk, so that a crash cannot lose them."""
        return not self._keeps or self._since + need <= self._room

    def store(self, now_ns: int, budget: int, need: int) -> tuple[tuple[tuple[int, int], ...], int]:
        """What to put on the disk: what was spent, and a block ahead that is enough for two orders of `need`."""
        block = min(max(2 * need, budget // BLOCKS), max(need, budget - self.count(now_ns)))
        self._since = 0
        self._room = 0
        return tuple(self._spent), block

    def stored(self, block: int) -> None:
        """What `store` gave is on the disk."""
        self._room = block

    def _forget(self, now_ns: int) -> None:
        if self._unknown:  # when they were made is not known: as late as can be
            self._spent.append((now_ns, self._unknown))
            self._unknown = 0
        while self._spent and now_ns - self._spent[0][0] >= DAY_NS:
            self._spent.popleft()


def reserve(budget: int, release: int) -> int:
    """The part of the budget that is kept for releases: the most that one takes, twice."""
    return min(budget, max(2 * release, budget // 5))


def most(budget: int, release: int, share: Share) -> int:
    """How many writes of any 24 h may have been made, by whomever, after one of that share."""
    kept = reserve(budget, release)
    if share is Share.RELEASE:
        return budget
    if share is Share.RAISE:
        return max(0, budget - kept // 2 - release)  # one more release goes at once, the others as they are paced
    home = max(0, budget - kept - max(1, budget // 20))
    return home if share is Share.HOME else min(home, budget // 2)
