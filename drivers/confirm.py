"""How a technician confirms at commissioning what a profile is not sure of. Words only."""

from __future__ import annotations

from collections.abc import Collection

HOW = {
    "grid": "open the main switch while the battery holds the house: it must read islanded, and connected when it is "
    "closed again",
    "floor": "set the reserve one percent higher: the maker's own display must show it as the minimum SoC on grid",
    "floor_permille": "compare it with the minimum SoC on the maker's own display",
    "battery_w": "let the battery charge, then discharge: it must read negative, then positive, and as the maker's "
    "own display",
    "status": "compare it with the maker's own display in two different states",
}
CONTROL = (
    "with a technician at the inverter, give 500 W each way, then fall silent: the battery must follow both, and end "
    "by itself within the stated time"
)
OTHER = "compare it with the maker's own display while it changes"


def how_to_confirm(name: str, controls: Collection[str]) -> str:
    """What to do before `name` goes into `confirmed` of the device's configuration. `controls`: ids of its controls."""
    return f"{name}: {CONTROL if name in controls else HOW.get(name, OTHER)}"
