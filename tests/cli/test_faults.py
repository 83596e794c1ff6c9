"""`batteryctl faults` as a person sees it on 80 columns."""

from __future__ import annotations

import dataclasses
import json

import pytest

from agent.cli.main import main
from agent.core.decision import FaultValue
from agent.core.faults import BY_ID, FAULTS
from tests.cli.conftest import Serve
from tests.local.home import HOME, NOW, S, decided, troubled

STALE = FaultValue("battery_stale", "degraded", "no good reading", "Check its cable.", NOW.mono_ns - 7 * S, held=True)


def test_a_healthy_home_fits_a_screen(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(HOME)
    assert main(["faults"]) == 0
    out = capsys.readouterr().out
    shown = out.splitlines()
    assert shown[0] == "# Active: none"
    assert shown[2] == f"# Watched, not there: {len(FAULTS)}; batteryctl faults ID explains one"
    assert set(BY_ID) <= set(out.split())
    assert len(shown) < 24
    assert max(map(len, shown)) <= 80


def test_what_stands_is_on_top_with_what_to_do(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(troubled())
    assert main(["faults"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == [
        "# Active: 1",
        "  xx  battery_stale, degraded, for 7 s",
        "      no good reading of the battery for more than 5.0 s",
        "      next: Check the BMS' cable.",
    ]
    assert len(shown) < 24


def test_one_is_explained(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(decided(faults=(STALE,)))
    assert main(["faults", "battery_stale"]) == 0
    assert (
        capsys.readouterr().out
        == """\
FAULT    xx  battery_stale, degraded, for 7 s, its cause is gone, it is held
SEEN     no good reading
CHECKS   the age of the BMS' last good reading
DOES     no power: the setpoint becomes 0 W at once and is released if it lasts
         longer than 30 s, or stays at 0 W where nothing else would keep the
         reserve
ENDS     by itself, when its cause has been gone for 30 s; within an hour held
         twice as long each time it comes back, up to 15 min
NEXT     Check its cable.
"""
    )
    assert main(["faults", "disk"]) == 0
    assert capsys.readouterr().out.startswith("FAULT    ok  disk, warn, not there\nCHECKS   that the disk")


def test_json_and_an_id_that_is_none(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(dataclasses.replace(HOME))
    assert main(["faults", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["faults"]] == list(BY_ID)
    assert main(["faults", "rain"]) == 2
    assert "must be an id of the table: batteryctl faults" in capsys.readouterr().err
