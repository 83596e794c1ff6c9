"""The same story a fraction of a second later: a bound that holds at one phase of polls and cycles is luck."""

from __future__ import annotations

import dataclasses

from hil.hazards import HAZARDS
from hil.scenario import Assertion, Event, Kind, Scenario

MS = 1_000_000
PHASES_MS = (0, 130, 550, 830, 270, 690, 410, 970)  # the first few lie apart as well
LINGER_NS = 10_000 * MS  # what must stay stays so long beyond its bound, where the file names no end
STAYS = ("aggregator.dispatch", "moment")  # what was asked before, and when it was to end


def timed(scenario: Scenario) -> list[Assertion]:
    """Its assertions that show a required bound in seconds."""
    named = [a for a in scenario.assertions if a.hazard is not None and a.kind is Kind.WITHIN]
    return [a for a in named if a.hazard is not None and HAZARDS[a.hazard].seconds is not None]


def later(scenario: Scenario, by_ms: int) -> Scenario:
    """Its first fault and all that follow it come so much later, each chapter for itself. What is so from the start,
    orders, and the moments at which they were to end stay where they are."""
    first: dict[str, int] = {}
    for event in scenario.events:
        if event.verb not in STAYS and event.at_ns:
            first[event.chapter] = min(first.get(event.chapter, event.at_ns), event.at_ns)

    def moved(event: Event) -> Event:
        begins = first.get(event.chapter)
        late = begins is not None and event.at_ns >= begins and event.verb != "moment"
        return dataclasses.replace(event, at_ns=event.at_ns + by_ms * MS) if late else event

    return dataclasses.replace(scenario, events=tuple(map(moved, scenario.events)))


def bounds_of(scenario: Scenario) -> Scenario:
    """The same with its timed assertions alone, and no longer than they need."""
    kept = timed(scenario)
    ends = [_end_ns(scenario, assertion) for assertion in kept]
    known = [end for end in ends if end is not None]
    length_ns, events = scenario.duration_ns, scenario.events
    if not scenario.chapters and len(known) == len(ends) and known:
        length_ns = min(length_ns, max(known) + scenario.sample_ns)
        events = tuple(dataclasses.replace(event, optional=True) for event in events)  # what comes behind is left out
    return dataclasses.replace(scenario, assertions=tuple(kept), events=events, duration_ns=length_ns, spreads=())


def _end_ns(scenario: Scenario, a: Assertion) -> int | None:
    """When its window is over at the latest; None = nobody can say beforehand."""
    begins = _at_ns(scenario, a.after)
    if begins is None or a.bound_ns is None:
        return None
    if a.until is not None:
        return _at_ns(scenario, a.until)
    return begins + a.from_ns + max(a.bound_ns, a.to_ns or 0) + (LINGER_NS if a.stays else 0)


def _at_ns(scenario: Scenario, moment: str | None) -> int | None:
    if moment in (None, "start"):
        return 0
    label, dot, _ = str(moment).partition(".end")
    for event in scenario.events:
        if event.id == label and event.when is None:
            return event.at_ns + ((event.for_ns or 0) if dot else 0)
    return None
