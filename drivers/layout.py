"""Where the raw values of a bound device go: a slot each, and what every block has to read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivers.binding import Binding, BoundPart
from drivers.codec import Field, RawType, Scale
from drivers.plan import Span


@dataclass(frozen=True, slots=True)
class Item:
    """One raw value that a block reads, and the slot that its value goes to."""

    slot: int
    part: BoundPart
    valid: tuple[int, int] | None

    def span(self) -> Span:
        """For the plan."""
        return self.part.place.span()

    def field(self, start: int) -> Field:
        """For the decoder of a read that begins at register or coil `start`."""
        place, (lo, hi) = self.part.place, self.valid or (None, None)
        offset = place.address - start
        sentinels, mask = self.part.sentinels, self.part.mask
        return Field(self.slot, offset, place.kind, place.length, place.order, self.part.scale, sentinels, mask, lo, hi)


class Layout:
    """Slots for every raw value of a binding: `slots` by index of the point, `checks` as (slot, value it must keep)."""

    def __init__(self, binding: Binding) -> None:
        self.count = 0
        self.slots: dict[int, tuple[int, ...]] = {}
        self.checks: list[tuple[int, int]] = []
        self.check_at: dict[int, int] = {}  # register -> slot of a check
        self.first_check = 0  # from here on all slots are of checks
        self._items: dict[str, list[Item]] = {}
        shared: dict[tuple[str, BoundPart], int] = {}
        for n, point in enumerate(binding.points):
            slots = []
            for part in point.parts:
                if point.combine == "sum":
                    valid = point.valid if len(point.parts) == 1 else None
                    slots.append(self._add(point.block, part, valid))
                    continue
                # The assembler must tell one that is absent from one not known: it gets the number of the register.
                plain = part.scale is not None and part.place.kind is not RawType.F32
                raw = replace(part, sentinels=(), scale=Scale() if plain else part.scale)
                if (point.block, raw) not in shared:  # the highest and the lowest are of the same registers
                    shared[point.block, raw] = self._add(point.block, raw, None)
                slots.append(shared[point.block, raw])
            self.slots[n] = tuple(slots)
        self.first_check = self.count
        regions = {item.part.place.region for items in self._items.values() for item in items}
        for check in binding.checks:
            if check.place.region in regions:  # a model that nobody reads is not read to be checked
                self.checks.append((self.count, check.raw))
                self.check_at[check.place.address] = self.count
                self._add(check.block, BoundPart(check.place, Scale(), (), 0), None)

    def _add(self, block: str, part: BoundPart, valid: tuple[int, int] | None) -> int:
        self._items.setdefault(block, []).append(Item(self.count, part, valid))
        self.count += 1
        return self.count - 1

    def items(self, block: str) -> list[Item]:
        """What a block reads."""
        return self._items.get(block, [])
