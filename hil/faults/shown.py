"""Which faults are on by what the world shows: one that was asked for counts from when a probe of the world held.

A probe is made before the fault is done and asked after it: it tells whether something has come of it since then. So a
fault that does nothing is asked for and never on.
"""

from __future__ import annotations

from collections.abc import Callable

Probe = Callable[[], bool]
ACTED = ".acted"  # suffix of the file in which the daemon's own process tells what came of orders to it


def grew(count: Callable[[], int]) -> Probe:
    """More of it than there is now."""
    before = count()
    return lambda: count() > before


def became(holds: Callable[[], bool]) -> Probe:
    """It holds, and does not hold now: what was so all along is nobody's doing."""
    before = holds()
    return lambda: not before and holds()


def done(deed: Callable[[], bool], shows: Probe = lambda: True) -> Probe:
    """`deed` came to hold by what was done, so at the first look, which is right behind it; and then `shows` does."""
    before = deed()
    first: list[bool] = []

    def probe() -> bool:
        if not first:
            first.append(not before and deed())
        return first[0] and shows()

    return probe


class Shown:
    """Faults by name, such as "mute:battery"."""

    def __init__(self) -> None:
        self._asked: dict[str, Probe] = {}
        self._seen: set[str] = set()

    def ask(self, name: str, probe: Probe) -> None:
        """It was done; done again, it has to show again."""
        self._asked[name] = probe
        self._seen.discard(name)
        self.names()  # what shows only now

    def end(self, name: str) -> None:
        """It was taken back."""
        self._asked.pop(name, None)
        self._seen.discard(name)

    def names(self) -> set[str]:
        """Those that had effect since they were asked for, until they are taken back."""
        self._seen.update(name for name, probe in self._asked.items() if name not in self._seen and probe())
        return self._seen
