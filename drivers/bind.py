"""From a profile and what a device said of itself to the Binding. Pure.

The Binding is made from the scale factors and ratings that were read. A scale factor that is not implemented makes its
points unknown, never unscaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from drivers.bind_control import UNCONFIRMED, ControlBinder, Found
from drivers.binding import Binding, BoundPart, BoundPoint, Chain, Check, DeviceSpec, Place
from drivers.codec import SUNSPEC_SENTINEL, RawType, Scale, WordOrder, scale_factor
from drivers.events import Identity
from drivers.family import Control, Part, Point
from drivers.fence import writable
from drivers.readings import DeviceRole
from drivers.resolve import Resolver

DC_PORTS = 714  # the model that lists them
HOLDING = 3  # what was written is read back with this function, whatever telemetry is read with


def bind(spec: DeviceSpec, chain: Chain, identity: Identity, words: Mapping[int, int]) -> Binding:
    """The Binding of a device that was identified; `words` are the registers that `Resolver.facts` asked for."""
    return _Binder(spec, chain, identity, words).binding()


class _Binder:
    def __init__(self, spec: DeviceSpec, chain: Chain, identity: Identity, words: Mapping[int, int]) -> None:
        self._spec, self._profile = spec, spec.profile
        self._chain, self._identity, self._words = chain, identity, words
        self._resolver = Resolver(spec.profile, chain, spec.units)
        self._notes: list[str] = list(spec.profile.notes)
        self._unconfirmed: list[str] = []
        self._slow = next((b.name for b in self._profile.blocks if not b.fast), self._profile.blocks[0].name)
        self._fast = {b.name for b in self._profile.blocks if b.fast}
        self._written = {b.name for b in self._profile.blocks if b.after_write}
        self._checks: dict[int, Check] = {}

    def binding(self) -> Binding:
        found = Found(self._words, self._notes, self._unconfirmed, self._checks, [])
        writes = ControlBinder(self._spec, self._resolver, found, self._slow, self._factor)
        control_def, rated = writes.choose()
        control = None if control_def is None else writes.control(control_def, rated)
        points = self._points(rated)
        if control_def is not None and control is not None:
            points += self._state(control_def, rated)
        if control is not None and control.convert == "pv" and self._has_no_pv(points):
            control = replace(control, convert="none")
        grid = any(point.name == "grid" for point in points)
        if self._profile.controls and not grid:
            self._notes.append("nothing that it says proves the grid to be there: it is read, never written to")
        floor = writes.floor()
        return Binding(
            device=self._spec.name,
            unit=self._spec.unit,
            function=HOLDING,
            identity=self._identity,
            chain=self._chain,
            points=points,
            checks=tuple(self._checks[at] for at in sorted(self._checks)),
            control=control,
            floor=floor,
            capability=writes.capability(control_def if control is not None else None, control, floor, grid),
            notes=tuple(self._notes),
            writable=writable(self._profile, None if control is None else control.id, self._chain, self._spec.units),
        )

    def _has_no_pv(self, points: tuple[BoundPoint, ...]) -> bool:
        """It lists its DC ports, and none of them is PV: what is at its AC terminals is the battery."""
        listed = any(model == DC_PORTS for model, _, _ in self._chain)
        return listed and not any(point.name == "pv_w" for point in points)

    # --- values -------------------------------------------------------------------------------------------------------
    def _factor(self, place: Place, block: str) -> Fraction | None:
        """10 ** scale factor, None if not implemented; remembers that it must not change."""
        if place.scale_at is None:
            return Fraction(1)
        word = self._words.get(place.scale_at)
        if word is None:
            return None
        raw = word - 0x10000 if word & 0x8000 else word
        where = Place(place.function, place.region, place.scale_at, RawType.SUNSSF, 1, WordOrder.BIG, None)
        known = self._checks.get(place.scale_at)
        if known is None or self._rank(block) > self._rank(known.block):
            self._checks[place.scale_at] = Check(where, raw, block)
        exponent = scale_factor(word)
        return None if exponent is None else Fraction(10) ** exponent

    def _rank(self, block: str) -> int:
        """A scale factor belongs to those of its values that are wanted soonest."""
        return 2 if block in self._fast else 1 if block in self._written else 0

    def _bound(self, part: Part, place: Place, block: str, rated: Mapping[str, int]) -> BoundPart:
        factor = self._factor(place, block)
        scale = None
        if factor is not None:
            if part.of:
                factor *= Fraction(rated.get(part.of, 0), 100)
            scale = Scale.of(factor * part.scale, part.offset)
        sentinels = part.sentinels
        if self._profile.sunspec and not sentinels and place.kind in SUNSPEC_SENTINEL:
            sentinels = (SUNSPEC_SENTINEL[place.kind],)
        return BoundPart(place, scale, sentinels, part.mask)

    def _points(self, rated: Mapping[str, int]) -> tuple[BoundPoint, ...]:
        bound: list[BoundPoint] = []
        for point in self._profile.points:
            if self._profile.sunspec and any(b.name == point.name for b in bound):
                continue  # an earlier model gives it already
            parts = self._all_parts(point, rated)
            if not parts:
                continue
            if point.confidence == "low" and point.name not in self._spec.confirmed:
                self._unconfirmed.append(point.name)
                if point.name == "grid":
                    self._notes.append(f"what it says of the grid {UNCONFIRMED}")
                    continue
            bound.append(
                BoundPoint(
                    point.name,
                    point.block,
                    parts,
                    point.valid,
                    point.words,
                    point.bits,
                    point.direction,
                    point.combine,
                )
            )
        for name in dict.fromkeys(point.name for point in self._profile.points):
            if not any(b.name == name for b in bound) and name not in self._unconfirmed:
                self._notes.append(f"it has no {name}")
        unscaled = ", ".join(b.name for b in bound if any(part.scale is None for part in b.parts))
        if unscaled:
            self._notes.append(f"not known for want of a scale factor of -10 to 10: {unscaled}")
        self._limits(bound)
        return tuple(bound)

    def _limits(self, bound: list[BoundPoint]) -> None:
        """Notes on limits that nobody gives."""
        there = {point.name for point in bound}
        if self._profile.role is not DeviceRole.BATTERY:
            return
        for name, given, key in (
            ("ccl_ma", self._spec.ccl_ma, "charge_limit_a"),
            ("dcl_ma", self._spec.dcl_ma, "discharge_limit_a"),
        ):
            if name not in there and given is None:
                self._notes.append(f"its BMS gives no {name}, so 0 A holds until {key} is configured for it")

    def _all_parts(self, point: Point, rated: Mapping[str, int]) -> tuple[BoundPart, ...]:
        parts: list[BoundPart] = []
        for part in point.parts:
            found = [
                place
                for place, match in self._resolver.places(part)
                if match is None or (part.match is not None and self._words.get(match.address) in part.match[1])
            ]
            if not found:
                return ()
            parts += [self._bound(part, place, point.block, rated) for place in found]
        return tuple(parts)

    def _state(self, control: Control, rated: Mapping[str, int]) -> tuple[BoundPoint, ...]:
        block = next((b.name for b in self._profile.blocks if b.after_write), self._slow)
        points = []
        for name, part in control.state:
            for place, _ in self._resolver.places(part):
                points.append(BoundPoint(name, block, (self._bound(part, place, block, rated),), None, (), ()))
        return tuple(points)
