"""Interleaved measurement: every side once a round, so that a slow minute of the machine hits all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from hil.progress import Progress

MIN_ROUNDS = 3


def interleave(
    sides: Mapping[str, Callable[[], float]], rounds: int = MIN_ROUNDS, *, title: str = ""
) -> dict[str, list[float]]:
    """Run each side once per round; the values of each, in order. At least three rounds."""
    if rounds < MIN_ROUNDS:
        raise ValueError(f"{rounds} rounds; a median needs at least {MIN_ROUNDS}")
    values: dict[str, list[float]] = {name: [] for name in sides}
    with Progress(title or ", ".join(sides), rounds * len(sides), unit="rounds") as bar:
        for _ in range(rounds):
            for name, side in sides.items():
                values[name].append(side())
                bar.step(name)
    return values


def median(values: Sequence[float]) -> float:
    """The median; ValueError when there is nothing to take it of."""
    if not values:
        raise ValueError("no values were measured")
    return float(statistics.median(values))


def percentile(values: Sequence[float], permille: int) -> float:
    """Nearest-rank percentile: the smallest value that at least `permille` / 1000 of all do not exceed."""
    if not values:
        raise ValueError("no values were measured")
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * permille // 1000))
    return float(ordered[rank - 1])
