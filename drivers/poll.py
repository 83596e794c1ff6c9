"""The reads of a device that repeat: made by plan, block by block, and taken apart when it refuses one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.binding import blocks_of
from drivers.codec import BlockDecoder
from drivers.family import Block
from drivers.layout import Item, Layout
from drivers.plan import Reach, Span, plan
from drivers.transaction import Request

if TYPE_CHECKING:
    from drivers.device import Device

STRIKES = 3  # refusals in a row after which a read is taken apart, or only tried now and then


@dataclass(slots=True, eq=False)
class Poll:
    """One read that repeats. `handicap_ns` puts slow reads behind fast ones until they are overdue by a period."""

    device: Device
    request: Request
    decoder: BlockDecoder
    every_ns: int
    due_ns: int
    block: Block
    handicap_ns: int
    checks: tuple[tuple[int, int], ...]  # (slot, raw value that must not change)
    emits: bool
    items: tuple[Item, ...] = ()
    at_ns: int = 0
    strikes: int = 0
    dropped: bool = False  # refused STRIKES times: does not count any more, and is tried rarely
    touched: bool = False  # something was just written to what it reads: goes first, and is told at once
    part: bool = False  # of a read that was refused as a whole
    far: tuple[tuple[int, int], ...] = ()  # (slot of a value, slot of its scale factor), which another read fetches
    held: dict[int, tuple[int, int]] = field(default_factory=dict)  # slot -> (value, slot of its scale factor)
    read_ns: int = 0  # `at_ns` is of what counts

    def take(self, data: bytes, at_ns: int, values: list[int | None]) -> None:
        """Decode a reply. What is scaled by a factor of another read counts only once that was read after it: till then
        the value before it stands, with its age."""
        self.read_ns = at_ns
        if not self.far:
            self.decoder.decode(data, 2, values)
            self.at_ns = at_ns
            return
        before = [values[slot] for slot, _ in self.far]
        self.decoder.decode(data, 2, values)
        self.held.clear()
        for (slot, factor), old in zip(self.far, before, strict=True):
            value = values[slot]
            if value is not None:
                self.held[slot] = (value, factor)
                values[slot] = old
        if not self.held:
            self.at_ns = at_ns

    def confirm(self, factors: tuple[tuple[int, int], ...], values: list[int | None]) -> None:
        """These scale factors were read and are as they were."""
        for factor, _ in factors:
            for slot in [slot for slot, (_, its) in self.held.items() if its == factor]:
                values[slot] = self.held.pop(slot)[0]
        if not self.held:
            self.at_ns = self.read_ns

    def clear(self, values: list[int | None]) -> None:
        """Nothing that it has read is known; what waits for its scale factor may come to count yet."""
        for slot in self.decoder.slots:
            values[slot] = None


class Polls:
    """Makes the polls of one identified device. `cap`: most registers of one read on its line."""

    def __init__(self, device: Device, layout: Layout, reach: Reach) -> None:
        self._device, self._layout, self._reach = device, layout, reach
        self._has_fast = any(block.fast and layout.items(block.name) for block in device.spec.profile.blocks)

    def all(self, now_ns: int) -> list[Poll]:
        """Every block of the profile, all due now."""
        return [
            poll
            for block, every_ns in blocks_of(self._device.spec)
            for poll in self._of(block, every_ns, self._layout.items(block.name), now_ns)
        ]

    def parts(self, poll: Poll, now_ns: int) -> list[Poll]:
        """Two halves of a read that was refused: one of them may live. Empty: it is one value, or wanted whole."""
        items = sorted(poll.items, key=lambda item: (item.part.place.address, item.slot))
        if len(items) < 2 or poll.block.read is not None:
            return []
        half = len(items) // 2
        found = [
            part for some in (items[:half], items[half:]) for part in self._of(poll.block, poll.every_ns, some, now_ns)
        ]
        for part in found:
            part.part, part.strikes = True, STRIKES - 1  # that it is refused is known; one more time is enough
        return found

    def _of(self, block: Block, every_ns: int, items: Sequence[Item], now_ns: int) -> list[Poll]:
        spans = [item.span() for item in items]
        if block.read is not None:
            spans.append(Span(block.read[0], 0, block.read[1], block.read[2]))
        found = []
        for read in plan(spans, self._reach):
            members = [items[n] for n in read.members if n < len(items)]
            fields = [item.field(read.start) for item in members]
            slots = {field.slot for field in fields}
            factors = [(item.slot, self._factor(item)) for item in members]
            found.append(
                Poll(
                    self._device,
                    self._device.read(read.function, read.start, read.length, read.unit),
                    BlockDecoder(fields),
                    every_ns,
                    now_ns,
                    block,
                    0 if block.fast else every_ns,
                    tuple((slot, raw) for slot, raw in self._layout.checks if slot in slots),
                    block.fast if self._has_fast else block.ages,
                    tuple(members),
                    far=tuple((slot, its) for slot, its in factors if its is not None and its not in slots),
                )
            )
        return sorted(found, key=lambda poll: not poll.far)  # what waits for another read goes before it

    def _factor(self, item: Item) -> int | None:
        """The slot of the scale factor that its value depends on."""
        at = item.part.place.scale_at
        if at is None or item.part.scale is None or item.slot >= self._layout.first_check:
            return None
        return self._layout.check_at.get(at)
