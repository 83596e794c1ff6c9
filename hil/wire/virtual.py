"""The RS-485 wire in virtual time: exact byte times, half duplex, turnaround, noise, cuts, and a judge of silence.

It is driven by two injected functions: `at(ns, fn)` schedules, `deliver(data, at_ns)` hands bytes to the agent's port.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hil.devices.slave import Slaves, WrittenRegisters, seal

STRANGER = seal(bytes((9, 3, 0, 0, 0, 2)))  # another master asks unit 9 for two registers


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One frame as an oscilloscope would show it. `sender`: "master" or "slave"."""

    sender: str
    start_ns: int  # first byte begins
    end_ns: int  # last byte is complete
    data: bytes


def silent_interval_ns(baud: int, bits: int) -> int:
    """t3.5 of the Modbus serial line specification: 3.5 characters, 1.75 ms above 19200 baud."""
    return 1_750_000 if baud > 19_200 else 3_500_000_000 * bits // baud


class VirtualWire:
    """One line with its slaves. Set `noise` (share of bytes that flip a bit), `drop` (share of frames lost), `cut`
    (units that hear and are heard no more) at any time. `strict`: nobody understands a request inside t3.5.
    """

    def __init__(
        self,
        slaves: Slaves,
        baud: int,
        at: Callable[[int, Callable[[], None]], None],
        deliver: Callable[[bytes, int], None],
        seed: int,
        bits: int = 10,
        strict: bool = True,
        latency_ns: int = 0,
        log: Callable[[WireFrame], None] | None = None,
    ) -> None:
        self.slaves = slaves
        self.noise = 0.0
        self.drop = 0.0
        self.cut: set[int] = set()
        self.broken = False  # the whole line: nothing gets through
        self.echo = False  # the adapter hears its own words
        self.late_ns: dict[int, int] = {}  # by unit
        self.violations = 0  # requests inside t3.5
        self.collisions = 0  # requests into a reply
        self.flips = 0
        self.requests = 0
        self.replies = 0  # delivered whole or damaged
        self.did: Counter[str] = Counter()  # what each fault of the line did, by name and unit
        self.log = log
        self._at, self._deliver = at, deliver
        self._rng = random.Random(f"{seed}/wire")
        self._byte_ns = bits * 1_000_000_000 // baud
        self._t35_ns = silent_interval_ns(baud, bits)
        self._strict = strict
        self._latency_ns = latency_ns
        self._free_ns = -(1 << 62)  # when the line falls idle
        self._turn = 0  # a later request makes replies of earlier ones void
        self._stranger_ns = 0
        self._stranger_due = 0

    @property
    def trace(self) -> list[WrittenRegisters]:
        """Every write that reached a device."""
        return self.slaves.trace

    def set_noise(self, share: float) -> None:
        """This share of bytes flips a bit."""
        self.noise = share

    def set_cut(self, unit: int, on: bool) -> None:
        """The unit's own stub of the line is cut, or joined again."""
        (self.cut.add if on else self.cut.discard)(unit)

    def set_broken(self, on: bool) -> None:
        """The whole line is cut, or joined again."""
        self.broken = on

    def set_echo(self, on: bool) -> None:
        """The adapter hears its own words."""
        self.echo = on

    def set_late(self, unit: int, ms: float) -> None:
        """That unit answers so much later; its answer arrives even into the next request."""
        self.late_ns[unit] = round(ms * 1e6)

    def set_stranger(self, every_ms: float) -> None:
        """Another master asks on this line every so often; 0 = it is gone."""
        self._stranger_ns = round(every_ms * 1e6)

    def counters(self) -> dict[str, int]:
        """Since the start."""
        return {
            "requests": self.requests,
            "replies": self.replies,
            "violations": self.violations,
            "collisions": self.collisions,
            "flips": self.flips,
            **self.did,
        }

    def transmit(self, data: bytes, now_ns: int) -> None:
        """The master puts `data` on the line, first byte at `now_ns`."""
        self.requests += 1
        self._turn += 1
        end = now_ns + len(data) * self._byte_ns
        heard = bool(data) and not self._lost(data[0])
        if now_ns < self._free_ns:
            self.collisions += 1
            heard = False
        elif now_ns < self._free_ns + self._t35_ns:
            self.violations += 1
            heard = heard and not self._strict
        self._free_ns = max(self._free_ns, end)
        if self.log is not None:
            self.log(WireFrame("master", now_ns, end, data))
        if self.echo:
            self.did["echoes"] += 1
            self._at(end, lambda: self._deliver(data, end))
        if self._stranger_ns and now_ns >= self._stranger_due:
            self._stranger_due = now_ns + self._stranger_ns
            self.did["strangers"] += 1
            end += self._t35_ns + len(STRANGER) * self._byte_ns  # it asks first; the slave waits for silence
            spoken = end
            self._at(spoken, lambda: self._deliver(STRANGER, spoken))
        if heard:
            turn, damaged = self._turn, self._damage(data)
            if damaged is not None:
                self._at(end, lambda: self._arrived(damaged, end, turn))

    def _arrived(self, request: bytes, end_ns: int, turn: int) -> None:
        if turn != self._turn:
            return
        reply = self.slaves.rtu(request, end_ns)
        if reply is None:
            return
        late_ns = self.late_ns.get(reply[0], 0)
        if late_ns:
            self.did[f"late:{reply[0]}"] += 1
            self._late(reply, end_ns + late_ns)
            return
        start = end_ns + self._t35_ns + self.slaves.by_unit[reply[0]].turnaround_ns
        end = start + len(reply) * self._byte_ns
        self._free_ns = end
        if self.log is not None:
            self.log(WireFrame("slave", start, end, reply))
        damaged = self._damage(reply)
        if damaged is not None:
            self._at(end + self._latency_ns, lambda: self._replied(damaged, end + self._latency_ns, turn))

    def _late(self, reply: bytes, start_ns: int) -> None:
        """It answers when nobody waits any more, or somebody for another: it is heard all the same."""
        end = start_ns + len(reply) * self._byte_ns
        self._at(end, lambda: self._deliver(reply, end))

    def _replied(self, reply: bytes, at_ns: int, turn: int) -> None:
        if turn == self._turn and not self._lost(reply[0]):
            self.replies += 1
            self._deliver(reply, at_ns)

    def _lost(self, unit: int) -> bool:
        """Whether a frame to or from `unit` does not come over the line as it is now."""
        if self.broken:
            self.did["broken"] += 1
        if unit in self.cut:
            self.did[f"cut:{unit}"] += 1
        return self.broken or unit in self.cut

    def _damage(self, data: bytes) -> bytes | None:
        """`data` as it arrives; None = not at all."""
        rng = self._rng
        if self.drop and rng.random() < self.drop:
            return None
        if not self.noise:
            return data
        out = bytearray(data)
        step = -1.0 / math.log1p(-min(self.noise, 0.999_999))
        place = rng.expovariate(1.0 / step)
        while place < len(out):
            out[int(place)] ^= 1 << rng.randrange(8)
            self.flips += 1
            place = math.floor(place) + 1.0 + rng.expovariate(1.0 / step)
        return bytes(out)
