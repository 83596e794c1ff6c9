"""docs/limits.md is what the table of limits says, and each of its examples is worked by hand here."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from agent.core.limits import LIMITS

ROOT = Path(__file__).parents[2]
MADE: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "limits_page.py"))

# The home of the page: 25 kWh, 11.4 kW; 67 s; three legs of 25 A at 230 V stand for 17_250 W.
LEAVES = {
    **dict.fromkeys("islanded grid_unknown grid_return stale_inverter stale_battery stale_meter".split(), 0),
    **dict.fromkeys("device reversion state alarm_charge alarm_discharge charge_enable discharge_enable".split(), 0),
    "ccl": 3_168,  # 52.8 V x 60 A
    "dcl": 2_640,  # 52.8 V x 50 A
    "cell_high": 3_420,  # 3.475 V is half way from 500 to 100 permille: 300
    "cell_low": 3_420,  # 3.050 V is half way from 100 to 500 permille: 300
    "temperature_charge": 1_425,  # 1 °C is half way to the 250 permille of 2 °C: 125
    "temperature_discharge": 4_275,  # 47.5 °C is half way from 500 to 250 permille: 375
    "imbalance_charge": 2_850,  # a quarter
    "imbalance_discharge": 0,
    "soc_ceiling": 5_373,  # 100 Wh in 67 s
    "reserve": 5_373,  # 100 Wh in 67 s
    "soc_floor": 4_029,  # 75 Wh in 67 s
    "site_import": 8_000,
    "site_export": 7_000,
    "fuse_import": 8_250,
    "fuse_export": 8_250,
    "pv_only": 1_800,
    "utility_charge": 4_200,
    "utility_discharge": 5_000,
    "owner_charge": 4_000,
    "owner_discharge": 7_000,
    "throughput": 2_686,  # 50 Wh in 67 s
    "nameplate_charge": 5_000,
    "nameplate_discharge": 5_000,
}


def test_the_page_is_what_the_table_says() -> None:
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    assert page.strip() == MADE["page"]().strip(), "python scripts/limits_page.py > docs/limits.md"
    shown = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.count("|") == 8]
    assert shown == [row.id for row in LIMITS]


def test_every_limit_is_worked_by_hand() -> None:
    assert set(LEAVES) == {row.id for row in LIMITS}


@pytest.mark.parametrize(("limit", "watts"), LEAVES.items())
def test_an_example_leaves_what_was_worked_out(limit: str, watts: int) -> None:
    index = [row.id for row in LIMITS].index(limit)
    value = MADE["example"](limit).values[index]
    assert value.cap_w == watts
    words = next(line for line in MADE["page"]().splitlines() if line.startswith(f"| `{limit}` |"))
    assert f"| {watts} W |" in words
    assert value.sentence in words
