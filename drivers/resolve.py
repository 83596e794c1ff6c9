"""Where the values of a profile lie in one device: fixed registers, or places in its chain of SunSpec models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from drivers import sunspec
from drivers.binding import Chain, Place
from drivers.codec import RawType, words_of
from drivers.family import Part, Profile, Put, PutGroup
from drivers.plan import Span

NOWHERE = -1  # a scale factor behind the end of a model that its maker cut short


class Resolver:
    """Where the values of a profile lie in a device with this chain."""

    def __init__(self, profile: Profile, chain: Chain, units: Mapping[str, int] | None = None) -> None:
        """`units`: other unit numbers of the device by name, where they differ from the profile's."""
        self.profile = profile
        self._units = {**dict(profile.units), **(units or {})}
        self._models: dict[int, list[tuple[int, int]]] = {}  # the copies of each model, as they come in the chain
        for model, address, length in chain:
            self._models.setdefault(model, []).append((address, length))

    def has(self, models: Iterable[int]) -> bool:
        """All of these models are in the chain."""
        return all(model in self._models for model in models)

    def places(self, part: Part) -> list[tuple[Place, Place | None]]:
        """The part's place, or one per instance with the place of what its instance must match. Empty: not there."""
        if isinstance(part.at, int):
            kind, unit = part.kind or RawType.U16, self._units.get(part.unit)
            return [(Place(part.function, 0, part.at, kind, part.length, part.order, None, unit), None)]
        if part.model is None or part.model not in self._models:
            return []
        copies = self._models[part.model]
        return [found for copy in (copies if part.every else copies[:1]) for found in self._in_copy(part, copy)]

    def _in_copy(self, part: Part, copy: tuple[int, int]) -> Iterator[tuple[Place, Place | None]]:
        model, name = part.model or 0, str(part.at)
        instances = range(1, self._instances(model, copy) + 1)
        if part.match is None:
            in_group = part.every and sunspec.model(model).find(name, None) is None
            for instance in instances if in_group else (part.instance,):
                place = self._place(model, copy, name, instance, part)
                if place is not None:
                    yield place, None
            return
        for instance in instances:
            place = self._place(model, copy, name, instance, part)
            match = self._place(model, copy, part.match[0], instance, part)
            if place is not None and match is not None:
                yield place, match

    def put(self, group: PutGroup, put: Put) -> Place | None:
        """Where a written value lies."""
        if isinstance(put.at, int):
            kind = put.kind or RawType.U16
            unit = self._units.get(group.unit)
            return Place(self.profile.function, 0, put.at, kind, words_of(kind), put.order, None, unit)
        if group.model is None or group.model not in self._models:
            return None
        copy = address, length = self._models[group.model][0]
        point = sunspec.model(group.model).find(put.at, None)
        if point is None or point.offset + point.words > length + 2:
            return None
        scale_at = self._scale_at(group.model, copy, point)
        function = self.profile.function
        return Place(function, address, address + point.offset, point.kind, point.words, put.order, scale_at)

    @staticmethod
    def _instances(model: int, copy: tuple[int, int]) -> int:
        table = sunspec.model(model)
        room = copy[1] + 2 - table.size
        return 0 if table.group is None else max(0, room // table.group.size)

    def _place(self, model: int, copy: tuple[int, int], name: str, instance: int | None, part: Part) -> Place | None:
        address, length = copy
        point = sunspec.model(model).find(name, instance)
        if point is None or point.offset + point.words > length + 2:
            return None  # this maker's model is shorter than the standard's
        scale_at = self._scale_at(model, copy, point)
        return Place(part.function, address, address + point.offset, point.kind, point.words, part.order, scale_at)

    @staticmethod
    def _scale_at(model: int, copy: tuple[int, int], point: sunspec.ModelPoint) -> int | None:
        if not point.scale_point:
            return None
        address, length = copy
        scale = sunspec.model(model).find(point.scale_point, None)
        return NOWHERE if scale is None or scale.offset >= length + 2 else address + scale.offset

    def facts(self) -> Iterator[Span]:
        """What must be read before binding: scale factors, ratings, what instances are."""
        for part in self._parts():
            for place, match in self.places(part):
                yield from self._scale_span(place)
                if match is not None:
                    yield match.span()
        for expect in self.profile.expects:
            for place, _ in self.places(expect.part):
                yield place.span()
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
            yield from (*control.arm, *control.power, *control.clear, *control.stop)
        if self.profile.floor is not None:
            yield self.profile.floor

    @staticmethod
    def _scale_span(place: Place) -> Iterator[Span]:
        if place.scale_at is not None and place.scale_at != NOWHERE:
            yield Span(place.function, place.region, place.scale_at, 1)
