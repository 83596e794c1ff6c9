"""How the devices of one home hang together: from the configuration's rows to the core's `Wiring`, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.core.params import Bank, Wiring

MOST_AT_GRID = 3  # one meter a phase

EXAMPLE = """\
[[device]]                    # two packs, each behind an inverter of its own
name = "pack1"
role = "battery"
bus = "rs485"
unit = 1
profile = "seplos_v3"
capacity_wh = 12500           # of all packs or of none; together they are site.capacity_wh

[[device]]
name = "pack2"
role = "battery"
bus = "rs485"
unit = 2
profile = "seplos_v3"
capacity_wh = 12500

[[device]]
name = "inverter1"
role = "inverter"
bus = "rs485"
unit = 11
profile = "sunspec_hybrid"
packs = ["pack1"]             # of all inverters or of none; [] = PV only; without it all packs are one bank behind all

[[device]]
name = "inverter2"
role = "inverter"
bus = "rs485"
unit = 12
profile = "sunspec_hybrid"
packs = ["pack2"]

[[device]]
name = "meter"
role = "meter"
bus = "rs485"
unit = 21
profile = "eastron_sdm630"
place = "grid"                # "grid", "pv" or "load"; one meter, or one a leg or phase, is at the grid

[[device]]
name = "roof"
role = "meter"
bus = "rs485"
unit = 22
profile = "eastron_sdm120"
place = "pv"
"""


class WiringError(ValueError):
    """Devices that do not make a home; the text says which and what to do."""


class Row(Protocol):
    """One [[device]]."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def profile(self) -> str: ...
    @property
    def packs(self) -> list[str] | None: ...
    @property
    def capacity_wh(self) -> int | None: ...
    @property
    def place(self) -> str | None: ...


def wiring(devices: Sequence[Row], site_wh: int) -> Wiring:
    """WiringError for anything that is missing, unknown, or would count twice."""
    of = {role: [d for d in devices if d.role == role] for role in ("battery", "inverter", "meter")}
    for role, found in of.items():
        if not found:
            raise WiringError(f'a home needs at least one {role}; this file has no [[device]] with role = "{role}"')
    for key, role in (("packs", "inverter"), ("capacity_wh", "battery"), ("place", "meter")):
        for device in devices:
            if device.role != role and getattr(device, key) is not None:
                raise WiringError(f"device {device.name}: {key} is for role = {role!r}, this one is a {device.role}")
    banks, bare = _banks(of["battery"], of["inverter"])
    return Wiring(banks, bare, _capacities(of["battery"], site_wh), _places(of["meter"]))


def _banks(batteries: list[Row], inverters: list[Row]) -> tuple[tuple[Bank, ...], tuple[str, ...]]:
    told = [d for d in inverters if d.packs is not None]
    if not told:
        return (), ()
    if len(told) != len(inverters):
        missing = next(d.name for d in inverters if d.packs is None)
        raise WiringError(f"device {missing}: packs is missing; once one inverter names its packs, each must")
    names = [d.name for d in batteries]
    groups: dict[frozenset[str], list[str]] = {}
    for device in told:
        for pack in device.packs or ():
            if pack not in names:
                raise WiringError(f"device {device.name}: packs: no battery {pack!r}; there are: {', '.join(names)}")
        if device.packs:
            groups.setdefault(frozenset(device.packs), []).append(device.name)
    for pack in names:
        behind = [owners for packs, owners in groups.items() if pack in packs]
        if not behind:
            raise WiringError(f"device {pack}: no inverter has it; add it to the packs of the inverter it hangs on")
        if len(behind) > 1:
            pair = f"{behind[0][0]} and {behind[1][0]}"
            raise WiringError(f"device {pack}: {pair} share it and not all their packs; give both the same list")
    banks = tuple(Bank(tuple(n for n in names if n in packs), tuple(owners)) for packs, owners in groups.items())
    return banks, tuple(d.name for d in told if not d.packs)


def _capacities(batteries: list[Row], site_wh: int) -> tuple[tuple[str, int], ...]:
    known = [(d.name, d.capacity_wh) for d in batteries if d.capacity_wh is not None]
    if not known:
        return ()
    if len(known) != len(batteries):
        missing = next(d.name for d in batteries if d.capacity_wh is None)
        raise WiringError(f"device {missing}: capacity_wh is missing; once one pack has it, each must")
    whole = sum(wh for _, wh in known)
    if whole != site_wh:
        raise WiringError(
            f"the packs' capacity_wh add up to {whole}, site.capacity_wh is {site_wh}; correct one of them"
        )
    return tuple(known)


def _places(meters: list[Row]) -> tuple[tuple[str, str], ...]:
    if len(meters) > 1:
        for device in meters:
            if device.place is None:
                raise WiringError(f'device {device.name}: several meters, so each needs place = "grid", "pv" or "load"')
    grid = [d for d in meters if d.place in (None, "grid")]
    if not grid:
        raise WiringError(f'no meter is at the grid connection; device {meters[0].name}: place = "grid"')
    if len(grid) > MOST_AT_GRID:
        raise WiringError(f"{len(grid)} meters are at the grid; one connection has at most {MOST_AT_GRID} phases")
    if len({d.profile for d in grid}) > 1:
        pair = " and ".join(f"{d.name} ({d.profile})" for d in grid[:2])
        raise WiringError(
            f"{pair} are both at the grid and differ, so that one would count what the other counts already; "
            "only equal meters, one a leg or phase, make one connection"
        )
    return tuple((d.name, str(d.place)) for d in meters if d.place not in (None, "grid"))
