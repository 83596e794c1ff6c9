"""From a profile and what a device said of itself to the Binding. Pure.

`Resolver` knows where everything lies once the model chain is known; `bind` makes the Binding from the scale factors
and ratings read there. A scale factor that is not implemented makes its points unknown, never unscaled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from drivers import sunspec
from drivers.binding import (
    Binding,
    BoundControl,
    BoundGroup,
    BoundPart,
    BoundPoint,
    BoundPut,
    Chain,
    Check,
    DeviceSpec,
    Place,
)
from drivers.codec import SUNSPEC_SENTINEL, RawType, Scale, WordOrder, div_round, raw_range
from drivers.events import Identity
from drivers.family import Control, Part, Point, Profile, Put, PutGroup
from drivers.plan import Span
from drivers.readings import Capability, DeviceRole

HIGHEST_SCALE = 10
NOWHERE = -1  # a scale factor behind the end of a model that its maker cut short


class Resolver:
    """Where the values of a profile lie in a device with this chain."""

    def __init__(self, profile: Profile, chain: Chain) -> None:
        self.profile = profile
        self._models: dict[int, tuple[int, int]] = {}
        for model, address, length in chain:
            self._models.setdefault(model, (address, length))

    def has(self, models: Iterable[int]) -> bool:
        """All of these models are in the chain."""
        return all(model in self._models for model in models)

    def places(self, part: Part) -> list[tuple[Place, Place | None]]:
        """The part's place, or one per instance with the place of what its instance must match. Empty: not there."""
        if isinstance(part.at, int):
            at = part.at
            return [(Place(part.function, 0, at, part.kind or RawType.U16, part.length, part.order, None), None)]
        if part.model is None or part.model not in self._models:
            return []
        if part.match is None:
            place = self._place(part.model, part.at, part.instance, part)
            return [] if place is None else [(place, None)]
        found: list[tuple[Place, Place | None]] = []
        for instance in range(1, self._instances(part.model) + 1):
            place = self._place(part.model, part.at, instance, part)
            match = self._place(part.model, part.match[0], instance, part)
            if place is not None and match is not None:
                found.append((place, match))
        return found

    def put(self, group: PutGroup, put: Put) -> Place | None:
        """Where a written value lies."""
        if isinstance(put.at, int):
            kind = put.kind or RawType.U16
            lo, hi = raw_range(kind)
            return Place(self.profile.function, 0, put.at, kind, (hi - lo).bit_length() // 16, put.order, None)
        if group.model is None or group.model not in self._models:
            return None
        address, length = self._models[group.model]
        point = sunspec.model(group.model).find(put.at, None)
        if point is None or point.offset + point.words > length + 2:
            return None
        scale_at = self._scale_at(group.model, point)
        function = self.profile.function
        return Place(function, address, address + point.offset, point.kind, point.words, put.order, scale_at)

    def _instances(self, model: int) -> int:
        group = sunspec.model(model).group
        return 0 if group is None else max(0, (self._models[model][1] + 2 - group.first) // group.size)

    def _place(self, model: int, name: str, instance: int | None, part: Part) -> Place | None:
        address, length = self._models[model]
        point = sunspec.model(model).find(name, instance)
        if point is None or point.offset + point.words > length + 2:
            return None  # this maker's model is shorter than the standard's
        scale_at = self._scale_at(model, point)
        return Place(part.function, address, address + point.offset, point.kind, point.words, part.order, scale_at)

    def _scale_at(self, model: int, point: sunspec.ModelPoint) -> int | None:
        if not point.scale_point:
            return None
        address, length = self._models[model]
        offset = sunspec.model(model).points[point.scale_point].offset
        return address + offset if offset < length + 2 else NOWHERE

    def facts(self) -> Iterator[Span]:
        """What must be read before binding: scale factors, ratings, what instances are."""
        for part in self._parts():
            for place, match in self.places(part):
                yield from self._scale_span(place)
                if match is not None:
                    yield match.span()
        for control in self.profile.controls:
            for part in (*control.rated_charge, *control.rated_discharge):
                for place, _ in self.places(part):
                    yield place.span()
                    yield from self._scale_span(place)
        for group in self._groups():
            for put in group.puts:
                target = self.put(group, put)
                if target is not None:
                    yield from self._scale_span(target)

    def _parts(self) -> Iterator[Part]:
        for point in self.profile.points:
            yield from point.parts
        for control in self.profile.controls:
            for _, part in control.state:
                yield part

    def _groups(self) -> Iterator[PutGroup]:
        for control in self.profile.controls:
            yield from (*control.power, *control.clear, *control.stop)
        if self.profile.floor is not None:
            yield self.profile.floor

    @staticmethod
    def _scale_span(place: Place) -> Iterator[Span]:
        if place.scale_at is not None and place.scale_at != NOWHERE:
            yield Span(place.function, place.region, place.scale_at, 1)


def bind(spec: DeviceSpec, chain: Chain, identity: Identity, words: Mapping[int, int]) -> Binding:
    """The Binding of a device that was identified; `words` are the registers that `Resolver.facts` asked for."""
    return _Binder(spec, chain, identity, words).binding()


class _Binder:
    def __init__(self, spec: DeviceSpec, chain: Chain, identity: Identity, words: Mapping[int, int]) -> None:
        self._spec, self._profile = spec, spec.profile
        self._chain, self._identity, self._words = chain, identity, words
        self._resolver = Resolver(spec.profile, chain)
        self._notes: list[str] = []
        self._slow = next((b.name for b in self._profile.blocks if not b.fast), self._profile.blocks[0].name)
        self._fast = {b.name for b in self._profile.blocks if b.fast}
        self._checks: dict[int, Check] = {}

    def binding(self) -> Binding:
        control_def, rated = self._choose_control()
        control = None if control_def is None else self._control(control_def, rated)
        points = self._points(rated)
        if control_def is not None and control is not None:
            points += self._state(control_def, rated)
        floor = self._floor()
        return Binding(
            device=self._spec.name,
            unit=self._spec.unit,
            function=self._profile.function,
            identity=self._identity,
            chain=self._chain,
            points=points,
            checks=tuple(self._checks[at] for at in sorted(self._checks)),
            control=control,
            floor=floor,
            capability=self._capability(control_def if control is not None else None, control, floor is not None),
            notes=tuple(self._notes),
        )

    # --- values -------------------------------------------------------------------------------------------------------
    def _factor(self, place: Place, block: str) -> Fraction | None:
        """10 ** scale factor, None if not implemented; remembers that it must not change."""
        if place.scale_at is None:
            return Fraction(1)
        word = self._words.get(place.scale_at)
        if word is None:
            return None
        raw = word - 0x10000 if word & 0x8000 else word
        home = self._slow if block in self._fast else block
        where = Place(place.function, place.region, place.scale_at, RawType.SUNSSF, 1, WordOrder.BIG, None)
        self._checks.setdefault(place.scale_at, Check(where, raw, home))
        return Fraction(10) ** raw if abs(raw) <= HIGHEST_SCALE else None

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
            if parts:
                bound.append(
                    BoundPoint(point.name, point.block, parts, point.valid, point.words, point.bits, point.combine)
                )
        for name in dict.fromkeys(point.name for point in self._profile.points):
            if not any(b.name == name for b in bound):
                self._notes.append(f"it has no {name}")
        self._doubts(bound)
        return tuple(bound)

    def _doubts(self, bound: list[BoundPoint]) -> None:
        """Notes on what a technician has to look at: points that are not sure, limits that nobody gives."""
        there = {point.name for point in bound}
        unsure = [p.name for p in self._profile.points if p.confidence == "low" and p.name in there]
        if unsure:
            self._notes.append(f"to be confirmed against its own display: {', '.join(dict.fromkeys(unsure))}")
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

    # --- control ------------------------------------------------------------------------------------------------------
    def _choose_control(self) -> tuple[Control | None, dict[str, int]]:
        for control in self._profile.controls:
            if not self._resolver.has(control.models):
                continue
            charge = self._rating(control.rated_charge)
            discharge = self._rating(control.rated_discharge)
            if charge is None or discharge is None:
                self._notes.append(f"{control.id} is there but gives no rating, so it cannot be commanded by it")
                continue
            if control.unit != "w" and self._spec.wdischamax_w:
                discharge = self._spec.wdischamax_w
            return control, {"charge": charge, "discharge": discharge}
        if self._profile.controls:
            self._notes.append("it has no register that takes a setpoint: telemetry only")
        return None, {}

    def _rating(self, parts: tuple[Part, ...]) -> int | None:
        block = next((b.name for b in self._profile.blocks if b.after_write), self._slow)
        for part in parts:
            for place, _ in self._resolver.places(part):
                raw = self._words.get(place.address)
                factor = self._factor(place, block)
                if raw is None or factor is None or raw == SUNSPEC_SENTINEL.get(place.kind) or raw == 0:
                    continue
                self._checks.setdefault(place.address, Check(place, raw, block))
                value = factor * part.scale * raw
                return div_round(value.numerator, value.denominator)
        return None

    def _control(self, control: Control, rated: Mapping[str, int]) -> BoundControl | None:
        groups: list[tuple[BoundGroup, ...]] = []
        for puts in (control.power, control.clear, control.stop):
            bound = tuple(self._group(group, rated) for group in puts)
            missing = next((b for b in bound if isinstance(b, str)), None)
            if missing is not None:
                self._notes.append(f"{control.id} cannot be used: {missing}")
                return None
            groups.append(tuple(b for b in bound if isinstance(b, BoundGroup)))
        coarse = self._too_coarse(control, groups[0])
        if coarse is not None:
            self._notes.append(f"{control.id} cannot be used: {coarse}")
            return None
        wanted = self._spec.reversion_s if self._spec.reversion_s is not None else control.reversion.default_s
        reversion_s = max(control.reversion.min_s, min(control.reversion.max_s, wanted))
        return BoundControl(
            control.id,
            control.unit,
            control.active_mode,
            rated["charge"],
            rated["discharge"],
            reversion_s,
            control.read_back,
            control.settle_ns,
            *groups,
        )

    def _group(self, group: PutGroup, rated: Mapping[str, int]) -> BoundGroup | str:
        puts = []
        for put in group.puts:
            place = self._resolver.put(group, put)
            if place is None:
                return f"it has no register {put.at}"
            factor = self._factor(place, self._slow)
            if factor is None:
                return f"the scale factor of {put.at} is not implemented"
            of_w = rated.get(put.of, 0)
            puts.append(
                BoundPut(place.address, place.kind, place.order, factor * put.scale, put.value, of_w, put.low, put.high)
            )
        return BoundGroup(group.function, tuple(puts))

    @staticmethod
    def _too_coarse(control: Control, groups: tuple[BoundGroup, ...]) -> str | None:
        unit = "W" if control.unit == "w" else "%"
        for group in groups:
            for put in group.puts:
                if put.value not in ("setpoint", "-setpoint"):
                    continue
                if put.step > control.max_step:
                    return f"its setpoint has steps of {put.step} {unit}, more than {control.max_step} {unit}"
                if control.unit != "w" and 100 / put.step > raw_range(put.kind)[1]:
                    return f"100 % does not fit its setpoint register at steps of {put.step} %"
        return None

    def _floor(self) -> BoundGroup | None:
        if self._profile.floor is None:
            return None
        group = self._group(self._profile.floor, {})
        if isinstance(group, str):
            self._notes.append(f"it has no on-grid floor: {group}")
            return None
        return group

    def _capability(self, control: Control | None, bound: BoundControl | None, floor: bool) -> Capability:
        reversion = None if control is None else control.reversion
        verified = self._spec.reversion_verified
        return Capability(
            device=self._spec.name,
            signed_setpoint=bound is not None,
            unit="none" if control is None else control.unit,
            control_point="battery" if control is None else control.control_point,
            reversion="none" if reversion is None else reversion.kind,
            reversion_s=0 if bound is None or reversion is None or reversion.kind == "none" else bound.reversion_s,
            reversion_verified=reversion is not None and (reversion.verified if verified is None else verified),
            floor=floor,
            wearing=() if control is None else control.wearing,
            min_refresh_s=1 if control is None else control.min_refresh_s,
            read_back=bound is not None and bound.read_back,
            pv_curtailment=control is not None and control.pv_curtailment,
            rated_charge_w=0 if bound is None else bound.rated_charge_w,
            rated_discharge_w=0 if bound is None else bound.rated_discharge_w,
            resolution_w=0 if bound is None else _resolution_w(bound),
            refresh_s=self._profile.refresh_s,
            stale_s=self._profile.stale_s,
        )


def _resolution_w(control: BoundControl) -> int:
    """The smallest step of the setpoint, rounded up to whole watts."""
    steps = [
        put.step * Fraction(put.of_w, 100) if control.unit != "w" else put.step
        for group in control.power
        for put in group.puts
        if put.value in ("setpoint", "-setpoint")
    ]
    worst = max(steps, default=Fraction(0))
    return -((-worst.numerator) // worst.denominator)
