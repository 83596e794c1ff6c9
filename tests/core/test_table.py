"""The rows of LIMITS by hand, in their order: which side each binds, how it lifts, and who owns it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.caps import PLAIN
from agent.core.decision import Side
from agent.core.limits import LIMITS, Limit
from agent.core.permit import BOTH, CHARGING, DISCHARGING, binding, caps
from tests.core.home import PARAMS
from tests.core.test_limits import BASE

TABLE = """
islanded both live utility
grid_unknown both live utility
grid_return both live utility
stale_inverter both live inverter
stale_battery both live bms
stale_meter both live site
device both live site
reversion both live inverter
state both live agent
alarm_charge charge hold bms
alarm_discharge discharge hold bms
charge_enable charge hold bms
discharge_enable discharge hold bms
ccl charge hold bms
dcl discharge hold bms
cell_high charge latch agent
cell_low discharge latch agent
temperature_charge charge hysteresis agent
temperature_discharge discharge hysteresis agent
imbalance_charge charge settled agent
imbalance_discharge discharge settled agent
soc_ceiling charge hysteresis site
reserve discharge hysteresis homeowner
soc_floor discharge hysteresis site
site_import charge live site
site_export discharge live site
fuse_import charge live site
fuse_export discharge live site
pv_only charge live site
utility_charge charge hold utility
utility_discharge discharge hold utility
owner_charge charge live homeowner
owner_discharge discharge live homeowner
throughput discharge hold homeowner
nameplate_charge charge live site
nameplate_discharge discharge live site
"""


def test_every_row_is_as_the_table_says() -> None:
    """A row that moves changes which reason people are told; one that lifts otherwise, how long they wait."""
    rows = [f"{row.id} {row.side.name.lower()} {row.lift.value} {row.owner}" for row in LIMITS]
    assert rows == TABLE.strip().splitlines()


def test_every_row_is_on_its_sides() -> None:
    assert set(CHARGING) & set(DISCHARGING) == set(BOTH)
    assert set(CHARGING) | set(DISCHARGING) == set(range(len(LIMITS)))
    assert [LIMITS[i].id for i in BOTH] == [line.split()[0] for line in TABLE.splitlines() if " both " in line]


def test_of_equals_the_first_is_told() -> None:
    """Each row in turn leaves nothing, and so does every later one of its side."""
    free = caps(PLAIN, BASE, PARAMS)
    for at, row in enumerate(LIMITS):
        for charge, side in ((True, CHARGING), (False, DISCHARGING)):
            if at in side:
                left = [0 if i >= at and i in side else w for i, w in enumerate(free)]
                assert LIMITS[binding(left, PARAMS, charge)].id == row.id


# --- a site that is the same in nothing: 4 kW of charging, 900 W of discharging, 100 kWh ------------------------------
UNEVEN = replace(
    PARAMS,
    site=replace(PARAMS.site, nameplate_charge_w=4_000, nameplate_discharge_w=900, capacity_wh=100_000),
)
CAP = {row.id: row.cap for row in LIMITS}


@pytest.mark.parametrize("row", [row for row in LIMITS if row.side is Side.BOTH], ids=lambda row: row.id)
def test_what_binds_both_sides_leaves_the_larger_nameplate(row: Limit) -> None:
    assert row.cap(PLAIN, BASE, UNEVEN) == 4_000


@pytest.mark.parametrize(
    ("row", "changes", "cap"),
    [
        ("alarm_charge", {}, 4_000),
        ("alarm_discharge", {}, 900),
        ("charge_enable", {}, 4_000),
        ("discharge_enable", {}, 900),
        ("cell_high", {}, 4_000),
        ("cell_high", {"cell_max_mv": 3450}, 2_000),
        ("cell_low", {}, 900),
        ("cell_low", {"cell_min_mv": 3100}, 450),
        ("temperature_charge", {}, 4_000),
        ("temperature_charge", {"temp_min_dc": 50}, 2_000),
        ("temperature_discharge", {}, 900),
        ("temperature_discharge", {"temp_min_dc": 50}, 450),
        ("imbalance_charge", {}, 4_000),
        ("imbalance_charge", {"spread_mv": 150}, 1_000),
        ("imbalance_charge", {"spread_mv": 300, "cell_cure": 1}, 1_000),  # a quarter is less than 0.05 C
        ("imbalance_discharge", {}, 900),
        ("imbalance_discharge", {"spread_mv": 300, "cell_cure": 2}, 900),
        ("fuse_import", {}, 4_000),  # no fuse is configured
        ("fuse_export", {}, 900),
        ("pv_only", {}, 4_000),
        ("nameplate_charge", {}, 4_000),
        ("nameplate_discharge", {}, 900),
    ],
)
def test_each_side_has_its_own_nameplate(row: str, changes: dict[str, int], cap: int) -> None:
    assert CAP[row](PLAIN, BASE._replace(**changes), UNEVEN) == cap
