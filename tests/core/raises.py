"""Raises of the reserve to ask a home for; the home: 25 kWh at 60 %, its own reserve 20 %."""

from __future__ import annotations

from dataclasses import replace

from agent.core.decision import LimitValue
from agent.core.inputs import RaiseReserve
from tests.core.home import Home

H = 3600


def storm(permille: int = 800, **changes: object) -> RaiseReserve:
    event = RaiseReserve("storm", "storm", permille, "homeowner", "ann (homeowner)", "storm", for_s=6 * H)
    return replace(event, **changes)  # type: ignore[arg-type]  # fields of the event


def between(home: Home, start_s: int, end_s: int, permille: int = 800) -> RaiseReserve:
    wall = home.clock().wall_ms
    return storm(permille, start_ms=wall + start_s * 1000, end_ms=wall + end_s * 1000, for_s=0)


def remote(permille: int = 500, hours: int = 72, **changes: object) -> RaiseReserve:
    event = RaiseReserve("ops-1", "remote", permille, "operations", "grid desk", "cold front", for_s=hours * H)
    return replace(event, **changes)  # type: ignore[arg-type]  # fields of the event


def reserve(home: Home) -> int:
    return home.decision.reserve_permille


def limit(home: Home, name: str) -> LimitValue:
    return next(value for value in home.decision.limits if value.id == name)


def asked(home: Home, how: str, kind: str = "storm") -> RaiseReserve:
    """For six hours from now, as a length or by its dates."""
    event = storm() if kind == "storm" else remote(800, 6)
    if how == "length":
        return event
    wall = home.clock().wall_ms
    return replace(event, for_s=0, start_ms=wall, end_ms=wall + 6 * H * 1000)
