"""Sends only what changed on the screen: made for 9600 baud, where a full screen takes two seconds."""

from __future__ import annotations


class Painter:
    """Lines in, bytes for an ANSI terminal out. Uses cursor addressing and erase alone, nothing else."""

    def __init__(self, columns: int, rows: int) -> None:
        # the last column stays empty: writing there makes some terminals scroll
        self._columns, self._rows = columns - 1, rows
        self._shown: list[str] | None = None

    def paint(self, lines: list[str]) -> str:
        """What to write so that the screen shows `lines`."""
        wanted = [line[: self._columns].ljust(self._columns) for line in lines[: self._rows]]
        wanted += [" " * self._columns] * (self._rows - len(wanted))
        out = []
        if self._shown is None:
            out.append("\033[2J")
            self._shown = [" " * self._columns] * self._rows
        for row, (old, new) in enumerate(zip(self._shown, wanted, strict=True)):
            out += [f"\033[{row + 1};{start + 1}H{new[start:end]}" for start, end in _changes(old, new)]
        self._shown = wanted
        out.append(f"\033[{self._rows};1H")
        return "".join(out)


def _changes(old: str, new: str) -> list[tuple[int, int]]:
    """Slices to send; two that are nearer than a cursor move is long are sent as one."""
    slices: list[tuple[int, int]] = []
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        if a == b:
            continue
        if slices and i - slices[-1][1] < 8:
            slices[-1] = (slices[-1][0], i + 1)
        else:
            slices.append((i, i + 1))
    return slices
