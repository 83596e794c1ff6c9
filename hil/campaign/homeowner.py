"""The reserve that a home may count on, by what its homeowner was answered and not by what the agent holds.

A change counts from the moment at which it was answered with success, up or down; a refused one never. What was asked
for and not answered (the daemon died, the disk failed, time was up) may have been taken: if it is lower it may count,
if it is higher nobody was promised it. An image of the state brings back what stood when it was taken.
"""

from __future__ import annotations

REFUSED = (2, 4)  # exit codes of batteryctl that say: nothing was changed


class Homeowner:
    """Of one home. `permille` is the reserve that it may count on now."""

    def __init__(self, permille: float) -> None:
        self._stands = self._image = permille
        self._open: list[float] = []  # asked for, and not known whether it was taken

    @property
    def permille(self) -> float:
        """The lowest of what may be in force."""
        return min(self._stands, *self._open) if self._open else self._stands

    def asks(self, permille: float) -> None:
        """It goes to the agent."""
        self._open.append(permille)

    def answered(self, asked: float, code: int, told: float | None) -> None:
        """By the exit code that batteryctl would have. `told`: what the answer says is in force."""
        if code == 0:
            self._stands = asked if told is None else told
            self._settle(asked)
        elif code in REFUSED and asked in self._open:
            self._open.remove(asked)

    def _settle(self, asked: float) -> None:
        """Changes are stored and answered in their order: what was asked before this one is over as well."""
        if asked in self._open:
            del self._open[: self._open.index(asked) + 1]

    def image(self) -> None:
        """An image of the state is taken."""
        self._image = self.permille

    def restored(self) -> None:
        """The state is that of the image again: what was answered since then is lost with the disk that had it."""
        self._stands = self._image
        self._open.clear()
