"""What only real processes can show: each scenario that runs on `process` alone, and shows a hazard, holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil import coverage
from hil.backends.process import ProcessBackend
from hil.runner import Outcome, Runner
from hil.stall import unstalled

pytestmark = pytest.mark.slow

ALONE = {scenario.name: scenario for scenario in coverage.shipped() if scenario.backends == ("process",)}


@pytest.mark.parametrize("name", ALONE)
def test_every_promise_holds(name: str, tmp_path: Path) -> None:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed: `make mosquitto`")
    scenario = ALONE[name]
    said: list[str] = []

    def once() -> Outcome:
        return Runner(scenario, ProcessBackend(tmp_path / f"run{len(said)}"), scenario.seed).run()

    outcome, _ = unstalled(once, say=said.append, fine=lambda o: o.stands)
    assert [f"{v.name}: {v.sentence}" for v in outcome.verdicts if not v.ok] == [], "\n".join(said)
