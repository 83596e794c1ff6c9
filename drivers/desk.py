"""The orders of one line: which waits, which is under way, which goes next, and how each ended. Sans-IO.

Each device has one slot an order class, and the latest wins; STOP overtakes all, CLEAR and STOP evict a waiting POWER,
STOP a waiting CLEAR too: the newer wish. While another master is on the line nothing but a release is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.device import Device
from drivers.events import BusEffect, Emit, Presence, WriteClass, WriteOutcome, WriteResult, WriteSequence
from drivers.orders import Order
from drivers.port import Fate, Outcome, Port

NEVER_NS = 1 << 62
HANDING_BACK = (WriteClass.STOP, WriteClass.CLEAR)  # always allowed


class Desk:
    """`waiting` by device and class, `active` by device. Every order that came in has exactly one WriteResult."""

    def __init__(self, port: Port, devices: Mapping[str, Device]) -> None:
        self.waiting: dict[tuple[str, WriteClass], Order] = {}
        self.active: dict[str, Order] = {}
        self.trouble = ""  # two masters: nothing but a release is written
        self.due_ns = NEVER_NS  # after `next`: when the earliest that is under way may go on
        self._port, self._devices = port, devices

    def lost(self, reason: str, now_ns: int, out: list[BusEffect]) -> None:
        """The line is gone: what is under way has ended, what waits may still be in time."""
        for order in [*self.active.values()]:
            self._finish(order, WriteOutcome.SILENT, f"the line was lost: {reason}", now_ns, out)

    def on_line(self, trouble: str, now_ns: int, out: list[BusEffect]) -> None:
        """Another master came, or (empty) was quiet for long enough."""
        self.trouble = trouble
        if trouble:
            for order in [*self.active.values(), *self.waiting.values()]:
                if order.sequence.write_class not in HANDING_BACK:
                    self.waiting.pop((order.sequence.device, order.sequence.write_class), None)
                    self._finish(order, WriteOutcome.REJECTED, trouble, now_ns, out)

    def execute(self, sequence: WriteSequence, now_ns: int, out: list[BusEffect]) -> None:
        """Into its slot, or refused at once."""
        device = self._devices.get(sequence.device)
        if device is None or not sequence.writes:
            detail = "there is no such device on this bus" if device is None else "the order writes nothing"
            out.append(Emit(_result(sequence, WriteOutcome.REJECTED, 0, now_ns, detail)))
            return
        order = Order(sequence, device, self._port)
        if device.presence is Presence.MISMATCH:
            self._finish(order, WriteOutcome.REJECTED, "the device is not the one that was commissioned", now_ns, out)
            return
        if self.trouble and sequence.write_class not in HANDING_BACK:
            self._finish(order, WriteOutcome.REJECTED, self.trouble, now_ns, out)
            return
        evicted = [sequence.write_class]
        if sequence.write_class is WriteClass.STOP:
            evicted += [WriteClass.POWER, WriteClass.CLEAR]
        elif sequence.write_class is WriteClass.CLEAR:
            evicted += [WriteClass.POWER]
        for write_class in evicted:
            older = self.waiting.pop((sequence.device, write_class), None)
            if older is not None:
                self._finish(older, WriteOutcome.SUPERSEDED, "a newer order took its place", now_ns, out)
        self.waiting[sequence.device, sequence.write_class] = order

    def drop(self, now_ns: int, out: list[BusEffect]) -> None:
        """Orders that are too late, or whose device turned out to be another."""
        for key, order in [*self.waiting.items()]:
            if now_ns > order.sequence.not_after_ns:
                del self.waiting[key]
                self._finish(order, WriteOutcome.LATE, "it could not be sent in time", now_ns, out)
            elif order.device.presence is Presence.MISMATCH:
                del self.waiting[key]
                self._finish(order, WriteOutcome.REJECTED, "the device is not the commissioned one", now_ns, out)
            elif order.device.writable and order.binding != order.device.binding:
                del self.waiting[key]
                detail = "the device was identified anew with other registers; compile the order again"
                self._finish(order, WriteOutcome.SUPERSEDED, detail, now_ns, out)

    def next(self, now_ns: int, out: list[BusEffect]) -> Order | None:
        """The order whose request goes next. A CLEAR or STOP ends a POWER of its device that is half sent; a newer
        POWER does where that one should have been written by now."""
        self.due_ns = NEVER_NS
        ready = [
            (order.sequence.write_class, order.sequence.order_id, key)
            for key, order in self.waiting.items()
            if order.device.writable
        ]
        for write_class, _, key in sorted(ready):
            order = self.waiting[key]
            running = self.active.get(key[0])
            if running is not None:
                late = write_class is WriteClass.POWER and running.late(now_ns)
                if not late and (write_class >= running.sequence.write_class or write_class > WriteClass.CLEAR):
                    continue
                self._finish(running, WriteOutcome.SUPERSEDED, f"{write_class.name} overtook it", now_ns, out)
            del self.waiting[key]
            self.active[key[0]] = order
            order.device.foreign.asked(write_class)
        best: Order | None = None
        for order in [*self.active.values()]:
            verdict = order.disk_ended(now_ns) if order.waits else None
            if verdict is not None:
                self._finish(order, verdict[0], verdict[1], now_ns, out)
            elif not order.device.writable:
                self._finish(order, WriteOutcome.SILENT, "the device must be identified anew first", now_ns, out)
            elif (start_ns := max(order.not_before_ns, self._port.held_until(order.request, False))) > now_ns:
                self.due_ns = min(self.due_ns, start_ns)
            elif best is None or order.sequence.write_class < best.sequence.write_class:
                best = order
        return best

    def ended(self, order: Order, outcome: Outcome, out: list[BusEffect]) -> None:
        """A request of `order` was answered, or never will be."""
        if self.active.get(order.sequence.device) is not order:
            return  # it was overtaken while its request was on the wire
        verdict = order.ended(outcome)
        if outcome.fate in (Fate.GARBLED, Fate.TIMEOUT) and verdict is None:
            self._port.counters.retries += 1
        remember = order.device.keeper.outgoing()
        if remember is not None:  # ahead of the verdict: whoever ends with that has stored it
            out.append(Emit(remember))
        if verdict is not None:
            self._finish(order, verdict[0], verdict[1], outcome.at_ns, out)
        if outcome.fate is Fate.TIMEOUT:
            order.device.missed(outcome.at_ns, out)
        elif outcome.fate is not Fate.GARBLED:
            order.device.heard(outcome.at_ns)

    def _finish(self, order: Order, outcome: WriteOutcome, detail: str, now_ns: int, out: list[BusEffect]) -> None:
        name = order.sequence.device
        if self.active.get(name) is order:
            del self.active[name]
        if outcome is WriteOutcome.CONFIRMED:
            order.device.foreign.confirmed(order.sequence, order.device.binding)
        out.append(Emit(_result(order.sequence, outcome, order.sent_ns, now_ns, detail, order.free_ns)))
        if order.sent_ns and order.sequence.write_class is not WriteClass.HEARTBEAT:
            order.device.touch(now_ns)


def _result(
    sequence: WriteSequence, outcome: WriteOutcome, sent_ns: int, done_ns: int, detail: str, free_ns: int = 0
) -> WriteResult:
    return WriteResult(
        sequence.order_id,
        sequence.device,
        sequence.write_class,
        sequence.value,
        outcome,
        sent_ns,
        done_ns,
        detail,
        free_ns,
    )
