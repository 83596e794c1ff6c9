"""The street from above: a square a home, by what happened to it and whether that changed what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from hil.report.page import Section
from hil.report.tables import table

SIZE, GAP, ACROSS = 24, 5, 30


@dataclass(frozen=True, slots=True)
class House:
    """One home. `fault` "" = it had none; `changed`: its trace with the faults is another than without."""

    name: str
    fault: str
    changed: bool

    @property
    def kind(self) -> str:
        """The CSS class of its square."""
        if self.fault:
            return "struck" if self.changed else "unhurt"
        return "noticed" if self.changed else "well"


_LEGEND = (
    ("well", "no fault of its own, and its trace is the same to the byte"),
    ("noticed", "no fault of its own, and its trace differs"),
    ("struck", "a fault, which changed its trace"),
    ("unhurt", "a fault that changed nothing here"),
)


def street_map(houses: Sequence[House]) -> Section:
    """The map, and the faults by name."""
    step = SIZE + GAP
    rows = -(-len(houses) // ACROSS)
    squares = "".join(
        f'<rect class="house {house.kind}" x="{i % ACROSS * step}" y="{i // ACROSS * step}" width="{SIZE}" '
        f'height="{SIZE}" rx="3"><title>{escape(_sentence(house))}</title></rect>'
        for i, house in enumerate(houses)
    )
    kinds = [house.kind for house in houses]
    keys = "".join(
        f'<li><span class="key house {kind}"></span>{kinds.count(kind)}: {escape(words)}</li>'
        for kind, words in _LEGEND
        if kind in kinds
    )
    width, height = min(len(houses), ACROSS) * step, rows * step
    label = f"{len(houses)} homes, {kinds.count('noticed')} of those without a fault noticed"
    svg = f'<svg viewBox="0 0 {max(width, 300)} {height}" role="img" aria-label="{escape(label)}">{squares}</svg>'
    faults = [("", (escape(h.name), escape(h.fault), "yes" if h.changed else "no")) for h in houses if h.fault]
    told = table(("home", "fault", "changed its own trace"), faults) if faults else ""
    more = f"<details><summary>The {len(faults)} homes with a fault</summary>{told}</details>" if faults else ""
    return Section("street", "The street", f'<figure><ul class="legend">{keys}</ul>{svg}</figure>{more}')


def _sentence(house: House) -> str:
    fault = f"{house.fault}, " if house.fault else ""
    return f"{house.name}: {fault}{'another trace than without' if house.changed else 'the same trace'}"
