"""Which registers of a device may ever be written: those of its profile's control and floor, less its protection.

Worked out from the profile and the model chain alone, beside and without the way that orders are compiled, so that the
gate can hold a compiled order against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers import sunspec
from drivers.codec import words_of
from drivers.family import Control, Profile, PutGroup

Register = tuple[int | None, int]  # unit (None = the device's own), address
Ranges = tuple[tuple[int, int], ...]  # first, last


def writable(
    profile: Profile, control_id: str | None, chain: tuple[tuple[int, int, int], ...], units: Mapping[str, int]
) -> frozenset[Register]:
    """The registers of that control (None = it takes no setpoint) and of the floor. `chain`: (model, address, length);
    `units`: unit numbers by name, where they differ from the profile's."""
    known = {**dict(profile.units), **units}
    first: dict[int, tuple[int, int]] = {}
    for model, address, length in chain:
        first.setdefault(model, (address, length))
    named = (
        (known.get(group.unit), address)
        for group in _groups(profile, control_id)
        for address in _addresses(group, first)
    )
    return frozenset(register for register in named if not within(profile.protection, register[1]))


def within(ranges: Ranges, address: int) -> bool:
    """One of the ranges holds it."""
    return any(low <= address <= high for low, high in ranges)


def numbered(group: PutGroup) -> Iterator[int]:
    """The registers of a group that are given by number."""
    return _addresses(group, {})


def written(control: Control) -> tuple[PutGroup, ...]:
    """Everything that a control may send."""
    return (*control.arm, *control.power, *control.clear, *control.stop, *control.heartbeat)


def _groups(profile: Profile, control_id: str | None) -> Iterator[PutGroup]:
    for control in profile.controls:
        if control.id == control_id:
            yield from written(control)
    if profile.floor is not None:
        yield profile.floor


def _addresses(group: PutGroup, first: Mapping[int, tuple[int, int]]) -> Iterator[int]:
    for put in group.puts:
        if isinstance(put.at, int):
            yield from range(put.at, put.at + (1 if put.kind is None else words_of(put.kind)))
        elif group.model is not None and group.model in first:
            point = sunspec.model(group.model).find(put.at, None)
            address, length = first[group.model]
            if point is not None and point.offset + point.words <= length + 2:
                yield from range(address + point.offset, address + point.offset + point.words)
