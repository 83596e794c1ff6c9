"""Every profile that there is, at its sentinels, at the extremes and at random bits of every register.

A reading is right or says that it does not know: never an exception, never a number that the device did not say. What
is right is worked out a second time in `tests.drivers.oracle`, from the raw TOML, without the driver's codec.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from drivers import identify
from drivers.binding import Binding, Chain, DeviceSpec
from drivers.dialects import DIALECTS
from drivers.plan import Reach
from drivers.port import Port, Timing
from drivers.profile import load
from tests.drivers.garbage import (
    EXTREMES,
    FIXED,
    NAMES,
    SUNSPEC,
    Device,
    always,
    chains,
    check_sane,
    fills,
    only,
    over,
    sentinels,
)  # fmt: skip
from tests.drivers.oracle import point_names, seen, wanted

CHAINS: list[Any] = [pytest.param(name, (), id=name) for name in FIXED]
CHAINS += [pytest.param(name, chain, id=f"{name}-{key}") for name in SUNSPEC for key, chain in chains(name).items()]
ALONE = [case for case in CHAINS if len(case.values[1]) < 2]


@pytest.mark.parametrize(("name", "chain"), CHAINS)
def test_every_value_is_what_the_file_says_it_is_and_could_be_true(name: str, chain: Chain) -> None:
    for fill, registers in fills(name, chain):
        device = Device(name, registers, chain)
        reading = device.read(registers)
        check_sane(reading, name, fill)
        for point in point_names(name):
            assert seen(reading, point) == wanted(name, point, chain, registers), (name, fill, point)


@pytest.mark.parametrize("name", NAMES)
def test_the_check_above_has_seen_every_point_known_and_unknown(name: str) -> None:
    """Noise that leaves a point unknown each time would prove nothing."""
    known: Counter[str] = Counter()
    for chain in chains(name).values() if name in SUNSPEC else [()]:
        for _, registers in fills(name, chain, 60):
            for point in point_names(name):
                known[point] += wanted(name, point, chain, registers) not in (None, "unknown", ())
    assert not [point for point in point_names(name) if not known[point]]


@pytest.mark.parametrize(("name", "chain"), ALONE)
def test_each_value_at_its_sentinel_is_not_known(name: str, chain: Chain) -> None:
    """Beside a picture of what could be true: the value, and what is made of it, and nothing else."""
    *_, (_, likely) = fills(name, chain, 24)  # the last one is calm
    device = Device(name, likely, chain)
    before = {point: seen(device.read(likely), point) for point in point_names(name)}
    gone: set[str] = set()
    for changed in sentinels(name, chain):
        registers = over(changed, likely)
        again = Device(name, registers, chain) if changed.keys() & device.facts.keys() else device
        reading = again.read(registers)
        for point in point_names(name):
            assert seen(reading, point) == wanted(name, point, chain, registers), (changed, point)
            gone |= {point} if seen(reading, point) in (None, "unknown", ()) else set()
    if chain:  # every known point of a model can be "not implemented"; of fixed registers, those that have a sentinel
        counts = {"import_wh", "export_wh"}  # an accumulator at 0 has counted nothing
        combined = {"cell_max_mv", "cell_min_mv", "temp_max_dc", "temp_min_dc"}  # the others of them are still there
        assert {p for p, value in before.items() if value not in (None, "unknown", ())} <= gone | counts | combined


@pytest.mark.parametrize(("name", "chain"), CHAINS)
def test_one_register_at_its_extremes_among_quiet_ones(name: str, chain: Chain) -> None:
    """A single register that goes mad changes what hangs on it, into something that could be true or is not known."""
    quiet = always(0)
    calm = Device(name, quiet, chain)
    for place in calm.places():
        for word in EXTREMES:
            registers = only(place, word, quiet)
            device = Device(name, registers, chain) if place in calm.facts else calm
            reading = device.read(registers)
            check_sane(reading, name, f"{place} {word:04X}")
            if chain and len(chain) == 1:
                for point in point_names(name):
                    assert seen(reading, point) == wanted(name, point, chain, registers), (place, word, point)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_answers_the_question_who_it_is_gets_an_answer(name: str) -> None:
    """Random replies and refusals: a Binding or a sentence, never an exception."""
    profile = load(name)
    spec = DeviceSpec("x", profile.role, 1, profile)
    cap = 125 if not profile.dialect else DIALECTS[profile.dialect].words
    for seed in range(60):
        source = random.Random(f"{name}{seed}")
        port = Port(Timing.serial(9600, 10, 0), False)
        steps = identify.steps(spec, port, Reach(cap, 2000))
        request = next(steps)
        try:
            for _ in range(500):
                size = 2 * request.count if request.dialect is not None else request.head[2]
                data = bytes((request.function, size & 0xFF)) + source.randbytes(size)
                if request.function == 3 and size == 4 and source.random() < 0.5:
                    data = data[:2] + b"SunS"
                request = steps.send(source.choice((1, 2, 4, 6)) if source.random() < 0.1 else data)
        except StopIteration as end:
            found = end.value
            assert isinstance(found, Binding) or (isinstance(found, str) and "unit 1" in found)
        else:
            pytest.fail("it never ends")
