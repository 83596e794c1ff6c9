"""What a profile makes of the registers of one device at one moment: every point, and why one is not known. Pure.

The registers come from a recording, or were just read. Nothing here talks to a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drivers.assemble import Assembler
from drivers.binding import Binding, BoundPart, BoundPoint, DeviceSpec, blocks_of
from drivers.codec import BIT_TYPES, BlockDecoder, Field
from drivers.layout import Item, Layout
from drivers.plan import Reach, ReadRange, Span, plan
from drivers.readings import Reading

Registers = Mapping[tuple[int, int, int], int]  # (unit, function, address) -> register, or bit of functions 1 and 2


@dataclass(frozen=True, slots=True)
class PointState:
    """One point. `state`: "known", "sentinel", "implausible", "missing" (not read), "no scale" (its factor is not
    implemented), "unclear" (its parts are known and make no value). `raw`: of its parts; `total`: of their values."""

    name: str
    state: str
    raw: tuple[int | None, ...]
    address: int
    total: int | None


def reads_of(spec: DeviceSpec, binding: Binding, cap: int) -> list[ReadRange]:
    """Every read of the profile's plan, each once."""
    layout = Layout(binding)
    found: dict[tuple[int, int, int, int | None], ReadRange] = {}
    for block, _ in blocks_of(spec):
        spans = [item.span() for item in layout.items(block.name)]
        if block.read is not None:
            spans.append(Span(block.read[0], 0, block.read[1], block.read[2]))
        for read in plan(spans, Reach(cap, spec.profile.max_bits, spec.profile.max_gap, spec.profile.holes)):
            found.setdefault((read.function, read.start, read.length, read.unit), read)
    return [*found.values()]


class Picture:
    """The points of one device as its registers have them."""

    def __init__(self, spec: DeviceSpec, binding: Binding, registers: Registers, at_ns: int) -> None:
        self._spec, self._binding, self._registers = spec, binding, registers
        layout = Layout(binding)
        self._values: list[int | None] = [None] * layout.count
        for block in spec.profile.blocks:
            for item in layout.items(block.name):
                self._decode(item)
        self._slots = layout.slots
        self.reading: Reading = Assembler(spec, binding, layout.slots).reading(self._values, at_ns, at_ns, at_ns)

    def _decode(self, item: Item) -> None:
        data = self._data(item.part)
        if data is not None:
            BlockDecoder([item.field(item.part.place.address)]).decode(data, 0, self._values)

    def _data(self, part: BoundPart) -> bytes | None:
        """The bytes of a part, None if one of its registers is not there."""
        place = part.place
        unit = self._spec.unit if place.unit is None else place.unit
        found = [self._registers.get((unit, place.function, place.address + n)) for n in range(place.length)]
        known = [word for word in found if word is not None]
        if len(known) != len(found):
            return None
        if place.kind in BIT_TYPES:
            bits = sum(bit << n for n, bit in enumerate(known))
            return bits.to_bytes(-(-len(known) // 8), "little")
        return b"".join(word.to_bytes(2, "big") for word in known)

    def points(self) -> Iterator[PointState]:
        """Every point that the device has."""
        for n, point in enumerate(self._binding.points):
            raws = tuple(self._raw(part) for part in point.parts)
            values = [self._values[slot] for slot in self._slots[n]]
            known = [value for value in values if value is not None]
            total = sum(known) if len(known) == len(values) else None
            yield PointState(point.name, self._state(n, point, raws), raws, point.parts[0].place.address, total)

    def _raw(self, part: BoundPart) -> int | None:
        data = self._data(part)
        if data is None:
            return None
        values: list[int | None] = [None]
        place = part.place
        BlockDecoder([Field(0, 0, place.kind, place.length, place.order, sentinels=())]).decode(data, 0, values)
        return values[0]

    def _state(self, n: int, point: BoundPoint, raws: tuple[int | None, ...]) -> str:
        values = [self._values[slot] for slot in self._slots[n]]
        if None not in values:
            total = sum(value for value in values if value is not None)
            fits = point.valid is None or point.combine != "sum" or point.direction is not None
            return "known" if fits or (point.valid and point.valid[0] <= total <= point.valid[1]) else "implausible"
        for part, raw, value in zip(point.parts, raws, values, strict=True):
            if value is not None:
                continue
            if self._data(part) is None:
                return "missing"
            if part.scale is None:
                return "no scale"
            return "sentinel" if raw is None or raw in part.sentinels else "implausible"
        return "unclear"
