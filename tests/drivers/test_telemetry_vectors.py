"""Every vector against the driver as a whole: bus, port, identification, planner, codec; and every profile has one."""

from __future__ import annotations

import dataclasses

import pytest

from drivers.events import Presence
from drivers.profile import PROFILES, load
from drivers.readings import BatteryReading, InverterReading, MeterReading
from tests.drivers.telemetry import VECTORS, Case, cases, identity_of, wire_of

CASES = cases()
DEMO = {"seplos_v3", "eastron_sdm630"}  # these have tests of their own, by hand as well
BATTERIES_AND_METERS = [
    path.stem for path in sorted(PROFILES.glob("*.toml")) if load(path.stem).role in ("battery", "meter")
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.profile}-{case.name}" for case in CASES])
def test_vector(case: Case) -> None:
    wire = wire_of(case)
    status = wire.statuses("x")[-1]
    readings = [e for e in wire.emitted if isinstance(e, BatteryReading | InverterReading | MeterReading)]
    if case.refused:
        assert status.presence is Presence.MISMATCH
        assert case.refused in status.detail
        assert readings == []
        return
    assert status.presence is Presence.OK, status.detail
    assert status.identity == identity_of(case)
    reading = dataclasses.asdict(readings[-1])
    wanted = {key: tuple(value) if isinstance(value, list) else value for key, value in case.reading.items()}
    if "none" in wanted:
        wanted.update(dict.fromkeys(wanted.pop("none")))
    assert {key: reading[key] for key in wanted} == wanted
    assert wire.violations == 0


@pytest.mark.parametrize("name", BATTERIES_AND_METERS)
def test_every_battery_and_meter_has_a_vector(name: str) -> None:
    assert name in DEMO or any(case.profile == name for case in CASES), f"write {VECTORS.name}/{name}.toml"


def test_a_vector_says_something() -> None:
    assert all(case.reading or case.refused for case in CASES)
