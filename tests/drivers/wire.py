"""A scripted bus on a fake clock: slaves by hand (no code of `drivers.codec`), a paced wire, faults on demand."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from drivers.bus import Bus
from drivers.events import (
    BusEvent,
    BusStats,
    DeviceStatus,
    Emit,
    Execute,
    Lost,
    Opened,
    Received,
    Remember,
    Remembered,
    Reopen,
    Transmit,
    Wake,
    WakeAt,
    WriteResult,
    WriteSequence,
)
from drivers.memory import Memory
from drivers.readings import BatteryReading, InverterReading, MeterReading

US = 1_000
MS = 1_000_000
S = 1_000_000_000


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS bit by bit, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return struct.pack("<H", value)


@dataclass
class Slave:
    """Registers by (function, address); `refuse` maps (function, address) to an exception code."""

    unit: int
    regs: dict[tuple[int, int], int] = field(default_factory=dict)
    refuse: dict[tuple[int, int], int] = field(default_factory=dict)
    alive: bool = True
    writes: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    before: Callable[[Slave, int, tuple[int, ...]], bool] = lambda slave, address, words: True  # False: not applied

    def put(self, function: int, address: int, *words: int) -> None:
        for n, word in enumerate(words):
            self.regs[function, address + n] = word & 0xFFFF

    def pdu(self, request: bytes) -> bytes:
        """The reply PDU to a request PDU."""
        function, address = request[0], int.from_bytes(request[1:3], "big")
        count = int.from_bytes(request[3:5], "big")
        words: tuple[int, ...] = (
            (count,) if function == 6 else struct.unpack(f">{count}H", request[6:]) if function == 16 else ()
        )
        applied = self.before(self, address, words)
        if (function, address) in self.refuse:
            return bytes((function | 0x80, self.refuse[function, address]))
        if function in (1, 2):
            data = bytearray((count + 7) // 8)
            for n in range(count):
                data[n // 8] |= self.regs.get((function, address + n), 0) << n % 8
            return bytes((function, len(data))) + bytes(data)
        if function in (3, 4):
            if any((function, address + n) not in self.regs for n in range(count)):
                return bytes((function | 0x80, 2))
            held = [self.regs[function, address + n] for n in range(count)]
            return bytes((function, 2 * count)) + struct.pack(f">{count}H", *held)
        if function == 6:
            if applied:
                self.put(3, address, count)
            self.writes.append((address, (count,)))
            return request
        if applied:
            self.put(3, address, *words)
        self.writes.append((address, words))
        return request[:5]


class Wire:
    """Runs a bus against slaves. `maul` may change, delay or drop the bytes of a reply."""

    def __init__(self, bus: Bus, slaves: list[Slave], baud: int = 19200, turnaround_ns: int = 2 * MS) -> None:
        self.bus, self.slaves = bus, {slave.unit: slave for slave in slaves}
        self.now = 1 * S
        self.char_ns = 10 * S // baud
        self.t35_ns = int(3.5 * 10 * S / baud) if baud <= 19200 else 1_750_000
        self.turnaround_ns = turnaround_ns
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.wake_ns = 0
        self.wake_token = 0
        self.emitted: list[object] = []
        self.sent: list[tuple[int, bytes]] = []
        self.waits: list[tuple[int, int, int]] = []  # (when, unit, longest wait for a reply)
        self.line_free_ns = 0
        self.busy_ns = 0
        self.violations = 0
        self.reopened: list[int] = []
        self.disk = True  # what must be remembered is, after a few milliseconds
        self.remembered: dict[str, Memory] = {}
        self.frames: dict[bytes, bytes] = {}  # replies to requests that are not Modbus
        self.maul: Callable[[bytes, bytes], list[tuple[int, bytes]]] = lambda request, reply: [(0, reply)]

    def at(self, when: int, what: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.heap, (when, self.order, what))

    def event(self, event: BusEvent) -> None:
        for effect in self.bus.handle(event, self.now):
            if isinstance(effect, Emit):
                self.emitted.append(effect.event)
                if isinstance(effect.event, Remember) and self.disk:
                    self.at(self.now + 5 * MS, partial(self.store, effect.event))
            elif isinstance(effect, Transmit):
                self.transmit(effect)
            elif isinstance(effect, WakeAt):
                self.wake_token += 1
                self.at(max(effect.at_ns, self.now), partial(self.wake, self.wake_token))
            elif isinstance(effect, Reopen):
                self.reopened.append(effect.at_ns)

    def store(self, remember: Remember) -> None:
        self.remembered[remember.device] = remember.memory
        self.event(Remembered(remember.device, remember.number))

    def wake(self, token: int) -> None:
        if token == self.wake_token:
            self.event(Wake())

    def transmit(self, effect: Transmit) -> None:
        if self.line_free_ns and self.now - self.line_free_ns < self.t35_ns:
            self.violations += 1
        self.sent.append((self.now, effect.data))
        self.waits.append((self.now, effect.data[0], effect.deadline_ns - self.now))
        end = self.now + len(effect.data) * self.char_ns
        self.busy_ns += len(effect.data) * self.char_ns + 2 * self.t35_ns
        slave = self.slaves.get(effect.data[0])
        reply = self.frames.get(effect.data, b"")
        if not reply and slave is not None and slave.alive:
            body = bytes((slave.unit,)) + slave.pdu(effect.data[1:-2])
            reply = body + crc(body)
        start = end + self.t35_ns + self.turnaround_ns
        for delay_ns, data in self.maul(effect.data, reply) if reply else []:
            if not data:
                continue
            done = start + delay_ns + len(data) * self.char_ns
            self.busy_ns += len(data) * self.char_ns + self.turnaround_ns
            self.at(done, partial(self.arrive, data))

    def arrive(self, data: bytes) -> None:
        self.line_free_ns = self.now
        self.event(Received(data, self.now))

    def open(self) -> None:
        self.event(Opened())

    def lose(self, reason: str) -> None:
        self.event(Lost(reason))

    def order_now(self, sequence: WriteSequence) -> None:
        self.event(Execute(sequence))

    def run(self, duration_ns: int) -> None:
        until = self.now + duration_ns
        while self.heap and self.heap[0][0] <= until:
            when, _, what = heapq.heappop(self.heap)
            self.now = max(self.now, when)
            what()
        self.now = until

    def results(self) -> list[WriteResult]:
        return [event for event in self.emitted if isinstance(event, WriteResult)]

    def statuses(self, device: str) -> list[DeviceStatus]:
        return [e for e in self.emitted if isinstance(e, DeviceStatus) and e.device == device]

    def batteries(self) -> list[BatteryReading]:
        return [event for event in self.emitted if isinstance(event, BatteryReading)]

    def inverters(self) -> list[InverterReading]:
        return [event for event in self.emitted if isinstance(event, InverterReading)]

    def meters(self) -> list[MeterReading]:
        return [event for event in self.emitted if isinstance(event, MeterReading)]

    def stats(self) -> list[BusStats]:
        return [event for event in self.emitted if isinstance(event, BusStats)]
