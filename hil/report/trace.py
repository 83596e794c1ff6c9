"""Lines out of samples: one column of pixels keeps its first, lowest, highest and last value, so no spike is lost."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from hil.report.scale import Scale

Point = tuple[float, float]


def runs(t: Sequence[float], values: Sequence[float], gap_s: float) -> Iterator[range]:
    """Stretches of indices without a gap: known all along, and no hole in time wider than `gap_s`."""
    begin: int | None = None
    for i, value in enumerate(values):
        if begin is not None and (math.isnan(value) or t[i] - t[i - 1] > gap_s):
            yield range(begin, i)
            begin = None
        if begin is None and not math.isnan(value):
            begin = i
    if begin is not None:
        yield range(begin, len(values))


def line(t: Sequence[float], values: Sequence[float], run: range, x: Scale, y: Scale, fine: int = 1) -> list[Point]:
    """The points of one stretch in pixels, to a tenth; points on a level line between equals are left out. `fine`:
    columns a pixel, for a page that can be looked at more closely."""
    out: list[Point] = []
    per_column = (x.high - x.low) / (x.to - x.at) / fine
    digits = 1 if fine == 1 else 2
    begin = run.start
    while begin < run.stop:
        edge = x.low + (int(x(t[begin]) * fine) + 1 - x.at * fine) * per_column
        end = bisect_left(t, edge, begin + 1, run.stop)
        column = values[begin:end]
        lowest, highest = begin + column.index(min(column)), begin + column.index(max(column))
        keep = sorted({begin, end - 1, lowest, highest})
        out += [(round(x(t[i]), digits), round(y(values[i]), 1)) for i in keep]
        begin = end
    return _level(out)


def path(points: Sequence[Point]) -> str:
    """The `d` of an SVG path; a single point becomes a short dash, so that it can be seen."""
    if len(points) == 1:
        return f"M{_n(points[0][0] - 1)} {_n(points[0][1])}h2"
    head, *rest = points
    return f"M{_n(head[0])} {_n(head[1])}" + "".join(f"L{_n(px)} {_n(py)}" for px, py in rest)


def area(upper: Sequence[Point], lower: Sequence[Point]) -> str:
    """The `d` of what lies between two lines."""
    if len(upper) == 1:
        (px, py), (_, bottom) = upper[0], lower[0]
        return f"M{_n(px - 1)} {_n(py)}h2V{_n(bottom)}h-2Z"
    back = list(reversed(lower))
    return path([*upper, *back]) + "Z"


def _level(points: list[Point]) -> list[Point]:
    out: list[Point] = []
    for point in points:
        if len(out) > 1 and out[-1][1] == out[-2][1] == point[1]:
            out[-1] = point
        elif not out or out[-1] != point:
            out.append(point)
    return out


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
