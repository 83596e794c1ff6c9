"""What a home tells once more after an older state of its database was put back: it counts once. Pure.

Such a home says so with a `chain` record (`restored`). What it tells from there up to the gap behind its start begins
where the accounts of the older state stood. Where records of the lost state are there too, they count, and of what is
told once more that which goes beyond them: intervals and gaps together stay the difference of the registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent.tools.placing import Body, Placed
from agent.tools.totals import ENERGIES, flows

_ENERGY = ("interval", "gap")


def once(records: Sequence[Placed]) -> tuple[list[Placed], int]:
    """`records`, which come in the order of their numbers, each event, day and energy of them once; and how many do not
    count, or less than they say. What was told first counts."""
    told: list[Placed] = []
    again: list[Placed] | None = None  # energy since the last record that says `restored`, until its gap
    lost: set[object] = set()  # told before a record that says `restored`
    since: set[object] = set()
    left = 0
    for placed in records:
        kind, key = placed.body.get("record"), _key(placed.body)
        if kind == "chain" and placed.body.get("why") == "restored":
            told += again or []
            again, lost, since = [], lost | since, set()
            told.append(placed)
        elif kind in _ENERGY and again is not None:
            again.append(placed)
            if kind == "gap" and (placed.body["perhaps_told"] or placed.body["reason"] == "not_running"):
                kept = _beyond(told, again)
                left += len(again) if kept != again else 0
                told += kept
                again = None
        elif key is not None and key in lost:
            left += 1
        else:
            since.add(key)
            told.append(placed)
    return sorted([*told, *(again or [])], key=lambda p: int(p.body["n"])), left


def _key(body: Body) -> object:
    """Of what a life of the database tells once (a day in two parts, where the clock was put back); None: anything
    else."""
    if body.get("record") in ("performance", "session"):
        return str(body["command_id"]), str(body.get("digest"))
    return str(body["day"]) if body.get("record") == "reserve" else None


def _beyond(told: Sequence[Placed], again: list[Placed]) -> list[Placed]:
    """What `again`, which ends with a gap, says beyond `told`; the same where none of it was told."""
    energy = [p for p in told if p.body.get("record") in _ENERGY]
    begin = _begin([p.body for p in energy], again[0].body)
    if begin is None:
        return again
    rest = {
        name: max(0, sum(flows(p.body)[name] for p in again) - sum(flows(p.body)[name] for p in energy[begin:]))
        for name in ENERGIES
    }
    gap, last = again[-1], energy[-1]
    start = {name: int(gap.body["end"][name]) - wh for name, wh in rest.items()}
    ms = max(gap.ms, last.ms) if gap.ms is not None and last.ms is not None else gap.ms
    return [replace(gap, body={**gap.body, "start": start, "jumps": []}, ms=ms)]


def _begin(energy: Sequence[Body], first: Body) -> int | None:
    """Index of the record of the lost state that began where `first` does; else of the first one behind that, where
    that one is not here. None: none of them is here."""
    later = [(i, body) for i, body in enumerate(energy) if _until(body) > first["t0_ms"]]
    same = [i for i, body in later if body["start"] == first["start"]]
    behind = [i for i, body in later if all(body["start"][name] >= first["start"][name] for name in ENERGIES)]
    return next(iter(same or behind), None)


def _until(body: Body) -> Any:
    return body["t1_ms"] if body["t1_ms"] is not None else body["t0_ms"]
