"""Laws that every inverter profile with a vector file must keep, whatever its registers read."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import pytest

from drivers.events import Presence, WriteClass, WriteOutcome, WriteSequence
from drivers.family import Point
from drivers.readings import InverterReading
from drivers.writer import compile_write
from tests.drivers.vector import Vector, binding_of, live_of, vectors
from tests.drivers.wire import S, Wire

ALL = vectors()
COMMANDED = [v for v in ALL if v.data.get("commanded", True)]
EXTREMES = (0x0000, 0xFFFF, 0x7FFF, 0x8000, 0x8001, 0x00FF, 0xFF00)
MOST = {"battery_w": 200_000, "pv_w": 200_000, "ac_w": 200_000, "soc_permille": 1000, "floor_permille": 1000}
ids = pytest.mark.parametrize("vector", ALL, ids=lambda v: v.name)
commanded = pytest.mark.parametrize("vector", COMMANDED, ids=lambda v: v.name)


def sane(reading: InverterReading) -> None:
    """Every number is inside what such a thing can be, or it is not there."""
    for name, most in MOST.items():
        value = getattr(reading, name)
        assert value is None or (isinstance(value, int) and abs(value) <= most), (name, value)
    hertz = reading.frequency_mhz
    assert hertz is None or 30_000 <= hertz <= 80_000
    for field in fields(reading):
        assert not isinstance(getattr(reading, field.name), float), field.name


def polled(vector: Vector, word: int | None, seed: int = 0) -> Wire:
    """The device identified as itself; then every register it is polled at reads `word`, or random bits."""
    slaves = vector.slaves()
    wire = vector.wire(slaves)
    rng = random.Random(seed)
    for poll in wire.bus._devices[0].polls:  # the test wants all registers that are read, and no others
        slave = wire.slaves[poll.request.unit]
        count = poll.request.head[2] // 2  # the byte count of its reply
        for n in range(count):
            slave.put(poll.request.function, poll.request.address + n, rng.getrandbits(16) if word is None else word)
    wire.emitted.clear()
    wire.run(8 * S)
    return wire


@ids
@pytest.mark.parametrize("word", EXTREMES, ids=hex)
def test_registers_at_their_extremes_give_a_sane_reading_or_none(vector: Vector, word: int) -> None:
    wire = polled(vector, word)
    assert wire.inverters() or wire.statuses("device")
    for reading in wire.inverters():
        sane(reading)


@ids
@pytest.mark.parametrize("seed", range(4))
def test_random_registers_give_a_sane_reading_or_none(vector: Vector, seed: int) -> None:
    for reading in polled(vector, None, seed).inverters():
        sane(reading)


def sentinels(vector: Vector) -> list[tuple[Point, int]]:
    found = []
    for point in vector.spec.profile.points:
        if point.name not in ("grid", "status", "alarms"):
            found += [(point, n) for n, part in enumerate(point.parts) if part.sentinels and isinstance(part.at, int)]
    return found


@ids
def test_what_is_not_implemented_is_not_known(vector: Vector) -> None:
    for point, n in sentinels(vector):
        part = point.parts[n]
        slaves = vector.slaves()
        unit = dict(vector.spec.profile.units).get(part.unit, vector.data["unit"])
        slave = next(s for s in slaves if s.unit == unit)
        raw = part.sentinels[0] & ((1 << (16 * part.length)) - 1)
        words = [raw >> (16 * k) & 0xFFFF for k in reversed(range(part.length))]
        slave.put(part.function, int(part.at), *(words if part.order == "big" else words[::-1]))
        wire = vector.wire(slaves)
        assert getattr(wire.inverters()[-1], point.name) is None, point.name


@ids
def test_every_power_has_bounds_and_no_number_is_read_without_a_range(vector: Vector) -> None:
    for point in vector.spec.profile.points:
        if point.name not in ("grid", "status", "alarms"):
            assert point.valid is not None, f"{point.name} would pass any number"


@commanded
def test_every_controllable_family_can_be_released_and_stopped(vector: Vector) -> None:
    binding = binding_of(vector.wire())
    for write_class in (WriteClass.CLEAR, WriteClass.STOP):
        order = compile_write(binding, write_class, 0, 1, 1, live_of(vector.data.get("live", {})))
        assert isinstance(order, WriteSequence), order
        assert order.writes


def told(vector: Vector, watts: int) -> tuple[Wire, InverterReading]:
    wire = vector.wire()
    binding = binding_of(wire)
    order = compile_write(
        binding, WriteClass.POWER, watts, 1, wire.now + S, replace(live_of(vector.data.get("live", {})))
    )
    assert isinstance(order, WriteSequence), order
    for back in order.read_backs[len(order.read_backs) - len(binding.control.proof if binding.control else ()) :]:
        slave = wire.slaves[back.unit or vector.data["unit"]]  # the device applies what it acknowledged
        slave.put(back.function, back.address, *(word or 0 for word in back.expected))
    wire.order_now(order)
    wire.run(12 * S)
    assert wire.results()[-1].outcome is WriteOutcome.CONFIRMED, wire.results()[-1].detail
    assert wire.statuses("device")[-1].presence is Presence.OK
    return wire, wire.inverters()[-1]


@commanded
@pytest.mark.parametrize("share", [-100, -37, -1, 0, 1, 50, 100])
def test_a_setpoint_reads_back_as_itself_and_never_as_more(vector: Vector, share: int) -> None:
    binding = binding_of(vector.wire())
    control = binding.control
    assert control is not None
    rated = control.rated_discharge_w if share > 0 else control.rated_charge_w
    watts = rated * share // 100 if share >= 0 else -(rated * -share // 100)
    live = vector.data.get("live", {})
    if control.convert != "none":  # the AC terminals give no more than the rating: leave room for PV
        watts = watts // 2
    _, reading = told(vector, watts)
    if "remote_mode" not in dict(vector.spec.profile.controls[0].state):
        assert reading.remote_active is None
        return
    assert reading.remote_active is True
    seen = reading.remote_w if control.convert == "none" else reading.remote_now_w
    if seen is None:
        assert control.convert in ("grid", "measured"), live
        return
    assert abs(seen - watts) <= binding.capability.resolution_w
    if control.convert == "none":
        assert abs(seen) <= abs(watts)


@commanded
def test_release_reads_back_as_released(vector: Vector) -> None:
    wire, _ = told(vector, 0)
    order = compile_write(binding_of(wire), WriteClass.CLEAR, 0, 2, wire.now + S)
    assert isinstance(order, WriteSequence)
    wire.order_now(order)
    wire.run(12 * S)
    assert wire.results()[-1].outcome is WriteOutcome.CONFIRMED, wire.results()[-1].detail
    assert not wire.inverters()[-1].remote_active


@commanded
def test_a_reversion_time_is_never_zero_and_within_the_devices_own_bounds(vector: Vector) -> None:
    profile = vector.spec.profile
    for reversion_s in (0, 1, 59, 60, 61, 3599, 100_000):
        binding = binding_of(vector.wire(spec=replace(vector.spec, reversion_s=reversion_s)))
        assert binding.control is not None
        control = next(c for c in profile.controls if c.id == binding.control.id)
        if control.reversion.kind == "none":
            assert binding.capability.reversion_s == 0
        else:
            assert 0 < control.reversion.min_s <= binding.capability.reversion_s <= control.reversion.max_s
            assert binding.capability.reversion_s % control.reversion.granularity_s == 0
