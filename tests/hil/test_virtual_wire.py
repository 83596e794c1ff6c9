"""The wire in virtual time: byte times by hand, and what it does to those who misbehave."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from hil.devices.demo import demo_devices
from hil.devices.slave import crc16, seal
from hil.plant.home import Home, HomeParams
from hil.wire.virtual import VirtualWire, WireFrame

BYTE = 10 * 1_000_000_000 // 19_200  # 520,833 ns
T35 = 35 * 1_000_000_000 // 19_200  # 1.822916 ms
READ_SOC = seal(bytes.fromhex("01 04 10 05 00 01"))


class Bench:
    """A clock, a heap, and what the master hears."""

    def __init__(self, seed: int = 1, baud: int = 19_200) -> None:
        self.now = 0
        self.heard: list[tuple[int, bytes]] = []
        self.frames: list[WireFrame] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self.home = Home(1, HomeParams(soc=0.5, load_w=1000.0, pv_w=0.0))
        self.wire = VirtualWire(
            demo_devices(self.home),
            baud,
            self.at,
            lambda data, at_ns: self.heard.append((at_ns, data)),
            seed,
            log=self.frames.append,
        )

    def at(self, ns: int, fn: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (ns, self._order, fn))

    def run(self, until: int) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.now, _, fn = heapq.heappop(self._heap)
            fn()
        self.now = until

    def ask(self, frame: bytes, at_ns: int) -> bytes | None:
        """Send at that time, wait 100 ms, and return what came."""
        self.run(at_ns)
        before = len(self.heard)
        self.wire.transmit(frame, at_ns)
        self.run(at_ns + 100_000_000)
        return self.heard[before][1] if len(self.heard) > before else None


def test_the_reply_arrives_with_its_last_byte() -> None:
    """8 bytes out, t3.5, 2 ms of thinking, 7 bytes back."""
    bench = Bench()
    reply = bench.ask(READ_SOC, 1_000_000_000)
    assert reply == seal(bytes.fromhex("01 04 02 01 f4"))
    assert bench.heard[0][0] == 1_000_000_000 + 8 * BYTE + T35 + 2_000_000 + 7 * BYTE
    assert [(f.sender, f.start_ns, len(f.data)) for f in bench.frames] == [
        ("master", 1_000_000_000, 8),
        ("slave", 1_000_000_000 + 8 * BYTE + T35 + 2_000_000, 7),
    ]


def test_t35_above_19200_is_fixed() -> None:
    bench = Bench(baud=115_200)
    bench.ask(READ_SOC, 1_000_000_000)
    byte = 10 * 1_000_000_000 // 115_200
    assert bench.heard[0][0] == 1_000_000_000 + 8 * byte + 1_750_000 + 2_000_000 + 7 * byte


def test_a_request_inside_t35_is_not_understood_and_one_just_after_is() -> None:
    bench = Bench()
    bench.ask(READ_SOC, 1_000_000_000)
    end = bench.heard[0][0]
    bench.wire.transmit(READ_SOC, end + T35 - 1)
    bench.run(end + 200_000_000)
    assert (len(bench.heard), bench.wire.violations) == (1, 1)
    bench.ask(READ_SOC, end + 300_000_000)
    bench.wire.transmit(READ_SOC, bench.heard[1][0] + T35)
    bench.run(end + 900_000_000)
    assert (len(bench.heard), bench.wire.violations) == (3, 1)


def test_a_request_into_a_reply_destroys_both() -> None:
    bench = Bench()
    bench.wire.transmit(READ_SOC, 1_000_000_000)
    bench.run(1_008_500_000)
    bench.wire.transmit(READ_SOC, 1_008_500_000)
    bench.run(2_000_000_000)
    assert bench.heard == []
    assert bench.wire.collisions == 1


def test_a_cut_unit_is_silent_and_the_others_are_not() -> None:
    bench = Bench()
    bench.wire.cut.add(1)
    assert bench.ask(READ_SOC, 1_000_000_000) is None
    assert bench.ask(seal(bytes.fromhex("02 04 00 34 00 02")), 2_000_000_000) is not None
    bench.wire.cut.clear()
    assert bench.ask(READ_SOC, 3_000_000_000) is not None


def test_noise_breaks_about_as_many_frames_as_it_should_and_never_passes_a_crc() -> None:
    """5e-3 a byte on 8 + 7 bytes: a good reply in 0.995^15 = 92.8 % of cases; 400 cases, 4 sigma = 5.2 %."""
    bench = Bench()
    bench.wire.noise = 5e-3
    truth = bytes.fromhex("01 04 02 01")
    replies = [bench.ask(READ_SOC, (i + 1) * 1_000_000_000) for i in range(400)]
    good = [reply for reply in replies if reply is not None and not crc16(reply)]
    assert 0.876 < len(good) / 400 < 0.98
    assert all(reply[:4] == truth for reply in good)
    assert bench.wire.flips > 10


def test_same_seed_same_noise() -> None:
    def life(seed: int) -> list[tuple[int, bytes]]:
        bench = Bench(seed)
        bench.wire.noise = 0.02
        for i in range(50):
            bench.ask(READ_SOC, (i + 1) * 1_000_000_000)
        return bench.heard

    assert life(1) == life(1)
    assert life(1) != life(2)


def test_writes_reach_the_plant_when_the_last_byte_is_in_and_are_traced() -> None:
    bench = Bench()
    request = seal(bytes.fromhex("03 06 9d 09 00 03"))
    bench.ask(request, 1_000_000_000)
    (write,) = bench.wire.trace
    assert (write.at_ns, write.unit, write.address, write.words) == (1_000_000_000 + 8 * BYTE, 3, 0x9D09, (3,))
    assert write.exception == 0
    assert bench.home.inverter.mode == 3
