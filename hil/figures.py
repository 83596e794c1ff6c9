"""The figures that the bench prints: one JSON object on stdout, one table for people on stderr.

A figure with a `reach` is a promise: when one does not hold, the report is not ok and the program ends with 1. A figure
without is printed only. `beside` holds what it is compared with: a peer in the same run, a physical limit, a default.
"""

from __future__ import annotations

import json
import operator
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

Scalar = float | int | str | bool | None

_OPS: Mapping[str, Callable[[object, object], bool]] = {
    "<=": operator.le,  # type: ignore[dict-item]  # values are compared after a check that both are numbers
    ">=": operator.ge,  # type: ignore[dict-item]  # as above
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `reach`: "<= 250", ">= 0.97", "== 0", "== true" or None; an unmeasured value holds none.

    `peers`: those names of `beside` that are the same quantity in the same unit, so that they can be drawn beside it.
    """

    name: str
    value: Scalar
    unit: str = ""
    reach: str | None = None
    beside: Mapping[str, Scalar] = field(default_factory=dict)
    note: str = ""
    peers: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """True without a reach; else whether the value satisfies it."""
        if self.reach is None:
            return True
        word, _, bound = self.reach.partition(" ")
        limit = json.loads(bound)
        if isinstance(limit, bool | str):
            return word == "==" and self.value == limit
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or self.value != self.value:
            return False
        return _OPS[word](self.value, limit)

    def as_json(self) -> dict[str, object]:
        """The object of docs/design.md §8."""
        out: dict[str, object] = {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "reach": self.reach,
            "holds": self.holds,
            "beside": dict(self.beside),
        }
        return {**out, "note": self.note} if self.note else out


@dataclass(frozen=True, slots=True)
class Report:
    """What one command measured. `void` counts runs thrown away because the machine itself stalled."""

    title: str
    figures: Sequence[Figure]
    seed: int | None = None
    void: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """All that have a reach hold, and there is at least one figure."""
        return bool(self.figures) and all(figure.holds for figure in self.figures)

    def as_json(self) -> dict[str, object]:
        """`ok, figures, seed, machine`, then what the command adds."""
        return {
            "ok": self.ok,
            "figures": [figure.as_json() for figure in self.figures],
            "seed": self.seed,
            "machine": machine(),
            "void_runs": self.void,
            **self.extra,
        }

    def print(self, *, as_json: bool, out: TextIO | None = None, talk: TextIO | None = None) -> int:
        """JSON to stdout when asked for, and then the table to stderr; else the table to stdout. The exit code."""
        ((talk or sys.stderr) if as_json else (out or sys.stdout)).write(self.table() + "\n")
        if as_json:
            (out or sys.stdout).write(json.dumps(self.as_json()) + "\n")
        return 0 if self.ok else 1

    def write(self, path: Path) -> None:
        """The JSON object into a file."""
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")

    def table(self) -> str:
        """Plain text, at most 120 columns unless a name is longer: symbol, name, value, reach, beside."""
        rows = [(_symbol(f), f.name, _shown(f.value, f.unit), f.reach or "", _beside(f)) for f in self.figures]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
        lines = [f"# {self.title}"]
        lines += [
            "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows
        ]
        if self.void:
            lines.append(f"-- {self.void} run(s) thrown away: the machine itself stalled")
        missed = [f.name for f in self.figures if not f.holds]
        if not self.figures:
            lines.append("xx nothing was measured")
        else:
            lines.append(f"xx missed: {', '.join(missed)}" if missed else "ok every reach holds")
        return "\n".join(lines)


def machine() -> dict[str, Scalar]:
    """What the figures were measured on; no host name."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _symbol(figure: Figure) -> str:
    if figure.reach is None:
        return "--"
    return "ok" if figure.holds else "xx"


def _shown(value: Scalar, unit: str) -> str:
    if value is None:
        text = "not measured"
    elif isinstance(value, bool):
        return "yes" if value else "no"
    elif isinstance(value, float):
        text = f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    else:
        text = str(value)
    return f"{text} {unit}".rstrip()


def _beside(figure: Figure) -> str:
    parts = [f"{name} {_shown(value, '')}" for name, value in figure.beside.items()]
    return "; ".join([*parts, figure.note] if figure.note else parts)
