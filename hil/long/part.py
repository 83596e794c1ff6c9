"""The parts of the long run: what is asked of each, the command that does a slice of it, and what a slice came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PURE = ("jws", "message", "trust", "bundle", "config", "local", "codec")  # every pure decoder
Report = Mapping[str, Any]  # the object that a command prints with --json


@dataclass(frozen=True, slots=True)
class Part:
    """`asked` of a `unit`, by `verb`. `keeps`: its command counts on by itself, with a state file; else each slice is
    counted here, and has a seed of its own. `wide`: a slice uses every core."""

    name: str
    verb: tuple[str, ...]
    option: str
    unit: str
    asked: float
    first: str  # the figure that says how much was done
    keeps: bool = False
    wide: bool = False
    more: tuple[str, ...] = ()
    slices: int = 20  # in so many; a home of `crash` needs half a minute to come to an end, so they are no smaller

    def command(self, seed: int) -> str:
        """The whole of it, as a person would type it."""
        return " ".join(["python -m hil", *self.verb, self.option, _text(self.asked), *_seed(seed)])

    def slice(self, seed: int, done: float, upto: float, directory: Path, slices: int) -> list[str]:
        """What follows `python -m hil` for the way from `done` to `upto`."""
        if self.keeps:
            state = ["--state", str(directory / f"{self.name}.json")]
            return [*self.verb, self.option, _text(upto), *_seed(seed), *state, *self.more, "--json"]
        return [*self.verb, self.option, _text(upto - done), *_seed(seed + slices), *self.more, "--json"]


def _text(amount: float) -> str:
    return f"{amount:.3f}".rstrip("0").rstrip(".")


def _seed(seed: int) -> list[str]:
    return ["--seed", str(seed)]


def parts(days: float, kills: int, cuts: int, inputs: int, directory: Path, cores: int) -> Sequence[Part]:
    """All of them, in the order in which a round does them."""
    cases, corpora = directory / "cases", directory / "corpora"
    return (
        Part(
            "campaign", ("campaign",), "--device-days", "device-days", days, "device-days", True, True,
            ("--keep", str(cases), "--jobs", str(cores)), 200,
        ),
        Part(
            "crash", ("crash",), "--kills", "kills", kills, "kills", True, True,
            ("--homes", str(2 * cores), "--keep", str(cases)),
        ),
        Part("powercut", ("powercut",), "--cuts", "power cuts", cuts, "power cuts", True),
        *(
            Part(
                f"fuzz {name}", ("fuzz", name), "--inputs", "inputs", inputs, "inputs",
                more=() if name == "codec" else ("--corpus", str(corpora / name)),
            )
            for name in PURE
        ),
    )  # fmt: skip


@dataclass(slots=True)
class Done:
    """What the slices of one part came to. `missed`: figure -> its value, of every figure that did not hold."""

    amount: float = 0.0
    slices: int = 0
    seconds: float = 0.0
    void: int = 0
    missed: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    figures: list[Any] = field(default_factory=list)  # of the last slice
    daemon: str = ""

    def add(self, part: Part, report: Report, seconds: float) -> None:
        """One more slice."""
        figures = {figure["name"]: figure for figure in report["figures"]}
        amount = float(figures[part.first]["value"])
        self.amount = amount if part.keeps else self.amount + amount
        self.slices += 1
        self.seconds = round(self.seconds + seconds, 1)
        self.void += int(report.get("void_runs", 0)) if not part.keeps else 0
        self.figures = list(report["figures"])
        self.daemon = str(report.get("daemon", self.daemon))
        for name, figure in figures.items():
            if not figure["holds"]:
                value = figure["value"]
                self.missed[name] = value if part.keeps or value is None else (self.missed.get(name) or 0) + value
        told = [str(text) for text in report.get("failures", [])]
        told += [figure["note"] for figure in figures.values() if not figure["holds"] and figure.get("note")]
        self.notes += [text for text in told if text not in self.notes]
        if part.keeps:
            self.void = int(report.get("void_runs", 0))


Slice = Callable[[Sequence[str]], Report]
