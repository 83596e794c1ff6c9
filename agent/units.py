"""Other unit numbers of a device, by name: none may be the device itself, another one of the bus, or all of them."""

from __future__ import annotations

from collections.abc import Mapping

BROADCAST = 0


def clash(name: str, number: int, own: int, others: Mapping[int, str], serial: bool) -> str | None:
    """Why `number` cannot be called so on that bus; None = it can. `own`: the device's; `others`: unit -> device.

    What a write may touch is judged by unit and register: a second name of the same unit would be a way around that.
    """
    said = f"units.{name} = {number}"
    if number == own:
        return f"{said} is the device's own unit: give the number of the other one, or take the name out of the profile"
    if number in others:
        return (
            f"{said} is {others[number]} on the same bus: what is meant for {name} would reach it; "
            f"give the number that {name} answers at"
        )
    if number == BROADCAST and serial:
        return f"{said} is broadcast on a serial line: what is written to it goes to all of them; give 1 to 247"
    return None
