"""Registers worked out by hand against what the profiles make of them: readings, orders, and who is refused."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.events import Presence, ReadBack, RegisterWrite, WriteClass, WriteSequence
from drivers.writer import compile_write
from tests.drivers.vector import Vector, binding_of, live_of, vectors
from tests.drivers.wire import S

ALL = vectors()


def cases(key: str) -> list[Any]:
    return [
        pytest.param(vector, case, id=f"{vector.name}-{case['name'].replace(' ', '_')}")
        for vector in ALL
        for case in vector.data.get(key, [])
    ]


def line(text: str) -> tuple[int, int | None, int, tuple[int, ...]]:
    """function, unit, register, words of "function[@unit] register words..."."""
    head, at, *words = text.split()
    function, _, unit = head.partition("@")
    return int(function), int(unit) if unit else None, int(at, 0), tuple(int(word, 0) & 0xFFFF for word in words)


def told(write: RegisterWrite | ReadBack) -> tuple[int, int | None, int, tuple[int | None, ...]]:
    words = write.words if isinstance(write, RegisterWrite) else write.expected
    return write.function, write.unit, write.address, words


@pytest.mark.parametrize(("vector", "case"), cases("reading"))
def test_reading(vector: Vector, case: dict[str, Any]) -> None:
    wire = vector.wire(vector.slaves(case.get("registers")))
    assert wire.statuses("device")[-1].presence is Presence.OK, wire.statuses("device")[-1].detail
    reading = wire.inverters()[-1]
    for key, wanted in case["expect"].items():
        seen: Any = getattr(reading, "grid_state" if key == "grid" else key)
        if key == "alarms":
            seen = list(seen)
        assert (None if wanted == "none" else wanted) == (str(seen) if key == "grid" else seen), key


@pytest.mark.parametrize(("vector", "case"), cases("order"))
def test_order(vector: Vector, case: dict[str, Any]) -> None:
    binding = binding_of(vector.wire())
    live = live_of(case.get("live", {}))
    got = compile_write(binding, WriteClass[case["class"].upper()], case.get("value", 0), 1, 1, live)
    if "refused" in case:
        assert isinstance(got, str)
        assert case["refused"] in got
        return
    assert isinstance(got, WriteSequence), got
    assert [told(write) for write in got.writes] == [line(text) for text in case["writes"]]
    if "reads" in case:
        reads = [told(back) for back in got.read_backs]
        assert [(f, u, a, tuple(w or 0 for w in words)) for f, u, a, words in reads] == [
            line(text) for text in case["reads"]
        ]


@pytest.mark.parametrize(("vector", "case"), cases("stranger"))
def test_a_stranger_is_not_taken_for_this_device(vector: Vector, case: dict[str, Any]) -> None:
    wire = vector.wire(vector.slaves(case["registers"]))
    status = wire.statuses("device")[-1]
    assert status.presence is Presence.MISMATCH
    assert case["says"] in status.detail
    assert wire.now >= S


@pytest.mark.parametrize("vector", ALL, ids=lambda v: v.name)
def test_capability(vector: Vector) -> None:
    capability = binding_of(vector.wire()).capability
    for key, wanted in vector.data.get("capability", {}).items():
        seen: Any = getattr(capability, key)
        assert (list(seen) if isinstance(seen, tuple) else seen) == wanted, key


def test_every_inverter_profile_has_a_vector_file() -> None:
    from drivers.profile import PROFILES, load
    from drivers.readings import DeviceRole

    found = {load(path.stem).id for path in PROFILES.glob("*.toml") if load(path.stem).role is DeviceRole.INVERTER}
    assert found - {vector.data["profile"] for vector in ALL} <= {"sunspec_hybrid"}  # worked out in test_writer
