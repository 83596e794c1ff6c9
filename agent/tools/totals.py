"""A month of settlement records as plain totals. Pure; energies are differences of registers; of a jump what was
estimated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.tools.placing import Placed

ENERGIES = ("charge_wh", "discharge_wh", "import_wh", "export_wh", "pv_wh")


@dataclass(slots=True)
class Totals:
    """Wh, seconds and counts of one UTC month."""

    month: str
    energy: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENERGIES, 0))
    intervals: int = 0
    partial: int = 0
    covered_s: int = 0
    missing_s: int = 0
    estimated: int = 0  # intervals with an energy that no register told, by name below
    estimated_of: set[str] = field(default_factory=set)
    jumps: int = 0
    gaps: int = 0
    gap_wh: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENERGIES, 0))
    unplaced: int = 0  # intervals and gaps on a clock that nobody trusted, which may be of this month
    unplaced_wh: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENERGIES, 0))
    events: list[Mapping[str, Any]] = field(default_factory=list)
    dispatched_s: int = 0
    opted_out_s: int = 0
    islanded_s: int = 0
    unavailable: dict[str, int] = field(default_factory=dict)
    limited: dict[str, int] = field(default_factory=dict)
    below: dict[str, int] = field(default_factory=dict)
    outage_s: int = 0
    served_wh: int = 0
    excursions: int = 0
    consents: list[Mapping[str, Any]] = field(default_factory=list)
    days_told: set[str] = field(default_factory=set)  # a clock that was put back tells a day in two records
    told_again: int = 0  # of all records, not of the month alone: left out, or cut down to what they alone tell

    @property
    def days(self) -> int:
        """Of which the reserve was told."""
        return len(self.days_told)

    @property
    def given_wh(self) -> int:
        """Discharged for events."""
        return sum(both(e, "delivered")[0] for e in self.events)

    @property
    def taken_wh(self) -> int:
        """Charged for events."""
        return sum(both(e, "delivered")[1] for e in self.events)

    @property
    def asked_wh(self) -> int:
        """Asked of the home, both ways added up."""
        return self.asked_given_wh + self.asked_taken_wh

    @property
    def asked_given_wh(self) -> int:
        """Asked of the home to discharge."""
        return sum(both(e, "requested")[0] for e in self.events)

    @property
    def asked_taken_wh(self) -> int:
        """Asked of the home to charge."""
        return sum(both(e, "requested")[1] for e in self.events)

    def body(self, capacity_wh: int | None) -> dict[str, object]:
        """As `--json` prints it."""
        cycles = round(self.energy["discharge_wh"] / capacity_wh, 2) if capacity_wh else None
        words = ("month", "intervals", "partial", "covered_s", "missing_s", "jumps", "gaps", "dispatched_s")
        more = ("opted_out_s", "islanded_s", "outage_s", "excursions", "days", "unavailable", "limited", "below")
        body: dict[str, object] = {name: getattr(self, name) for name in (*words, *more)}
        return body | {
            "energy": self.energy,
            "gap_energy": self.gap_wh,
            "unplaced": self.unplaced,
            "unplaced_energy": self.unplaced_wh,
            "estimated": sorted(self.estimated_of),
            "events": len(self.events),
            "given_wh": self.given_wh,
            "taken_wh": self.taken_wh,
            "asked_wh": self.asked_wh,
            "asked_given_wh": self.asked_given_wh,
            "asked_taken_wh": self.asked_taken_wh,
            "cycles": cycles,
            "outage_served_wh": self.served_wh,
            "consents": len(self.consents),
            "told_again": self.told_again,
        }


def both(event: Mapping[str, Any], what: str) -> tuple[int, int]:
    """Wh out of the battery and into it, "requested" or "delivered". An event of before these were told apart has what
    its quarters tell, at least its net."""
    if (out := event.get(f"{what}_discharge_wh")) is not None:
        return int(out), int(event[f"{what}_charge_wh"])
    parts = [int(quarter[f"{what}_wh"]) for quarter in event["quarters"]]
    parts.append(int(event[f"{what}_wh"]) - sum(parts))  # of quarters that went out before
    return sum(wh for wh in parts if wh > 0), -sum(wh for wh in parts if wh < 0)


def flows(body: Mapping[str, Any]) -> dict[str, int]:
    """Wh of one interval or gap."""
    out = {name: int(body["end"][name]) - int(body["start"][name]) for name in ENERGIES}
    for jump in body["jumps"]:
        if jump["name"] not in body["estimated"]:
            out[jump["name"]] += jump.get("estimated_wh", 0) - (jump["after_wh"] - jump["before_wh"])
    return out


def of_month(records: Iterable[Placed], month: str, begin_ms: int, end_ms: int) -> Totals:
    """What belongs to `begin_ms` <= t < `end_ms`: intervals by their begin, events by their end, days by name. What has
    no place and may be of that time is told apart."""
    t = Totals(month)
    for placed in records:
        if placed.is_in(begin_ms, end_ms):
            _count(t, placed.body)
        elif placed.may_be_in(begin_ms, end_ms) and placed.body["record"] in ("interval", "gap"):
            t.unplaced += 1
            for name, wh in flows(placed.body).items():
                t.unplaced_wh[name] += wh
    return t


def _count(t: Totals, r: Mapping[str, Any]) -> None:
    kind = r.get("record")
    if kind == "interval":
        _interval(t, r)
    elif kind == "gap":
        t.gaps += 1
        t.jumps += len(r["jumps"])
        for name, wh in flows(r).items():
            t.gap_wh[name] += wh
    elif kind in ("performance", "session"):
        t.events.append(r)
    elif kind == "reserve":
        t.days_told.add(str(r["day"]))
        t.outage_s += r["outage_s"]
        t.served_wh += r["outage_served_wh"]
        _add(t.below, r["below"])
    elif kind == "frequency":
        t.excursions += 1
    elif kind == "consent":
        t.consents.append(r)


def _interval(t: Totals, r: Mapping[str, Any]) -> None:
    t.intervals += 1
    t.partial += bool(r["partial"])
    t.covered_s += r["lasted_s"]
    t.missing_s += r["missing_s"]
    t.estimated += bool(r["estimated"])
    t.estimated_of.update(r["estimated"])
    t.jumps += len(r["jumps"])
    t.dispatched_s += r["dispatched_s"]
    t.opted_out_s += r["opted_out_s"]
    t.islanded_s += r["islanded_s"]
    for name, wh in flows(r).items():
        t.energy[name] += wh
    _add(t.unavailable, r["unavailable"])
    _add(t.limited, r["limited"])


def _add(into: dict[str, int], reasons: Iterable[Mapping[str, Any]]) -> None:
    for each in reasons:
        into[each["reason"]] = into.get(each["reason"], 0) + int(each["lasted_s"])
